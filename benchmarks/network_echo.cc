// A unary call between two mounts of one file system, beside the bare ping-pong over two logs
// there.
//
//   tests/nodes/gluster.sh bazel-bin/benchmarks/network_echo
//   tests/nodes/nfs.sh --delay-ms 1 bazel-bin/benchmarks/network_echo
//
// $NODE1 and $NODE2 are the mounts: the server's process works in one, the client's in the other.
// In every round comes first tests/nodes/ring_probe, which does nothing but write, flush and read
// two rings, and then calls by the generated blocking stub, one in flight, default options; and,
// unless --duration is zero, the same with 64 in flight, by the callback stub. Prints what each
// round showed, then one JSON object: medians over the rounds, and their ratio; and then these once
// more as words NAME=NUMBER.

#include <stdio.h>
#include <stdlib.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "benchmarks/programs.h"

ABSL_FLAG(std::string, node1, "", "the server's mount; empty: $NODE1");
ABSL_FLAG(std::string, node2, "", "the client's mount; empty: $NODE2");
ABSL_FLAG(int, rounds, 5, "how often each has its turn");
ABSL_FLAG(int, calls, 1000, "round trips of a turn");
ABSL_FLAG(absl::Duration, duration, absl::Seconds(5),
          "how long to measure the rate of 64 in flight");
ABSL_FLAG(double, max_vs_ring, 0,
          "if above 0: exit with status 3 if the median call takes more than so many ping-pongs");

namespace spoolrpc::benchmarks {
namespace {

struct Rounds {
  std::vector<double> ring_us, ring_p99_us, call_us, call_p99_us, ring_rate, call_rate;
};

constexpr int kInFlight = 64;

std::string Node(const std::string& flag, const char* variable) {
  if (!flag.empty()) return flag;
  const char* const value = getenv(variable);
  return value == nullptr ? "" : value;
}

absl::StatusOr<Rounds> Measure(const std::string& node1, const std::string& node2) {
  std::vector<std::string> programs;
  for (const char* relative :
       {"echo_spool_server", "echo_spool_client", "../tests/nodes/ring_probe"}) {
    const auto path = Sibling(relative);
    if (!path.ok()) return path.status();
    programs.push_back(*path);
  }
  const std::string count = absl::StrCat(absl::GetFlag(FLAGS_calls));
  const auto server =
      RunningServer::Start({programs[0], absl::StrCat("--address=", node1, "/spool")});
  if (!server.ok()) return server.status();
  Rounds rounds;
  for (int round = 0; round < absl::GetFlag(FLAGS_rounds); ++round) {
    // (On MooseFS a reader may see nothing for over a minute until it opens the file again.)
    auto ring = RunProgram({programs[2], "--count", count, "--reopen-us", "100000", node2, node1});
    if (!ring.ok()) return ring.status();
    auto calls = RunProgram({programs[1], absl::StrCat("--address=", node2, "/spool"),
                             absl::StrCat("--calls=", count), "--warmup=50"});
    if (!calls.ok()) return calls.status();
    rounds.ring_us.push_back((*ring)["p50_us"]);
    rounds.ring_p99_us.push_back((*ring)["p99_us"]);
    rounds.call_us.push_back((*calls)["p50_us"]);
    rounds.call_p99_us.push_back((*calls)["p99_us"]);
    absl::PrintF("round %d: ping-pong p50 %.0f us, p99 %.0f us; call p50 %.0f us, p99 %.0f us\n",
                 round + 1, rounds.ring_us.back(), rounds.ring_p99_us.back(), rounds.call_us.back(),
                 rounds.call_p99_us.back());
    fflush(stdout);
    if (absl::GetFlag(FLAGS_duration) > absl::ZeroDuration()) {
      // (As many records as take about that long.)
      const double seconds = absl::ToDoubleSeconds(absl::GetFlag(FLAGS_duration));
      const auto records =
          static_cast<int64_t>(seconds * 1e6 / std::max(rounds.ring_us.back(), 1.0) * 8);
      auto ring_rate = RunProgram({programs[2], "--count", absl::StrCat(records), "--in-flight",
                                   absl::StrCat(kInFlight), "--reopen-us", "100000", node2, node1});
      if (!ring_rate.ok()) return ring_rate.status();
      auto call_rate = RunProgram({programs[1], absl::StrCat("--address=", node2, "/spool"),
                                   "--mode=rate_async", absl::StrCat("--in_flight=", kInFlight),
                                   absl::StrCat("--duration=", seconds, "s")});
      if (!call_rate.ok()) return call_rate.status();
      rounds.ring_rate.push_back((*ring_rate)["rate"]);
      rounds.call_rate.push_back((*call_rate)["rate"]);
      absl::PrintF("  %d in flight: %.0f records, %.0f calls a second\n", kInFlight,
                   rounds.ring_rate.back(), rounds.call_rate.back());
      fflush(stdout);
    }
  }
  return rounds;
}

int Main() {
  const std::string node1 = Node(absl::GetFlag(FLAGS_node1), "NODE1");
  const std::string node2 = Node(absl::GetFlag(FLAGS_node2), "NODE2");
  if (node1.empty() || node2.empty() || absl::GetFlag(FLAGS_rounds) < 1) {
    fprintf(stderr,
            "network_echo: NODE1 and NODE2 must name two mounts of one file system: "
            "run it by tests/nodes/gluster.sh or tests/nodes/nfs.sh\n");
    return 64;
  }
  const auto rounds = Measure(node1, node2);
  if (!rounds.ok()) {
    fprintf(stderr, "network_echo: %s\n", rounds.status().ToString().c_str());
    return 1;
  }
  const double ring = Median(rounds->ring_us);
  const double call = Median(rounds->call_us);
  absl::PrintF(
      "{\"benchmark\": \"network_echo\", \"call_p50_us\": %.6g, \"call_p99_us\": %.6g, "
      "\"ring_p50_us\": %.6g, \"ring_p99_us\": %.6g, \"call_vs_ring\": %.4g}\n",
      call, Median(rounds->call_p99_us), ring, Median(rounds->ring_p99_us), call / ring);
  std::string words = absl::StrFormat("call_p50_us=%.6g ring_p50_us=%.6g", call, ring);
  if (!rounds->ring_rate.empty()) {
    absl::StrAppendFormat(&words, " call_rate64=%.6g ring_rate64=%.6g", Median(rounds->call_rate),
                          Median(rounds->ring_rate));
  }
  absl::PrintF("%s\n", words);
  const double limit = absl::GetFlag(FLAGS_max_vs_ring);
  return limit > 0 && call > limit * ring ? 3 : 0;
}

}  // namespace
}  // namespace spoolrpc::benchmarks

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("Measures unary calls between two mounts of one file system.");
  absl::ParseCommandLine(argc, argv);
  return spoolrpc::benchmarks::Main();
}
