// How a link learns that its peer is gone, and that a stall is not a death: on a clock that the
// test moves.
#include <fcntl.h>
#include <unistd.h>

#include "tests/link/link_pair.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/faulty_system_calls.h"
#include "tests/testing/memory_file_system.h"
#include "tests/testing/scratch_directory.h"

namespace spoolrpc::link {
namespace {

using log::FrameType;
using testing::Call;
using ::testing::HasSubstr;

constexpr absl::Duration kTerm = absl::Seconds(10);
constexpr absl::Duration kStep = absl::Milliseconds(500);

class LinkLeaseTest : public ::testing::Test {
 protected:
  LinkLeaseTest() {
    PairOptions options;
    options.directory = scratch_.path();
    options.client.clock = &clock_;
    options.client.calls = &faults_;
    options.server.clock = &clock_;
    options.term = absl::ToInt64Nanoseconds(kTerm);
    pair_ = MakePair(options);
    client().link->WatchPeer(0);
  }
  End& client() { return pair_->client; }
  End& server() { return pair_->server; }
  const std::string& responses() { return pair_->responses; }

  // Overwrites bytes of the server's log behind its back.
  void Damage(uint64_t offset) {
    const int fd = open(responses().c_str(), O_WRONLY | O_CLOEXEC);
    ASSERT_GE(fd, 0);
    EXPECT_EQ(pwrite(fd, "damage", 6, static_cast<off_t>(offset)), 6);
    close(fd);
  }
  // Time passes, and the client looks every now and then. Returns how the session ended, if it did.
  PollResult::End Watch(absl::Duration time) {
    for (absl::Duration passed; passed < time; passed += kStep) {
      clock_.Advance(kStep);
      if (const auto end = client().Poll().end; end != PollResult::End::kNone) return end;
    }
    return PollResult::End::kNone;
  }
  // The same, and the server renews its lease as it should.
  PollResult::End WatchAlive(absl::Duration time) {
    for (absl::Duration passed; passed < time; passed += kTerm / 4) {
      EXPECT_OK(server().link->Renew(log::WriterState::kOpen));
      if (const auto end = Watch(kTerm / 4); end != PollResult::End::kNone) return end;
    }
    return PollResult::End::kNone;
  }

  testing::FakeClock clock_;
  testing::FaultySystemCalls faults_;

