#include "spoolrpc/isolation/isolated_handler.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "spoolrpc/isolation.pb.h"
#include "spoolrpc/isolation/child_pool.h"
#include "spoolrpc/isolation/message_socket.h"
#include "spoolrpc/isolation/wait_status.h"
#include "spoolrpc/rpc/metadata.h"
#include "spoolrpc/rpc/method_info.h"
#include "spoolrpc/rpc/status_codec.h"
#include "spoolrpc/server/batch.h"
#include "spoolrpc/server/server_context.h"

namespace spoolrpc::isolation {
namespace {

using google::protobuf::MessageLite;
using Result = MessageSocket::Result;

// How long a child that has closed its sockets may take to end.
constexpr absl::Duration kEndTime = absl::Seconds(5);

// A descriptor that becomes readable, for good. Shared by whoever may do that later.
class Flag {
 public:
  Flag() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  ~Flag() {
    if (fd_ >= 0) close(fd_);
  }
  Flag(const Flag&) = delete;
  Flag& operator=(const Flag&) = delete;

  int fd() const { return fd_; }
  void Set() { eventfd_write(fd_, 1); }

 private:
  const int fd_;
};

// Whether nobody waits for any of these calls, and a descriptor to wait for that.
class Watch {
 public:
  // Does `wake` too.
  Watch(std::vector<ServerContext*> contexts, const std::function<void()>& wake)
      : contexts_(std::move(contexts)) {
    for (ServerContext* const context : contexts_) {
      context->NotifyOnCancel([flag = flag_, wake] {
        flag->Set();
        wake();
      });
    }
  }

  int fd() const { return flag_->fd(); }
  bool over() const {
    for (const ServerContext* const context : contexts_) {
      if (!context->IsCancelled()) return false;
    }
    return true;
  }
  absl::Status status(const std::string& method) const {
    for (const ServerContext* const context : contexts_) {
      if (absl::Now() < context->deadline()) {
        return absl::CancelledError(absl::StrCat(method, ": cancelled"));
      }
    }
    return absl::DeadlineExceededError(absl::StrCat(method, ": the deadline passed"));
  }

 private:
  const std::vector<ServerContext*> contexts_;
  const std::shared_ptr<Flag> flag_ = std::make_shared<Flag>();
};

void AddInitialMetadata(const google::protobuf::RepeatedPtrField<wire::Metadata>& metadata,
                        ServerContext* context) {
  for (const auto& [key, value] : rpc::DecodeMetadata(metadata)) {
    context->AddInitialMetadata(key, value);
  }
}

// Gives the child the messages of the call's stream, one for each request, on a thread of its own.
class StreamReader {
 public:
  StreamReader(Child* child, ServerStream* stream, ServerContext* context,
               const MethodHandler* handler)
      : thread_([=] { Run(child, stream, context, handler); }), stream_(stream) {}
  ~StreamReader() { Join(); }

  // Waits for the end of what it is doing, which comes at once. False: the child cannot be used
  // any more.
  bool Join() {
    if (thread_.joinable()) {
      over_.Set();
      stream_->StopReading();
      thread_.join();
    }
    return clean_.load(std::memory_order_acquire);
  }

 private:
  void Run(Child* child, ServerStream* stream, ServerContext* context,
           const MethodHandler* handler) {
    const MessageSocket::Stop stop = {{over_.fd(), -1}, [] { return true; }};
    for (;;) {
      ReadRequest request;
      std::string payload;
      const Result received = child->reads().Receive(&request, &payload, &stop);
      if (received != Result::kOk) {
        clean_.store(received == Result::kStopped, std::memory_order_release);
        return;
      }
      const std::unique_ptr<MessageLite> message = handler->NewRequest();
      ReadReply reply;
      reply.set_ok(stream->Read(message.get()));
      reply.set_compressed(context->request_was_compressed());
      payload.clear();
      if (reply.ok()) message->SerializePartialToString(&payload);
      if (child->reads().Send(reply, payload, &stop) != Result::kOk) return;
    }
  }

  Flag over_;
  std::atomic<bool> clean_{false};
  std::thread thread_;
  ServerStream* const stream_;
};

class IsolatedHandler final : public MethodHandler {
 public:
  IsolatedHandler(Nursery* nursery, uint32_t index, const HandlerEntry& inner, int processes,
                  FailureFn on_failure)
      : pool_(std::make_shared<ChildPool>(nursery, processes)),
        index_(index),
        method_(inner.info->full_name),
        kind_(inner.info->kind),
        inner_(inner.handler),
        on_failure_(std::move(on_failure)) {}

  std::unique_ptr<MessageLite> NewRequest() const override { return inner_->NewRequest(); }
  std::unique_ptr<MessageLite> NewReply() const override { return inner_->NewReply(); }

