// Rings that run full: what does not fit waits in memory, control frames still pass, and it goes on
// when the reader does.
#include <random>

#include "tests/link/link_pair.h"
#include "tests/testing/scratch_directory.h"
#include "tests/testing/seed.h"

namespace spoolrpc::link {
namespace {

using log::FrameType;

class FlowControlTest : public ::testing::TestWithParam<bool> {
 protected:
  FlowControlTest() {
    PairOptions options;
    options.directory = scratch_.path();
    options.bells = GetParam();
    pair_ = MakePair(options);
  }
  End& client() { return pair_->client; }
  End& server() { return pair_->server; }

 private:
  const testing::ScratchDirectory scratch_;
  std::unique_ptr<LinkPair> pair_;
};
INSTANTIATE_TEST_SUITE_P(Bells, FlowControlTest, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "Rung" : "Polled"; });

TEST_P(FlowControlTest, MessagesTravelBothWays) {
  client().Send(FrameType::kCall, 1, "question");
  ASSERT_OK(client().link->Flush());
  EXPECT_EQ(server().Poll(false).frames, 1);
  EXPECT_EQ(MessageOf(server().frames, 1), "question");
  server().Send(FrameType::kReply, 1, "answer");
  ASSERT_OK(server().link->Flush());
  EXPECT_EQ(client().Poll(false).frames, 1);
  EXPECT_EQ(MessageOf(client().frames, 1), "answer");
  EXPECT_EQ(client().Poll(false).frames, 0);
}

TEST_P(FlowControlTest, NothingGoesOutBeforeTheFlush) {
  client().Send(FrameType::kCall, 1, "question");
  EXPECT_EQ(server().Poll().frames, 0);
  ASSERT_OK(client().link->Flush());
  EXPECT_EQ(server().Poll().frames, 1);
}

TEST_P(FlowControlTest, ReaderThatStopsLeavesTheRestInMemory) {
  const std::string bytes(10'000, 'x');
  constexpr int kCalls = 40;  // six times the ring
  for (int call = 1; call <= kCalls; ++call) {
    client().Send(FrameType::kCall, call, bytes);
    ASSERT_OK(client().link->Flush());
  }
  EXPECT_TRUE(client().link->backlogged());
  // A control frame passes all that waits.
  client().link->SendControl(FrameType::kCancel, 0, 1);
  ASSERT_OK(client().link->Flush());
  server().Poll();
  ASSERT_FALSE(server().frames.empty());
  EXPECT_EQ(server().frames.back().type, FrameType::kCancel);
  EXPECT_LT(server().frames.size(), kCalls);
  // Each side looks in turn, and all arrives.
  for (int round = 0; round < 100 && client().link->backlogged(); ++round) {
    EXPECT_EQ(client().Poll().end, PollResult::End::kNone);
    EXPECT_EQ(server().Poll().end, PollResult::End::kNone);
  }
  EXPECT_FALSE(client().link->backlogged());
  server().Poll();
  for (int call = 1; call <= kCalls; ++call) {
    EXPECT_TRUE(MessageOf(server().frames, call) == bytes) << call;
  }
}

TEST_P(FlowControlTest, SmallMessagesPassALargeOneThatWaits) {
  client().Send(FrameType::kCall, 1, std::string(1'000'000, 'l'));
  client().Send(FrameType::kCall, 2, "small");
  for (int round = 0; round < 8; ++round) {
    ASSERT_OK(client().link->Flush());
    server().Poll();
    client().Poll();
  }
  EXPECT_EQ(MessageOf(server().frames, 2), "small");
  EXPECT_TRUE(client().link->backlogged());
}

TEST_P(FlowControlTest, ManyLapsBothWays) {
  std::mt19937_64 random(testing::TestSeed());
  uint64_t call = 0;
  std::vector<std::string> sent;
  size_t replied = 0;
  for (int round = 0; round < 400; ++round) {
    for (uint64_t i = random() % 4; i > 0; --i) {
      const size_t size = random() % 8 == 0 ? random() % 100'000 : random() % 3000;
      sent.push_back(std::string(size, static_cast<char>('a' + call % 26)));
      client().Send(FrameType::kCall, ++call, sent.back());
    }
    ASSERT_OK(client().link->Flush());
    ASSERT_EQ(server().Poll(random() % 2 == 0).end, PollResult::End::kNone);
    // What has arrived whole is answered with the same.
    if (random() % 3 == 0) {
      for (int more = 0; more < 200 && client().link->backlogged(); ++more) {
        ASSERT_EQ(client().Poll().end, PollResult::End::kNone);
        ASSERT_EQ(server().Poll().end, PollResult::End::kNone);
      }
      ASSERT_FALSE(client().link->backlogged());
      const size_t first = replied;
      for (; replied < sent.size(); ++replied) {
        ASSERT_TRUE(MessageOf(server().frames, replied + 1) == sent[replied]) << replied + 1;
        server().Send(FrameType::kReply, replied + 1, sent[replied]);
      }
      server().frames.clear();
      ASSERT_OK(server().link->Flush());
      for (int more = 0; more < 200; ++more) {
        ASSERT_EQ(client().Poll().end, PollResult::End::kNone);
        ASSERT_EQ(server().Poll().end, PollResult::End::kNone);
        if (!server().link->backlogged() && client().Poll().frames == 0) break;
      }
      for (size_t i = first; i < sent.size(); ++i) {
        ASSERT_TRUE(MessageOf(client().frames, i + 1) == sent[i]) << i + 1;
      }
      client().frames.clear();
    }
  }
  EXPECT_GT(client().link->consumed(), 4 * log::kMinCapacity);
  EXPECT_GT(server().link->consumed(), 4 * log::kMinCapacity);
}

TEST_P(FlowControlTest, ReaderTellsWhatItTookAfterAQuarterOfTheRing) {
  // Less than a quarter: nothing is written in answer.
  client().Send(FrameType::kCall, 1, std::string(10'000, 'x'));
  ASSERT_OK(client().link->Flush());
  server().Poll();
  EXPECT_EQ(client().Poll().frames, 0);
  client().Send(FrameType::kCall, 2, std::string(10'000, 'x'));
  ASSERT_OK(client().link->Flush());
  server().Poll();
  EXPECT_EQ(client().Poll().frames, 1);  // CONSUMED, which is not passed on
  EXPECT_TRUE(client().frames.empty());
}

TEST_P(FlowControlTest, BothRingsFullToTheLastByteGoOn) {
  // Data up to their limit, then control frames into the reserve, on both sides before either
  // reads.
  for (End* end : {&client(), &server()}) {
    for (int call = 1; call <= 20; ++call) {
      end->Send(end == &client() ? FrameType::kCall : FrameType::kReply, call,
                std::string(10'000, 'x'));
    }
    for (int call = 1; call <= 500; ++call) {
      end->link->SendControl(end == &client() ? FrameType::kCancel : FrameType::kAck, 0, call);
    }
    ASSERT_OK(end->link->Flush());
  }
  for (int round = 0; round < 200; ++round) {
    ASSERT_EQ(client().Poll().end, PollResult::End::kNone);
    ASSERT_EQ(server().Poll().end, PollResult::End::kNone);
  }
  EXPECT_FALSE(client().link->backlogged());
  EXPECT_FALSE(server().link->backlogged());
  for (End* end : {&client(), &server()}) {
    int control = 0;
    for (const Received& frame : end->frames) {
      control += frame.type == FrameType::kCancel || frame.type == FrameType::kAck;
    }
    EXPECT_EQ(control, 500);
    for (int call = 1; call <= 20; ++call) {
      EXPECT_EQ(MessageOf(end->frames, call).size(), 10'000) << call;
    }
  }
}

TEST_P(FlowControlTest, TakesBackOnlyWhatHasNotBegun) {
  client().Send(FrameType::kCall, 1, "written");
  EXPECT_FALSE(client().link->TakeBack(1));
  for (int call = 2; call <= 10; ++call) {
    client().Send(FrameType::kCall, call, std::string(15'000, 'x'));
  }
  ASSERT_OK(client().link->Flush());
  ASSERT_TRUE(client().link->backlogged());
  EXPECT_TRUE(client().link->TakeBack(10));
  EXPECT_FALSE(client().link->TakeBack(10));
  EXPECT_FALSE(client().link->TakeBack(99));
  for (int round = 0; round < 50; ++round) {
    server().Poll();
    client().Poll();
  }
  EXPECT_FALSE(client().link->backlogged());
  for (int call = 1; call <= 9; ++call) EXPECT_NE(MessageOf(server().frames, call), "") << call;
  EXPECT_EQ(MessageOf(server().frames, 10), "");
}

TEST_P(FlowControlTest, HeaderThatFitsNoFrameCannotBeSent) {
  // The caller is told the limit; what keeps to it fits.
  wire::CallHeader header;
  header.set_method(std::string(client().link->max_single() - 100, 'm'));
  const size_t size = header.ByteSizeLong();
  ASSERT_LE(size, client().link->max_single());
  client().link->SendMessage(FrameType::kCall, 0, 1, &header, nullptr, 0);
  ASSERT_OK(client().link->Flush());
  EXPECT_EQ(server().Poll().frames, 1);
}

}  // namespace
}  // namespace spoolrpc::link
