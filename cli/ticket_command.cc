// `spoolrpc ticket`: looks at durable calls, waits for them, collects and ends them.

#include <stdio.h>

#include <algorithm>
#include <string>

#include "absl/flags/declare.h"
#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cli/command.h"
#include "cli/command_line.h"
#include "cli/exit_codes.h"
#include "cli/status_report.h"
#include "cli/text.h"
#include "cli/ticket_report.h"
#include "spoolrpc/errors.pb.h"
#include "spoolrpc/spool/address.h"
#include "spoolrpc/spool/durable_retention.h"
#include "spoolrpc/spool/durable_store.h"

ABSL_DECLARE_FLAG(bool, json);
ABSL_FLAG(std::string, spool, "", "The spool; without it $SPOOLRPC_DIR, or ~/.cache/spoolrpc.");
ABSL_FLAG(spoolrpc::cli::OptionalDuration, timeout, {},
          "How long to wait at most. Without it `ticket wait` waits for ever, `ticket collect` not "
          "at all, and `doctor` a minute for the other node.");
ABSL_FLAG(bool, raw, false, "`collect` prints the reply's bytes, for `protoc --decode`.");
ABSL_FLAG(spoolrpc::cli::OptionalDuration, max_age, {},
          "`retention`: how long calls stay, such as 720h; alone: for ever.");
ABSL_FLAG(int64_t, max_finished, -1, "`retention`: how many calls with a reply stay; 0: all.");

namespace spoolrpc::cli {
namespace {

constexpr size_t kMaxReply = size_t{1} << 31;

constexpr char kDescription[] =
    R"(Durable calls outlive both processes: stub->durable()->Method(request) leaves a
call in the spool and returns its ticket, 32 hex digits.

