// Acceptance against withdrawal: exactly one wins, and both learn who.
#include "spoolrpc/spool/verdict.h"

#include <unistd.h>

#include <thread>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "spoolrpc/os/file.h"
#include "spoolrpc/spool/record_file.h"
#include "tests/testing/faulty_system_calls.h"
#include "tests/testing/scratch_directory.h"
#include "tests/testing/status_matchers.h"

namespace spoolrpc::spool {
namespace {

using testing::Call;
using testing::HasCode;

class VerdictTest : public ::testing::TestWithParam<Transport> {
 protected:
  VerdictTest() {
    os::Environment env;
    env.calls = &faults_;
    spool_ = *Spool::OpenOrCreate(env, scratch_ / "spool", GetParam());
    for (const char* name : {"server", "client", "verdicts"}) {
      EXPECT_OK(os::MakeDirectory(env.calls, scratch_ / name, 0700));
    }
  }
  std::string PathOf(int round) const { return scratch_ / absl::StrCat("verdicts/", round); }
  static VerdictRecord Record(VerdictRecord::Verdict verdict) {
    VerdictRecord record;
    record.set_session_id(std::string(16, 's'));
    record.set_verdict(verdict);
    return record;
  }
  absl::StatusOr<VerdictRecord> Decide(int round, VerdictRecord::Verdict verdict, bool* won) {
    return DecideVerdict(*spool_, PathOf(round),
                         scratch_ / (verdict == VerdictRecord::ACCEPTED ? "server" : "client"),
                         Record(verdict), parties_, won);
  }
  size_t FilesIn(const char* directory) const {
    return os::ListDirectory(os::SystemCalls::Real(), scratch_ / directory)->size();
  }

  const VerdictParties parties_{geteuid(), geteuid()};
  const testing::ScratchDirectory scratch_;
  testing::FaultySystemCalls faults_;
  std::shared_ptr<const Spool> spool_;
};
INSTANTIATE_TEST_SUITE_P(Transports, VerdictTest,
                         ::testing::Values(Transport::kLocal, Transport::kNetwork),
                         [](const auto& info) {
                           return info.param == Transport::kLocal ? "Local" : "Network";
                         });

TEST_P(VerdictTest, TheFirstDecides) {
  bool won = false;
  ASSERT_OK_AND_ASSIGN(const auto first, Decide(1, VerdictRecord::WITHDRAWN, &won));
  EXPECT_TRUE(won);
  EXPECT_EQ(first.verdict(), VerdictRecord::WITHDRAWN);
  ASSERT_OK_AND_ASSIGN(const auto second, Decide(1, VerdictRecord::ACCEPTED, &won));
  EXPECT_FALSE(won);
  EXPECT_EQ(second.verdict(), VerdictRecord::WITHDRAWN);
  ASSERT_OK_AND_ASSIGN(const auto there,
                       LookForVerdict(*spool_, PathOf(1), std::string(16, 's'), parties_));
  EXPECT_EQ(there.verdict(), VerdictRecord::WITHDRAWN);
  EXPECT_EQ(FilesIn("server") + FilesIn("client"), 0);
}

TEST_P(VerdictTest, NoneYetIsNotFound) {
  EXPECT_THAT(LookForVerdict(*spool_, PathOf(1), std::string(16, 's'), parties_),
              HasCode(absl::StatusCode::kNotFound));
}

TEST_P(VerdictTest, VerdictOnAnotherSessionIsNoVerdict) {
  bool won = false;
  ASSERT_OK(Decide(1, VerdictRecord::ACCEPTED, &won));
  EXPECT_THAT(LookForVerdict(*spool_, PathOf(1), std::string(16, 't'), parties_),
              HasCode(absl::StatusCode::kDataLoss));
}

TEST_P(VerdictTest, RacedThousandsOfTimes) {
  // (By the network's rules it only takes longer.)
  const int kRounds = GetParam() == Transport::kLocal ? 10'000 : 2'000;
  constexpr int kThreads = 2;
  std::atomic<int> at[kThreads] = {};
  VerdictRecord::Verdict saw[kThreads];
  bool won[kThreads];
  std::atomic<int> failures{0};
  int accepted = 0;
  std::atomic<int> round{-1};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      for (int r = 0; r < kRounds; ++r) {
        while (round.load() < r) std::this_thread::yield();
        // Who begins first differs from round to round.
        for (int spin = (r * (i + 1) * 7) % 64; spin > 0; --spin)
          std::atomic_thread_fence(std::memory_order_seq_cst);
        const auto verdict =
            Decide(r, i == 0 ? VerdictRecord::ACCEPTED : VerdictRecord::WITHDRAWN, &won[i]);
        if (verdict.ok()) {
          saw[i] = verdict->verdict();
        } else {
          ++failures;
        }
        at[i] = r + 1;
      }
    });
  }
  for (int r = 0; r < kRounds; ++r) {
    round = r;
    while (at[0] <= r || at[1] <= r) std::this_thread::yield();
    ASSERT_EQ(failures, 0);
    ASSERT_NE(won[0], won[1]) << r;
    ASSERT_EQ(saw[0], saw[1]) << r;
    ASSERT_EQ(saw[0], won[0] ? VerdictRecord::ACCEPTED : VerdictRecord::WITHDRAWN);
    accepted += won[0];
    ASSERT_OK(os::RemoveFile(os::SystemCalls::Real(), PathOf(r)));
  }
  for (std::thread& thread : threads) thread.join();
  RecordProperty("accepted", accepted);
}

TEST_P(VerdictTest, LinkThatReportsFailureForItsOwnSuccessHasWon) {
  // As a retried request on NFS does.
  bool won = false;
  std::string from;
  faults_.Fail({Call::kLink, "verdicts", 0, 1}, EEXIST);
  faults_.Run({Call::kLink, "verdicts", 0, 1}, [&] {
    const auto names = os::ListDirectory(os::SystemCalls::Real(), scratch_ / "server");
    ASSERT_EQ(names->size(), 1);
    ASSERT_OK(os::Link(os::SystemCalls::Real(), scratch_ / absl::StrCat("server/", (*names)[0]),
                       PathOf(1)));
  });
  ASSERT_OK_AND_ASSIGN(const auto verdict, Decide(1, VerdictRecord::ACCEPTED, &won));
  EXPECT_TRUE(won);
  EXPECT_EQ(verdict.verdict(), VerdictRecord::ACCEPTED);
}

TEST_P(VerdictTest, FailingCallsDecideNothing) {
  int round = 1;
  for (const Call call : {Call::kOpen, Call::kPwrite, Call::kLink}) {
    const auto fault =
        faults_.Fail({call, scratch_ / "server", 0, 1}, call == Call::kLink ? EIO : ENOSPC);
    bool won = true;
    EXPECT_FALSE(Decide(++round, VerdictRecord::ACCEPTED, &won).ok());
    EXPECT_EQ(faults_.Met(fault), 1) << static_cast<int>(call);
    EXPECT_FALSE(won);
    EXPECT_EQ(FilesIn("server"), 0);
    ASSERT_OK(Decide(round, VerdictRecord::WITHDRAWN, &won));
    EXPECT_TRUE(won);
  }
}

}  // namespace
}  // namespace spoolrpc::spool
