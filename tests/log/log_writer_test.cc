// What the writer puts where: batches, the ring's end, the room for control frames, sealing.
#include "spoolrpc/log/log_writer.h"

#include <errno.h>

#include <algorithm>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/log/log_test_util.h"
#include "tests/testing/faulty_system_calls.h"
#include "tests/testing/memory_file_system.h"
#include "tests/testing/seed.h"
#include "tests/testing/status_matchers.h"

namespace spoolrpc::log {
namespace {

using ::spoolrpc::testing::Call;
using ::spoolrpc::testing::FaultySystemCalls;
using ::spoolrpc::testing::HasCode;
using ::spoolrpc::testing::IsOk;
using ::spoolrpc::testing::MemoryClient;
using ::spoolrpc::testing::MemoryFileSystem;
using ::spoolrpc::testing::StatusIs;
using ::testing::HasSubstr;

constexpr uint64_t kCapacity = kMinCapacity;

class LogWriterTest : public ::testing::Test {
 protected:
  void SetUp() override { Make(FileAccess{}); }

  void Make(const FileAccess& access) {
    const std::string path = absl::StrCat("/log", ++made_);
    auto writer = MakeWriter(&calls_, path, TestHead(kCapacity), access);
    ASSERT_OK(writer);
    writer_ = *std::move(writer);
    auto reader = MakeReader(&calls_, path, TestHead(kCapacity), access, 1000);
    ASSERT_OK(reader);
    reader_ = *std::move(reader);
    calls_.ResetCounts();
  }

  // Brings the writer and the reader to the offset (a multiple of 8) in the ring, with nothing
  // outstanding.
  void AdvanceTo(uint64_t offset) {
    // The first frame of a lap is 40 bytes long at least: none ends before.
    if (offset > 0 && offset < kFrameHeaderSize) offset = kFrameHeaderSize;
    while (writer_->end() % kCapacity != offset && !HasFailure()) {
      uint64_t way = (offset + kCapacity - writer_->end() % kCapacity) % kCapacity;
      // No frame goes across the ring's end, and none is below 40 bytes.
      way = std::min(way, kCapacity - writer_->end() % kCapacity);
      const uint64_t most = writer_->max_payload() + kFrameHeaderSize;
      uint64_t length = way <= most ? way : std::min(most, way - kFrameHeaderSize);
      if (way < kFrameHeaderSize) length = kFrameHeaderSize;  // over the end, and once more round
      ASSERT_TRUE(Append(writer_.get(),
                         {FrameType::kData, 1, std::string(length - kFrameHeaderSize, 'a')}));
      ASSERT_OK(Flush(writer_.get()));
      ReadNew();
      ASSERT_EQ(reader_->position(), writer_->end());
      writer_->OnConsumed(writer_->end());
    }
  }

  std::vector<OwnedFrame> ReadNew() {
    std::vector<OwnedFrame> frames;
    EXPECT_OK(ReadFrames(reader_.get(), 4096, &buffer_, &frames));
    return frames;
  }

