// Explores simulated worlds, one after the other, and says which promises each has broken.

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <new>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tests/simulation/checker.h"
#include "tests/simulation/plan.h"
#include "tests/simulation/verbose.h"
#include "tests/simulation/world.h"

ABSL_FLAG(uint64_t, seed, 1, "the first seed");
ABSL_FLAG(int, seeds, 1, "how many seeds, beginning with that");
ABSL_FLAG(int, freezes, 0,
          "beside what a seed says, so many servers' hosts freeze for about a term");
ABSL_FLAG(bool, trace, false, "say every step, on stderr");
ABSL_FLAG(bool, history, false, "say what happened to each call, on stderr");
ABSL_FLAG(bool, twice, false, "run each seed twice; the second time must be like the first");
ABSL_FLAG(int, give_up, 5, "stop after so many seeds that broke a promise");
ABSL_FLAG(bool, expect_broken, false, "succeed if a promise is broken, and only then");
ABSL_FLAG(absl::Duration, time, absl::InfiniteDuration(), "begin no world after so long");

namespace {

using spoolrpc::simulation::Arena;
using spoolrpc::simulation::Check;
using spoolrpc::simulation::MakePlan;
using spoolrpc::simulation::Outcome;
using spoolrpc::simulation::Plan;
using spoolrpc::simulation::World;

// Addresses must not depend on chance: what is ordered by them would be ordered otherwise.
void WithoutRandomAddresses(char** argv) {
  const int now = personality(0xffffffff);
  if (now < 0 || (now & ADDR_NO_RANDOMIZE) != 0) return;
  if (personality(now | ADDR_NO_RANDOMIZE) < 0) return;
  execv("/proc/self/exe", argv);
}

// Turns are given from thread to thread: on one processor that is fastest, and fastest if whoever
// is woken waits until the other one sleeps. The processor is the one that the scheduler has
// chosen, as the least busy. (A number made of the process's id is the same one in every sandbox.)
void OnOneProcessor() {
  const int cpu = sched_getcpu();
  if (cpu < 0) return;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  sched_setaffinity(0, sizeof(one), &one);
  const sched_param none = {};
  sched_setscheduler(0, SCHED_BATCH, &none);
}

// What the worlds of a run have come to, in memory that their processes share.
struct Totals {
  uint64_t steps;
  uint64_t calls;
  uint64_t hash;  // of the last world's trace
};

struct Shared {
  Arena arena;
  Totals totals;
};

// Runs the world of that seed. False: it broke a promise.
bool RunWorld(uint64_t seed, Arena* arena, Totals* totals) {
  const Plan plan = MakePlan(seed, absl::GetFlag(FLAGS_freezes));
  FILE* const trace = absl::GetFlag(FLAGS_trace) ? stderr : nullptr;
  const Outcome outcome = World(plan, arena, trace).Run();
  totals->steps += outcome.steps;
  totals->hash = outcome.trace_hash;
  for (const auto& event : outcome.history) {
    totals->calls += event.kind == spoolrpc::simulation::HistoryEvent::Kind::kBegin;
  }
  const std::vector<std::string> wrong = Check(outcome);
  if (absl::GetFlag(FLAGS_history) || (!wrong.empty() && !absl::GetFlag(FLAGS_expect_broken))) {
    fputs(Describe(plan).c_str(), stderr);
    for (const auto& event : outcome.history) {
      fprintf(stderr, "  %s\n", Describe(event).c_str());
    }
  }
  for (const std::string& line : wrong) {
    printf("seed %lu: %s\n", static_cast<unsigned long>(seed), line.c_str());
  }
  return wrong.empty();
}

// The same in a process of its own: each world begins with the same memory, whatever was before it.
bool RunApart(uint64_t seed, Arena* arena, Totals* totals) {
  const int times = absl::GetFlag(FLAGS_twice) ? 2 : 1;
  uint64_t hashes[2] = {};
  bool good = true;
  for (int i = 0; i < times; ++i) {
    fflush(nullptr);
    const pid_t pid = fork();
    if (pid < 0) {
      perror("fork");
      exit(2);
    }
    if (pid == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      const bool kept = RunWorld(seed, arena, totals);
      fflush(nullptr);
      _exit(kept ? 0 : 1);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    if (!WIFEXITED(status)) printf("seed %lu: the world broke\n", static_cast<unsigned long>(seed));
    good = good && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    hashes[i] = totals->hash;
  }
  if (times == 2 && hashes[0] != hashes[1]) {
    printf("seed %lu: went otherwise the second time\n", static_cast<unsigned long>(seed));
    good = false;
  }
  return good;
}

}  // namespace

int main(int argc, char** argv) {
  WithoutRandomAddresses(argv);
  absl::SetProgramUsageMessage(
      "simulate [--seed=N] [--seeds=N] [--trace]: runs real clients and servers in simulated "
      "worlds");
  absl::ParseCommandLine(argc, argv);
  OnOneProcessor();
  void* const memory =
      mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    perror("mmap");
    return 2;
  }
  Shared* const shared = new (memory) Shared;
  spoolrpc::simulation::Verbose() = absl::GetFlag(FLAGS_trace);

  const absl::Time began = absl::Now();
  const uint64_t first = absl::GetFlag(FLAGS_seed);
  int worlds = 0;
  int broken = 0;
  for (; worlds < absl::GetFlag(FLAGS_seeds); ++worlds) {
    if (absl::Now() - began > absl::GetFlag(FLAGS_time)) break;
    if (RunApart(first + worlds, &shared->arena, &shared->totals)) continue;
    if (++broken >= absl::GetFlag(FLAGS_give_up)) {
      ++worlds;
      break;
    }
  }
  printf("%d worlds from seed %lu, %lu calls, %lu steps, %.1f s: %d broke a promise\n", worlds,
         static_cast<unsigned long>(first), static_cast<unsigned long>(shared->totals.calls),
         static_cast<unsigned long>(shared->totals.steps),
         absl::ToDoubleSeconds(absl::Now() - began), broken);
  return (broken > 0) == absl::GetFlag(FLAGS_expect_broken) ? 0 : 1;
}
