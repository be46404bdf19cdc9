// What a reader makes of bytes that are not there yet, torn, stale, lost or damaged.
#include "spoolrpc/log/log_reader.h"

#include <errno.h>
#include <unistd.h>

#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "spoolrpc/os/error.h"
#include "tests/log/log_test_util.h"
#include "tests/testing/faulty_system_calls.h"
#include "tests/testing/memory_file_system.h"
#include "tests/testing/scratch_directory.h"
#include "tests/testing/seed.h"
#include "tests/testing/status_matchers.h"

namespace spoolrpc::log {
namespace {

using ::spoolrpc::testing::Call;
using ::spoolrpc::testing::FaultySystemCalls;
using ::spoolrpc::testing::HasCode;
using ::spoolrpc::testing::IsOk;
using ::spoolrpc::testing::MemoryFileSystem;
using ::spoolrpc::testing::ScratchDirectory;
using ::spoolrpc::testing::StatusIs;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using Outcome = LogReader::Outcome;

// Over real files, read plainly and by O_DIRECT (where the file system has none, the reader falls
// back to plain reading and the tests hold all the same).
class LogReaderTest : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    access_.direct_reads = GetParam();
    auto writer = MakeWriter(os::SystemCalls::Real(), path_, TestHead(), access_);
    ASSERT_OK(writer);
    writer_ = *std::move(writer);
    auto reader = MakeReader(&calls_, path_, TestHead(), access_);
    ASSERT_OK(reader);
    reader_ = *std::move(reader);
    calls_.ResetCounts();
  }

  // Adds frames that a batch will hold.
  OwnedFrame Add(size_t payload, uint64_t call = 1) {
    const OwnedFrame frame(FrameType::kData, call, std::string(payload, 'a' + call % 26));
    EXPECT_TRUE(Append(writer_.get(), frame));
    return frame;
  }
  void Patch(uint64_t offset, absl::string_view bytes) {
    ASSERT_OK(writer_->file().WriteAt(offset, bytes));
  }
  // Writes the batch, and what the reader would tell it.
  void WriteAndConsume() {
    ASSERT_OK(Flush(writer_.get()));
    ASSERT_THAT(ReadNew().size(), ::testing::Ge(1));
    ASSERT_EQ(reader_->position(), writer_->end());
    writer_->OnConsumed(writer_->end());
  }
  // Brings both to `offset` of a ring of kMinCapacity.
  void AdvanceTo(uint64_t offset) {
    while (writer_->end() % kMinCapacity != offset && !HasFailure()) {
      const uint64_t way = offset - writer_->end() % kMinCapacity;
      const uint64_t most = writer_->max_payload() + kFrameHeaderSize;
      Add((way <= most ? way : std::min(most, way - kFrameHeaderSize)) - kFrameHeaderSize);
      WriteAndConsume();
    }
  }
  std::vector<OwnedFrame> ReadNew(size_t want = 4096) {
    std::vector<OwnedFrame> frames;
    EXPECT_OK(ReadFrames(reader_.get(), want, &buffer_, &frames));
    return frames;
  }

  ScratchDirectory scratch_;
  const std::string path_ = scratch_ / "requests";
  FaultySystemCalls calls_;
  FileAccess access_;
  std::unique_ptr<LogWriter> writer_;
  std::unique_ptr<LogReader> reader_;
  AlignedBuffer buffer_{LogReader::kBufferSize};
};

INSTANTIATE_TEST_SUITE_P(Access, LogReaderTest, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "Direct" : "Plain"; });

TEST_P(LogReaderTest, ZerosAreNotYet) {
  EXPECT_THAT(ReadNew(), IsEmpty());
  EXPECT_EQ(reader_->wanted(), 0);
  EXPECT_OK(reader_->CheckAgainst(0, &buffer_));
  const OwnedFrame frame = Add(10);
  ASSERT_OK(Flush(writer_.get()));
  EXPECT_THAT(ReadNew(), ElementsAre(frame));
}