  MemoryFileSystem system_;
  const std::unique_ptr<MemoryClient> client_ = system_.NewClient();
  FaultySystemCalls calls_{client_.get()};
  int made_ = 0;
  std::unique_ptr<LogWriter> writer_;
  std::unique_ptr<LogReader> reader_;
  AlignedBuffer buffer_{LogReader::kBufferSize};
};

TEST_F(LogWriterTest, ABatchIsOneWrite) {
  for (int call = 1; call <= 10; ++call) {
    ASSERT_TRUE(Append(writer_.get(), OwnedFrame(FrameType::kCall, call, "payload")));
  }
  EXPECT_TRUE(writer_->has_batch());
  ASSERT_OK(Flush(writer_.get()));
  EXPECT_FALSE(writer_->has_batch());
  EXPECT_EQ(calls_.Count(Call::kPwrite), 1);
  EXPECT_EQ(ReadNew().size(), 10);
}

TEST_F(LogWriterTest, ABatchBeyondTheLongestWriteGoesOutInSeveral) {
  FileAccess access;
  access.max_write = 4096;
  Make(access);
  EXPECT_EQ(writer_->max_payload(), 4096 - kFrameHeaderSize);
  std::vector<OwnedFrame> sent;
  for (int call = 1; call <= 9; ++call) {
    sent.emplace_back(FrameType::kData, call, std::string(1000 - kFrameHeaderSize, 'x'));
    ASSERT_TRUE(Append(writer_.get(), sent.back()));
  }
  ASSERT_OK(Flush(writer_.get()));
  EXPECT_EQ(calls_.Count(Call::kPwrite), 3) << "9000 bytes";
  EXPECT_EQ(writer_->flushed(), 9000);
  EXPECT_EQ(ReadNew(), sent);
}

TEST_F(LogWriterTest, ABatchAcrossTheRingsEndIsTwoWrites) {
  AdvanceTo(kCapacity - 400);
  std::vector<OwnedFrame> sent;
  for (int call = 1; call <= 4; ++call) {
    sent.emplace_back(FrameType::kData, call, std::string(160, static_cast<char>('0' + call)));
    ASSERT_TRUE(Append(writer_.get(), sent.back()));
  }
  calls_.ResetCounts();
  ASSERT_OK(Flush(writer_.get()));
  EXPECT_EQ(calls_.Count(Call::kPwrite), 2);
  EXPECT_EQ(ReadNew(), sent);
}

TEST_F(LogWriterTest, FramesAreGatheredWhileABatchIsOnItsWay) {
  ASSERT_TRUE(Append(writer_.get(), OwnedFrame(FrameType::kCall, 1, "one")));
  Batch first;
  writer_->TakeBatch(&first);
  ASSERT_TRUE(Append(writer_.get(), OwnedFrame(FrameType::kCall, 2, "two")));
  EXPECT_EQ(writer_->end(), 2 * 48);
  EXPECT_EQ(first.end(), 48);
  ASSERT_OK(writer_->Write(first));
  EXPECT_EQ(writer_->flushed(), 48);
  EXPECT_EQ(ReadNew(), std::vector<OwnedFrame>{OwnedFrame(FrameType::kCall, 1, "one")});
  writer_->TakeBatch(&first);
  ASSERT_OK(writer_->Write(first));
  EXPECT_EQ(ReadNew(), std::vector<OwnedFrame>{OwnedFrame(FrameType::kCall, 2, "two")});
}

TEST_F(LogWriterTest, AnEmptyBatchChangesNothing) {
  ASSERT_TRUE(Append(writer_.get(), OwnedFrame(FrameType::kCall, 1, "one")));
  ASSERT_OK(Flush(writer_.get()));
  calls_.ResetCounts();
  ASSERT_OK(Flush(writer_.get()));
  EXPECT_EQ(calls_.Count(Call::kPwrite), 0);
  EXPECT_EQ(writer_->flushed(), 48) << "the mark must never fall";
}

// Frames of each length against each distance from the ring's end, 40 exactly among them.
TEST_F(LogWriterTest, TheRingsEndIsSkippedPaddedOrFilled) {
  for (uint64_t to_end = 8; to_end <= 160; to_end += 8) {
    for (size_t payload = 0; payload <= 121; payload += payload < 9 ? 1 : 28) {
      AdvanceTo(kCapacity - to_end);
      const uint64_t before = writer_->end();
      const OwnedFrame sent(FrameType::kCall, 7, std::string(payload, 'p'));
      ASSERT_TRUE(Append(writer_.get(), sent));
      const uint64_t length = AlignFrame(kFrameHeaderSize + payload);
      const uint64_t skipped = length <= to_end ? 0 : to_end;
      EXPECT_EQ(writer_->end() - before, skipped + length) << to_end << " " << payload;
      ASSERT_OK(Flush(writer_.get()));
      EXPECT_EQ(ReadNew(), std::vector<OwnedFrame>{sent}) << to_end << " " << payload;
      EXPECT_EQ(reader_->position(), writer_->end());
      writer_->OnConsumed(writer_->end());
    }
  }
}

TEST_F(LogWriterTest, APadRepeatsWhatWasConsumedLast) {
  OwnedFrame told(FrameType::kConsumed, 0);
  told.consumed = 4000;
  AdvanceTo(kCapacity - 160);
  ASSERT_TRUE(Append(writer_.get(), told));
  ASSERT_TRUE(Append(writer_.get(), OwnedFrame(FrameType::kCall, 1, std::string(200, 'x'))));
  Batch batch;
  writer_->TakeBatch(&batch);
  const FrameKey key(TestId(), Direction::kRequests);
  Frame pad;
  size_t length;
  const uint64_t position = batch.position + 40;
  // Sequence numbers are not told: look for it.
  uint64_t sequence = 0;
  memcpy(&sequence, batch.bytes.data() + 16, sizeof(sequence));
  ASSERT_EQ(DecodeFrame(key, batch.bytes.data() + 40, batch.bytes.size() - 40, 120, 16384, position,
                        sequence + 1, &pad, &length),
            DecodeResult::kValid);
  EXPECT_EQ(pad.type, FrameType::kPad);
  EXPECT_EQ(length, 120);
  EXPECT_EQ(pad.consumed, 4000);
}

TEST_F(LogWriterTest, HasRoomEndsAtTheLongestFrame) {
  EXPECT_TRUE(writer_->HasRoom(writer_->max_payload(), false));
  EXPECT_FALSE(writer_->HasRoom(writer_->max_payload() + 1, false));
  for (const size_t payload : {size_t{1} << 32, std::numeric_limits<size_t>::max(),
                               std::numeric_limits<size_t>::max() - kFrameHeaderSize}) {
    EXPECT_FALSE(writer_->HasRoom(payload, false)) << payload;
    EXPECT_FALSE(writer_->HasRoom(payload, true)) << payload;
  }
}

TEST_F(LogWriterTest, ALeaseHasNoRoomAndNoRing) {
  const LogHead lease = TestHead(0, Direction::kLease);
  ASSERT_OK_AND_ASSIGN(const auto writer, MakeWriter(&calls_, "/lease", lease, FileAccess{}));
  EXPECT_EQ(writer->max_payload(), 0);
  EXPECT_FALSE(writer->HasRoom(0, true));
  EXPECT_OK(writer->Write(Batch{}));
  EXPECT_OK(writer->WriteHead(WriterState::kOpen));
  EXPECT_OK(writer->WriteHead(WriterState::kDraining));
  ASSERT_OK_AND_ASSIGN(const auto reader, MakeReader(&calls_, "/lease", lease, FileAccess{}, 1000));
  ASSERT_OK_AND_ASSIGN(const LogHead head, reader->ReadHeadNow(&buffer_));
  EXPECT_EQ(head.counter, 2);
  EXPECT_EQ(head.state, WriterState::kDraining);
  EXPECT_THAT(reader->Read(100, &buffer_), HasCode(absl::StatusCode::kFailedPrecondition));
  Frame frame;
  EXPECT_EQ(reader->Next(&frame), LogReader::Outcome::kNotYet);
  EXPECT_EQ(reader->wanted(), 0);
  EXPECT_OK(reader->CheckAgainst(100, &buffer_));
}

TEST_F(LogWriterTest, WhateverIsOutstandingNothingUnconsumedIsOverwritten) {
  std::mt19937_64 random(testing::TestSeed());
  uint64_t consumed = 0;
  for (int round = 0; round < 20000; ++round) {
    const bool control = random() % 4 == 0;
    const size_t payload = control ? random() % 64 : random() % (writer_->max_payload() + 1);
    if (Append(writer_.get(), OwnedFrame(FrameType::kData, 1, std::string(payload, 'x')),
               control)) {
      EXPECT_LE(writer_->outstanding(), kCapacity);
      if (!control) {
        EXPECT_LE(writer_->outstanding(), kCapacity - kControlReserve);
      }
    } else if (writer_->outstanding() > 0) {
      consumed += 8 * (1 + random() % (writer_->outstanding() / 8));
      writer_->OnConsumed(consumed);
      EXPECT_EQ(writer_->consumed_by_peer(), consumed);
    }
    Batch batch;
    writer_->TakeBatch(&batch);
    EXPECT_LE(batch.end(), consumed + kCapacity);
  }
}

TEST_F(LogWriterTest, AnEmptyRingTakesTheLongestFrameAnywhere) {
  for (uint64_t offset = 0; offset < kCapacity; offset += 1000) {
    AdvanceTo(AlignFrame(offset));
    EXPECT_TRUE(writer_->HasRoom(writer_->max_payload(), false)) << offset;
  }
}

TEST_F(LogWriterTest, ControlFramesFitWhenDataIsFull) {
  std::mt19937_64 random(testing::TestSeed());
  for (int round = 0; round < 300; ++round) {
    AdvanceTo(random() % (kCapacity / 8) * 8);
    while (Append(writer_.get(),
                  OwnedFrame(FrameType::kData, 1,
                             std::string(random() % (writer_->max_payload() + 1), 'x')))) {
    }
    while (Append(writer_.get(), OwnedFrame(FrameType::kData, 1))) {
    }
    EXPECT_FALSE(writer_->HasRoom(0, false));
    // One long one, as a GOODBYE with a message: what lies before the ring's end may be lost to it.
    EXPECT_TRUE(writer_->HasRoom(kControlReserve / 2 - kFrameHeaderSize, true));
    int fitted = 0;
    while (Append(writer_.get(), OwnedFrame(FrameType::kAck, 1), /*control=*/true)) ++fitted;
    EXPECT_GE(fitted, (kControlReserve - 32) / kFrameHeaderSize);
    ASSERT_OK(Flush(writer_.get()));
    writer_->OnConsumed(writer_->end());
    ReadNew();
    EXPECT_EQ(reader_->position(), writer_->end());
  }
}

TEST_F(LogWriterTest, ConsumptionNeverGoesBack) {
  ASSERT_TRUE(Append(writer_.get(), OwnedFrame(FrameType::kCall, 1)));
  ASSERT_TRUE(Append(writer_.get(), OwnedFrame(FrameType::kCall, 2)));
  writer_->OnConsumed(80);
  writer_->OnConsumed(40);
  EXPECT_EQ(writer_->consumed_by_peer(), 80);
  EXPECT_EQ(writer_->outstanding(), 0);
}

TEST_F(LogWriterTest, TheHeadTellsLeaseStateAndWhatIsFlushed) {
  ASSERT_TRUE(Append(writer_.get(), OwnedFrame(FrameType::kCall, 1)));
  ASSERT_OK(writer_->WriteHead(WriterState::kOpen));
  EXPECT_EQ(reader_->ReadHeadNow(&buffer_)->flushed, 0) << "gathered is not flushed";
  EXPECT_EQ(reader_->ReadHeadNow(&buffer_)->counter, 1);
  ASSERT_OK(Flush(writer_.get()));
  EXPECT_EQ(reader_->ReadHeadNow(&buffer_)->flushed, 0) << "the head was not written";
  ASSERT_OK(writer_->WriteHead(WriterState::kClosed));
  ASSERT_OK_AND_ASSIGN(const LogHead head, reader_->ReadHeadNow(&buffer_));
  EXPECT_EQ(head.flushed, 40);
  EXPECT_EQ(head.counter, 2);
  EXPECT_EQ(head.state, WriterState::kClosed);
  EXPECT_EQ(head.term_ns, TestHead().term_ns);
}

class SealedLogWriterTest : public LogWriterTest {
 protected:
  // After `error` from a write nothing is ever written again, and all calls say why.
  void ExpectSealed(const absl::Status& error) {
    EXPECT_FALSE(error.ok());
    EXPECT_THAT(std::string(error.message()), HasSubstr("write /log1"));
    const uint64_t flushed = writer_->flushed();
    const uint64_t counter = writer_->head().counter;
    calls_.Clear();
    calls_.ResetCounts();
    ASSERT_TRUE(Append(writer_.get(), OwnedFrame(FrameType::kCall, 2, "more")));
    for (int again = 0; again < 2; ++again) {
      EXPECT_THAT(Flush(writer_.get()),
                  StatusIs(error.code(), HasSubstr(std::string(error.message()))));
      EXPECT_THAT(writer_->WriteHead(WriterState::kClosed),
                  StatusIs(error.code(), HasSubstr("sealed")));
    }
    EXPECT_EQ(calls_.Count(Call::kPwrite), 0);
    EXPECT_EQ(writer_->flushed(), flushed);
    EXPECT_EQ(writer_->head().counter, counter) << "a lease that was not written was not renewed";
  }
};

TEST_F(SealedLogWriterTest, AfterAWriteThatFailed) {
  // With O_DSYNC a failing flush is a failing write.
  for (const int error : {EIO, ENOSPC, EDQUOT, ESTALE}) {
    made_ = 0;
    os::RemoveFile(client_.get(), "/log1").IgnoreError();
    Make(FileAccess{});
    ASSERT_TRUE(Append(writer_.get(), OwnedFrame(FrameType::kCall, 1, "payload")));
    calls_.Fail({Call::kPwrite, "", 0, 1}, error);
    ExpectSealed(Flush(writer_.get()));
    EXPECT_EQ(writer_->flushed(), 0);
    EXPECT_TRUE(ReadNew().empty());
  }
}

TEST_F(SealedLogWriterTest, AfterAWriteThatWasDoneInPart) {
  ASSERT_TRUE(Append(writer_.get(), OwnedFrame(FrameType::kCall, 1, "payload")));
  calls_.LimitSpace(20);
  ExpectSealed(Flush(writer_.get()));
  EXPECT_EQ(writer_->flushed(), 0);
  EXPECT_TRUE(ReadNew().empty());
}

TEST_F(SealedLogWriterTest, AfterTheSecondPartOfABatchFailed) {
  AdvanceTo(kCapacity - 80);
  for (int call = 1; call <= 3; ++call) {
    ASSERT_TRUE(Append(writer_.get(), OwnedFrame(FrameType::kCall, call)));
  }
  const uint64_t before = writer_->flushed();
  calls_.Fail({Call::kPwrite, "", /*skip=*/1, 1}, EIO);
  ExpectSealed(Flush(writer_.get()));
  EXPECT_LE(writer_->flushed(), before + 80) << "never beyond what was written";
  EXPECT_EQ(ReadNew().size(), 2);
}

TEST_F(SealedLogWriterTest, AfterAHeadThatFailed) {
  calls_.Fail({Call::kPwrite, "", 0, 1}, EIO);
  ExpectSealed(writer_->WriteHead(WriterState::kOpen));
}

TEST_F(LogWriterTest, ALeaseIsRenewedAgainAfterAWriteThatFailed) {
  const LogHead lease = TestHead(0, Direction::kLease);
  ASSERT_OK_AND_ASSIGN(const auto writer, MakeWriter(&calls_, "/lease", lease, FileAccess{}));
  ASSERT_OK(writer->WriteHead(WriterState::kOpen));
  calls_.Fail({Call::kPwrite, "/lease", 0, 1}, EIO);
  EXPECT_FALSE(writer->WriteHead(WriterState::kOpen).ok());
  ASSERT_OK(writer->WriteHead(WriterState::kDraining));
  ASSERT_OK_AND_ASSIGN(const auto reader, MakeReader(&calls_, "/lease", lease, FileAccess{}, 1000));
  ASSERT_OK_AND_ASSIGN(const LogHead head, reader->ReadHeadNow(&buffer_));
  EXPECT_EQ(head.state, WriterState::kDraining);
  // (Of the one that failed nobody knows whether it has arrived.)
  EXPECT_EQ(head.counter, 3);
}

TEST_F(LogWriterTest, ShortWritesAreContinued) {
  calls_.Shorten({Call::kPwrite}, 7);
  const OwnedFrame sent(FrameType::kCall, 1, std::string(1000, 'x'));
  ASSERT_TRUE(Append(writer_.get(), sent));
  ASSERT_OK(Flush(writer_.get()));
  ASSERT_OK(writer_->WriteHead(WriterState::kOpen));
  EXPECT_EQ(ReadNew(), std::vector<OwnedFrame>{sent});
  EXPECT_EQ(reader_->ReadHeadNow(&buffer_)->counter, 1);
}

TEST_F(LogWriterTest, FramesOfTheGreatestRing) {
  // Nothing of 1 GiB is written: only the first frames.
  LogHead head = TestHead(kMaxCapacity);
  os::OpenOptions options;
  options.access = os::OpenOptions::Access::kReadWrite;
  options.create = true;
  ASSERT_OK_AND_ASSIGN(auto file, os::OpenFile(&calls_, "/great", options));
  ASSERT_OK(file->WriteAt(0, EncodeHead(head)));
  ASSERT_OK(file->Allocate(kHeadSize + kMaxCapacity));
  LogWriter writer(std::move(file), head, FileAccess{});
  EXPECT_EQ(writer.max_payload(), kMaxFrameLength - kFrameHeaderSize);
  const OwnedFrame sent(FrameType::kData, 1, std::string(writer.max_payload(), 'x'));
  ASSERT_TRUE(Append(&writer, sent));
  ASSERT_OK(Flush(&writer));
  ASSERT_OK_AND_ASSIGN(const auto reader, MakeReader(&calls_, "/great", head, FileAccess{}, 1000));
  std::vector<OwnedFrame> got;
  ASSERT_OK(ReadFrames(reader.get(), 4096, &buffer_, &got));
  EXPECT_EQ(got, std::vector<OwnedFrame>{sent});
}

}  // namespace
}  // namespace spoolrpc::log
