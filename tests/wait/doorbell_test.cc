// Doorbells: within a process, between two, and what is refused as one.
#include "spoolrpc/wait/doorbell.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>
#include <thread>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "tests/testing/faulty_system_calls.h"
#include "tests/testing/scratch_directory.h"
#include "tests/testing/status_matchers.h"

namespace spoolrpc::wait {
namespace {

using testing::Call;
using testing::HasCode;
using ::testing::HasSubstr;
using testing::StatusIs;

constexpr os::Nanos kSecond = 1'000'000'000;

std::set<uint32_t> Rung(Doorbell* bell) {
  std::set<uint32_t> slots;
  bell->TakeRung([&](uint32_t slot) { slots.insert(slot); });
  return slots;
}

class DoorbellTest : public ::testing::Test {
 protected:
  std::string path() const { return scratch_ / "doorbell"; }
  absl::StatusOr<std::unique_ptr<Doorbell>> Create(uint32_t slots) {
    return Doorbell::Create(os::SystemCalls::Real(), path(), slots, 0600);
  }
  absl::StatusOr<std::unique_ptr<Doorbell>> Attach() {
    return Doorbell::Attach(os::SystemCalls::Real(), path(), geteuid());
  }

  const testing::ScratchDirectory scratch_;
};

TEST_F(DoorbellTest, RingTellsTheSlotAndThePosition) {
  for (const auto& bell : {Doorbell::InMemory(200)}) {
    EXPECT_TRUE(Rung(bell.get()).empty());
    bell->Ring(0, 100);
    bell->Ring(64, 200);
    bell->Ring(199, 300);
    EXPECT_EQ(Rung(bell.get()), (std::set<uint32_t>{0, 64, 199}));
    EXPECT_TRUE(Rung(bell.get()).empty());
    EXPECT_EQ(bell->published(64), 200);
    EXPECT_EQ(bell->published(65), 0);
    bell->ClearSlot(64);
    EXPECT_EQ(bell->published(64), 0);
  }
}

TEST_F(DoorbellTest, SlotsBeyondTheLastAreIgnored) {
  const auto bell = Doorbell::InMemory(3);
  bell->Ring(3, 1);
  bell->Ring(UINT32_MAX, 1);
  bell->Echo(3);
  bell->ClearSlot(UINT32_MAX);
  EXPECT_TRUE(Rung(bell.get()).empty());
  EXPECT_EQ(bell->published(3), 0);
  EXPECT_FALSE(bell->echoed(3));
}

TEST_F(DoorbellTest, EchoProvesTheSharedMemory) {
  ASSERT_OK_AND_ASSIGN(const auto owner, Create(4));
  ASSERT_OK_AND_ASSIGN(const auto peer, Attach());
  EXPECT_EQ(peer->slots(), 4);
  EXPECT_EQ(peer->nonce(), owner->nonce());
  EXPECT_NE(owner->nonce(), 0);
  EXPECT_EQ(peer->inode(), owner->inode());
  EXPECT_FALSE(owner->echoed(2));
  peer->Echo(2);
  EXPECT_TRUE(owner->echoed(2));
  EXPECT_FALSE(owner->echoed(1));
  peer->Ring(2, 77);
  EXPECT_EQ(owner->published(2), 77);
  EXPECT_EQ(Rung(owner.get()), std::set<uint32_t>{2});
}

TEST_F(DoorbellTest, SleepEndsAtOnceIfSomethingCameBefore) {
  const auto bell = Doorbell::InMemory(1);
  const uint32_t seen = bell->counter();
  bell->Wake();
  const absl::Time began = absl::Now();
  bell->Sleep(seen, 600 * kSecond);
  EXPECT_LT(absl::Now() - began, absl::Seconds(60));
}

TEST_F(DoorbellTest, SleepEndsAtItsTimeout) {
  const auto bell = Doorbell::InMemory(1);
  bell->Sleep(bell->counter(), 1);
  bell->Sleep(bell->counter(), 0);
  bell->Sleep(bell->counter(), -5);
}

TEST_F(DoorbellTest, EveryWayOfRingingWakes) {
  const auto bell = Doorbell::InMemory(8);
  for (int way = 0; way < 4; ++way) {
    for (int i = 0; i < 50; ++i) {
      const uint32_t seen = bell->counter();
      std::thread ringer([&] {
        switch (way) {
          case 0:
            return bell->Wake();
          case 1:
            return bell->Ring(3, 5);
          case 2:
            return bell->RingInbox();
          default:
            return bell->Echo(3);
        }
      });
      while (bell->counter() == seen) bell->Sleep(seen, 60 * kSecond);
      ringer.join();
    }
  }
  EXPECT_EQ(bell->inbox(), 50);
}

TEST_F(DoorbellTest, PingPongBetweenTwoProcesses) {
  ASSERT_OK_AND_ASSIGN(const auto here, Create(1));
  const std::string other_path = scratch_ / "other";
  ASSERT_OK_AND_ASSIGN(const auto there,
                       Doorbell::Create(os::SystemCalls::Real(), other_path, 1, 0600));
  constexpr uint64_t kRounds = 2000;
  const auto run = [](Doorbell* own, Doorbell* peer, bool first) {
    for (uint64_t round = 1; round <= kRounds; ++round) {
      if (first) peer->Ring(0, round);
      for (;;) {
        const uint32_t seen = own->counter();
        if (own->published(0) >= round) break;
        own->Sleep(seen, 60 * kSecond);
      }
      if (!first) peer->Ring(0, round);
    }
  };
  const pid_t child = fork();
  if (child == 0) {
    // A mapping of its own, as another program would have.
    auto peer = Doorbell::Attach(os::SystemCalls::Real(), path(), geteuid());
    auto own = Doorbell::Attach(os::SystemCalls::Real(), other_path, geteuid());
    if (!peer.ok() || !own.ok()) _exit(1);
    run(own->get(), peer->get(), false);
    _exit(0);
  }
  run(here.get(), there.get(), true);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(here->published(0), kRounds);
}

TEST_F(DoorbellTest, OfAFileThatShrinksNothingIsTrustedAnyMore) {
#if defined(__SANITIZE_THREAD__)
#define SPOOLRPC_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SPOOLRPC_THREAD_SANITIZER 1
#endif
#endif
#ifdef SPOOLRPC_THREAD_SANITIZER
  GTEST_SKIP() << "ThreadSanitizer holds back the signal of an atomic access";
#endif
  for (const off_t size : {0, 100, 4096}) {
    unlink(path().c_str());
    ASSERT_OK_AND_ASSIGN(const auto own, Create(200));
    ASSERT_OK_AND_ASSIGN(const auto peers, Attach());
    peers->Echo(150);
    peers->Ring(150, 1000);
    ASSERT_TRUE(own->echoed(150));
    ASSERT_EQ(truncate(path().c_str(), size), 0);
    // Each use, by either side, as it comes.
    peers->Ring(150, 2000);
    EXPECT_TRUE(peers->lost());
    EXPECT_FALSE(own->echoed(150));
    EXPECT_TRUE(own->lost());
    EXPECT_EQ(own->published(150), 0);
    EXPECT_TRUE(Rung(own.get()).empty());
    own->Sleep(own->counter(), 1);
    own->ClearSlot(150);
    peers->Echo(150);
    peers->RingInbox();
    peers->Wake();
    EXPECT_EQ(own->inbox(), 0);
    EXPECT_FALSE(own->echoed(150));
    // The owner's other threads still wake him.
    const uint32_t seen = own->counter();
    std::thread other([&] { own->Wake(); });
    while (own->counter() == seen) own->Sleep(seen, kSecond);
    other.join();
  }
}

TEST_F(DoorbellTest, CreateNeverReplaces) {
  ASSERT_OK(Create(1));
  EXPECT_THAT(Create(1), HasCode(absl::StatusCode::kAlreadyExists));
}

TEST_F(DoorbellTest, WhatIsNoDoorbellOfOnesOwnIsRefused) {
  EXPECT_THAT(Attach(), HasCode(absl::StatusCode::kNotFound));
  ASSERT_OK(Create(4));
  EXPECT_THAT(Doorbell::Attach(os::SystemCalls::Real(), path(), geteuid() + 1),
              HasCode(absl::StatusCode::kFailedPrecondition));
  // A second link.
  ASSERT_EQ(link(path().c_str(), (scratch_ / "second").c_str()), 0);
  EXPECT_THAT(Attach(), StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr(path())));
  ASSERT_EQ(unlink((scratch_ / "second").c_str()), 0);
  ASSERT_OK(Attach());
  // A symbolic link to it.
  ASSERT_EQ(symlink(path().c_str(), (scratch_ / "link").c_str()), 0);
  EXPECT_FALSE(Doorbell::Attach(os::SystemCalls::Real(), scratch_ / "link", geteuid()).ok());
  // Shorter than its head says: a look at the rest would kill this process.
  ASSERT_EQ(truncate(path().c_str(), 1100), 0);
  EXPECT_THAT(Attach(), HasCode(absl::StatusCode::kFailedPrecondition));
  ASSERT_EQ(truncate(path().c_str(), 10), 0);
  EXPECT_THAT(Attach(), HasCode(absl::StatusCode::kFailedPrecondition));
  // Other bytes; more slots than there may be.
  ASSERT_EQ(unlink(path().c_str()), 0);
  ASSERT_OK(Create(4));
  const int fd = open(path().c_str(), O_RDWR | O_CLOEXEC);
  const uint32_t many = 0x10000000;
  ASSERT_EQ(pwrite(fd, &many, 4, 12), 4);
  EXPECT_THAT(Attach(), HasCode(absl::StatusCode::kFailedPrecondition));
  ASSERT_EQ(pwrite(fd, "SPOOLXXX", 8, 0), 8);
  close(fd);
  EXPECT_THAT(Attach(), HasCode(absl::StatusCode::kFailedPrecondition));
  // No file at all.
  ASSERT_EQ(unlink(path().c_str()), 0);
  ASSERT_EQ(mkfifo(path().c_str(), 0600), 0);
  EXPECT_FALSE(Attach().ok());
  ASSERT_EQ(unlink(path().c_str()), 0);
  ASSERT_EQ(mkdir(path().c_str(), 0700), 0);
  EXPECT_FALSE(Attach().ok());
}

TEST_F(DoorbellTest, EachFailingCallIsReported) {
  for (const Call call : {Call::kOpen, Call::kFallocate, Call::kPwrite, Call::kFstat, Call::kMap}) {
    testing::FaultySystemCalls faults;
    unlink(path().c_str());
    const auto fault = faults.Fail({call, "", 0, 1}, ENODEV);
    EXPECT_FALSE(Doorbell::Create(&faults, path(), 1, 0600).ok());
    EXPECT_EQ(faults.Met(fault), 1) << static_cast<int>(call);
  }
  unlink(path().c_str());
  ASSERT_OK(Create(1));
  for (const Call call : {Call::kOpen, Call::kFstat, Call::kPread, Call::kMap}) {
    testing::FaultySystemCalls faults;
    const auto fault = faults.Fail({call, "", 0, 1}, EIO);
    EXPECT_FALSE(Doorbell::Attach(&faults, path(), geteuid()).ok());
    EXPECT_EQ(faults.Met(fault), 1) << static_cast<int>(call);
  }
}

}  // namespace
}  // namespace spoolrpc::wait