TEST_P(LogReaderTest, ATailTornAtAnyByteIsNotYetUntilItIsWhole) {
  std::vector<OwnedFrame> sent = {Add(20, 1), Add(1, 2), Add(33, 3)};
  Batch batch;
  writer_->TakeBatch(&batch);
  const std::vector<size_t> ends = {60, 64 + 41, 112 + 73};
  size_t taken = 0;
  for (size_t cut = 0; cut <= batch.bytes.size(); ++cut) {
    if (cut > 0) Patch(kHeadSize + cut - 1, batch.bytes.substr(cut - 1, 1));
    for (const OwnedFrame& frame : ReadNew()) {
      ASSERT_LT(taken, sent.size());
      EXPECT_EQ(frame, sent[taken]);
      EXPECT_EQ(cut, ends[taken]) << "as soon as its last byte is there, and not earlier";
      ++taken;
    }
    EXPECT_EQ(reader_->wanted(), 0) << "reading again would not bring what was not written";
  }
  EXPECT_EQ(taken, 3);
}

TEST_P(LogReaderTest, BytesThatArriveInAnyOrderMakeNoWrongFrame) {
  std::mt19937_64 random(testing::TestSeed());
  for (int round = 0; round < 20; ++round) {
    const std::vector<OwnedFrame> sent = {Add(20, 1), Add(1, 2), Add(50, 3)};
    Batch batch;
    writer_->TakeBatch(&batch);
    std::vector<size_t> order(batch.bytes.size() / 8);
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::shuffle(order.begin(), order.end(), random);
    std::vector<OwnedFrame> got;
    for (const size_t word : order) {
      Patch(kHeadSize + batch.position % kMinCapacity + word * 8, batch.bytes.substr(word * 8, 8));
      for (const OwnedFrame& frame : ReadNew()) got.push_back(frame);
    }
    EXPECT_EQ(got, sent);
    writer_->OnConsumed(reader_->position());
  }
}

TEST_P(LogReaderTest, AFlippedBitAnywhereMakesNoFrame) {
  Add(9);
  Batch batch;
  writer_->TakeBatch(&batch);
  for (size_t bit = 0; bit < 49 * 8; ++bit) {
    std::string bad = batch.bytes;
    bad[bit / 8] ^= static_cast<char>(1 << bit % 8);
    Patch(kHeadSize, bad);
    EXPECT_THAT(ReadNew(), IsEmpty()) << bit;
    EXPECT_THAT(reader_->CheckAgainst(batch.end(), &buffer_), HasCode(absl::StatusCode::kDataLoss));
  }
  Patch(kHeadSize, batch.bytes);
  EXPECT_EQ(ReadNew().size(), 1) << "and once it is whole it is there";
}

TEST_P(LogReaderTest, AFileThatIsCutAtAnyByteMakesNoFrameAndNoEndlessReading) {
  const std::vector<OwnedFrame> sent = {Add(20, 1), Add(0, 2), Add(33, 3)};
  ASSERT_OK(Flush(writer_.get()));
  const std::vector<size_t> ends = {60, 64 + 40, 104 + 73};
  for (size_t cut = 0; cut <= 184; ++cut) {
    ASSERT_EQ(truncate(path_.c_str(), kHeadSize + 184), 0);
    Patch(kHeadSize, "");
    auto reader = MakeReader(&calls_, path_, TestHead(), access_);
    // A reader opened while the file was whole.
    ASSERT_EQ(truncate(path_.c_str(), kHeadSize + kMinCapacity), 0);
    ASSERT_OK_AND_ASSIGN(reader, MakeReader(&calls_, path_, TestHead(), access_));
    const auto content = os::ReadWholeFile(os::SystemCalls::Real(), path_, 1 << 20);
    ASSERT_OK(content);
    ASSERT_EQ(truncate(path_.c_str(), kHeadSize + cut), 0);
    std::vector<OwnedFrame> got;
    ASSERT_OK(ReadFrames(reader->get(), 4096, &buffer_, &got));
    std::vector<OwnedFrame> expected;
    for (size_t i = 0; i < 3 && ends[i] <= cut; ++i) expected.push_back(sent[i]);
    EXPECT_EQ(got, expected) << "cut at " << cut;
    EXPECT_EQ((*reader)->wanted(), 0);
    EXPECT_EQ((*reader)->CheckAgainst(184, &buffer_).code(),
              expected.size() == 3 ? absl::StatusCode::kOk : absl::StatusCode::kDataLoss)
        << "cut at " << cut;
    // As it was.
    ASSERT_EQ(truncate(path_.c_str(), kHeadSize + kMinCapacity), 0);
    Patch(0, *content);
  }
}

