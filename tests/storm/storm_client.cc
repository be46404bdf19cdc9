// A client of a storm. Two threads make calls, a third leaves durable ones, and collects and
// deletes those of all clients, until SIGTERM; then it ends when its calls have, and notes
// "finished TIME". With --collect it only collects and deletes: first the tickets in that file,
// then whatever else is in the spool, which it notes as "orphan TIME TICKET". Ends with the process
// that started it.

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "spoolrpc/spoolrpc.h"
#include "tests/failure/other_host.h"
#include "tests/storm/history.h"
#include "tests/storm/storm_calls.h"

ABSL_FLAG(std::string, spool, "", "the spool");
ABSL_FLAG(std::string, name, "", "the process's own in the storm");
ABSL_FLAG(std::string, history, "", "the file of its history");
ABSL_FLAG(std::string, tickets, "", "the file of all clients' tickets");
ABSL_FLAG(std::string, collect, "", "the file of the tickets that are to be collected");
ABSL_FLAG(uint64_t, seed, 1, "of what it does");
ABSL_FLAG(absl::Duration, pause, absl::Milliseconds(300), "the mean, between a thread's calls");
ABSL_FLAG(absl::Duration, patience, absl::Seconds(60), "with --collect: of each ticket");
ABSL_FLAG(absl::Duration, lease_term, absl::Seconds(1), "the client's lease");
ABSL_FLAG(bool, network, false, "as on a network file system");
ABSL_FLAG(bool, other_host, false, "as if alone on this host");

namespace spoolrpc::storm {
namespace {

// Gives out stubs of one channel, which is replaced now and then. Thread-safe.
class Stubs {
 public:
  std::shared_ptr<Storm::Stub> Get(std::mt19937_64* random) {
    std::shared_ptr<Storm::Stub> old;  // goes without the lock
    absl::MutexLock lock(&mu_);
    if (stub_ == nullptr || (*random)() % 100 == 0) old = std::exchange(stub_, New());
    return stub_;
  }

 private:
  static std::shared_ptr<Storm::Stub> New() {
    static failure::OtherHost other_host;
    ChannelOptions options;
    options.lease_term = absl::GetFlag(FLAGS_lease_term);
    options.log_capacity = 64 << 10;
    if (absl::GetFlag(FLAGS_network)) options.transport = spool::Transport::kNetwork;
    if (absl::GetFlag(FLAGS_other_host)) options.environment.host = &other_host;
    auto channel = CreateChannel(absl::GetFlag(FLAGS_spool), options);
    if (!channel.ok()) {
      fprintf(stderr, "storm_client: %s\n", channel.status().ToString().c_str());
      abort();
    }
    return Storm::NewStub(*std::move(channel));
  }

  absl::Mutex mu_;
  std::shared_ptr<Storm::Stub> stub_ ABSL_GUARDED_BY(mu_);
};

// One of the last tickets in the file; none if there is none.
std::optional<Ticket> DrawTicket(std::mt19937_64* random) {
  constexpr int64_t kLine = 33;
  std::ifstream in(absl::GetFlag(FLAGS_tickets), std::ios::ate);
  const int64_t lines = static_cast<int64_t>(in.tellg()) / kLine;
  if (lines <= 0) return std::nullopt;
  const int64_t back = static_cast<int64_t>((*random)() % std::min<int64_t>(lines, 200));
  in.seekg((lines - 1 - back) * kLine);
  std::string text;
  in >> text;
  const auto ticket = Ticket::Parse(text);
  return ticket.ok() ? std::make_optional(*ticket) : std::nullopt;
}

class Client {
 public:
  explicit Client(const History* history)
      : history_(history),
        calls_(absl::GetFlag(FLAGS_name), absl::GetFlag(FLAGS_tickets), history) {}

  void Run(const sigset_t& signals) {
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
      threads.emplace_back([this, i] { CallAgainAndAgain(i); });
    }
    int signal = 0;
    sigwait(&signals, &signal);
    stop_.Notify();
    for (std::thread& thread : threads) thread.join();
  }

 private:
  void CallAgainAndAgain(int thread) {
    std::mt19937_64 random(absl::GetFlag(FLAGS_seed) * 3 + thread);
    do {
      const std::shared_ptr<Storm::Stub> stub = stubs_.Get(&random);
      if (thread != 2) {
        calls_.MakeOne(stub.get(), &random);
      } else if (random() % 2 == 0) {
        calls_.SubmitOne(stub.get(), &random);
      } else if (const auto ticket = DrawTicket(&random); ticket.has_value()) {
        const absl::Duration wait = absl::Milliseconds(random() % 500);
        if (CollectOne(stub.get(), *ticket, wait, *history_) && random() % 2 == 0) {
          DeleteOne(stub.get(), *ticket, *history_);
        }
      }
    } while (!stop_.WaitForNotificationWithTimeout(absl::GetFlag(FLAGS_pause) *
                                                   (static_cast<double>(random() % 2000) / 1000)));
  }

  const History* const history_;
  Stubs stubs_;
  StormCalls calls_;
  absl::Notification stop_;
};

void CollectAll(const std::vector<Ticket>& tickets, const History& history) {
  Stubs stubs;
  std::atomic<size_t> next{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      std::mt19937_64 random(i);
      for (size_t at = next.fetch_add(1); at < tickets.size(); at = next.fetch_add(1)) {
        const auto stub = stubs.Get(&random);
        CollectOne(stub.get(), tickets[at], absl::GetFlag(FLAGS_patience), history);
        DeleteOne(stub.get(), tickets[at], history);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

void CollectFile(const History& history) {
  std::vector<Ticket> tickets;
  std::ifstream in(absl::GetFlag(FLAGS_collect));
  for (std::string line; in >> line;) {
    if (auto ticket = Ticket::Parse(line); ticket.ok()) tickets.push_back(*std::move(ticket));
  }
  CollectAll(tickets, history);
  // What clients left that were killed before they had the ticket.
  std::vector<Ticket> orphans;
  if (DIR* const directory = opendir((absl::GetFlag(FLAGS_spool) + "/durable").c_str())) {
    while (const dirent* const entry = readdir(directory)) {
      auto ticket = Ticket::Parse(entry->d_name);
      if (!ticket.ok()) continue;
      history.Note("orphan", ticket->ToString());
      orphans.push_back(*std::move(ticket));
    }
    closedir(directory);
  }
  CollectAll(orphans, history);
}

int RunClient() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  const History history(absl::GetFlag(FLAGS_history));
  if (!absl::GetFlag(FLAGS_collect).empty()) {
    CollectFile(history);
  } else {
    Client(&history).Run(signals);
  }
  history.Note("finished");
  return 0;
}

}  // namespace
}  // namespace spoolrpc::storm

int main(int argc, char** argv) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  absl::ParseCommandLine(argc, argv);
  return spoolrpc::storm::RunClient();
}
