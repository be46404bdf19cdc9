// One user of a spool that a test gives away: a server, or a client that makes one kind of call. It
// is started under the user's ids, and says in one line on stdout what came of it.
#include <signal.h>
#include <unistd.h>

#include <iostream>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "spoolrpc/spool/collector.h"
#include "spoolrpc/spool/server_directory.h"
#include "spoolrpc/spool/server_list.h"
#include "spoolrpc/spool/stop_request.h"
#include "spoolrpc/spoolrpc.h"
#include "tests/auth/auth.pb.h"
#include "tests/auth/auth.spoolrpc.pb.h"

ABSL_FLAG(std::string, spool, "", "the spool");
ABSL_FLAG(bool, network, false, "calls travel by the rules of a network file system");
ABSL_FLAG(std::string, group, "", "serve: shares the spool with this group");
ABSL_FLAG(std::vector<std::string>, server_uids, {}, "serve: who else may serve");
ABSL_FLAG(std::vector<std::string>, allowed_uids, {}, "serve: whose calls are taken");
ABSL_FLAG(std::vector<std::string>, allowed_gids, {}, "serve: whose members' calls are taken");
ABSL_FLAG(uint32_t, disliked_uid, 0, "serve: whom the callback refuses");
ABSL_FLAG(bool, exclusive, false, "serve: alone; asks other servers to stop");
ABSL_FLAG(std::string, ticket, "", "collect, cancel: the durable call");
ABSL_FLAG(int, text_bytes, 0, "ask, hold: if above 0, asks so much, which is not printed");
ABSL_FLAG(absl::Duration, ack_timeout, absl::Seconds(60), "of a call");

namespace spoolrpc::auth_test {
namespace {

using ::auth_test::Answer;
using ::auth_test::Oracle;
using ::auth_test::Question;

constexpr absl::Duration kLong = absl::Seconds(60);

class OracleImpl final : public Oracle::Service {
  absl::Status Ask(ServerContext* context, const Question* question, Answer* answer) override {
    *answer = AnswerTo(*context, *question);
    return absl::OkStatus();
  }
  absl::Status AskThrice(ServerContext* context, const Question* question,
                         ServerWriter<Answer>* writer) override {
    for (int i = 0; i < 3; ++i) writer->Write(AnswerTo(*context, *question));
    return absl::OkStatus();
  }