TEST_P(LogReaderTest, FramesOfAnEarlierLapAreNotYet) {
  AdvanceTo(1000 * 8);
  std::vector<OwnedFrame> first_lap;
  while (writer_->end() < kMinCapacity && !HasFailure()) {
    Add(8000);
    WriteAndConsume();
  }
  AdvanceTo(0);
  // The whole ring is full of valid frames of the lap before.
  for (int i = 0; i < 20; ++i) {
    EXPECT_THAT(ReadNew(), IsEmpty()) << "at " << reader_->position();
    Add(500 + i);
    WriteAndConsume();
  }
}

TEST_P(LogReaderTest, AFrameReadInPartAsksForTheRest) {
  const OwnedFrame frame = Add(10000);
  ASSERT_OK(Flush(writer_.get()));
  ASSERT_OK(reader_->Read(40, &buffer_));
  Frame got;
  EXPECT_EQ(reader_->Next(&got), Outcome::kNotYet);
  EXPECT_GE(reader_->wanted(), 10040);
  ASSERT_OK(reader_->Read(reader_->wanted(), &buffer_));
  ASSERT_EQ(reader_->Next(&got), Outcome::kFrame);
  EXPECT_EQ(OwnedFrame(got), frame);
}

TEST_P(LogReaderTest, AReadingThatEndedBehindAFrameAsksToGoOn) {
  for (int i = 0; i < 2; ++i) Add(4056 * 2 + 40);  // two frames of 8192 bytes
  const OwnedFrame last = Add(7, 9);
  ASSERT_OK(Flush(writer_.get()));
  ASSERT_OK(reader_->Read(2 * 8192, &buffer_));
  Frame got;
  ASSERT_EQ(reader_->Next(&got), Outcome::kFrame);
  ASSERT_EQ(reader_->Next(&got), Outcome::kFrame);
  EXPECT_EQ(reader_->Next(&got), Outcome::kNotYet);
  EXPECT_GT(reader_->wanted(), 0);
  ASSERT_OK(reader_->Read(reader_->wanted(), &buffer_));
  ASSERT_EQ(reader_->Next(&got), Outcome::kFrame);
  EXPECT_EQ(OwnedFrame(got), last);
}

// What a reader finds behind the ring's end must not wait for the next ringing or polling.
TEST_P(LogReaderTest, WhatLiesBehindTheRingsEndIsAskedForAtOnce) {
  for (const uint64_t to_end : {8, 32, 40, 48, 4096, 5000}) {
    for (const size_t want : {1, 41, 48, 100, 4096, 8192}) {
      AdvanceTo(kMinCapacity - to_end - 48);
      const std::vector<OwnedFrame> sent = {Add(8, 1), Add(5200, 2), Add(3, 3)};
      ASSERT_OK(Flush(writer_.get()));
      EXPECT_EQ(ReadNew(want), sent) << to_end << " bytes to the end, reading " << want;
      EXPECT_EQ(reader_->position(), writer_->end());
      writer_->OnConsumed(writer_->end());
      AdvanceTo(8192);
    }
  }
}

TEST_P(LogReaderTest, NeverClaimsMoreThanTheWriterHasWritten) {
  for (const uint64_t to_end : {8, 16, 24, 32, 40}) {
    AdvanceTo(kMinCapacity - to_end);
    for (int look = 0; look < 3; ++look) {
      EXPECT_THAT(ReadNew(), IsEmpty());
      EXPECT_LE(reader_->position(), writer_->end());
    }
    EXPECT_OK(reader_->CheckAgainst(writer_->end(), &buffer_));
    const OwnedFrame frame = Add(100);
    ASSERT_OK(Flush(writer_.get()));
    EXPECT_THAT(ReadNew(), ElementsAre(frame));
    writer_->OnConsumed(reader_->position());
    AdvanceTo(1024);
  }
}

