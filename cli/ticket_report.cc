#include "cli/ticket_report.h"

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "cli/text.h"
#include "google/protobuf/empty.pb.h"
#include "google/protobuf/text_format.h"
#include "spoolrpc/errors.pb.h"
#include "spoolrpc/os/host.h"
#include "spoolrpc/spool/layout.h"
#include "spoolrpc/spool/server_list.h"

namespace spoolrpc::cli {
namespace {

std::string FormatTime(int64_t seconds) {
  return seconds == 0 ? ""
                      : absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::FromUnixSeconds(seconds),
                                         absl::UTCTimeZone());
}

std::string LifeOf(const spool::DurableStore& store, const spool::ProcessIdentity& process) {
  switch (store.spool().env().host->Look(spool::ToProcessId(process))) {
    case os::Liveness::kAlive:
      return "alive";
    case os::Liveness::kDead:
      return "dead";
    case os::Liveness::kUnknown:
      break;
  }
  return "unknown";
}

void SetServer(const spool::DurableStore& store, const std::string& id,
               const spool::ProcessIdentity& process, TicketDocument* document) {
  document->set_server(id.empty() ? "" : spool::IdName(id));
  document->set_server_host(Printable(process.host()));
  document->set_server_pid(static_cast<double>(process.pid()));
  document->set_server_life(LifeOf(store, process));
}

void AddProblem(const absl::Status& status, TicketDocument* document) {
  if (status.ok() || absl::IsNotFound(status)) return;
  document->add_problems(Printable(status.message()));
}

void AddReply(const spool::DurableStore& store, const spool::DurableReplyRecord& reply,
              TicketDocument* document) {
  document->set_finished(FormatTime(reply.finished_at()));
  document->set_code(
      absl::StatusCodeToString(static_cast<absl::StatusCode>(reply.header().code())));
  document->set_message(Printable(reply.header().message()));
  if (reply.header().reason() != 0) {
    document->set_reason(
        ErrorInfo::Reason_Name(static_cast<ErrorInfo::Reason>(reply.header().reason())));
  }
  document->set_may_have_executed(reply.may_have_executed());
  document->set_reply_bytes(static_cast<double>(reply.body().size()));
  SetServer(store, reply.server_id(), reply.process(), document);
}

}  // namespace

absl::StatusOr<TicketDocument> InspectTicket(const spool::DurableStore& store,
                                             const std::string& ticket) {
  const auto state = store.Look(ticket);
  if (!state.ok()) return state.status();
  if (!state->call) {
    return absl::NotFoundError(absl::StrCat(
        "the durable call at ", store.spool().durable_call(ticket), " is being deleted"));
  }
  TicketDocument document;
  document.set_ticket(spool::IdName(ticket));
  document.set_state("waiting");
  document.set_claims(state->claims);
  if (const auto call = store.ReadCall(ticket); call.ok()) {
    document.set_method(Printable(call->header().method()));
    document.set_submitted(FormatTime(call->submitted_at()));
    document.set_caller_host(Printable(call->process().host()));
    document.set_caller_pid(static_cast<double>(call->process().pid()));
    document.set_request_bytes(static_cast<double>(call->body().size()));
    document.set_idempotent(call->idempotent());
    document.set_survives_power_loss(call->survives_power_loss());
  } else {
    AddProblem(call.status(), &document);
  }
  if (state->claims > 0) {
    const auto claim = store.ReadClaim(ticket, state->claims);
    AddProblem(claim.status(), &document);
    if (claim.ok() && !claim->server_id().empty()) {
      document.set_state("claimed");
      SetServer(store, claim->server_id(), claim->process(), &document);
    }
  }
  if (state->started) {
    document.set_state("started");
    const auto started = store.ReadStarted(ticket);
    AddProblem(started.status(), &document);
    if (started.ok()) SetServer(store, started->server_id(), started->process(), &document);
  }
  if (state->reply) {
    document.set_state("finished");
    const auto reply = store.ReadReply(ticket);
    AddProblem(reply.status(), &document);
    if (reply.ok()) AddReply(store, *reply, &document);
  }
  return document;
}

std::string TicketText(const TicketDocument& document) {
  std::vector<std::vector<std::string>> rows = {
      {"ticket", document.ticket()},
      {"state", document.state()},
      {"method", document.method()},
      {"submitted",
       absl::StrCat(document.submitted(), " by pid ", static_cast<int64_t>(document.caller_pid()),
                    " on ", document.caller_host())},
      {"request", FormatSize(static_cast<uint64_t>(document.request_bytes()))},
      {"idempotent", document.idempotent() ? "yes" : "no"},
      {"survives", document.survives_power_loss() ? "loss of power" : "its processes"},
  };
  if (!document.server_host().empty()) {
    rows.push_back(
        {"server", absl::StrCat(document.server(), document.server().empty() ? "" : ", ", "pid ",
                                static_cast<int64_t>(document.server_pid()), " on ",
                                document.server_host(), ", ", document.server_life())});
  }
  if (document.state() == "finished") {
    rows.push_back({"finished", document.finished()});
    rows.push_back({"status", absl::StrCat(document.code(), document.message().empty() ? "" : ": ",
                                           document.message())});
    if (!document.reason().empty()) {
      rows.push_back({"reason", absl::StrCat(document.reason(), document.may_have_executed()
                                                                    ? ", may have been executed"
                                                                    : ", was not executed")});
    }
    rows.push_back({"reply", FormatSize(static_cast<uint64_t>(document.reply_bytes()))});
  }
  std::string text = Table(rows, "");
  for (const std::string& problem : document.problems()) {
    absl::StrAppend(&text, "PROBLEM: ", problem, "\n");
  }
  return text;
}

std::string TicketTable(const std::vector<TicketDocument>& documents) {
  std::vector<std::vector<std::string>> rows = {
      {"TICKET", "STATE", "STATUS", "SUBMITTED", "METHOD"}};
  for (const TicketDocument& document : documents) {
    rows.push_back({document.ticket(), document.problems_size() > 0 ? "damaged" : document.state(),
                    document.code().empty() ? "-" : document.code(),
                    document.submitted().empty() ? "-" : document.submitted(),
                    document.method().empty() ? "-" : document.method()});
  }
  return Table(rows, "");
}

std::string RawText(const std::string& bytes) {
  google::protobuf::Empty message;  // keeps all fields as unknown ones
  std::string text;
  if (!message.ParseFromString(bytes) ||
      !google::protobuf::TextFormat::PrintToString(message, &text)) {
    return "";
  }
  return text;
}

}  // namespace spoolrpc::cli