  show TICKET     prints its state: waiting, claimed, started or finished
  wait TICKET     waits until it is finished
  collect TICKET  prints the reply, as numbers of fields and values, or --raw
  cancel TICKET   ends it with CANCELLED, whether or not a server is there
  delete TICKET   removes it, with its reply
  list            prints a line for each call of the spool
  retention       prints how long calls stay that nobody deletes, or sets it

A reply can be collected as often as one likes, until it is deleted.

Exit status:
  0  done; wait, collect: the call ended with OK
  1  wait, collect: it is not finished; cancel: it had ended otherwise; show,
     list: something is damaged
  2  wrong usage
  3  there is no call of that ticket, or the spool cannot be used
  4  wait, collect: the call ended with an error

In a job script:
  spoolrpc ticket wait "$TICKET" --spool="$SPOOL" --timeout=1h || exit
  spoolrpc ticket collect "$TICKET" --spool="$SPOOL" --raw >reply.bin &&
    spoolrpc ticket delete "$TICKET" --spool="$SPOOL"
)";

void Print(const std::string& text) { fwrite(text.data(), 1, text.size(), stdout); }

int Complain(absl::string_view text, int status) {
  fprintf(stderr, "spoolrpc: %s\n", Printable(text).c_str());
  return status;
}

int Fail(const absl::Status& status) { return Complain(status.message(), kExitUnusable); }

int Show(const spool::DurableStore& store, const std::string& ticket) {
  const auto document = InspectTicket(store, ticket);
  if (!document.ok()) return Fail(document.status());
  Print(absl::GetFlag(FLAGS_json) ? ToJson(*document) : TicketText(*document));
  return document->problems_size() > 0 ? kExitNo : kExitOk;
}

int List(const spool::DurableStore& store) {
  const auto tickets = store.List();
  if (!tickets.ok()) return Fail(tickets.status());
  std::vector<TicketDocument> documents;
  TicketListDocument list;
  bool damaged = false;
  for (const std::string& ticket : *tickets) {
    auto document = InspectTicket(store, ticket);
    if (absl::IsNotFound(document.status())) continue;  // deleted meanwhile
    if (!document.ok()) return Fail(document.status());
    damaged = damaged || document->problems_size() > 0;
    *list.add_tickets() = *document;
    documents.push_back(*std::move(document));
  }
  Print(absl::GetFlag(FLAGS_json) ? ToJson(list) : TicketTable(documents));
  return damaged ? kExitNo : kExitOk;
}

// The reply, once it is there; UNAVAILABLE after `timeout`.
absl::StatusOr<spool::DurableReplyRecord> AwaitReply(const spool::DurableStore& store,
                                                     const std::string& ticket,
                                                     absl::Duration timeout, std::string* body) {
  const absl::Time deadline = absl::Now() + timeout;
  absl::Duration pause = absl::Milliseconds(2);
  for (;;) {
    auto reply = store.Collect(ticket, kMaxReply, body);
    if (!absl::IsUnavailable(reply.status()) || absl::Now() >= deadline) return reply;
    absl::SleepFor(std::min(pause, deadline - absl::Now()));
    pause = std::min(pause * 1.25, absl::Milliseconds(200));
  }
}

int WaitFor(const spool::DurableStore& store, const std::string& ticket, bool collect) {
  const OptionalDuration timeout = absl::GetFlag(FLAGS_timeout);
  std::string body;
  const auto reply = AwaitReply(
      store, ticket, collect && !timeout.given ? absl::ZeroDuration() : timeout.value, &body);
  if (absl::IsUnavailable(reply.status())) return Complain(reply.status().message(), kExitNo);
  if (!reply.ok()) return Fail(reply.status());
  if (reply->header().code() != 0) {
    const auto code = static_cast<absl::StatusCode>(reply->header().code());
    const std::string reason =
        reply->header().reason() == 0
            ? ""
            : absl::StrCat(
                  " (",
                  ErrorInfo::Reason_Name(static_cast<ErrorInfo::Reason>(reply->header().reason())),
                  reply->may_have_executed() ? ", may have been executed)" : ", was not executed)");
    return Complain(absl::StrCat("the call ended with ", absl::StatusCodeToString(code), ": ",
                                 reply->header().message(), reason),
                    kExitFailed);
  }
  if (collect) Print(absl::GetFlag(FLAGS_raw) ? body : RawText(body));
  return kExitOk;
}

int Cancel(const spool::DurableStore& store, const std::string& ticket) {
  const auto reply = store.Cancel(ticket);
  if (!reply.ok()) return Fail(reply.status());
  store.RingServers();
  if (reply->header().reason() == ErrorInfo::CANCELLED) return kExitOk;
  return Complain("it has a reply already; collect it", kExitNo);
}

int Retention(const spool::DurableStore& store) {
  auto retention = spool::ReadRetention(store.spool());
  const OptionalDuration max_age = absl::GetFlag(FLAGS_max_age);
  const int64_t max_finished = absl::GetFlag(FLAGS_max_finished);
  if (max_age.given || max_finished >= 0) {
    // What is damaged is replaced.
    if (!retention.ok()) retention = spool::DefaultRetention();
    if (max_age.given) {
      retention->set_max_age_ns(
          max_age.value == absl::InfiniteDuration() ? 0 : absl::ToInt64Nanoseconds(max_age.value));
    }
    if (max_finished >= 0) retention->set_max_finished(max_finished);
    if (const absl::Status s = spool::WriteRetention(store, *retention); !s.ok()) return Fail(s);
  }
  if (!retention.ok()) return Fail(retention.status());
  Print(absl::StrCat(
      "age       ",
      retention->max_age_ns() == 0
          ? "any"
          : absl::StrCat("at most ", FormatAge(absl::Nanoseconds(retention->max_age_ns()))),
      "\nfinished  ",
      retention->max_finished() == 0
          ? "any number"
          : absl::StrCat("at most ", FormatCount(retention->max_finished())),
      "\n"));
  return kExitOk;
}

int RunTicket(const std::vector<std::string>& arguments) {
  const std::string& verb = arguments[0];
  const bool of_all = verb == "list" || verb == "retention";
  const bool known = of_all || verb == "show" || verb == "wait" || verb == "collect" ||
                     verb == "cancel" || verb == "delete";
  if (!known) {
    return Complain(absl::StrCat("unknown: ticket ", verb,
                                 "; `spoolrpc help ticket` lists what "
                                 "there is"),
                    kExitUsage);
  }
  if (of_all != (arguments.size() == 1)) {
    return Complain(of_all ? absl::StrCat("ticket ", verb, " takes no ticket")
                           : absl::StrCat("which ticket? spoolrpc ticket ", verb, " TICKET"),
                    kExitUsage);
  }
  std::string ticket;
  if (!of_all && !spool::ParseIdName(arguments[1], &ticket)) {
    return Complain(absl::StrCat("'", arguments[1], "' is not a ticket; one has 32 hex digits"),
                    kExitUsage);
  }
  const auto path = spool::ResolveAddress(absl::GetFlag(FLAGS_spool));
  if (!path.ok()) return Complain(path.status().message(), kExitUsage);
  const auto spool = spool::Spool::Open(os::Environment{}, *path, spool::Transport::kAuto);
  if (!spool.ok()) return Fail(spool.status());
  const spool::DurableStore store(*spool);
  if (verb == "list") return List(store);
  if (verb == "retention") return Retention(store);
  if (verb == "show") return Show(store, ticket);
  if (verb == "cancel") return Cancel(store, ticket);
  if (verb == "delete") {
    const absl::Status deleted = store.Delete(ticket);
    if (deleted.ok()) store.RingServers();
    return deleted.ok() ? kExitOk : Fail(deleted);
  }
  return WaitFor(store, ticket, verb == "collect");
}

}  // namespace

const Command& TicketCommand() {
  static const Command* const command =
      new Command{"ticket",
                  "looks at durable calls, waits for them, collects and ends them",
                  "ticket show|wait|collect|cancel|delete|list|retention [TICKET]",
                  kDescription,
                  {"spool", "json", "timeout", "raw", "max_age", "max_finished"},
                  1,
                  2,
                  RunTicket};
  return *command;
}

}  // namespace spoolrpc::cli