TEST_P(LogReaderTest, ALostWriteIsDataLossOnlyBelowTheFlushedMark) {
  const OwnedFrame first = Add(10, 1);
  ASSERT_OK(Flush(writer_.get()));
  Add(10, 2);
  Batch lost;
  writer_->TakeBatch(&lost);  // and never written
  const OwnedFrame third = Add(10, 3);
  ASSERT_OK(Flush(writer_.get()));
  EXPECT_THAT(ReadNew(), ElementsAre(first)) << "never the third without the second";
  EXPECT_OK(reader_->CheckAgainst(56, &buffer_)) << "above the mark it is not yet";
  EXPECT_THAT(ReadNew(), IsEmpty());
  EXPECT_THAT(reader_->CheckAgainst(writer_->flushed(), &buffer_),
              StatusIs(absl::StatusCode::kDataLoss,
                       AllOf(HasSubstr(path_), HasSubstr("offset 4152"), HasSubstr("position 56"),
                             HasSubstr("sequence 2"), HasSubstr("only zeros"))));
}

TEST_P(LogReaderTest, AWriteThatTheFileSystemLostIsDataLoss) {
  FaultySystemCalls writing;
  ASSERT_OK_AND_ASSIGN(auto file, OpenLogForWriting(&writing, path_, access_));
  LogWriter writer(std::move(file), TestHead(), access_);
  writing.LoseWrites({Call::kPwrite, "", /*skip=*/1, /*times=*/1});
  for (int call = 1; call <= 3; ++call) {
    ASSERT_TRUE(Append(&writer, OwnedFrame(FrameType::kCall, call)));
    ASSERT_OK(Flush(&writer));
  }
  ASSERT_OK(writer.WriteHead(WriterState::kOpen));
  EXPECT_EQ(ReadNew().size(), 1);
  ASSERT_OK_AND_ASSIGN(const LogHead head, reader_->ReadHeadNow(&buffer_));
  EXPECT_EQ(head.flushed, 120);
  EXPECT_THAT(reader_->CheckAgainst(head.flushed, &buffer_),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("offset 4136")));
}

TEST_P(LogReaderTest, DamageIsDescribedByItsBytes) {
  Add(10);
  ASSERT_OK(Flush(writer_.get()));
  Patch(kHeadSize + 20, "\x7f");
  EXPECT_THAT(reader_->CheckAgainst(56, &buffer_),
              StatusIs(absl::StatusCode::kDataLoss,
                       AllOf(HasSubstr("offset 4096"), HasSubstr("wrong checksum"),
                             HasSubstr("3200000003"))));
}

TEST_P(LogReaderTest, WhatAppearsWithinThreeReadingsIsNoLoss) {
  Add(10);
  Batch batch;
  writer_->TakeBatch(&batch);
  for (int reading = 1; reading <= 4; ++reading) {
    Patch(kHeadSize, std::string(batch.bytes.size(), '\0'));
    calls_.Clear();
    calls_.ResetCounts();
    calls_.Run({Call::kPread, "", /*skip=*/reading - 1, 1}, [&] { Patch(kHeadSize, batch.bytes); });
    const absl::Status status = reader_->CheckAgainst(batch.end(), &buffer_);
    EXPECT_EQ(status.code(), reading <= 3 ? absl::StatusCode::kOk : absl::StatusCode::kDataLoss)
        << reading;
    EXPECT_EQ(calls_.Count(Call::kPread), std::min(reading, 3));
    EXPECT_EQ(calls_.Count(Call::kOpen), std::min(reading, 3)) << "opened anew for each";
  }
  Frame frame;
  Patch(kHeadSize, batch.bytes);
  ASSERT_OK(reader_->CheckAgainst(batch.end(), &buffer_));
  EXPECT_EQ(reader_->Next(&frame), Outcome::kFrame) << "its last reading is there for Next()";
}

