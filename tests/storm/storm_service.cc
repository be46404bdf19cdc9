#include "tests/storm/storm_service.h"

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace spoolrpc::storm {

absl::Status StormService::Begin(ServerContext* context, const Task& task, std::string* execution) {
  *execution = absl::StrCat(name_, ".", executions_.fetch_add(1));
  history_->Note("exec", task.id(), *execution, Hash(task.payload()));
  const absl::Time end = absl::Now() + absl::Microseconds(task.microseconds());
  while (absl::Now() < end) {
    if (context->IsCancelled()) return absl::CancelledError("nobody waits");
    absl::SleepFor(absl::Milliseconds(1));
  }
  if (task.code() == 0) return absl::OkStatus();
  return absl::Status(static_cast<absl::StatusCode>(task.code()), "told to fail");
}

void StormService::End(const Task& task, const std::string& execution, const absl::Status& status,
                       uint64_t hash) const {
  history_->Note("made", task.id(), execution, static_cast<int>(status.code()), hash);
}

absl::Status StormService::Execute(ServerContext* context, const Task* task, Outcome* outcome) {
  std::string execution;
  const absl::Status status = Begin(context, *task, &execution);
  if (status.ok()) {
    outcome->set_id(task->id());
    outcome->set_execution(execution);
    outcome->set_payload(MakePayload(execution, task->reply_size()));
  }
  End(*task, execution, status, Hash(outcome->payload()));
  return status;
}

absl::Status StormService::Expand(ServerContext* context, const Task* task,
                                  ServerWriter<Outcome>* writer) {
  std::string execution;
  absl::Status status = Begin(context, *task, &execution);
  uint64_t hash = kHashOfNothing;
  for (uint32_t i = 0; status.ok() && i < task->replies(); ++i) {
    Outcome outcome;
    outcome.set_id(task->id());
    outcome.set_execution(execution);
    outcome.set_payload(MakePayload(absl::StrCat(execution, "/", i), task->reply_size()));
    hash = Hash(outcome.payload(), hash);
    if (!writer->Write(outcome)) status = absl::CancelledError("nobody waits");
  }
  End(*task, execution, status, hash);
  return status;
}

}  // namespace spoolrpc::storm