  absl::Status Run(ServerContext* context, const MessageLite* request, MessageLite* reply,
                   ServerStream* stream) const override {
    return RunInChild({context}, {request}, {reply}, stream, nullptr);
  }

  bool takes_batches() const override { return inner_->takes_batches(); }
  absl::Status RunBatch(BatchContext* batch, absl::Span<const MessageLite* const> requests,
                        absl::Span<MessageLite* const> replies) const override {
    std::vector<ServerContext*> contexts;
    for (int i = 0; i < batch->size(); ++i) contexts.push_back(batch->context(i));
    return RunInChild(contexts, {requests.begin(), requests.end()},
                      {replies.begin(), replies.end()}, nullptr, batch);
  }

 private:
  bool RequestsStream() const {
    return kind_ == MethodKind::kClientStreaming || kind_ == MethodKind::kBidiStreaming;
  }

  // One call, or those of `batch`.
  absl::Status RunInChild(const std::vector<ServerContext*>& contexts,
                          const std::vector<const MessageLite*>& requests,
                          const std::vector<MessageLite*>& replies, ServerStream* stream,
                          BatchContext* batch) const {
    const Watch watch(contexts, [pool = pool_] { pool->Wake(); });
    auto acquired = pool_->Acquire([&] { return watch.over(); });
    if (absl::IsCancelled(acquired.status())) return watch.status(method_);
    if (!acquired.ok()) {
      absl::Status failure(acquired.status().code(),
                           absl::StrCat(method_, ": ", acquired.status().message()));
      on_failure_(failure);
      return failure;
    }
    const std::shared_ptr<Child> child = *std::move(acquired);
    const MessageSocket::Stop stop = {
        {watch.fd(), child->end_fd()},
        [&] { return watch.over() || child->AwaitEnd(absl::ZeroDuration()).has_value(); }};
    FromChild::End end;
    std::string payload;
    bool reusable = true;
    Result result = SendStart(child.get(), contexts, requests, batch != nullptr, &stop);
    if (result == Result::kOk) {
      std::optional<StreamReader> reader;
      if (RequestsStream()) reader.emplace(child.get(), stream, contexts[0], inner_);
      result = Serve(child.get(), contexts[0], stream, &stop, &end, &payload);
      if (reader.has_value() && !reader->Join()) reusable = false;
    }
    if (result != Result::kOk) {
      absl::Status status = watch.over() ? watch.status(method_) : Ended(child.get(), result);
      pool_->Discard(child);
      return status;
    }
    absl::Status status = TakeEnd(end, payload, contexts, replies, batch);
    if (end.threw()) on_failure_(rpc::DecodeStatus(end.header()));
    if (!reusable) {
      pool_->Discard(child);  // a thread of the handler's still reads
    } else if (end.work_after_reply()) {
      WorkAfterReply(contexts.back(), child);
    } else {
      pool_->Release(child);
    }
    return status;
  }

  Result SendStart(Child* child, const std::vector<ServerContext*>& contexts,
                   const std::vector<const MessageLite*>& requests, bool batch,
                   const MessageSocket::Stop* stop) const {
    ToChild message;
    CallStart* const start = message.mutable_start();
    start->set_handler(index_);
    start->set_batch(batch);
    std::string payload;
    for (size_t i = 0; i < contexts.size(); ++i) {
      CallItem* const item = start->add_items();
      rpc::EncodeMetadata(contexts[i]->client_metadata(), item->mutable_client_metadata());
      item->set_peer(contexts[i]->peer());
      item->set_peer_uid(contexts[i]->peer_identity().uid);
      item->set_peer_gid(contexts[i]->peer_identity().gid);
      if (contexts[i]->deadline() != absl::InfiniteFuture()) {
        item->set_timeout_ns(absl::ToInt64Nanoseconds(contexts[i]->deadline() - absl::Now()));
      }
      item->set_request_compressed(contexts[i]->request_was_compressed());
      if (requests[i] == nullptr) continue;
      const size_t before = payload.size();
      requests[i]->AppendPartialToString(&payload);
      item->set_request_size(payload.size() - before);
    }
    return child->calls().Send(message, payload, stop);
  }

  // Does what the handler wants until it has returned.
  Result Serve(Child* child, ServerContext* context, ServerStream* stream,
               const MessageSocket::Stop* stop, FromChild::End* end, std::string* payload) const {
    for (;;) {
      FromChild message;
      if (const Result got = child->calls().Receive(&message, payload, stop); got != Result::kOk) {
        return got;
      }
      if (message.cancel()) {
        context->TryCancel();
        continue;
      }
      if (message.has_end()) {
        *end = std::move(*message.mutable_end());
        return Result::kOk;
      }
      if (stream == nullptr) return Result::kBroken;
      if (message.has_send_initial()) {
        AddInitialMetadata(message.send_initial().initial_metadata(), context);
        context->set_compression(static_cast<Compression>(message.send_initial().compression()));
        stream->SendInitialMetadata();
      } else if (message.has_write()) {
        ToChild answer;
        answer.set_written(Write(message.write(), *payload, context, stream));
        if (const Result sent = child->calls().Send(answer, "", stop); sent != Result::kOk) {
          return sent;
        }
      } else {
        return Result::kBroken;
      }
    }
  }

