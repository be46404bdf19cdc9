// A server that accepts a session and the client that withdraws it, raced against each other:
// exactly one wins, both know who, and nothing is left behind.
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <iostream>
#include <random>
#include <thread>

#include "gtest/gtest.h"
#include "spoolrpc/spool/server_directory.h"
#include "spoolrpc/spool/session_directory.h"
#include "tests/testing/scratch_directory.h"
#include "tests/testing/seed.h"
#include "tests/testing/status_matchers.h"

namespace spoolrpc::spool {
namespace {

constexpr uint64_t kCapacity = 65536;
constexpr uint64_t kTerm = 10000000000;

// Lets two threads begin each round at about the same time, one of them a little later.
class Barrier {
 public:
  void Meet(int* round) {
    ++*round;
    if (arrived_.fetch_add(1) % 2 == 1) round_.store(*round);
    // A busy machine runs the other one only when this one lets it.
    for (int turns = 0; round_.load() != *round; ++turns) {
      if (turns > 1000) sched_yield();
    }
  }

 private:
  std::atomic<int> arrived_{0};
  std::atomic<int> round_{0};
};

void Spin(uint64_t turns) {
  for (volatile uint64_t i = 0; i < turns; i = i + 1) {
  }
}

int CountFiles(const std::string& path) {
  int files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(path)) {
    files += !entry.path().empty();
  }
  return files;
}

void Race(const std::string& parent, int rounds, Transport transport) {
  std::mt19937_64 random(testing::TestSeed());
  testing::ScratchDirectory scratch(parent);
  const os::Environment env;
  ASSERT_OK_AND_ASSIGN(const auto spool, Spool::OpenOrCreate(env, scratch / "spool", transport));
  ServerRecord record;
  record.set_lease_term_ns(kTerm);
  ASSERT_OK_AND_ASSIGN(const auto server, ServerDirectory::Publish(spool, record));
  ASSERT_OK_AND_ASSIGN(const auto servers, ServerList(spool).Refresh());
  ASSERT_EQ(servers.size(), 1u);
  const int files = CountFiles(spool->root());

  Barrier barrier;
  std::unique_ptr<SessionDirectory> session;
  std::string id;
  absl::StatusOr<VerdictRecord> withdrawn = absl::UnknownError("");
  std::atomic<uint64_t> server_spins{0}, client_spins{0};
  std::thread client([&] {
    int round = 0;
    for (int i = 0; i < rounds; ++i) {
      barrier.Meet(&round);
      Spin(client_spins.load());
      withdrawn = session->Withdraw();
      barrier.Meet(&round);
    }
  });
  int round = 0, accepted_count = 0;
  log::AlignedBuffer buffer(2 * 65536);
  // How much later the client should begin, so that both win now and then; found on the way, in
  // steps that grow while one side wins again and again.
  int64_t skew = 0;
  int64_t step = 512;
  bool last_accepted = false;
  for (int i = 0; i < rounds; ++i) {
    auto made = SessionDirectory::Create(spool, servers[0], kCapacity, kTerm);
    EXPECT_OK(made);
    session = *std::move(made);
    id = session->id();
    EXPECT_OK(session->Publish());
    const int64_t jitter = static_cast<int64_t>(random() % 4096) - 2048;
    client_spins = std::max<int64_t>(0, skew + jitter);
    server_spins = std::max<int64_t>(0, -skew - jitter);
    barrier.Meet(&round);
    Spin(server_spins);
    const auto admit = [](uint32_t uid, uint32_t gid) { return absl::OkStatus(); };
    auto accepted =
        server->Accept(id, admit, ServerDirectory::kNoSlot, kCapacity, 1 << 20, &buffer);
    barrier.Meet(&round);
    step = accepted.ok() == last_accepted ? std::min<int64_t>(step * 2, 1 << 20)
                                          : std::max<int64_t>(step / 4, 512);
    last_accepted = accepted.ok();
    if (accepted.ok()) {
      ++accepted_count;
      skew -= step;
      EXPECT_OK(withdrawn);
      if (withdrawn.ok()) {
        EXPECT_EQ(withdrawn->verdict(), VerdictRecord::ACCEPTED) << "both believe to have won";
      }
      EXPECT_TRUE(os::StatPath(env.calls, session->paths().responses).ok());
    } else {
      skew += step;
      EXPECT_THAT(accepted, testing::HasCode(absl::StatusCode::kCancelled));
      EXPECT_OK(withdrawn);
      if (withdrawn.ok()) {
        EXPECT_EQ(withdrawn->verdict(), VerdictRecord::WITHDRAWN) << "nobody won";
      }
      EXPECT_FALSE(os::StatPath(env.calls, session->paths().server_half).ok())
          << "the server's half is left";
    }
    accepted = absl::CancelledError("");
    session->Remove();
    server->Forget(id);
    if (::testing::Test::HasFailure()) {
      // Ends the other thread's rounds too.
      std::cout << "failed in round " << i << std::endl;
    }
  }
  client.join();
  EXPECT_EQ(CountFiles(spool->root()), files) << "something is left behind";
  std::cout << rounds << " races, " << accepted_count << " accepted, " << rounds - accepted_count
            << " withdrawn" << std::endl;
  // Else it was no race.
  EXPECT_GT(accepted_count, rounds / 10);
  EXPECT_LT(accepted_count, rounds - rounds / 10);
}

TEST(WithdrawRaceTest, OnDisk) { Race("", 4000, Transport::kLocal); }
TEST(WithdrawRaceTest, OnDiskByNetworkRules) { Race("", 1000, Transport::kNetwork); }
TEST(WithdrawRaceTest, InMemory) { Race("/dev/shm", 5000, Transport::kLocal); }

}  // namespace
}  // namespace spoolrpc::spool
