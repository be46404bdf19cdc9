#include "tests/soak/fleet.h"

#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "gtest/gtest.h"
#include "tests/soak/ledger.h"

namespace spoolrpc::soak {
namespace {

using failure::Await;
using failure::Process;

constexpr char kServer[] = "tests/soak/soak_server";
constexpr char kClient[] = "tests/soak/soak_client";
// Longer than a start, a drain, or the end of all calls of one client takes on a busy machine; a
// call may take three ack timeouts (BoundOf()).
constexpr absl::Duration kLong = absl::Minutes(8);
constexpr int kMeanThreads = 2;
constexpr absl::Duration kSampleEvery = absl::Milliseconds(500);
// runtime/server/server_log.cc keeps so many.
constexpr int kMostLogs = 10;

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// Warnings are a server's right; the sanitizers' reports, and what the soak itself says, are not.
bool IsError(absl::string_view line) {
  for (const char* const sign : {"soak:", "Sanitizer", "runtime error", " ERROR ", "terminate"}) {
    if (absl::StrContains(line, sign)) return true;
  }
  return false;
}

// What a killed process said, without the last words of the symbolizer that a sanitizer had
// started: it complains that nobody reads, and ends.
std::string WithoutSymbolizersEnd(const std::string& errors) {
  return errors.substr(0, errors.find("LLVM ERROR: IO failure on output stream: Broken pipe"));
}

}  // namespace

Fleet::Fleet(const FleetOptions& options, uint64_t seed)
    : options_(options),
      scratch_(options.directory),
      spool_(scratch_ / "spool"),
      ledger_(scratch_ / "ledger"),
      random_(seed),
      next_sample_(absl::InfinitePast()) {}

absl::Duration Fleet::DrawLife(absl::Duration mean) {
  const double times = std::exponential_distribution<double>()(random_);
  return mean * std::min(times, 5.0);
}

Fleet::Member Fleet::StartServer() {
  Member server;
  server.name = absl::StrCat("server", ++number_);
  server.errors = absl::StrCat(options_.errors, "/", server.name, ".stderr");
  std::vector<std::string> flags = {"--spool=" + spool_, "--ledger=" + ledger_};
  // The first makes the spool, by the rules that most follow.
  const bool network = random_() % 100 < static_cast<unsigned>(options_.network_percent);
  if (number_ > 1 && network) flags.push_back("--network");
  server.process = Process::Start(kServer, flags, server.errors);
  EXPECT_EQ(server.process->NextLine(kLong).value_or("nothing"), "ready")
      << server.name << " said so; on stderr: " << ReadFile(server.errors);
  server.end_at = absl::Now() + DrawLife(options_.server_life);
  server.kill = random_() % 100 < static_cast<unsigned>(options_.kill_percent);
  ++counts_["servers"];
  return server;
}

Fleet::Member Fleet::StartClient(absl::Duration life) {
  Member client;
  client.name = absl::StrCat("client", ++number_);
  client.errors = absl::StrCat(options_.errors, "/", client.name, ".stderr");
  const bool killed = random_() % 100 < static_cast<unsigned>(options_.kill_percent);
  std::vector<std::string> flags = {
      "--spool=" + spool_,
      "--ledger=" + ledger_,
      absl::StrCat("--number=", number_),
      absl::StrCat("--seed=", random_()),
      absl::StrCat("--threads=", kMeanThreads + random_() % 3 - 1),
      absl::StrCat("--pause=", absl::FormatDuration(absl::Seconds(1) * options_.clients *
                                                    kMeanThreads / options_.calls_per_second)),
      absl::StrCat("--life=", absl::FormatDuration(life)),
      absl::StrCat("--slack=", absl::FormatDuration(options_.slack)),
      absl::StrCat("--network_percent=", options_.network_percent)};
  client.process = Process::Start(kClient, flags, client.errors);
  if (life == absl::InfiniteDuration()) return client;
  if (killed) {
    client.kill = true;
    client.end_at = absl::Now() + life * static_cast<double>(random_() % 1000) / 1000;
  } else {
    client.gone_at = absl::Now() + life + kLong;
  }
  return client;
}

std::string Fleet::ServerName(pid_t pid) const {
  if (first_server_->process->pid() == pid) return "the one that lives throughout";
  for (const Member& server : servers_) {
    if (server.process->pid() == pid) return server.name;
  }
  for (const Member& server : draining_) {
    if (server.process->pid() == pid) return server.name + ", which drains";
  }
  return "one that has ended in order";
}

void Fleet::TakeLine(Member* member, absl::string_view line) {
  absl::string_view text = line;
  pid_t pid = 0;
  if (text == "ready") {
    member->ready = true;
  } else if (absl::ConsumePrefix(&text, "lost ")) {
    ++counts_["lost"];
    // (Of copies that were sent to several servers nobody may know whose end it was.)
    if (!absl::SimpleAtoi(text.substr(0, text.find(' ')), &pid)) return;
    EXPECT_EQ(killed_servers_.count(pid), 1)
        << member->name << " has lost a server process that was not killed (" << ServerName(pid)
        << "): " << text;
  } else if (absl::ConsumePrefix(&text, "latest ")) {
    int64_t late = 0;
    if (absl::SimpleAtoi(text.substr(0, text.find(' ')), &late) && late > latest_ms_) {
      latest_ms_ = late;
      latest_ = std::string(text);
    }
  } else if (absl::ConsumePrefix(&text, "counts ")) {
    for (const absl::string_view word : absl::StrSplit(text, ' ')) {
      const std::pair<std::string, std::string> parts = absl::StrSplit(word, '=');
      int64_t count = 0;
      if (!absl::SimpleAtoi(parts.second, &count)) continue;
      counts_[parts.first] += count;
    }
  } else {
    ADD_FAILURE() << member->name << " printed: " << line;
  }
}

void Fleet::TakeLines(Member* member) {
  while (true) {
    const std::vector<std::string> lines = member->process->Lines();
    if (lines.empty()) return;
    for (const std::string& line : lines) TakeLine(member, line);
  }
}

void Fleet::Bury(Member* member) {
  TakeLines(member);
  std::string errors = ReadFile(member->errors);
  if (member->killed) errors = WithoutSymbolizersEnd(errors);
  const int exit = member->process->AwaitExit(absl::ZeroDuration()).value_or(-1);
  EXPECT_TRUE(member->killed || exit == 0) << member->name << " ended with " << exit;
  const bool server = absl::StartsWith(member->name, "server");
  bool failed = !server && !errors.empty();
  for (const absl::string_view line : absl::StrSplit(errors, '\n', absl::SkipEmpty())) {
    failed = failed || IsError(line);
    if (server) ++counts_["warnings"];
  }
  EXPECT_FALSE(failed) << member->name << " said on stderr:\n" << errors;
  std::error_code ignored;
  if (errors.empty()) std::filesystem::remove(member->errors, ignored);
  ++counts_[absl::StrCat(server ? "servers" : "clients", member->killed ? "_killed" : "_ended")];
}

void Fleet::Kill(Member* member) {
  if (absl::StartsWith(member->name, "server")) killed_servers_.insert(member->process->pid());
  // One that has ended by itself just now is looked at as such.
  if (member->process->Ended()) return;
  member->process->Kill();
  member->killed = true;
}

bool Fleet::TakeEnded(Member* member) {
  TakeLines(member);
  if (!member->process->Ended()) {
    if (absl::Now() < member->gone_at) return false;
    ADD_FAILURE() << member->name << " (process " << member->process->pid() << ") hangs";
    Kill(member);
  }
  Bury(member);
  return true;
}

void Fleet::AwaitEnd(Member* member) {
  member->gone_at = absl::Now() + kLong;
  while (!TakeEnded(member)) absl::SleepFor(absl::Milliseconds(2));
}

void Fleet::Sample() {
  if (absl::Now() < next_sample_) return;
  next_sample_ = absl::Now() + kSampleEvery;
  if (const auto usage = UsageOf(first_server_->process->pid())) server_growth_.Add(*usage);
  if (const auto usage = UsageOf(first_client_->process->pid())) client_growth_.Add(*usage);
}

void Fleet::Start() {
  first_server_ = StartServer();
  files_of_one_ = Files();
  Member one = StartClient(absl::Seconds(1));
  one.kill = false;
  one.end_at = absl::InfiniteFuture();
  AwaitEnd(&one);
  EXPECT_TRUE(Await(kLong, [this] { return Files() == files_of_one_; }))
      << "files of one client:\n"
      << absl::StrJoin(Files(), "\n");
  usage_of_one_ = UsageOf(first_server_->process->pid()).value_or(Usage());
  while (static_cast<int>(servers_.size()) < options_.servers - 1) {
    servers_.push_back(StartServer());
  }
  first_client_ = StartClient(absl::InfiniteDuration());
}

void Fleet::Step() {
  Sample();
  for (Member* const first : {&*first_server_, &*first_client_}) {
    TakeLines(first);
    ASSERT_FALSE(first->process->Ended()) << first->name << ": " << ReadFile(first->errors);
  }
  for (Member& server : servers_) {
    if (absl::Now() < server.end_at) continue;
    if (server.kill) {
      Kill(&server);
      Bury(&server);
    } else {
      server.process->Send(SIGTERM);
      server.gone_at = absl::Now() + kLong;
      draining_.push_back(std::move(server));
    }
    server = StartServer();
  }
  for (Member& client : clients_) {
    if (client.kill && absl::Now() >= client.end_at) Kill(&client);
  }
  const auto ended = [this](Member& member) { return TakeEnded(&member); };
  draining_.erase(std::remove_if(draining_.begin(), draining_.end(), ended), draining_.end());
  clients_.erase(std::remove_if(clients_.begin(), clients_.end(), ended), clients_.end());
  // (One at a time: starting one takes its time, and others are to be killed meanwhile.)
  if (static_cast<int>(clients_.size()) < options_.clients - 1) {
    clients_.push_back(StartClient(DrawLife(options_.client_life)));
  }
}

void Fleet::Stop() {
  clients_.push_back(*std::move(first_client_));
  for (Member& client : clients_) {
    // Before that SIGTERM would end it at once.
    EXPECT_TRUE(Await(kLong, [&] {
      TakeLines(&client);
      return client.ready || client.process->Ended();
    }));
    client.process->Send(SIGTERM);
  }
  for (Member& client : clients_) AwaitEnd(&client);
  for (Member& server : servers_) server.process->Send(SIGTERM);
  for (Member& server : servers_) AwaitEnd(&server);
  for (Member& server : draining_) AwaitEnd(&server);
}

std::set<std::string> Fleet::Files() const {
  std::set<std::string> files;
  std::error_code error;
  for (std::filesystem::recursive_directory_iterator it(spool_, error), end; !error && it != end;
       it.increment(error)) {
    if (it->path().extension() != ".log") files.insert(it->path().string());
  }
  // Something was removed under the iterator.
  if (error) files.insert(error.message());
  return files;
}

void Fleet::CheckLogs() const {
  int logs = 0;
  for (const auto& entry : std::filesystem::directory_iterator(spool_ + "/logs")) {
    logs += entry.path().extension() == ".log";
  }
  EXPECT_LE(logs, kMostLogs) << "logs in " << spool_;
}

void Fleet::CheckRemains() {
  for (const std::string& error : server_growth_.Errors(GrowthBound())) {
    ADD_FAILURE() << "the server that lived throughout has grown: " << error;
  }
  for (const std::string& error : client_growth_.Errors(GrowthBound())) {
    ADD_FAILURE() << "the client that lived throughout has grown: " << error;
  }
  const pid_t server = first_server_->process->pid();
  EXPECT_TRUE(Await(kLong, [this] { return Files() == files_of_one_; }))
      << "files left behind:\n"
      << [this] {
           std::vector<std::string> left;
           const std::set<std::string> files = Files();
           std::set_symmetric_difference(files.begin(), files.end(), files_of_one_.begin(),
                                         files_of_one_.end(), std::back_inserter(left));
           return absl::StrJoin(left, "\n");
         }();
  EXPECT_TRUE(
      Await(kLong, [&] { return UsageOf(server).value_or(Usage()).files <= usage_of_one_.files; }))
      << "the server had " << usage_of_one_.files << " files open after one client, it has "
      << UsageOf(server).value_or(Usage()).files;
  CheckLogs();
  first_server_->process->Send(SIGTERM);
  AwaitEnd(&*first_server_);
  std::vector<std::string> left;
  for (const std::string& file : Files()) {
    left.push_back(std::filesystem::path(file).lexically_relative(spool_).string());
  }
  EXPECT_EQ(absl::StrJoin(left, " "), "durable format logs servers sessions");
  for (const std::string& error : LedgerErrors(ReadLedger(ledger_))) ADD_FAILURE() << error;
}

std::string Fleet::Progress() const {
  return absl::StrCat("latest by ", latest_ms_, " ms; ",
                      absl::StrJoin(counts_, " ", absl::PairFormatter("=")),
                      "; server: ", server_growth_.Text(), "; client: ", client_growth_.Text());
}

}  // namespace spoolrpc::soak