TEST_P(LogReaderTest, FailingToLookIsNotALoss) {
  Add(10);
  ASSERT_OK(Flush(writer_.get()));
  Patch(kHeadSize, std::string(56, '\0'));
  for (const Call call : {Call::kOpen, Call::kFstat, Call::kPread}) {
    calls_.Clear();
    calls_.Fail({call}, EIO);
    EXPECT_THAT(reader_->CheckAgainst(56, &buffer_), HasCode(absl::StatusCode::kUnavailable));
  }
  AlignedBuffer small(4096);
  calls_.Clear();
  EXPECT_THAT(reader_->CheckAgainst(56, &small), HasCode(absl::StatusCode::kInvalidArgument))
      << "a buffer that cannot hold a frame proves nothing";
}

TEST_P(LogReaderTest, AfterAFailedReadingNothingIsTakenAndNothingLost) {
  const OwnedFrame frame = Add(10);
  ASSERT_OK(Flush(writer_.get()));
  for (const int error : {EIO, ESTALE}) {
    calls_.Clear();
    calls_.Fail({Call::kPread, "", 0, 1}, error);
    const absl::Status failed = reader_->Read(4096, &buffer_);
    EXPECT_THAT(failed, StatusIs(absl::StatusCode::kUnavailable, HasSubstr("read " + path_)));
    EXPECT_EQ(os::IsStale(failed), error == ESTALE);
    Frame got;
    EXPECT_EQ(reader_->Next(&got), Outcome::kNotYet);
    EXPECT_EQ(reader_->wanted(), 0);
  }
  EXPECT_OK(reader_->Reopen());
  EXPECT_THAT(ReadNew(), ElementsAre(frame));
}

TEST_P(LogReaderTest, ShortReadingsLoseNothing) {
  std::vector<OwnedFrame> sent;
  for (int call = 1; call <= 20; ++call) sent.push_back(Add(call * 30, call));
  ASSERT_OK(Flush(writer_.get()));
  if (GetParam()) {
    calls_.Shorten({Call::kPread}, 4096);
  } else {
    calls_.Shorten({Call::kPread}, 13);
  }
  EXPECT_EQ(ReadNew(), sent);
}

TEST_P(LogReaderTest, ASmallBufferIsRefusedOnlyForFramesThatItCannotHold) {
  const OwnedFrame small = Add(100, 1), large = Add(12000, 2);
  ASSERT_OK(Flush(writer_.get()));
  AlignedBuffer one_block(4096);
  std::vector<OwnedFrame> got;
  const absl::Status refused = ReadFrames(reader_.get(), 4096, &one_block, &got);
  if (GetParam()) {
    EXPECT_TRUE(got.empty() || got.size() == 1);
  } else {
    EXPECT_THAT(got, ElementsAre(small));
  }
  EXPECT_THAT(refused, StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(path_)));
  for (const OwnedFrame& frame : ReadNew()) got.push_back(frame);
  EXPECT_THAT(got, ElementsAre(small, large));
}

TEST_P(LogReaderTest, NothingBeforeTheFirstReading) {
  Frame frame;
  EXPECT_EQ(reader_->Next(&frame), Outcome::kNotYet);
  EXPECT_GT(reader_->wanted(), 0);
}

// A long frame at every place within a block: the buffer must do for all of them.
TEST_P(LogReaderTest, TheLongestFrameIsReadWhereverItBegins) {
  const LogHead head = TestHead(kMaxFrameLength * 4);
  ASSERT_OK_AND_ASSIGN(const auto writer,
                       MakeWriter(os::SystemCalls::Real(), scratch_ / "long", head, access_));
  ASSERT_OK_AND_ASSIGN(const auto reader, MakeReader(&calls_, scratch_ / "long", head, access_));
  ASSERT_EQ(writer->max_payload(), kMaxFrameLength - kFrameHeaderSize);
  for (size_t shift = 0; shift <= 4096; shift += 8 * 61) {
    const OwnedFrame before(FrameType::kCall, 1, std::string(shift, 'b'));
    const OwnedFrame longest(FrameType::kData, 2, std::string(writer->max_payload(), 'l'));
    ASSERT_TRUE(Append(writer.get(), before));
    ASSERT_TRUE(Append(writer.get(), longest));
    ASSERT_OK(Flush(writer.get()));
    std::vector<OwnedFrame> got;
    ASSERT_OK(ReadFrames(reader.get(), 4096, &buffer_, &got));
    EXPECT_THAT(got, ElementsAre(before, longest));
    writer->OnConsumed(reader->position());
  }
}

