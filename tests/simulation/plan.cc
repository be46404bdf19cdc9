#include "tests/simulation/plan.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "tests/simulation/arena.h"
#include "tests/simulation/random.h"

namespace spoolrpc::simulation {
namespace {

constexpr os::Nanos kMillisecond = 1000000;
constexpr os::Nanos kSecond = 1000 * kMillisecond;
constexpr os::Nanos kTerm = 2 * kSecond;
constexpr os::Nanos kAckTimeout = 6 * kSecond;
constexpr os::Nanos kFaultTime = 15 * kSecond;
constexpr int kFaultWrites = 40;
// The longest pause or stall; then what a call may wait for at most, with much to spare.
constexpr os::Nanos kLongest = 3 * kTerm;
constexpr os::Nanos kAfterFaults = 60 * kSecond;
// 18 terms of those that are damaged, which are taken to be of 10 s.
constexpr os::Nanos kTidyTime = 200 * kSecond;

CallPlan MakeCall(Random* random) {
  CallPlan call;
  call.method = static_cast<Idempotency>(random->Below(kMethods));
  call.durable = random->OneIn(4);
  call.pause = random->OneIn(3) ? random->Below(3 * kSecond) : random->Below(50 * kMillisecond);
  call.work = random->OneIn(3) ? random->Below(500 * kMillisecond) : random->Below(kMillisecond);
  call.timeout = random->OneIn(4) ? random->Between(kMillisecond, 4 * kSecond) : 0;
  call.payload = random->OneIn(8) ? random->Below(100000) : random->Below(200);
  return call;
}

Fault MakeFault(Random* random, int processes, bool damage) {
  Fault fault;
  fault.when = kStart + random->Below(kFaultTime);
  // In the middle of something, rather than at any time.
  fault.at_write = random->OneIn(2) ? static_cast<int>(random->Between(1, kFaultWrites)) : 0;
  fault.process = static_cast<int>(random->Below(processes));
  // About as long as a term, or a part of it, or anything.
  switch (random->Below(4)) {
    case 0:
    case 1:
      fault.duration = kTerm * random->Between(95, 130) / 100;
      break;
    case 2:
      fault.duration = kTerm * random->Between(5, 80) / 100;
      break;
    default:
      fault.duration = random->Below(kLongest);
  }
  // Each as often as it is here.
  static constexpr Fault::Kind kKinds[] = {
      Fault::Kind::kKill,     Fault::Kind::kKill,     Fault::Kind::kPause,    Fault::Kind::kPause,
      Fault::Kind::kFreeze,   Fault::Kind::kFreeze,   Fault::Kind::kFreeze,   Fault::Kind::kStop,
      Fault::Kind::kStallOne, Fault::Kind::kStallOne, Fault::Kind::kStallAll, Fault::Kind::kFlip,
      Fault::Kind::kZero};
  constexpr int kDamages = 2;
  constexpr int kCount = sizeof(kKinds) / sizeof(kKinds[0]);
  fault.kind = kKinds[random->Below(damage ? kCount : kCount - kDamages)];
  return fault;
}

// In the middle of a server's write, for about a term.
Fault MakeFreeze(Random* random, int servers) {
  Fault fault;
  fault.when = kStart;
  fault.at_write = static_cast<int>(random->Between(1, kFaultWrites));
  fault.process = static_cast<int>(random->Below(servers));
  fault.duration = kTerm * random->Between(95, 130) / 100;
  fault.kind = Fault::Kind::kFreeze;
  return fault;
}

const char* NameOf(Fault::Kind kind) {
  switch (kind) {
    case Fault::Kind::kKill:
      return "kill";
    case Fault::Kind::kPause:
      return "pause";
    case Fault::Kind::kFreeze:
      return "freeze its host";
    case Fault::Kind::kStop:
      return "stop";
    case Fault::Kind::kStallOne:
      return "stall its files";
    case Fault::Kind::kStallAll:
      return "stall all files";
    case Fault::Kind::kFlip:
      return "flip a byte";
    case Fault::Kind::kZero:
      return "zero a block";
  }
  return "?";
}

std::string Seconds(os::Nanos when) {
  return absl::StrCat(when / kSecond, ".", absl::Dec(when % kSecond / 1000, absl::kZeroPad6), " s");
}

}  // namespace

Plan MakePlan(uint64_t seed, int freezes) {
  Random random(seed * 0x9e3779b97f4a7c15 + 1);
  Plan plan;
  plan.seed = seed;
  plan.faults_end = kStart + kFaultTime + kLongest;
  plan.end = plan.faults_end + kAfterFaults;

  // (Such a world takes ten times as long as another.)
  plan.tidy = random.OneIn(32) ? kTidyTime : 0;

  plan.files.min_latency = 50000;
  plan.files.max_latency = random.OneIn(3) ? 20 * kMillisecond : kMillisecond;
  plan.files.tear = random.OneIn(2) ? 4 : 0;
  plan.files.stale_list = random.OneIn(2) ? 4 : 0;
  plan.files.slow = random.OneIn(3) ? 300 : 0;
  const bool errors = random.OneIn(4);
  plan.files.write_error = errors ? 300 : 0;
  plan.files.read_error = errors ? 300 : 0;
  plan.files.name_error = errors ? 50 : 0;

  const int servers = static_cast<int>(random.Between(1, 3));
  const int clients = static_cast<int>(random.Between(1, 3));
  for (int i = 0; i < servers + clients; ++i) {
    ProcessPlan process = {};
    process.server = i < servers;
    process.start = kStart + (random.OneIn(3) ? random.Below(5 * kSecond) : random.Below(kSecond));
    process.server_options.lease_term = kTerm;
    process.server_options.workers = static_cast<int>(random.Between(1, 3));
    process.client_options.lease_term = kTerm;
    process.client_options.ack_timeout = kAckTimeout;
    const int threads = static_cast<int>(random.Between(1, 2));
    for (int thread = 0; !process.server && thread < threads; ++thread) {
      process.client_options.threads.emplace_back();
      const int calls = static_cast<int>(random.Between(1, 6));
      for (int call = 0; call < calls; ++call) {
        process.client_options.threads.back().push_back(MakeCall(&random));
      }
    }
    plan.processes.push_back(process);
  }
  const bool damage = random.OneIn(4);
  const int faults = static_cast<int>(random.Below(8));
  const int targets = static_cast<int>(plan.processes.size());
  for (int i = 0; i < faults; ++i) plan.faults.push_back(MakeFault(&random, targets, damage));
  // A server that comes later, and one that is left alone and stays.
  ProcessPlan late = plan.processes[0];
  if (random.OneIn(2)) {
    late.start = kStart + random.Below(kFaultTime);
    plan.processes.push_back(late);
  }
  late.start = plan.faults_end;
  plan.processes.push_back(late);
  for (int i = 0; i < freezes; ++i) plan.faults.push_back(MakeFreeze(&random, servers));
  std::stable_sort(plan.faults.begin(), plan.faults.end(),
                   [](const Fault& a, const Fault& b) { return a.when < b.when; });
  return plan;
}

std::string Describe(const Plan& plan) {
  std::string text =
      absl::StrCat("seed ", plan.seed, ": latency to ", plan.files.max_latency / kMillisecond,
                   " ms, tear ", plan.files.tear, ", stale listings ", plan.files.stale_list,
                   ", slow ", plan.files.slow, ", errors ", plan.files.write_error, "\n");
  for (size_t i = 0; i < plan.processes.size(); ++i) {
    const ProcessPlan& process = plan.processes[i];
    absl::StrAppend(&text, "  process ", i, ": ", process.server ? "server" : "client", " at ",
                    Seconds(process.start - kStart));
    for (const auto& thread : process.client_options.threads) {
      absl::StrAppend(&text, ", ", thread.size(), " calls");
    }
    absl::StrAppend(&text, "\n");
  }
  for (const Fault& fault : plan.faults) {
    absl::StrAppend(&text, "  ",
                    fault.at_write > 0 ? absl::StrCat("at write ", fault.at_write)
                                       : Seconds(fault.when - kStart),
                    ": ", NameOf(fault.kind), ", process ", fault.process, ", ",
                    Seconds(fault.duration), "\n");
  }
  return text;
}

}  // namespace spoolrpc::simulation
