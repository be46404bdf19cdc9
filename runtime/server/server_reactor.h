// Handlers that do not block: gRPC's reactors.
//
// A callback handler returns a reactor, which then owns its call: operations are started, and their
// ends are told by its virtual functions, one at a time, on the server's threads. These must not
// block. At most one read and one write are under way. Exactly one Finish(), which may come while a
// write is under way: an error then does not wait until the client has room for that message.
// OnDone() comes last, when the status has been sent and nothing is under way, and the reactor may
// delete itself there.
#ifndef SPOOLRPC_SERVER_SERVER_REACTOR_H_
#define SPOOLRPC_SERVER_SERVER_REACTOR_H_

#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "google/protobuf/message_lite.h"
#include "spoolrpc/rpc/write_options.h"
#include "spoolrpc/server/server_context.h"

namespace spoolrpc {

// A call that a reactor drives, without its types. Thread-safe; nothing blocks.
class AsyncServerCall {
 public:
  virtual ~AsyncServerCall() = default;
  virtual void StartSendInitialMetadata() = 0;
  virtual void StartRead(google::protobuf::MessageLite* message) = 0;
  // `*message` must live until the write has ended.
  virtual void StartWrite(const google::protobuf::MessageLite* message, WriteOptions options) = 0;
  // The message and the status; only OnDone() tells.
  virtual void WriteAndFinish(const google::protobuf::MessageLite* message, WriteOptions options,
                              absl::Status status) = 0;
  virtual void Finish(absl::Status status) = 0;
};

// What all reactors have in common. What is started before the handler has returned the reactor
// begins right after.
class ServerReactor {
 public:
  virtual ~ServerReactor() = default;

  // The end: nothing is called afterwards.
  virtual void OnDone() = 0;
  // Nobody waits for the call any more, or its deadline has passed; Finish() is still to be called.
  virtual void OnCancel() {}
  // Not `ok`: nobody waits any more.
  virtual void OnSendInitialMetadataDone(bool /*ok*/) {}
  // Not `ok`: the client sends no more, or the call was cancelled.
  virtual void OnReadDone(bool /*ok*/) {}
  // Not `ok`: nobody waits any more.
  virtual void OnWriteDone(bool /*ok*/) {}

  // For the runtime.
  void BindCall(std::shared_ptr<AsyncServerCall> call) ABSL_LOCKS_EXCLUDED(mu_);
  void UnbindCall() ABSL_LOCKS_EXCLUDED(mu_);

 protected:
  // Now, or as soon as there is a call.
  void Do(std::function<void(AsyncServerCall*)> operation) ABSL_LOCKS_EXCLUDED(mu_);
  // The same for Finish(), after which nothing is started any more.
  void DoFinish(absl::Status status) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  absl::Mutex mu_;
  std::shared_ptr<AsyncServerCall> call_ ABSL_GUARDED_BY(mu_);
  std::vector<std::function<void(AsyncServerCall*)>> early_ ABSL_GUARDED_BY(mu_);
  std::optional<absl::Status> early_finish_ ABSL_GUARDED_BY(mu_);  // behind these
};

// Serves a unary call.
class ServerUnaryReactor : public ServerReactor {
 public:
  void StartSendInitialMetadata() {
    Do([](AsyncServerCall* call) { call->StartSendInitialMetadata(); });
  }
  // The reply that the handler was given goes with an OK status.
  void Finish(absl::Status status) { DoFinish(std::move(status)); }
};

// Serves a call whose requests stream.
template <class Request>
class ServerReadReactor : public ServerReactor {
 public:
  void StartSendInitialMetadata() {
    Do([](AsyncServerCall* call) { call->StartSendInitialMetadata(); });
  }
  void StartRead(Request* message) {
    Do([message](AsyncServerCall* call) { call->StartRead(message); });
  }
  void Finish(absl::Status status) { DoFinish(std::move(status)); }
};

// Serves a call whose replies stream.
template <class Response>
class ServerWriteReactor : public ServerReactor {
 public:
  void StartSendInitialMetadata() {
    Do([](AsyncServerCall* call) { call->StartSendInitialMetadata(); });
  }
  void StartWrite(const Response* message) { StartWrite(message, WriteOptions()); }
  void StartWrite(const Response* message, WriteOptions options) {
    Do([=](AsyncServerCall* call) { call->StartWrite(message, options); });
  }
  void StartWriteLast(const Response* message, WriteOptions options) {
    StartWrite(message, options.set_last_message());
  }
  // The message, and the status right behind it; OnWriteDone() is not called.
  void StartWriteAndFinish(const Response* message, WriteOptions options, absl::Status status) {
    Do([=, status = std::move(status)](AsyncServerCall* call) {
      call->WriteAndFinish(message, options, status);
    });
  }
  void Finish(absl::Status status) { DoFinish(std::move(status)); }
};

// Serves a call whose requests and replies stream.
template <class Request, class Response>
class ServerBidiReactor : public ServerWriteReactor<Response> {
 public:
  void StartRead(Request* message) {
    this->Do([message](AsyncServerCall* call) { call->StartRead(message); });
  }
};

// The context of a callback handler; lives until the reactor's OnDone().
class CallbackServerContext : public ServerContext {
 public:
  // A reactor for unary handlers that need none of their own: they call its Finish(), at once or
  // later. Belongs to the context.
  ServerUnaryReactor* DefaultReactor() { return &default_reactor_; }

 private:
  class DefaultReactorImpl final : public ServerUnaryReactor {
   public:
    void OnDone() override {}
  };
  DefaultReactorImpl default_reactor_;
};

}  // namespace spoolrpc

#endif  // SPOOLRPC_SERVER_SERVER_REACTOR_H_
