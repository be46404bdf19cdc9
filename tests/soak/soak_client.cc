// A client of a soak: makes calls of every kind from several threads, cancels and abandons many,
// and checks how each ends. Prints "ready", what it finds (open_calls.h), and at its end
// "latest ..." and "counts ...". SIGTERM, or the end of its life, makes it end when its calls have.
// Ends with the process that started it.

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>

#include <atomic>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "spoolrpc/exec/timer_queue.h"
#include "tests/soak/channels.h"
#include "tests/soak/ledger.h"
#include "tests/soak/make_calls.h"
#include "tests/soak/open_calls.h"

ABSL_FLAG(std::string, spool, "", "the spool");
ABSL_FLAG(std::string, ledger, "", "the file in which the soak's processes note what they know");
ABSL_FLAG(uint64_t, number, 1, "the client's own; below 2^31");
ABSL_FLAG(uint64_t, seed, 1, "of what it does");
ABSL_FLAG(int, threads, 3, "that make calls");
ABSL_FLAG(int, most_open, 12, "calls at once");
ABSL_FLAG(absl::Duration, pause, absl::Milliseconds(100), "the mean, between a thread's calls");
ABSL_FLAG(absl::Duration, life, absl::InfiniteDuration(), "how long it begins calls");
ABSL_FLAG(absl::Duration, slack, absl::Seconds(10), "how late a call may end");
ABSL_FLAG(int, network_percent, 0, "so many channels as on a network file system");

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
// Memory that is kept from being used again; by default so much that all clients together would
// need more than there is.
extern "C" const char* __asan_default_options() { return "quarantine_size_mb=8"; }
#endif
#endif

namespace {

using spoolrpc::soak::Call;
using spoolrpc::soak::Plan;

struct Shared {
  spoolrpc::exec::TimerQueue* timers;
  spoolrpc::soak::OpenCalls* open;
  spoolrpc::soak::Channels* channels;
  std::atomic<uint32_t> calls{0};
  std::atomic<bool> stop{false};
};

void MakeCalls(Shared* shared, uint64_t seed) {
  std::mt19937_64 random(seed);
  while (!shared->stop.load()) {
    shared->open->AwaitFewerThan(absl::GetFlag(FLAGS_most_open));
    const Plan plan =
        spoolrpc::soak::DrawPlan(&random, absl::GetFlag(FLAGS_number), shared->calls.fetch_add(1));
    const auto call = std::make_shared<Call>(plan, shared->open, shared->timers);
    auto callee = spoolrpc::soak::MakeCallee(plan.reactors, shared->channels->Get(&random));
    if (!plan.streams()) {
      MakeUnaryCall(call, std::move(callee), &random);
    } else if (random() % 2 == 0) {
      MakeBlockingStream(call, std::move(callee), &random);
    } else {
      MakeReactorStream(call, std::move(callee));
    }
    // They come in bursts.
    if (random() % 4 == 0) {
      absl::SleepFor(absl::GetFlag(FLAGS_pause) * static_cast<double>(random() % 8000) / 1000);
    }
  }
}

// Until SIGTERM, which is blocked, or for the client's life.
void AwaitEnd(const sigset_t& signals) {
  const absl::Duration life = std::min(absl::GetFlag(FLAGS_life), absl::Hours(24));
  const timespec timeout = absl::ToTimespec(life);
  sigtimedwait(&signals, nullptr, &timeout);
}

int RunClient() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  printf("ready\n");
  fflush(stdout);

  spoolrpc::soak::Ledger ledger(absl::GetFlag(FLAGS_ledger));
  spoolrpc::soak::OpenCalls open(absl::GetFlag(FLAGS_slack), &ledger);
  spoolrpc::soak::Channels channels(absl::GetFlag(FLAGS_spool),
                                    absl::GetFlag(FLAGS_network_percent));
  {
    spoolrpc::exec::TimerQueue timers(spoolrpc::os::Clock::Real());
    Shared shared{&timers, &open, &channels};
    std::vector<std::thread> threads;
    for (int i = 0; i < absl::GetFlag(FLAGS_threads); ++i) {
      threads.emplace_back(
          [&shared, i] { MakeCalls(&shared, absl::GetFlag(FLAGS_seed) * 1000 + i); });
    }
    AwaitEnd(signals);
    shared.stop = true;
    for (std::thread& thread : threads) thread.join();
    open.AwaitFewerThan(1);
  }
  if (!channels.Close(absl::GetFlag(FLAGS_slack))) {
    open.Report("a channel is still there, though its calls have ended");
  }
  printf("latest %s\ncounts %s\n", open.Latest().c_str(), open.Counts().c_str());
  return open.failed() ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  absl::ParseCommandLine(argc, argv);
  return RunClient();
}
