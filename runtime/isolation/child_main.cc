#include "spoolrpc/isolation/child_main.h"

#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "spoolrpc/isolation.pb.h"
#include "spoolrpc/isolation/message_socket.h"
#include "spoolrpc/rpc/metadata.h"
#include "spoolrpc/rpc/status_codec.h"
#include "spoolrpc/server/batch.h"
#include "spoolrpc/server/context_access.h"
#include "spoolrpc/server/handler_guard.h"

namespace spoolrpc::isolation {
namespace {

using google::protobuf::MessageLite;
using server::ContextAccess;

constexpr size_t kMaxMessage = std::numeric_limits<int32_t>::max();

// The call that this process runs, as its handler sees it.
class ChildCall final : public ServerStream, public BatchContext {
 public:
  ChildCall(MessageSocket* calls, MessageSocket* reads, const HandlerEntry& entry)
      : calls_(calls), reads_(reads), entry_(entry) {}

  // Runs the handler to its end, and tells the server. False: the server has gone.
  bool Run(const CallStart& start, absl::string_view requests) {
    const std::unique_ptr<FromChild> end = std::make_unique<FromChild>();
    const absl::Status status = RunHandler(start, requests, end->mutable_end());
    std::string replies;
    for (int i = 0; i < start.items_size(); ++i) {
      EndItem(i, status, end->mutable_end()->add_items(), &replies);
    }
    rpc::EncodeStatus(status, end->mutable_end()->mutable_header());
    std::vector<std::function<void()>> work;
    for (const auto& context : contexts_) {
      for (auto& item : ContextAccess(context.get()).TakeWorkAfterReply()) {
        work.push_back(std::move(item));
      }
    }
    end->mutable_end()->set_work_after_reply(!work.empty());
    fflush(nullptr);  // a process that is killed does not do it
    if (!Send(*end, replies)) return false;
    return work.empty() || DoAfterReply(work);
  }

  // --- ServerStream
  void SendInitialMetadata() override {
    FromChild message;
    message.mutable_send_initial()->set_compression(Compression());
    TakeInitialMetadata(message.mutable_send_initial()->mutable_initial_metadata());
    Send(message, "");
  }
  bool Read(MessageLite* message) override {
    std::string payload;
    ReadReply reply;
    if (reads_->Send(ReadRequest(), "") != MessageSocket::Result::kOk ||
        reads_->Receive(&reply, &payload) != MessageSocket::Result::kOk || !reply.ok()) {
      return false;
    }
    ContextAccess(contexts_[0].get()).set_request_compressed(reply.compressed());
    return message->ParsePartialFromString(payload);
  }
  bool Write(const MessageLite& message, WriteOptions options) override {
    std::string payload;
    if (!Serialize(message, &payload)) return false;
    FromChild write;
    write.mutable_write()->set_flush_later(options.get_buffer_hint());
    write.mutable_write()->set_no_compression(options.get_no_compression());
    write.mutable_write()->set_last(options.is_last_message());
    write.mutable_write()->set_compression(Compression());
    TakeInitialMetadata(write.mutable_write()->mutable_initial_metadata());
    ToChild answer;
    return Send(write, payload) &&
           calls_->Receive(&answer, &payload) == MessageSocket::Result::kOk && answer.written();
  }

  // (Of the server's process; handlers do not know of it.)
  void StopReading() override {}

  // --- BatchContext
  int size() const override { return static_cast<int>(contexts_.size()); }
  ServerContext* context(int i) override { return contexts_.at(i).get(); }
  void SetStatus(int i, absl::Status status) override { statuses_.at(i) = std::move(status); }

 private:
  absl::Status RunHandler(const CallStart& start, absl::string_view requests, FromChild::End* end) {
    std::vector<std::unique_ptr<MessageLite>> owned;
    std::vector<const MessageLite*> request_pointers;
    std::vector<MessageLite*> reply_pointers;
    for (const CallItem& item : start.items()) {
      contexts_.push_back(std::make_unique<ServerContext>());
      ContextAccess access(contexts_.back().get());
      access.set_method(entry_.info->full_name);
      access.set_peer(item.peer());
      access.set_peer_identity({item.peer_uid(), item.peer_gid()});
      access.set_client_metadata(rpc::DecodeMetadata(item.client_metadata()));
      if (item.has_timeout_ns()) {
        access.set_deadline(absl::Now() + absl::Nanoseconds(item.timeout_ns()));
      }
      access.set_request_compressed(item.request_compressed());
      access.set_cancel([this] {
        FromChild message;
        message.set_cancel(true);
        Send(message, "");
      });
      owned.push_back(entry_.handler->NewRequest());
      // (The server has parsed these bytes before.)
      owned.back()->ParsePartialFromString(std::string(requests.substr(0, item.request_size())));
      requests.remove_prefix(item.request_size());
      request_pointers.push_back(owned.back().get());
      replies_.push_back(entry_.handler->NewReply());
      reply_pointers.push_back(replies_.back().get());
    }
    statuses_.resize(contexts_.size());
    bool threw = false;
    absl::Status status = server::RunGuarded(
        entry_.info->full_name,
        [&]() -> absl::Status {
          if (start.batch()) {
            return entry_.handler->RunBatch(this, request_pointers, reply_pointers);
          }
          return entry_.handler->Run(contexts_[0].get(), request_pointers[0], reply_pointers[0],
                                     this);
        },
        &threw);
    end->set_threw(threw);
    if (!failure_.ok()) status = failure_;
    return status;
  }

