// How messages are cut into frames, and in which order they go.
#include "spoolrpc/link/outgoing.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "tests/link/link_pair.h"
#include "tests/testing/scratch_directory.h"

namespace spoolrpc::link {
namespace {

using log::FrameType;

class OutgoingTest : public ::testing::Test {
 protected:
  OutgoingTest() {
    PairOptions options;
    options.directory = scratch_.path();
    log::FileAccess access;
    writer_ = MakeWriter(options, os::Environment{}, scratch_ / "log", log::Direction::kRequests);
    log::AlignedBuffer buffer(2 * 65536);
    reader_ = *log::LogReader::Open(os::SystemCalls::Real(), scratch_ / "log", TestSessionId(),
                                    log::Direction::kRequests, geteuid(), access, &buffer);
  }

  static Outgoing Message(FrameType type, uint64_t call, size_t size) {
    Outgoing message;
    message.type = type;
    message.flags = type == FrameType::kReply ? log::kAcked : 0;
    message.call = call;
    if (type == FrameType::kCall) message.header = std::string("\6\0\0\0header", 10);
    message.body = std::string(size, static_cast<char>('a' + call));
    return message;
  }

  // Writes what the queue gives and reads it, all of which frees the ring again.
  std::vector<Received> Pump(OutgoingQueue* queue) {
    queue->Pump(writer_.get(), 0);
    log::Batch batch;
    writer_->TakeBatch(&batch);
    EXPECT_OK(writer_->Write(batch));
    std::vector<Received> frames;
    log::AlignedBuffer buffer(2 * 65536);
    for (;;) {
      EXPECT_OK(reader_->Read(65536, &buffer));
      log::Frame frame;
      // (At the ring's end there may be nothing but a PAD, and more behind it.)
      const uint64_t before = reader_->position();
      while (reader_->Next(&frame) == log::LogReader::Outcome::kFrame) {
        frames.push_back({frame.type, frame.flags, frame.call, std::string(frame.payload)});
      }
      if (reader_->position() == before) break;
    }
    writer_->OnConsumed(reader_->position());
    return frames;
  }

  size_t max_payload() const { return writer_->max_payload(); }

