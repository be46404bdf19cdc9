#include "tests/simulation/checker.h"

#include <map>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "spoolrpc/errors.pb.h"

namespace spoolrpc::simulation {
namespace {

using Kind = HistoryEvent::Kind;

struct Call {
  Idempotency method;
  int process = -1;
  int begun = 0;
  int executed = 0;
  os::Nanos last_executed = 0;
  bool submitted = false;
  std::vector<HistoryEvent> ends;
  std::vector<HistoryEvent> collected;
};

// What a client may be told of a call that a handler has never begun, or perhaps has.
std::string CheckEnd(const std::string& id, const Call& call, const HistoryEvent& end) {
  if (end.code == 0) {
    if (!end.right_reply) return absl::StrCat(id, " got a wrong reply");
    if (call.executed == 0) return absl::StrCat(id, " got a reply and was never executed");
    return "";
  }
  // 2 UNKNOWN and 13 INTERNAL say that somebody was at a loss; handlers here never fail.
  if (end.reason < 0) return absl::StrCat(id, " ended without a reason: ", end.text);
  if (!end.may_have_executed && call.executed > 0) {
    return absl::StrCat(id, " was executed, and its status says that it was not: ", end.text);
  }
  if (end.reason == ErrorInfo::NO_SERVER && call.executed > 0) {
    return absl::StrCat(id, " was executed, and ended with NO_SERVER");
  }
  return "";
}

// What may be left when all servers have stopped: the spool's own, logs of servers, temporary names
// (which are removed when they are an hour old), and durable calls whose callers were killed before
// they had their tickets (which the retention removes).
bool MayStay(const std::string& path, const std::set<std::string>& tickets) {
  const std::vector<std::string> parts = absl::StrSplit(path, '/', absl::SkipEmpty());
  return parts.size() <= 2 || parts[1] == "logs" || absl::StrContains(path, "/.tmp-") ||
         (parts[1] == "durable" && tickets.count(parts[2]) == 0);
}

}  // namespace

std::string Describe(const HistoryEvent& event) {
  static const char* const kKinds[] = {"begins",       "ends",   "is executed", "is submitted",
                                       "is collected", "serves", "has stopped"};
  static const char* const kNames[] = {"Once", "AckFirst", "Idempotent"};
  const os::Nanos since = event.when - kStart;
  std::string line =
      absl::StrCat(since / 1000000000, ".", absl::Dec(since % 1000000000 / 1000, absl::kZeroPad6),
                   " p", event.process, " ", event.id, " ");
  if (event.id[0] != '\0') absl::StrAppend(&line, "(", kNames[event.method], ") ");
  absl::StrAppend(&line, kKinds[static_cast<int>(event.kind)]);
  if (event.kind == Kind::kEnd || event.kind == Kind::kCollected || event.kind == Kind::kStopped) {
    absl::StrAppend(&line, ", code ", event.code);
    if (event.code != 0) {
      absl::StrAppend(&line, ", ",
                      event.reason < 0 ? "no reason" : ErrorInfo::Reason_Name(event.reason),
                      event.may_have_executed ? ", may have been executed" : "");
    }
  }
  if (event.text[0] != '\0') absl::StrAppend(&line, ": ", event.text);
  return line;
}

std::vector<std::string> Check(const Outcome& outcome) {
  std::vector<std::string> wrong;
  for (const std::string& process : outcome.broken) {
    wrong.push_back(absl::StrCat("ended by itself: ", process));
  }
  std::map<std::string, Call> calls;
  std::set<std::string> tickets;
  for (const HistoryEvent& event : outcome.history) {
    if (event.id[0] == '\0') continue;
    Call& call = calls[event.id];
    call.method = static_cast<Idempotency>(event.method);
    switch (event.kind) {
      case Kind::kBegin:
        ++call.begun;
        call.process = event.process;
        break;
      case Kind::kEnd:
        call.ends.push_back(event);
        break;
      case Kind::kExecute:
        ++call.executed;
        call.last_executed = event.when;
        break;
      case Kind::kSubmitted:
        call.submitted = true;
        tickets.insert(event.text);
        break;
      case Kind::kCollected:
        call.collected.push_back(event);
        break;
      default:
        break;
    }
  }
  for (const auto& [id, call] : calls) {
    if (call.begun == 0) {
      wrong.push_back(absl::StrCat(id, " was executed, and nobody had called"));
      continue;
    }
    // Promise 1.
    if (call.method != Idempotency::kIdempotent && call.executed > 1) {
      wrong.push_back(absl::StrCat(id, " was executed ", call.executed, " times"));
    }
    // Promise 2: who lives is told. (That he is told in time, the world's end sees to.)
    const bool told = !call.ends.empty() || call.submitted;
    if (!told && outcome.killed.count(call.process) == 0) {
      wrong.push_back(absl::StrCat(id, " never ended"));
    }
    if (call.ends.size() > 1) wrong.push_back(absl::StrCat(id, " ended more than once"));
    for (const auto* list : {&call.ends, &call.collected}) {
      for (const HistoryEvent& end : *list) {
        // A look that came too early, at a durable call.
        if (list == &call.collected && end.reason == ErrorInfo::NOT_FINISHED &&
            &end != &list->back()) {
          continue;
        }
        // A submission that failed may have left the call all the same.
        const std::string found = CheckEnd(id, call, end);
        if (!found.empty()) wrong.push_back(found);
      }
    }
    // Promise 3: what was submitted is found by the last collector. It may have been lost with its
    // server, or given up by one whose lease had lapsed, unless it may be executed again.
    if (call.submitted && outcome.hung.empty()) {
      if (call.collected.empty()) {
        wrong.push_back(absl::StrCat(id, " was submitted, and nobody looked for it"));
      } else if (const HistoryEvent& last = call.collected.back();
                 last.code != 0 && last.reason != ErrorInfo::SERVER_LOST &&
                 last.reason != ErrorInfo::NOT_STARTED &&
                 !(outcome.damaged && last.reason == ErrorInfo::SESSION_CORRUPT)) {
        wrong.push_back(absl::StrCat(id, " was submitted, and in the end: ", Describe(last)));
      } else if (last.code != 0 && call.method == Idempotency::kIdempotent) {
        wrong.push_back(absl::StrCat(id, " may be repeated, and was lost: ", Describe(last)));
      }
    }
  }
  for (const std::string& process : outcome.hung) {
    wrong.push_back(absl::StrCat("has not ended: ", process));
  }
  if (outcome.tidied && outcome.hung.empty() && outcome.broken.empty()) {
    for (const std::string& path : outcome.paths) {
      if (!MayStay(path, tickets)) wrong.push_back(absl::StrCat("was left behind: ", path));
    }
  }
  return wrong;
}

}  // namespace spoolrpc::simulation
