// The service of storm.proto.
#ifndef SPOOLRPC_TESTS_STORM_STORM_SERVICE_H_
#define SPOOLRPC_TESTS_STORM_STORM_SERVICE_H_

#include <atomic>
#include <cstdint>
#include <string>
#include <utility>

#include "spoolrpc/spoolrpc.h"
#include "tests/storm/history.h"
#include "tests/storm/storm.spoolrpc.pb.h"

namespace spoolrpc::storm {

// Thread-safe. Notes of each execution
//   exec TIME ID EXECUTION HASH         it begins; the hash of its request's payload
//   made TIME ID EXECUTION CODE HASH    it ends; the hash of the reply's payloads
class StormService final : public Storm::Service {
 public:
  // `name` is the process's own in the storm; `history` must outlive the service.
  StormService(std::string name, const History* history)
      : name_(std::move(name)), history_(history) {}

  absl::Status Append(ServerContext* context, const Task* task, Outcome* outcome) override {
    return Execute(context, task, outcome);
  }
  absl::Status Again(ServerContext* context, const Task* task, Outcome* outcome) override {
    return Execute(context, task, outcome);
  }
  absl::Status AckFirst(ServerContext* context, const Task* task, Outcome* outcome) override {
    return Execute(context, task, outcome);
  }
  absl::Status Expand(ServerContext* context, const Task* task,
                      ServerWriter<Outcome>* writer) override;

 private:
  absl::Status Execute(ServerContext* context, const Task* task, Outcome* outcome);
  // Notes the beginning, takes the task's time, and returns how the handler is to end.
  absl::Status Begin(ServerContext* context, const Task& task, std::string* execution);
  void End(const Task& task, const std::string& execution, const absl::Status& status,
           uint64_t hash) const;

  const std::string name_;
  const History* const history_;
  std::atomic<uint64_t> executions_{0};
};

}  // namespace spoolrpc::storm

#endif  // SPOOLRPC_TESTS_STORM_STORM_SERVICE_H_