 private:
  const testing::ScratchDirectory scratch_;
  std::unique_ptr<log::LogWriter> writer_;
  std::unique_ptr<log::LogReader> reader_;
};

TEST_F(OutgoingTest, CallIsHeadedByItsCallFrameAndGoesOnInData) {
  OutgoingQueue queue;
  queue.AddMessage(Message(FrameType::kCall, 1, 2 * max_payload()));
  const auto frames = Pump(&queue);
  ASSERT_EQ(frames.size(), 3);
  EXPECT_EQ(frames[0].type, FrameType::kCall);
  EXPECT_EQ(frames[0].flags, log::kMore);
  EXPECT_EQ(frames[0].payload.substr(0, 10), std::string("\6\0\0\0header", 10));
  EXPECT_EQ(frames[1].type, FrameType::kData);
  EXPECT_EQ(frames[1].flags, log::kMore);
  EXPECT_EQ(frames[2].type, FrameType::kData);
  EXPECT_EQ(frames[2].flags, 0);
  size_t size = 0;
  for (const Received& frame : frames) size += frame.payload.size();
  EXPECT_EQ(size, 2 * max_payload() + 10);
  EXPECT_TRUE(queue.empty());
}

TEST_F(OutgoingTest, ReplyEndsWithItsReplyFrame) {
  OutgoingQueue queue;
  queue.AddMessage(Message(FrameType::kReply, 1, 2 * max_payload() + 1));
  const auto frames = Pump(&queue);
  ASSERT_EQ(frames.size(), 3);
  EXPECT_EQ(frames[0].type, FrameType::kData);
  EXPECT_EQ(frames[0].flags, log::kMore);
  EXPECT_EQ(frames[1].type, FrameType::kData);
  EXPECT_EQ(frames[2].type, FrameType::kReply);
  EXPECT_EQ(frames[2].flags, log::kAcked);
  EXPECT_EQ(frames[2].payload.size(), 1);
}

TEST_F(OutgoingTest, ExactFitIsOneFrame) {
  OutgoingQueue queue;
  queue.AddMessage(Message(FrameType::kReply, 1, max_payload()));
  const auto frames = Pump(&queue);
  ASSERT_EQ(frames.size(), 1);
  EXPECT_EQ(frames[0].type, FrameType::kReply);
  EXPECT_EQ(frames[0].flags, log::kAcked);
}

TEST_F(OutgoingTest, MessagesTakeTurns) {
  OutgoingQueue queue;
  queue.AddMessage(Message(FrameType::kCall, 1, 2 * max_payload()));
  queue.AddMessage(Message(FrameType::kCall, 2, 10));
  queue.AddMessage(Message(FrameType::kCall, 3, 10));
  std::vector<uint64_t> order;
  for (const Received& frame : Pump(&queue)) order.push_back(frame.call);
  EXPECT_EQ(order, (std::vector<uint64_t>{1, 2, 3, 1, 1}));
}

TEST_F(OutgoingTest, WhatBelongsToOneCallKeepsItsOrder) {
  OutgoingQueue queue;
  queue.AddMessage(Message(FrameType::kMessage, 1, 2 * max_payload()));
  queue.AddMessage(Message(FrameType::kMessage, 2, 10));
  queue.AddMessage(Message(FrameType::kMessage, 1, 10));
  queue.AddMessage(Message(FrameType::kHalfClose, 1, 0));
  std::vector<std::pair<uint64_t, FrameType>> order;
  for (const Received& frame : Pump(&queue)) order.emplace_back(frame.call, frame.type);
  EXPECT_EQ(order, (std::vector<std::pair<uint64_t, FrameType>>{{1, FrameType::kMessage},
                                                                {2, FrameType::kMessage},
                                                                {1, FrameType::kData},
                                                                {1, FrameType::kMessage},
                                                                {1, FrameType::kHalfClose}}));
}

TEST_F(OutgoingTest, ControlFramesGoFirst) {
  OutgoingQueue queue;
  queue.AddMessage(Message(FrameType::kCall, 1, 10));
  queue.AddControl(FrameType::kCancel, 0, 7, "");
  const auto frames = Pump(&queue);
  ASSERT_EQ(frames.size(), 2);
  EXPECT_EQ(frames[0].type, FrameType::kCancel);
  EXPECT_EQ(frames[1].type, FrameType::kCall);
}

TEST_F(OutgoingTest, OneConsumedIsEnough) {
  OutgoingQueue queue;
  for (int i = 0; i < 5; ++i) queue.AddControl(FrameType::kConsumed, 0, 0, "");
  EXPECT_EQ(Pump(&queue).size(), 1);
}

TEST_F(OutgoingTest, RemoveTellsWhetherItHadBegun) {
  OutgoingQueue queue;
  queue.AddMessage(Message(FrameType::kCall, 1, 6 * max_payload()));
  queue.AddMessage(Message(FrameType::kCall, 2, 6 * max_payload()));
  Pump(&queue);  // as much as the ring takes: both have begun
  queue.AddMessage(Message(FrameType::kCall, 3, 10));
  bool found = false;
  EXPECT_FALSE(queue.Remove(1, &found));
  EXPECT_TRUE(found);
  EXPECT_TRUE(queue.Remove(3, &found));
  EXPECT_TRUE(found);
  queue.Remove(3, &found);
  EXPECT_FALSE(found);
  EXPECT_EQ(queue.calls(), 1);
}

// What a server has of calls that have not wholly come, call by call.
class Unfinished {
 public:
  void Add(const std::vector<Received>& frames) {
    for (const Received& frame : frames) {
      uint64_t& bytes = bytes_[frame.call];
      bytes += frame.payload.size();
      if ((frame.flags & log::kMore) == 0) {
        bytes_.erase(frame.call);
        order_.push_back(frame.call);
      }
      uint64_t sum = 0;
      for (const auto& call : bytes_) sum += call.second;
      most_ = std::max(most_, sum);
    }
  }
  // Calls, as they ended.
  const std::vector<uint64_t>& order() const { return order_; }
  uint64_t most() const { return most_; }