 private:
  const testing::ScratchDirectory scratch_;
  std::unique_ptr<LinkPair> pair_;
};

TEST_F(LinkLeaseTest, SilentPeerExpiresAfterItsTermAndNotBefore) {
  EXPECT_EQ(WatchAlive(5 * kTerm), PollResult::End::kNone);
  EXPECT_EQ(Watch(kTerm * 0.6), PollResult::End::kNone);
  EXPECT_EQ(Watch(kTerm * 0.7), PollResult::End::kLeaseExpired);
}

TEST_F(LinkLeaseTest, FramesAreSignsOfLifeToo) {
  for (int call = 1; call <= 20; ++call) {
    server().Send(FrameType::kReply, call, "x");
    ASSERT_OK(server().link->Flush());
    ASSERT_EQ(Watch(kTerm * 0.8), PollResult::End::kNone);
  }
  EXPECT_EQ(client().frames.size(), 20);
}

TEST_F(LinkLeaseTest, NobodyExpiresWhileNobodyWatches) {
  client().link->UnwatchPeer();
  EXPECT_EQ(Watch(10 * kTerm), PollResult::End::kNone);
  // What passed before does not count.
  client().link->WatchPeer(0);
  EXPECT_EQ(Watch(kTerm * 0.8), PollResult::End::kNone);
  EXPECT_EQ(Watch(kTerm * 0.5), PollResult::End::kLeaseExpired);
}

// Nobody has polled between the end of one call and the beginning of the next: the write of the
// next one's CALL lasts, as on a file system that is stalled for writers, and readings are prompt.
TEST_F(LinkLeaseTest, ANewWatchCountsFromWhenItsOwnCallWasFlushed) {
  EXPECT_EQ(WatchAlive(kTerm), PollResult::End::kNone);
  client().link->UnwatchPeer();
  const uint64_t position = client().Send(FrameType::kCall, 1, "x");
  client().link->WatchPeer(position + 1);
  EXPECT_EQ(Watch(3 * kTerm), PollResult::End::kNone);
  EXPECT_EQ(client().link->watched(), client().link->watches());
  ASSERT_OK(client().link->Flush());
  EXPECT_EQ(Watch(kTerm * 0.8), PollResult::End::kNone);
  EXPECT_EQ(Watch(kTerm * 0.5), PollResult::End::kLeaseExpired);
  // A call that begins just now is none of those that it says something about.
  client().link->WatchPeer(position + 1);
  EXPECT_NE(client().link->watched(), client().link->watches());
}

TEST_F(LinkLeaseTest, BothSidesStalledForThirtyFiveSecondsIsNoDeath) {
  EXPECT_EQ(WatchAlive(kTerm), PollResult::End::kNone);
  // The file system froze: a reading began, and came back 35 s later. Nobody could renew meanwhile.
  faults_.Run({Call::kPread, "/responses", 0, 1}, [&] { clock_.Advance(absl::Seconds(35)); });
  EXPECT_EQ(Watch(kTerm / 4), PollResult::End::kNone);
  // It goes on as if nothing had been.
  EXPECT_EQ(WatchAlive(2 * kTerm), PollResult::End::kNone);
  // And a death after that is a death.
  EXPECT_EQ(Watch(kTerm * 1.3), PollResult::End::kLeaseExpired);
}

TEST_F(LinkLeaseTest, ObserverThatWasStoppedForThirtyFiveSecondsCountsAnew) {
  EXPECT_EQ(WatchAlive(kTerm), PollResult::End::kNone);
  clock_.Advance(absl::Seconds(35));
  EXPECT_EQ(client().Poll().end, PollResult::End::kNone);
  EXPECT_EQ(Watch(kTerm * 0.8), PollResult::End::kNone);
  EXPECT_EQ(Watch(kTerm * 0.4), PollResult::End::kLeaseExpired);
}

TEST_F(LinkLeaseTest, StallsAgainAndAgainAreNoDeath) {
  for (int i = 0; i < 10; ++i) {
    ASSERT_OK(server().link->Renew(log::WriterState::kOpen));
    faults_.Run({Call::kPread, "/responses", 0, 1}, [&] { clock_.Advance(kTerm * 0.9); });
    ASSERT_EQ(Watch(kTerm / 4), PollResult::End::kNone) << i;
  }
}

TEST_F(LinkLeaseTest, ReadingsThatFailSayNothing) {
  EXPECT_EQ(WatchAlive(kTerm), PollResult::End::kNone);
  faults_.Fail({Call::kPread, "/responses"}, EIO);
  for (absl::Duration passed; passed < 3 * kTerm; passed += kStep) {
    clock_.Advance(kStep);
    EXPECT_NE(client().Poll().end, PollResult::End::kLeaseExpired);
  }
}

TEST_F(LinkLeaseTest, TornHeadIsNoNews) {
  EXPECT_EQ(WatchAlive(kTerm), PollResult::End::kNone);
  // Every other reading of the head is cut short; what is read between says that all is well.
  for (int i = 0; i < 8; ++i) {
    ASSERT_OK(server().link->Renew(log::WriterState::kOpen));
    faults_.Shorten({Call::kPread, "/responses", 0, 1}, 40);
    ASSERT_EQ(Watch(kTerm / 4), PollResult::End::kNone);
  }
}

TEST_F(LinkLeaseTest, OverAHeadThatStaysDamagedTheLeaseRunsOut) {
  EXPECT_EQ(WatchAlive(kTerm), PollResult::End::kNone);
  Damage(0);
  EXPECT_EQ(Watch(kTerm * 0.8), PollResult::End::kNone);
  EXPECT_EQ(Watch(kTerm * 0.5), PollResult::End::kFailed);
}

TEST_F(LinkLeaseTest, ADamagedHeadThatIsWrittenAnewIsNoDeath) {
  for (int i = 0; i < 8; ++i) {
    EXPECT_EQ(WatchAlive(kTerm / 4), PollResult::End::kNone);
    Damage(0);
    EXPECT_EQ(Watch(kTerm * 0.7), PollResult::End::kNone);
  }
}

TEST_F(LinkLeaseTest, OverDamageInALogThatIsGoneTheLeaseRunsOut) {
  EXPECT_EQ(WatchAlive(kTerm), PollResult::End::kNone);
  server().Send(FrameType::kReply, 1, "x");
  ASSERT_OK(server().link->Flush());
  Damage(log::kHeadSize);
  ASSERT_OK(server().link->Renew(log::WriterState::kOpen));
  ASSERT_EQ(unlink(responses().c_str()), 0);
  EXPECT_EQ(Watch(kTerm * 0.8), PollResult::End::kNone);
  EXPECT_EQ(Watch(kTerm * 0.5), PollResult::End::kFailed);
}

TEST_F(LinkLeaseTest, LastFramesAreTakenBeforeTheEnd) {
  EXPECT_EQ(WatchAlive(kTerm), PollResult::End::kNone);
  server().Send(FrameType::kReply, 1, "last words");
  ASSERT_OK(server().link->Renew(log::WriterState::kClosed));
  PollResult::End end = PollResult::End::kNone;
  for (int i = 0; i < 3 && end == PollResult::End::kNone; ++i) end = client().PollHead().end;
  EXPECT_EQ(end, PollResult::End::kPeerClosed);
  EXPECT_EQ(MessageOf(client().frames, 1), "last words");
}

TEST_F(LinkLeaseTest, ClosedIsFinal) {
  ASSERT_OK(server().link->Renew(log::WriterState::kClosed));
  ASSERT_OK(server().link->Renew(log::WriterState::kOpen));
  EXPECT_EQ(client().PollHead().end, PollResult::End::kPeerClosed);
}

TEST(LinkOverNetworkFileSystemTest, FlushedWritesAreSeenByHeldDirectReaders) {
  testing::FakeClock clock;
  testing::MemoryFileSystem system(&clock);
  testing::MemoryClientOptions of_network;
  of_network.network = true;
  of_network.uid = geteuid();
  const auto here = system.NewClient(of_network);
  const auto there = system.NewClient(of_network);
  ASSERT_EQ(here->Mkdir("/session", 0700), 0);
  PairOptions options;
  options.directory = "/session";
  options.client.calls = here.get();
  options.server.calls = there.get();
  options.client.clock = options.server.clock = &clock;
  options.access.direct_reads = true;
  options.access.flushed_writes = true;
  std::vector<std::string> names;
  const auto pair = MakePair(options);
  for (int call = 1; call <= 200; ++call) {
    pair->client.Send(FrameType::kCall, call, std::string(call * 37, 'c'));
    ASSERT_OK(pair->client.link->Flush());
    ASSERT_EQ(pair->server.Poll().end, PollResult::End::kNone);
    ASSERT_EQ(MessageOf(pair->server.frames, call).size(), call * 37);
    pair->server.frames.clear();
    pair->server.Send(FrameType::kReply, call, std::string(call * 41, 's'));
    ASSERT_OK(pair->server.link->Renew(log::WriterState::kOpen));
    ASSERT_EQ(pair->client.PollHead().end, PollResult::End::kNone);
    ASSERT_EQ(MessageOf(pair->client.frames, call).size(), call * 41);
    pair->client.frames.clear();
  }
  // More than a lap each.
  EXPECT_GT(pair->client.link->consumed(), log::kMinCapacity);
  EXPECT_GT(pair->server.link->consumed(), log::kMinCapacity);
}

}  // namespace
}  // namespace spoolrpc::link
