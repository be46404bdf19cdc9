// Several threads of this node try to win the same names.

#include <atomic>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "cli/doctor/claims.h"
#include "cli/doctor/node_checks.h"
#include "spoolrpc/os/error.h"

namespace spoolrpc::cli::doctor {
namespace {

constexpr char kBase[] = "claims";
constexpr int kThreads = 4;

// All begin each round together.
class Rounds {
 public:
  Rounds(const Node& node, const Claim& claim, int rounds)
      : node_(node), claim_(claim), winners_(rounds), arrived_(rounds) {}

  Tally Run() {
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) threads.emplace_back([this, i] { Contend(i); });
    for (std::thread& thread : threads) thread.join();
    Tally tally;
    tally.rounds = winners_.size();
    for (const std::atomic<int>& winners : winners_) {
      if (winners == 0) ++tally.none;
      if (winners > 1) ++tally.several;
    }
    absl::MutexLock lock(&mu_);
    tally.error = error_;
    return tally;
  }

 private:
  void Contend(int i) {
    const std::string base = *node_.workspace / kBase;
    for (size_t round = 0; round < winners_.size(); ++round) {
      ++arrived_[round];
      while (arrived_[round] < kThreads) std::this_thread::yield();
      const absl::Status tried =
          TryClaim(node_.workspace->calls(), claim_, base, absl::StrCat(i), round);
      if (tried.ok()) ++winners_[round];
      if (!tried.ok() && !MeansLost(claim_, os::ErrnoOf(tried))) {
        absl::MutexLock lock(&mu_);
        error_ = tried;
      }
    }
  }

  const Node& node_;
  const Claim& claim_;
  std::vector<std::atomic<int>> winners_;
  std::vector<std::atomic<int>> arrived_;
  absl::Mutex mu_;
  absl::Status error_ ABSL_GUARDED_BY(mu_);
};

}  // namespace

void CheckClaims(const Node& node) {
  const int rounds = node.examination->limits().races;
  absl::Status prepared;
  node.examination->Step("claims", [&]() -> absl::Status {
    const std::string base = *node.workspace / kBase;
    prepared = PrepareClaims(node.workspace->calls(), base, rounds);
    for (int i = 0; i < kThreads && prepared.ok(); ++i) {
      prepared = PrepareContender(node.workspace->calls(), base, absl::StrCat(i), rounds);
    }
    return absl::OkStatus();
  });
  for (const Claim& claim : kClaims) {
    node.examination->Run(claim.name, [&](Finding* finding) -> absl::Status {
      if (!prepared.ok()) return prepared;
      TellClaim(claim, Rounds(node, claim, rounds).Run(), finding);
      return absl::OkStatus();
    });
  }
}

}  // namespace spoolrpc::cli::doctor
