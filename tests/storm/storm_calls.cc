#include "tests/storm/storm_calls.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <iterator>
#include <utility>

namespace spoolrpc::storm {
namespace {

class Draw {
 public:
  explicit Draw(std::mt19937_64* random) : random_(random) {}

  // From 0 to below `end`.
  uint64_t Below(uint64_t end) { return (*random_)() % end; }
  bool Percent(unsigned percent) { return Below(100) < percent; }
  // Mostly small ones, some larger than a log.
  size_t Size() {
    if (Percent(70)) return Below(200);
    return Percent(75) ? Below(16 << 10) : Below(256 << 10);
  }
  absl::Duration Handler() {
    if (Percent(50)) return absl::ZeroDuration();
    if (Percent(70)) return absl::Milliseconds(Below(20));
    return absl::Milliseconds(Percent(90) ? Below(300) : Below(2000));
  }

 private:
  std::mt19937_64* const random_;
};

Task DrawTask(const std::string& id, Draw* draw) {
  Task task;
  task.set_id(id);
  task.set_payload(MakePayload(id, draw->Size()));
  task.set_microseconds(absl::ToInt64Microseconds(draw->Handler()));
  task.set_reply_size(draw->Size());
  if (draw->Percent(5)) task.set_code(1 + draw->Below(16));
  return task;
}

int ReasonOf(const absl::Status& status) {
  const auto info = GetErrorInfo(status);
  return info.has_value() ? info->reason() : 0;
}

int MayOf(const absl::Status& status) {
  const auto info = GetErrorInfo(status);
  return info.has_value() && info->may_have_executed() ? 1 : 0;
}

}  // namespace

StormCalls::StormCalls(std::string name, const std::string& tickets, const History* history)
    : name_(std::move(name)),
      history_(history),
      tickets_(open(tickets.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) {
  if (tickets_ < 0) {
    perror(tickets.c_str());
    abort();
  }
}

StormCalls::~StormCalls() { close(tickets_); }

void StormCalls::MakeOne(Storm::StubInterface* stub, std::mt19937_64* random) {
  static constexpr const char* kKinds[] = {"Append", "Append", "Again", "AckFirst", "Expand"};
  Draw draw(random);
  const std::string id = NewId();
  const std::string kind = kKinds[draw.Below(std::size(kKinds))];
  Task task = DrawTask(id, &draw);
  if (kind == "Expand") {
    task.set_replies(draw.Below(20));
    task.set_reply_size(task.reply_size() / 16);
  }
  ClientContext context;
  const absl::Duration ack_timeout = absl::Milliseconds(3000 + draw.Below(5000));
  context.set_ack_timeout(ack_timeout);
  absl::Duration timeout;
  if (draw.Percent(30)) {
    timeout = absl::Milliseconds(20 + draw.Below(draw.Percent(50) ? 200 : 4000));
    context.set_timeout(timeout);
  }
  history_->Note("begin", id, kind, Hash(task.payload()), absl::ToInt64Milliseconds(timeout),
                 absl::ToInt64Milliseconds(ack_timeout), task.microseconds() / 1000,
                 task.replies());
  Outcome outcome;
  absl::Status status;
  uint64_t hash = kHashOfNothing;
  int messages = 0;
  if (kind == "Expand") {
    const auto reader = stub->Expand(&context, task);
    // (Of a message that is another call's the id is kept for the checker.)
    for (Outcome one; reader->Read(&one); ++messages) {
      hash = Hash(one.payload(), hash);
      if (outcome.id().empty() || one.id() != id) outcome.set_id(one.id());
      outcome.set_execution(one.execution());
    }
    status = reader->Finish();
  } else {
    status = kind == "Append"  ? stub->Append(&context, task, &outcome)
             : kind == "Again" ? stub->Again(&context, task, &outcome)
                               : stub->AckFirst(&context, task, &outcome);
    hash = Hash(outcome.payload());
    messages = status.ok() ? 1 : 0;
  }
  // The reply to another call is no execution of this one.
  const std::string execution =
      outcome.id().empty() || outcome.id() == id ? outcome.execution() : "of:" + outcome.id();
  history_->Note("end", id, static_cast<int>(status.code()), ReasonOf(status), MayOf(status),
                 execution, hash, messages, AsField(status.message()));
}

void StormCalls::SubmitOne(Storm::StubInterface* stub, std::mt19937_64* random) {
  Draw draw(random);
  const std::string id = NewId();
  const bool idempotent = draw.Percent(30);
  const Task task = DrawTask(id, &draw);
  history_->Note("submit", id, idempotent ? "durableAgain" : "durableAppend", Hash(task.payload()),
                 task.microseconds() / 1000);
  const absl::StatusOr<Ticket> ticket =
      idempotent ? stub->durable()->Again(task) : stub->durable()->Append(task);
  if (!ticket.ok()) {
    history_->Note("unsubmitted", id, static_cast<int>(ticket.status().code()),
                   ReasonOf(ticket.status()), MayOf(ticket.status()),
                   AsField(ticket.status().message()));
    return;
  }
  history_->Note("ticket", id, ticket->ToString());
  const std::string line = ticket->ToString() + "\n";
  if (write(tickets_, line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
    perror("write the file of tickets");
    abort();
  }
}

bool CollectOne(Storm::StubInterface* stub, const Ticket& ticket, absl::Duration wait,
                const History& history) {
  history.Note("collect", ticket.ToString());
  Outcome outcome;
  const absl::Status status = stub->durable()->Collect(ticket, &outcome, wait);
  const int reason = ReasonOf(status);
  history.Note("collected", ticket.ToString(), static_cast<int>(status.code()), reason,
               MayOf(status), outcome.id(), outcome.execution(), Hash(outcome.payload()),
               AsField(status.message()));
  return reason != ErrorInfo::NOT_FINISHED && reason != ErrorInfo::NO_SUCH_TICKET;
}

void DeleteOne(Storm::StubInterface* stub, const Ticket& ticket, const History& history) {
  history.Note("delete", ticket.ToString());
  const absl::Status status = stub->durable()->Delete(ticket);
  history.Note("deleted", ticket.ToString(), static_cast<int>(status.code()), ReasonOf(status));
}

}  // namespace spoolrpc::storm