  static Answer AnswerTo(const ServerContext& context, const Question& question) {
    Answer answer;
    answer.set_text(question.text());
    answer.set_uid(context.peer_identity().uid);
    answer.set_gid(context.peer_identity().gid);
    return answer;
  }
};

std::vector<uint32_t> Ids(const std::vector<std::string>& texts) {
  std::vector<uint32_t> ids;
  for (const std::string& text : texts) ids.push_back(std::stoul(text));
  return ids;
}

spool::Transport Transport() {
  return absl::GetFlag(FLAGS_network) ? spool::Transport::kNetwork : spool::Transport::kLocal;
}

int Say(const absl::Status& status, const std::string& result) {
  if (status.ok()) {
    std::cout << "OK " << result << std::endl;
    return 0;
  }
  const auto info = GetErrorInfo(status);
  std::cout << absl::StatusCodeToString(status.code()) << " "
            << ErrorInfo::Reason_Name(info.has_value() ? info->reason()
                                                       : ErrorInfo::REASON_UNSPECIFIED)
            << " " << status.message() << std::endl;
  return 1;
}

std::string Text(const Answer& answer) {
  return absl::StrCat(answer.text(), " ", answer.uid(), " ", answer.gid());
}

// Serves until its stdin ends, or somebody kills it.
int Serve() {
  OracleImpl service;
  ServerBuilder builder;
  builder.AddSpool(absl::GetFlag(FLAGS_spool));
  builder.RegisterService(&service);
  builder.set_transport(Transport());
  if (const std::string group = absl::GetFlag(FLAGS_group); !group.empty()) {
    builder.set_group(group);
  }
  if (const auto uids = absl::GetFlag(FLAGS_server_uids); !uids.empty()) {
    builder.set_server_uids(Ids(uids));
  }
  if (absl::GetFlag(FLAGS_exclusive)) {
    builder.set_exclusive(spool::ExclusiveMode::kForce, absl::ZeroDuration());
  }
  AuthPolicy policy;
  policy.allowed_uids = Ids(absl::GetFlag(FLAGS_allowed_uids));
  policy.allowed_gids = Ids(absl::GetFlag(FLAGS_allowed_gids));
  if (const uint32_t disliked = absl::GetFlag(FLAGS_disliked_uid); disliked != 0) {
    policy.callback = [disliked](const PeerIdentity& peer) {
      return peer.uid == disliked ? absl::UnavailableError("not on Sundays") : absl::OkStatus();
    };
  }
  builder.set_auth_policy(policy);
  const auto server = builder.BuildAndStart();
  const int said = Say(server.status(), "serving");
  return said == 0 && (*server)->Wait().ok() ? 0 : 1;
}

// Comes up as a server whether or not it may.
int Intrude() {
  const auto spool = spool::Spool::Open(os::Environment{}, absl::GetFlag(FLAGS_spool), Transport());
  if (!spool.ok()) return Say(spool.status(), "");
  spool::ServerRecord record;
  record.set_lease_term_ns(10'000'000'000);
  record.add_services()->set_name("auth_test.Oracle");
  auto server = spool::ServerDirectory::Publish(*spool, record);
  const int said = Say(server.status(), "published");
  while (said == 0) pause();
  return said;
}

// Asks all servers to stop.
int Stop() {
  const auto spool = spool::Spool::Open(os::Environment{}, absl::GetFlag(FLAGS_spool), Transport());
  if (!spool.ok()) return Say(spool.status(), "");
  const auto servers = spool::ServerList(*spool).Refresh();
  if (!servers.ok()) return Say(servers.status(), "");
  absl::Status status;
  for (const spool::ServerEntry& server : *servers) {
    status.Update(spool::AskToStop(**spool, server, absl::ZeroDuration()));
  }
  return Say(status, absl::StrCat("asked ", servers->size()));
}

// Collects, without a server.
int Collect() {
  const auto spool = spool::Spool::Open(os::Environment{}, absl::GetFlag(FLAGS_spool), Transport());
  if (!spool.ok()) return Say(spool.status(), "");
  spool::Collector collector(*spool);
  absl::Status status;
  const auto leftovers = collector.Collect("", [](const std::string&) { return false; });
  for (const spool::Leftover& leftover : leftovers) status.Update(leftover.status);
  return Say(status, absl::StrCat("removed ", leftovers.size()));
}

int Call(const std::string& kind) {
  ChannelOptions options;
  options.transport = Transport();
  options.ack_timeout = absl::GetFlag(FLAGS_ack_timeout);
  const auto channel = CreateChannel(absl::GetFlag(FLAGS_spool), options);
  if (!channel.ok()) return Say(channel.status(), "");
  const auto stub = Oracle::NewStub(*channel);
  ClientContext context;
  Question question;
  question.set_text("why");
  const int bytes = absl::GetFlag(FLAGS_text_bytes);
  if (bytes > 0) {
    std::string* const text = question.mutable_text();
    while (static_cast<int>(text->size()) < bytes)
      text->push_back(static_cast<char>('a' + text->size() % 23));
  }
  Answer answer;
  if (kind == "ask" || kind == "hold") {
    absl::Status status = stub->Ask(&context, question, &answer);
    if (bytes > 0) {
      if (status.ok() && answer.text() != question.text()) status = absl::DataLossError("another");
      answer.set_text(absl::StrCat(answer.text().size(), " bytes"));
    }
    const int said = Say(status, Text(answer));
    while (said == 0 && kind == "hold") pause();
    return said;
  }
  if (kind == "stream") {
    const auto reader = stub->AskThrice(&context, question);
    int count = 0;
    while (reader->Read(&answer)) ++count;
    return Say(reader->Finish(), absl::StrCat(count, " ", Text(answer)));
  }
  if (kind == "submit") {
    const auto ticket = stub->durable()->Ask(question);
    return Say(ticket.status(), ticket.ok() ? ticket->ToString() : "");
  }
  const auto ticket = Ticket::Parse(absl::GetFlag(FLAGS_ticket));
  if (!ticket.ok()) return Say(ticket.status(), "");
  if (kind == "cancel") return Say(stub->durable()->Cancel(*ticket), "cancelled");
  if (kind == "delete") return Say(stub->durable()->Delete(*ticket), "deleted");
  const absl::Status status = stub->durable()->Collect(*ticket, &answer, kLong);
  return Say(status, Text(answer));
}

}  // namespace
}  // namespace spoolrpc::auth_test

int main(int argc, char** argv) {
  const std::vector<char*> arguments = absl::ParseCommandLine(argc, argv);
  const std::string what = arguments.size() == 2 ? arguments[1] : "";
  if (what == "serve") return spoolrpc::auth_test::Serve();
  if (what == "stop") return spoolrpc::auth_test::Stop();
  if (what == "gc") return spoolrpc::auth_test::Collect();
  if (what == "intrude") return spoolrpc::auth_test::Intrude();
  return spoolrpc::auth_test::Call(what);
}
