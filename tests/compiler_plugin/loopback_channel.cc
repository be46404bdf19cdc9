#include "tests/compiler_plugin/loopback_channel.h"

#include <gtest/gtest.h>

#include <deque>
#include <string>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"

namespace spoolrpc::testing {
namespace {

using google::protobuf::MessageLite;

char client_context_storage;
char server_context_storage;

void Copy(const MessageLite& from, MessageLite* to) {
  EXPECT_EQ(from.GetTypeName(), to->GetTypeName());
  EXPECT_TRUE(to->ParsePartialFromString(from.SerializePartialAsString()));
}

// Messages from one side to the other.
class Queue {
 public:
  bool Put(const MessageLite& message) {
    absl::MutexLock lock(&mu_);
    if (closed_) return false;
    messages_.push_back(message.SerializePartialAsString());
    return true;
  }
  bool Take(MessageLite* message) {
    absl::MutexLock lock(&mu_);
    mu_.Await(absl::Condition(
        +[](Queue* queue)
             ABSL_NO_THREAD_SAFETY_ANALYSIS { return queue->closed_ || !queue->messages_.empty(); },
        this));
    if (messages_.empty()) return false;
    EXPECT_TRUE(message->ParsePartialFromString(messages_.front()));
    messages_.pop_front();
    return true;
  }
  void Close() {
    absl::MutexLock lock(&mu_);
    closed_ = true;
  }

 private:
  absl::Mutex mu_;
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
  std::deque<std::string> messages_ ABSL_GUARDED_BY(mu_);
};

class LoopbackStream final : public ClientStream, public ServerStream {
 public:
  LoopbackStream(const MethodHandler* handler, const MessageLite* request, MessageLite* reply)
      : request_(handler->NewRequest()), handler_reply_(handler->NewReply()), reply_(reply) {
    if (request != nullptr) Copy(*request, request_.get());
    thread_ = std::thread([this, handler] {
      status_ = handler->Run(kServerContext, request_.get(), handler_reply_.get(), this);
      replies_.Close();
      requests_.Close();
    });
  }
  ~LoopbackStream() override {
    if (thread_.joinable()) Finish().IgnoreError();
  }

  // The client's side.
  void WaitForInitialMetadata() override {}
  bool WritesDone() override {
    requests_.Close();
    return true;
  }
  absl::Status Finish() override {
    requests_.Close();
    thread_.join();
    if (reply_ != nullptr) Copy(*handler_reply_, reply_);
    return status_;
  }

  // Either's: generated code has only one of them.
  bool Read(MessageLite* message) override {
    return (OnClient() ? replies_ : requests_).Take(message);
  }
  bool Write(const MessageLite& message, WriteOptions options) override {
    Queue& queue = OnClient() ? requests_ : replies_;
    const bool written = queue.Put(message);
    if (options.is_last_message()) queue.Close();
    return written;
  }

  // The handler's side.
  void SendInitialMetadata() override {}
  void StopReading() override { requests_.Close(); }

 private:
  bool OnClient() const { return std::this_thread::get_id() == client_; }

  const std::thread::id client_ = std::this_thread::get_id();
  const std::unique_ptr<MessageLite> request_;
  const std::unique_ptr<MessageLite> handler_reply_;
  MessageLite* const reply_;
  Queue requests_;
  Queue replies_;
  absl::Status status_;
  std::thread thread_;
};

}  // namespace

ClientContext* const kClientContext = reinterpret_cast<ClientContext*>(&client_context_storage);
ServerContext* const kServerContext = reinterpret_cast<ServerContext*>(&server_context_storage);

absl::Status LoopbackChannel::BlockingUnaryCall(const MethodInfo& method, ClientContext* context,
                                                const MessageLite& request, MessageLite* reply) {
  EXPECT_EQ(context, kClientContext);
  EXPECT_EQ(method.kind, MethodKind::kUnary);
  const MethodHandler* const handler = Find(method);
  const std::unique_ptr<MessageLite> server_request = handler->NewRequest();
  const std::unique_ptr<MessageLite> server_reply = handler->NewReply();
  Copy(request, server_request.get());
  const absl::Status status =
      handler->Run(kServerContext, server_request.get(), server_reply.get(), nullptr);
  Copy(*server_reply, reply);
  return status;
}

std::unique_ptr<ClientStream> LoopbackChannel::StartStream(const MethodInfo& method,
                                                           ClientContext* context,
                                                           const MessageLite* request,
                                                           MessageLite* reply) {
  EXPECT_EQ(context, kClientContext);
  const bool requests_stream =
      method.kind == MethodKind::kClientStreaming || method.kind == MethodKind::kBidiStreaming;
  const bool replies_stream =
      method.kind == MethodKind::kServerStreaming || method.kind == MethodKind::kBidiStreaming;
  EXPECT_TRUE(requests_stream || replies_stream);
  EXPECT_EQ(request == nullptr, requests_stream);
  EXPECT_EQ(reply == nullptr, replies_stream);
  return std::make_unique<LoopbackStream>(Find(method), request, reply);
}

void LoopbackChannel::StartUnaryCall(const MethodInfo& method, ClientContext* context,
                                     const MessageLite* request, MessageLite* reply,
                                     std::function<void(absl::Status)> done) {
  done(BlockingUnaryCall(method, context, *request, reply));
}

const MethodHandler* LoopbackChannel::Find(const MethodInfo& method) const {
  for (const Service::Method& candidate : service_->methods()) {
    if (absl::string_view(candidate.info->full_name) == method.full_name) {
      return candidate.handler.get();
    }
  }
  ADD_FAILURE() << "no handler of " << method.full_name;
  abort();
}

}  // namespace spoolrpc::testing
