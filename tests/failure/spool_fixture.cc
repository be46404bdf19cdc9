#include "tests/failure/spool_fixture.h"

#include <signal.h>

#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"

namespace spoolrpc::failure {
namespace {

constexpr char kServer[] = "tests/failure/failure_server";
constexpr char kClient[] = "tests/failure/failure_client";

void Append(const std::vector<std::string>& more, std::vector<std::string>* flags) {
  flags->insert(flags->end(), more.begin(), more.end());
}

}  // namespace

std::vector<std::string> Setting::Flags() const {
  std::vector<std::string> flags;
  if (network) flags.push_back("--network");
  if (other_host) flags.push_back("--other_host");
  return flags;
}

std::unique_ptr<Process> SpoolTest::LaunchServer(absl::Duration lease_term,
                                                 std::vector<std::string> flags) {
  Append(setting_.Flags(), &flags);
  Append({"--spool=" + spool(), "--executions=" + file("executions"),
          "--lease_term=" + absl::FormatDuration(lease_term)},
         &flags);
  return Process::Start(kServer, flags);
}

std::unique_ptr<Process> SpoolTest::StartServer(absl::Duration lease_term,
                                                std::vector<std::string> flags) {
  auto server = LaunchServer(lease_term, std::move(flags));
  const auto line = server->NextLine(kLong);
  EXPECT_EQ(line.value_or("nothing"), "ready") << "what the server said";
  return server;
}

std::unique_ptr<Process> SpoolTest::StartClient(std::vector<std::string> flags) {
  Append(setting_.Flags(), &flags);
  flags.push_back("--spool=" + spool());
  return Process::Start(kClient, flags);
}

std::shared_ptr<Channel> SpoolTest::MakeChannel(ChannelOptions options) {
  if (setting_.network) options.transport = spool::Transport::kNetwork;
  if (setting_.other_host) options.environment.host = &other_host_;
  auto channel = CreateChannel(spool(), options);
  EXPECT_TRUE(channel.ok()) << channel.status();
  return channel.ok() ? *channel : nullptr;
}

void SpoolTest::Drain(Process* server) {
  server->Send(SIGTERM);
  EXPECT_EQ(server->AwaitExit(kLong).value_or(-1), 0) << "the exit code of a drained server";
}

void SpoolTest::Touch(const std::string& path) {
  std::ofstream file(path);
  ASSERT_TRUE(file.good()) << path;
}

bool SpoolTest::AwaitExecutions(size_t calls) const {
  return Await(kLong, [&] { return executions().executed.size() >= calls; });
}

std::set<std::string> SpoolTest::OpenSessions(int64_t server_pid) const {
  std::set<std::string> open;
  const auto status = QuerySpool(spool());
  EXPECT_TRUE(status.ok()) << status.status();
  if (!status.ok()) return open;
  for (const ServerStatus& server : status->servers) {
    if (server_pid != 0 && server.pid != server_pid) continue;
    for (const SessionStatus& session : server.sessions) {
      std::ifstream log(absl::StrCat(server.directory, "/sessions/", session.id, "/responses"));
      char head[12] = {};
      log.read(head, sizeof(head));
      // docs/format.md, section 4: the state, of which 3 is closed.
      if (log.gcount() == sizeof(head) && head[11] != 3) open.insert(session.id);
    }
  }
  return open;
}

int SpoolTest::CountFiles() const {
  int files = 0;
  std::error_code error;
  for (std::filesystem::recursive_directory_iterator it(spool(), error), end; !error && it != end;
       it.increment(error)) {
    if (setting_.other_host && it->path().filename().string().rfind(".tmp-", 0) == 0) {
      it.disable_recursion_pending();
      continue;
    }
    ++files;
  }
  // Something was removed under the iterator.
  return error ? -1 : files;
}

std::string SpoolTest::ListFiles() const {
  std::string list;
  std::error_code error;
  for (std::filesystem::recursive_directory_iterator it(spool(), error), end; !error && it != end;
       it.increment(error)) {
    absl::StrAppend(&list, it->path().string(), "\n");
  }
  return list;
}

std::vector<Result> AwaitResults(Process* client, absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  std::vector<Result> results;
  while (const auto line = client->NextLine(deadline - absl::Now())) {
    auto result = ParseResult(*line);
    EXPECT_TRUE(result.has_value()) << "not a result: " << *line;
    if (result.has_value()) results.push_back(*std::move(result));
  }
  EXPECT_EQ(client->AwaitExit(deadline - absl::Now()).value_or(-1), 0)
      << "a client hangs, or has crashed";
  return results;
}

}  // namespace spoolrpc::failure
