#include "cli/status_report.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "cli/text.h"
// JSON by protobuf: it is a dependency already, its mapping is specified and stable, and
// status.proto is the document's schema. (Debian's nlohmann-json and jansson would each be one more
// library for the same text.)
#include "google/protobuf/util/json_util.h"

namespace spoolrpc::cli {
namespace {

// Enough of an id to tell a spool's servers apart, and to find the directory by.
constexpr size_t kShortId = 8;

std::string Services(const ServerStatus& server) {
  if (server.services.empty()) return "(none)";
  std::vector<std::string> names;
  for (const std::string& name : server.services) names.push_back(Printable(name));
  return absl::StrJoin(names, ", ");
}

std::string ServerTable(const SpoolStatus& status) {
  std::vector<std::vector<std::string>> rows = {
      {"SERVER", "STATE", "HOST", "PID", "UP", "LEASE", "CALLS", "SESSIONS", "SERVICES"}};
  for (const ServerStatus& server : status.servers) {
    rows.push_back({server.id.substr(0, kShortId), std::string(StateName(server.state)),
                    Printable(server.host), absl::StrCat(server.pid), FormatAge(server.uptime),
                    absl::StrCat(FormatAge(server.lease_age), " of ", FormatAge(server.lease_term)),
                    FormatCount(server.calls_served), FormatCount(server.session_count),
                    Services(server)});
  }
  return Table(rows, "  ");
}

std::string SessionTable(const SpoolStatus& status) {
  std::vector<std::vector<std::string>> rows = {
      {"SESSION", "SERVER", "CLIENT", "HOST", "PID", "UID", "REQUESTS", "REPLIES"}};
  size_t left_out = 0;
  for (const ServerStatus& server : status.servers) {
    for (const SessionStatus& session : server.sessions) {
      rows.push_back({session.id.substr(0, kShortId), server.id.substr(0, kShortId),
                      std::string(ClientName(session.client)), Printable(session.client_host),
                      absl::StrCat(session.client_pid), absl::StrCat(session.client_uid),
                      FormatSize(session.request_bytes), FormatSize(session.response_bytes)});
    }
    left_out += server.session_count - std::min(server.session_count, server.sessions.size());
  }
  std::string table;
  if (rows.size() > 1) absl::StrAppend(&table, "\n", Table(rows, "  "));
  if (left_out > 0) {
    absl::StrAppend(&table, rows.size() > 1 ? "" : "\n", "  and ", FormatCount(left_out),
                    " more session", left_out == 1 ? "" : "s", " (--sessions=N shows more)\n");
  }
  return table;
}

void AddSession(const SessionStatus& session, ServerDocument* to) {
  SessionDocument* const document = to->add_sessions();
  document->set_id(session.id);
  document->set_client(std::string(ClientName(session.client)));
  document->set_client_host(Printable(session.client_host));
  document->set_client_pid(static_cast<double>(session.client_pid));
  document->set_client_uid(session.client_uid);
  document->set_request_bytes(static_cast<double>(session.request_bytes));
  document->set_response_bytes(static_cast<double>(session.response_bytes));
}

void AddServer(const ServerStatus& server, StatusDocument* to) {
  ServerDocument* const document = to->add_servers();
  document->set_id(server.id);
  document->set_state(std::string(StateName(server.state)));
  document->set_host(Printable(server.host));
  document->set_pid(static_cast<double>(server.pid));
  document->set_uid(server.uid);
  document->set_software_version(Printable(server.software_version));
  document->set_started(absl::FormatTime(absl::RFC3339_sec, server.started, absl::UTCTimeZone()));
  document->set_uptime_seconds(absl::ToDoubleSeconds(server.uptime));
  document->set_lease_term_seconds(absl::ToDoubleSeconds(server.lease_term));
  // JSON has no infinity.
  if (server.lease_age != absl::InfiniteDuration()) {
    document->set_lease_age_seconds(absl::ToDoubleSeconds(server.lease_age));
  }
  document->set_calls_served(static_cast<double>(server.calls_served));
  for (const std::string& service : server.services) document->add_services(Printable(service));
  document->set_session_count(static_cast<double>(server.session_count));
  for (const SessionStatus& session : server.sessions) AddSession(session, document);
  document->set_log_path(Printable(server.log_path));
}

}  // namespace

std::string StatusText(const SpoolStatus& status) {
  size_t sessions = 0;
  for (const ServerStatus& server : status.servers) sessions += server.session_count;
  std::string text = absl::StrCat(
      "Spool ", Printable(status.path), " on ", Printable(status.file_system),
      status.local ? " (this host only" : " (network",
      status.group_gid.has_value() ? absl::StrCat(", shared with group ", *status.group_gid) : "",
      "): ", Plural(status.servers.size(), "server"), ", ", Plural(sessions, "session"), "\n");
  if (!status.servers.empty()) {
    absl::StrAppend(&text, "\n", ServerTable(status), SessionTable(status));
  } else if (status.local) {
    text += "No server. This disk is local to this host: servers on other hosts cannot be seen.\n";
  } else {
    text += "No server.\n";
  }
  if (!status.problems.empty()) text += "\nProblems:\n";
  for (const std::string& problem : status.problems) {
    absl::StrAppend(&text, "  ", Printable(problem), "\n");
  }
  return text;
}

StatusDocument ToDocument(const SpoolStatus& status, bool exists, bool live) {
  StatusDocument document;
  document.set_path(Printable(status.path));
  document.set_exists(exists);
  document.set_file_system(Printable(status.file_system));
  document.set_local(status.local);
  document.set_owner_uid(status.owner_uid);
  if (status.group_gid.has_value()) document.set_group_gid(*status.group_gid);
  document.set_live(live);
  for (const ServerStatus& server : status.servers) AddServer(server, &document);
  for (const std::string& problem : status.problems) document.add_problems(Printable(problem));
  return document;
}

std::string ToJson(const google::protobuf::Message& document) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  std::string json;
  // Fails only for strings that are not UTF-8, which Printable() rules out.
  const auto status = google::protobuf::util::MessageToJsonString(document, &json, options);
  return status.ok() ? json : absl::StrCat("{\"problems\": [\"", status.ToString(), "\"]}\n");
}

}  // namespace spoolrpc::cli