  bool Write(const FromChild::Write& write, const std::string& payload, ServerContext* context,
             ServerStream* stream) const {
    AddInitialMetadata(write.initial_metadata(), context);
    context->set_compression(static_cast<Compression>(write.compression()));
    WriteOptions options;
    if (write.flush_later()) options.set_buffer_hint();
    if (write.no_compression()) options.set_no_compression();
    if (write.last()) options.set_last_message();
    const std::unique_ptr<MessageLite> message = inner_->NewReply();
    return message->ParsePartialFromString(payload) && stream->Write(*message, options);
  }

  absl::Status TakeEnd(const FromChild::End& end, absl::string_view payload,
                       const std::vector<ServerContext*>& contexts,
                       const std::vector<MessageLite*>& replies, BatchContext* batch) const {
    absl::Status status = rpc::DecodeStatus(end.header());
    if (end.items_size() != static_cast<int>(contexts.size())) return Nonsense();
    for (int i = 0; i < end.items_size(); ++i) {
      const CallEnd& item = end.items(i);
      AddInitialMetadata(item.header().initial_metadata(), contexts[i]);
      for (const auto& [key, value] : rpc::DecodeMetadata(item.header().trailing_metadata())) {
        contexts[i]->AddTrailingMetadata(key, value);
      }
      contexts[i]->set_compression(static_cast<Compression>(item.compression()));
      if (item.reply_size() > payload.size()) return Nonsense();
      const absl::string_view reply = payload.substr(0, item.reply_size());
      payload.remove_prefix(item.reply_size());
      if (replies[i] != nullptr &&
          !replies[i]->ParsePartialFromArray(reply.data(), static_cast<int>(reply.size()))) {
        return Nonsense();
      }
      if (!item.has_status()) continue;
      if (batch == nullptr) return rpc::DecodeStatus(item.header());
      batch->SetStatus(i, rpc::DecodeStatus(item.header()));
    }
    if (batch == nullptr || !end.threw()) return status;
    // What was thrown is the end of those that had none of their own.
    for (int i = 0; i < end.items_size(); ++i) {
      if (!end.items(i).has_status()) batch->SetStatus(i, status);
    }
    return absl::OkStatus();
  }

  // The server tells the child when the reply has gone, and waits until its work is done: other
  // work after replies keeps its turn.
  void WorkAfterReply(ServerContext* context, const std::shared_ptr<Child>& child) const {
    context->RunAfterReply([this, child] {
      const MessageSocket::Stop stop = {
          {child->end_fd(), -1}, [&] { return child->AwaitEnd(absl::ZeroDuration()).has_value(); }};
      ToChild go;
      go.set_reply_sent(true);
      FromChild done;
      std::string payload;
      Result result = child->calls().Send(go, "", &stop);
      if (result == Result::kOk) result = child->calls().Receive(&done, &payload, &stop);
      if (result == Result::kOk && done.done()) {
        pool_->Release(child);
        return;
      }
      Ended(child.get(), result).IgnoreError();
      pool_->Discard(child);
    });
  }

  absl::Status Nonsense() const {
    absl::Status status = absl::InternalError(
        absl::StrCat(method_,
                     ": the handler's process answered what cannot be read; has the "
                     "handler overwritten memory?"));
    on_failure_(status);
    return status;
  }

  // What to say of a child that did not answer.
  absl::Status Ended(Child* child, Result result) const {
    if (result == Result::kBroken) return Nonsense();
    const auto wait_status = child->AwaitEnd(kEndTime);
    absl::Status status = absl::InternalError(absl::StrCat(
        method_, ": the handler's process ",
        wait_status.has_value() ? DescribeWaitStatus(*wait_status) : "has closed its socket"));
    on_failure_(status);
    return status;
  }

  const std::shared_ptr<ChildPool> pool_;
  const uint32_t index_;
  const std::string method_;
  const MethodKind kind_;
  const MethodHandler* const inner_;
  const FailureFn on_failure_;
};

}  // namespace

std::unique_ptr<MethodHandler> IsolateHandler(Nursery* nursery, uint32_t index,
                                              const HandlerEntry& inner, int processes,
                                              FailureFn on_failure) {
  return std::make_unique<IsolatedHandler>(nursery, index, inner, processes, std::move(on_failure));
}

}  // namespace spoolrpc::isolation