// A network file system, on which a plain descriptor goes on showing what was there at its opening.
TEST(LogReaderOnANetwork, APlainReaderSeesMoreOnlyAfterReopening) {
  MemoryFileSystem system;
  const auto here = system.NewClient({/*network=*/true});
  const auto there = system.NewClient({/*network=*/true});
  const FileAccess access = {/*direct_reads=*/false, /*flushed_writes=*/true};
  ASSERT_OK_AND_ASSIGN(const auto writer, MakeWriter(here.get(), "/log", TestHead(), access));
  ASSERT_OK_AND_ASSIGN(const auto reader,
                       MakeReader(there.get(), "/log", TestHead(), access, 1000));
  const OwnedFrame frame(FrameType::kCall, 1, "call");
  ASSERT_TRUE(Append(writer.get(), frame));
  ASSERT_OK(Flush(writer.get()));
  AlignedBuffer buffer(LogReader::kBufferSize);
  std::vector<OwnedFrame> got;
  ASSERT_OK(ReadFrames(reader.get(), 4096, &buffer, &got));
  EXPECT_THAT(got, IsEmpty());
  ASSERT_OK(reader->CheckAgainst(writer->flushed(), &buffer)) << "it reopens";
  ASSERT_OK(ReadFrames(reader.get(), 4096, &buffer, &got));
  EXPECT_THAT(got, ElementsAre(frame));
}

TEST(LogReaderOnANetwork, ADirectReaderSeesEachBatchWhenItsWriteHasReturned) {
  MemoryFileSystem system;
  const auto here = system.NewClient({/*network=*/true});
  const auto there = system.NewClient({/*network=*/true});
  const FileAccess access = {/*direct_reads=*/true, /*flushed_writes=*/true};
  ASSERT_OK_AND_ASSIGN(const auto writer, MakeWriter(here.get(), "/log", TestHead(), access));
  ASSERT_OK_AND_ASSIGN(const auto reader,
                       MakeReader(there.get(), "/log", TestHead(), access, 1000));
  AlignedBuffer buffer(LogReader::kBufferSize);
  for (int call = 1; call <= 1000; ++call) {
    const OwnedFrame frame(FrameType::kCall, call, std::string(call % 700, 'x'));
    ASSERT_TRUE(Append(writer.get(), frame));
    ASSERT_OK(Flush(writer.get()));
    std::vector<OwnedFrame> got;
    ASSERT_OK(ReadFrames(reader.get(), 4096, &buffer, &got));
    ASSERT_THAT(got, ElementsAre(frame));
    writer->OnConsumed(reader->position());
  }
}

// A host that dies takes what it had not flushed with it; what it had flushed is there.
TEST(LogReaderOnANetwork, WhatACrashedWriterHadFlushedIsThereAndNothingElse) {
  MemoryFileSystem system;
  const auto here = system.NewClient({/*network=*/true});
  const auto there = system.NewClient({/*network=*/true});
  const FileAccess flushed = {/*direct_reads=*/true, /*flushed_writes=*/true};
  ASSERT_OK(CreateLogFile(here.get(), "/log", TestHead(), flushed, 0600));
  for (const bool flushes : {true, false}) {
    FileAccess access = flushed;
    access.flushed_writes = flushes;
    ASSERT_OK_AND_ASSIGN(auto file, OpenLogForWriting(here.get(), "/log", access));
    LogWriter writer(std::move(file), TestHead(), access);
    ASSERT_TRUE(Append(&writer, OwnedFrame(FrameType::kCall, flushes ? 1 : 2)));
    ASSERT_OK(Flush(&writer));
    here->Crash();
    ASSERT_OK_AND_ASSIGN(const auto reader,
                         MakeReader(there.get(), "/log", TestHead(), flushed, 1000));
    AlignedBuffer buffer(LogReader::kBufferSize);
    std::vector<OwnedFrame> got;
    ASSERT_OK(ReadFrames(reader.get(), 4096, &buffer, &got));
    EXPECT_THAT(got, ElementsAre(OwnedFrame(FrameType::kCall, 1)));
  }
}

}  // namespace
}  // namespace spoolrpc::log