  // Puts the `i`th call's end into `*end`, and its reply behind `*replies`.
  void EndItem(int i, const absl::Status& all, CallEnd* end, std::string* replies) {
    ContextAccess access(contexts_[i].get());
    end->set_compression(static_cast<int>(access.compression()));
    absl::Status metadata = rpc::CheckMetadata(access.initial_metadata());
    metadata.Update(rpc::CheckMetadata(access.trailing_metadata()));
    if (metadata.ok()) {
      TakeInitialMetadata(end->mutable_header()->mutable_initial_metadata(), i);
      rpc::EncodeMetadata(access.trailing_metadata(),
                          end->mutable_header()->mutable_trailing_metadata());
    } else {
      statuses_[i] = absl::InternalError(absl::StrCat(
          entry_.info->full_name, ": the handler set bad metadata: ", metadata.message()));
    }
    std::string reply;
    if (all.ok() && !Serialize(*replies_[i], &reply)) statuses_[i] = failure_;
    if (statuses_[i].has_value()) {
      end->set_has_status(true);
      rpc::EncodeStatus(*statuses_[i], end->mutable_header());
    }
    end->set_reply_size(reply.size());
    replies->append(reply);
  }

  bool DoAfterReply(const std::vector<std::function<void()>>& work) {
    ToChild go;
    std::string payload;
    if (calls_->Receive(&go, &payload) != MessageSocket::Result::kOk) return false;
    for (const auto& item : work) {
      server::RunGuarded(entry_.info->full_name, [&] {
        item();
        return absl::OkStatus();
      }).IgnoreError();
    }
    fflush(nullptr);
    FromChild done;
    done.set_done(true);
    return Send(done, "");
  }

  bool Serialize(const MessageLite& message, std::string* bytes) {
    if (message.ByteSizeLong() > kMaxMessage) {
      failure_ = absl::ResourceExhaustedError(
          absl::StrCat(entry_.info->full_name, ": a message of ", message.ByteSizeLong(),
                       " bytes, more than the 2 GiB that protobuf can serialize"));
      return false;
    }
    return message.SerializePartialToString(bytes);
  }

  int Compression() { return static_cast<int>(ContextAccess(contexts_[0].get()).compression()); }
  void TakeInitialMetadata(google::protobuf::RepeatedPtrField<wire::Metadata>* out, int i = 0) {
    ContextAccess access(contexts_[i].get());
    // (What breaks the rules stays, and fails the call when it ends.)
    if (!rpc::CheckMetadata(access.initial_metadata()).ok()) return;
    rpc::EncodeMetadata(access.initial_metadata(), out);
    access.clear_initial_metadata();
  }
  bool Send(const FromChild& message, absl::string_view payload) ABSL_LOCKS_EXCLUDED(send_mu_) {
    absl::MutexLock lock(&send_mu_);
    return calls_->Send(message, payload) == MessageSocket::Result::kOk;
  }

  MessageSocket* const calls_;
  MessageSocket* const reads_;
  const HandlerEntry& entry_;
  std::vector<std::unique_ptr<ServerContext>> contexts_;
  std::vector<std::unique_ptr<MessageLite>> replies_;
  std::vector<std::optional<absl::Status>> statuses_;
  absl::Status failure_;
  absl::Mutex send_mu_;  // a call is cancelled by any thread
};

}  // namespace

void RunChild(int calls_fd, int reads_fd, const std::vector<HandlerEntry>& handlers) {
  prctl(PR_SET_NAME, "spoolrpc-child");
  MessageSocket calls(calls_fd);
  MessageSocket reads(reads_fd);
  ToChild message;
  std::string payload;
  while (calls.Receive(&message, &payload) == MessageSocket::Result::kOk) {
    if (!message.has_start() || message.start().handler() >= handlers.size()) break;
    ChildCall call(&calls, &reads, handlers[message.start().handler()]);
    if (!call.Run(message.start(), payload)) break;
  }
  // No destructors: they are for objects of the server's process.
  _exit(0);
}

}  // namespace spoolrpc::isolation