 private:
  std::map<uint64_t, uint64_t> bytes_;
  std::vector<uint64_t> order_;
  uint64_t most_ = 0;
};

TEST_F(OutgoingTest, LargeCallsBeginAsThoseUnderWayLeaveRoom) {
  OutgoingQueue queue;
  constexpr uint64_t kSize = kMaxBesideLargest / 4;
  for (uint64_t call = 1; call <= 20; ++call) {
    queue.AddMessage(Message(FrameType::kCall, call, kSize));
  }
  EXPECT_EQ(queue.calls(), 20);
  Unfinished unfinished;
  while (!queue.empty()) unfinished.Add(Pump(&queue));
  EXPECT_EQ(queue.calls(), 0);
  std::vector<uint64_t> all(20);
  std::iota(all.begin(), all.end(), 1);
  EXPECT_EQ(unfinished.order(), all);
  EXPECT_LE(unfinished.most(), kMaxBesideLargest + kSize);
  EXPECT_GT(unfinished.most(), kMaxBesideLargest / 2) << "some are under way together";
}

TEST_F(OutgoingTest, LargeCallOfAnySizeBegins) {
  OutgoingQueue queue;
  queue.AddMessage(Message(FrameType::kCall, 1, kMaxBesideLargest / 2));
  queue.AddMessage(Message(FrameType::kCall, 2, 2 * kMaxBesideLargest));
  queue.AddMessage(Message(FrameType::kCall, 3, 2 * kMaxBesideLargest));
  Unfinished unfinished;
  while (!queue.empty()) unfinished.Add(Pump(&queue));
  EXPECT_EQ(unfinished.order(), (std::vector<uint64_t>{1, 2, 3}));
}

TEST_F(OutgoingTest, SmallCallDoesNotWaitForLargeOnes) {
  OutgoingQueue queue;
  for (uint64_t call = 1; call <= 3; ++call) {
    queue.AddMessage(Message(FrameType::kCall, call, 2 * kMaxBesideLargest));
  }
  queue.AddMessage(Message(FrameType::kCall, 4, 10));
  const auto frames = Pump(&queue);
  ASSERT_GE(frames.size(), 4);
  // (CALLs keep their order: what waits is announced.)
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(frames[i].type, FrameType::kCall);
    EXPECT_EQ(frames[i].call, i + 1);
    EXPECT_EQ(frames[i].flags, i < 3 ? log::kMore : 0);
  }
  EXPECT_GT(frames[0].payload.size(), 1000);
  EXPECT_EQ(frames[1].payload.size(), 10) << "its header alone";
  EXPECT_EQ(frames[2].payload.size(), 10);
}

TEST_F(OutgoingTest, RemovedCallLetsAnotherBegin) {
  OutgoingQueue queue;
  for (uint64_t call = 1; call <= 3; ++call) {
    queue.AddMessage(Message(FrameType::kCall, call, 2 * kMaxBesideLargest));
  }
  Pump(&queue);
  bool found = false;
  EXPECT_FALSE(queue.Remove(2, &found)) << "it was announced";
  EXPECT_TRUE(found);
  EXPECT_EQ(queue.calls(), 2);
  EXPECT_FALSE(queue.Remove(1, &found));
  const auto frames = Pump(&queue);
  ASSERT_FALSE(frames.empty());
  EXPECT_EQ(frames[0].type, FrameType::kData);
  EXPECT_EQ(frames[0].call, 3);
}

TEST_F(OutgoingTest, MemoryIsThatOfWhatWaits) {
  OutgoingQueue queue;
  EXPECT_EQ(queue.memory(), 0);
  const size_t large = 3 * kMaxBesideLargest;
  queue.AddMessage(Message(FrameType::kReply, 1, large));
  queue.AddMessage(Message(FrameType::kReply, 1, large));
  queue.AddMessage(Message(FrameType::kCall, 2, large));
  EXPECT_GE(queue.memory(), 3 * large);
  EXPECT_LE(queue.memory(), 3 * large + 10'000);
  bool found = false;
  queue.Remove(1, &found);
  EXPECT_GE(queue.memory(), large);
  EXPECT_LE(queue.memory(), large + 10'000);
  queue.Remove(2, &found);
  EXPECT_EQ(queue.memory(), 0);
  for (uint64_t call = 1; call <= 100; ++call) {
    queue.AddControl(FrameType::kAck, 0, call, "");
    queue.AddMessage(Message(FrameType::kReply, call, 1000));
  }
  EXPECT_GE(queue.memory(), 100'000);
  while (!queue.empty()) Pump(&queue);
  EXPECT_EQ(queue.memory(), 0);
}

TEST_F(OutgoingTest, EmptyMessageIsOneFrame) {
  OutgoingQueue queue;
  queue.AddMessage(Message(FrameType::kCall, 1, 0));
  queue.AddMessage(Message(FrameType::kReply, 2, 0));
  const auto frames = Pump(&queue);
  ASSERT_EQ(frames.size(), 2);
  EXPECT_EQ(frames[0].flags, 0);
  EXPECT_EQ(frames[1].payload, "");
}

}  // namespace
}  // namespace spoolrpc::link
