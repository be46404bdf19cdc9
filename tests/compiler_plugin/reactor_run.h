// Runs the reactor of a generated callback service to its end, without a server.
#ifndef SPOOLRPC_TESTS_COMPILER_PLUGIN_REACTOR_RUN_H_
#define SPOOLRPC_TESTS_COMPILER_PLUGIN_REACTOR_RUN_H_

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "google/protobuf/message_lite.h"
#include "spoolrpc/server/service.h"

namespace spoolrpc::testing {

// A call whose requests are all there, and whose replies go into a list. Reactions are called by
// Run(), one after the other.
class ReactorRun final : public AsyncServerCall {
 public:
  explicit ReactorRun(std::vector<std::string> requests)
      : requests_(requests.begin(), requests.end()) {}

  // The status that the reactor finishes with. `call` is this one, which the reactor keeps.
  static absl::Status Run(const std::shared_ptr<ReactorRun>& call, ServerReactor* reactor) {
    call->reactor_ = reactor;
    reactor->BindCall(call);
    while (!call->reactions_.empty()) {
      const std::function<void()> reaction = std::move(call->reactions_.front());
      call->reactions_.pop_front();
      reaction();
    }
    if (!call->finished_) return absl::AbortedError("the reactor did not finish");
    const absl::Status status = call->status_;
    reactor->OnDone();
    return status;
  }

  // Serialized.
  const std::vector<std::string>& replies() const { return replies_; }

  void StartSendInitialMetadata() override {}
  void StartRead(google::protobuf::MessageLite* message) override {
    const bool ok = !requests_.empty() && message->ParseFromString(requests_.front());
    if (ok) requests_.pop_front();
    reactions_.push_back([this, ok] { reactor_->OnReadDone(ok); });
  }
  void StartWrite(const google::protobuf::MessageLite* message, WriteOptions) override {
    replies_.push_back(message->SerializeAsString());
    reactions_.push_back([this] { reactor_->OnWriteDone(true); });
  }
  void WriteAndFinish(const google::protobuf::MessageLite* message, WriteOptions,
                      absl::Status status) override {
    replies_.push_back(message->SerializeAsString());
    Finish(std::move(status));
  }
  void Finish(absl::Status status) override {
    finished_ = true;
    status_ = std::move(status);
  }

 private:
  ServerReactor* reactor_ = nullptr;
  std::deque<std::string> requests_;
  std::vector<std::string> replies_;
  std::deque<std::function<void()>> reactions_;
  bool finished_ = false;
  absl::Status status_;
};

}  // namespace spoolrpc::testing

#endif  // SPOOLRPC_TESTS_COMPILER_PLUGIN_REACTOR_RUN_H_
