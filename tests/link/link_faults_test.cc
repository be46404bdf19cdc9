// A link when writes fail, are lost, or are damaged afterwards, and when files vanish.
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <thread>

#include "absl/strings/str_cat.h"
#include "tests/link/link_pair.h"
#include "tests/testing/faulty_system_calls.h"
#include "tests/testing/scratch_directory.h"

namespace spoolrpc::link {
namespace {

using log::FrameType;
using ::testing::AllOf;
using testing::Call;
using testing::HasCode;
using ::testing::HasSubstr;
using testing::StatusIs;

class LinkFaultsTest : public ::testing::Test {
 protected:
  LinkFaultsTest() {
    PairOptions options;
    options.directory = scratch_.path();
    options.client.calls = &faults_;
    pair_ = MakePair(options);
  }
  End& client() { return pair_->client; }
  End& server() { return pair_->server; }
  LinkPair& pair() { return *pair_; }
  testing::FaultySystemCalls& faults() { return faults_; }

  // Overwrites bytes of a file behind everybody's back.
  static void Damage(const std::string& path, uint64_t offset, const std::string& bytes) {
    const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
    ASSERT_GE(fd, 0);
    EXPECT_EQ(pwrite(fd, bytes.data(), bytes.size(), offset), bytes.size());
    close(fd);
  }

 private:
  const testing::ScratchDirectory scratch_;
  testing::FaultySystemCalls faults_;
  std::unique_ptr<LinkPair> pair_;
};

TEST_F(LinkFaultsTest, FailedWriteIsFinal) {
  for (const int error : {EIO, ENOSPC, EDQUOT, ESTALE}) {
    const testing::ScratchDirectory scratch;
    testing::FaultySystemCalls faults;
    PairOptions options;
    options.directory = scratch.path();
    options.client.calls = &faults;
    const auto pair = MakePair(options);
    pair->client.Send(FrameType::kCall, 1, "good");
    ASSERT_OK(pair->client.link->Flush());
    const auto fault = faults.Fail({Call::kPwrite, "/requests", 0, 1}, error);
    pair->client.Send(FrameType::kCall, 2, "bad");
    const absl::Status failed = pair->client.link->Flush();
    EXPECT_FALSE(failed.ok());
    EXPECT_THAT(std::string(failed.message()), HasSubstr(pair->requests));
    EXPECT_EQ(faults.Met(fault), 1);
    // The disk is well again, and yet: an uncertain offset is never written again.
    const int64_t writes = faults.Count(Call::kPwrite, "/requests");
    pair->client.Send(FrameType::kCall, 3, "after");
    EXPECT_EQ(pair->client.link->Flush(), failed);
    EXPECT_EQ(pair->client.link->Renew(log::WriterState::kOpen), failed);
    EXPECT_EQ(pair->client.link->status(), failed);
    EXPECT_EQ(faults.Count(Call::kPwrite, "/requests"), writes);
    pair->server.Poll();
    ASSERT_EQ(pair->server.frames.size(), 1);
    EXPECT_EQ(MessageOf(pair->server.frames, 1), "good");
  }
}

TEST_F(LinkFaultsTest, FailedRenewalIsFinal) {
  faults().Fail({Call::kPwrite, "/requests", 0, 1}, EIO);
  EXPECT_FALSE(client().link->Renew(log::WriterState::kOpen).ok());
  EXPECT_FALSE(client().link->Flush().ok());
}

TEST_F(LinkFaultsTest, ShortWritesAreFinished) {
  faults().Shorten({Call::kPwrite, "/requests"}, 7);
  client().Send(FrameType::kCall, 1, std::string(5000, 'x'));
  ASSERT_OK(client().link->Flush());
  ASSERT_OK(client().link->Renew(log::WriterState::kOpen));
  EXPECT_EQ(server().PollHead().end, PollResult::End::kNone);
  EXPECT_EQ(MessageOf(server().frames, 1), std::string(5000, 'x'));
}

TEST_F(LinkFaultsTest, LostWriteIsDataLossOnceTheHeadSaysThatItWasFlushed) {
  client().Send(FrameType::kCall, 1, "there");
  ASSERT_OK(client().link->Flush());
  const auto lost = faults().LoseWrites({Call::kPwrite, "/requests", 0, 1});
  client().Send(FrameType::kCall, 2, "lost");
  ASSERT_OK(client().link->Flush());
  EXPECT_EQ(faults().Met(lost), 1);
  client().Send(FrameType::kCall, 3, "behind the hole");
  ASSERT_OK(client().link->Flush());
  server().Poll();
  ASSERT_EQ(server().frames.size(), 1);
  // Until the writer's mark covers it, it may just be late.
  EXPECT_EQ(server().PollHead().end, PollResult::End::kNone);
  ASSERT_OK(client().link->Renew(log::WriterState::kOpen));
  const PollResult result = server().PollHead();
  EXPECT_EQ(result.end, PollResult::End::kCorrupt);
  EXPECT_THAT(result.status, StatusIs(absl::StatusCode::kDataLoss,
                                      AllOf(HasSubstr(pair().requests), HasSubstr("offset"),
                                            HasSubstr("only zeros"))));
  EXPECT_EQ(server().frames.size(), 1);
}

TEST_F(LinkFaultsTest, DamagedBytesBelowTheMarkAreDataLoss) {
  client().Send(FrameType::kCall, 1, std::string(200, 'x'));
  ASSERT_OK(client().link->Flush());
  Damage(pair().requests, log::kHeadSize + 100, "flip");
  // Above the mark: not yet.
  EXPECT_EQ(server().PollHead().end, PollResult::End::kNone);
  EXPECT_TRUE(server().frames.empty());
  ASSERT_OK(client().link->Renew(log::WriterState::kOpen));
  const PollResult result = server().PollHead();
  EXPECT_EQ(result.end, PollResult::End::kCorrupt);
  EXPECT_THAT(result.status, StatusIs(absl::StatusCode::kDataLoss,
                                      HasSubstr(absl::StrCat("offset ", log::kHeadSize))));
  EXPECT_TRUE(server().frames.empty());
}

// Its writer has ended in order meanwhile, and has removed it: it cannot be opened anew.
TEST_F(LinkFaultsTest, DamagedBytesOfALogThatIsGoneEndTheSession) {
  server().Send(FrameType::kReply, 1, std::string(200, 'x'));
  ASSERT_OK(server().link->Flush());
  Damage(pair().responses, log::kHeadSize + 100, "flip");
  ASSERT_OK(server().link->Renew(log::WriterState::kClosed));
  ASSERT_EQ(unlink(pair().responses.c_str()), 0);
  const PollResult result = client().PollHead();
  // Not kPeerClosed: what it had acknowledged is not known.
  EXPECT_EQ(result.end, PollResult::End::kFailed);
  EXPECT_THAT(std::string(result.status.message()), HasSubstr(pair().responses));
}

TEST_F(LinkFaultsTest, LastWordsAreAllThatThePeerHadWritten) {
  server().Send(FrameType::kReply, 1, "one");
  server().Send(FrameType::kReply, 2, std::string(10000, '2'));
  ASSERT_OK(server().link->Flush());
  ASSERT_OK(server().link->Renew(log::WriterState::kOpen));
  EXPECT_EQ(client().PollToEnd().end, PollResult::End::kNone);
  EXPECT_EQ(MessageOf(client().frames, 1), "one");
  EXPECT_EQ(MessageOf(client().frames, 2), std::string(10000, '2'));
}

// An acknowledgement that was lost is not one that was never given.
TEST_F(LinkFaultsTest, LastWordsThatAreMissingBelowTheMarkAreDataLoss) {
  server().link->SendControl(FrameType::kAck, 0, 1);
  ASSERT_OK(server().link->Flush());
  ASSERT_OK(server().link->Renew(log::WriterState::kOpen));
  Damage(pair().responses, log::kHeadSize, std::string(4096, '\0'));
  const PollResult result = client().PollToEnd();
  EXPECT_EQ(result.end, PollResult::End::kCorrupt);
  EXPECT_THAT(result.status, StatusIs(absl::StatusCode::kDataLoss, HasSubstr(pair().responses)));
}

// On one host the doorbell tells of every write.
TEST_F(LinkFaultsTest, LastWordsThatWereRungForAndAreMissingAreDataLoss) {
  const testing::ScratchDirectory scratch;
  PairOptions options;
  options.directory = scratch.path();
  options.bells = true;
  const auto pair = MakePair(options);
  pair->server.link->SendControl(FrameType::kAck, 0, 1);
  ASSERT_OK(pair->server.link->Flush());
  Damage(pair->responses, log::kHeadSize, std::string(4096, '\0'));
  const PollResult result = pair->client.PollToEnd();
  EXPECT_EQ(result.end, PollResult::End::kCorrupt);
  EXPECT_THAT(result.status, StatusIs(absl::StatusCode::kDataLoss, HasSubstr(pair->responses)));
}

TEST_F(LinkFaultsTest, LastWordsOfALogWhoseHeadIsTornAreNotKnown) {
  Damage(pair().responses, 0, std::string(64, '\xff'));
  const PollResult result = client().PollToEnd();
  EXPECT_EQ(result.end, PollResult::End::kFailed);
  EXPECT_THAT(result.status, HasCode(absl::StatusCode::kUnavailable));
}

TEST_F(LinkFaultsTest, WhatIsSeenAfterReopeningIsNoDataLoss) {
  server().Send(FrameType::kReply, 1, "late");
  ASSERT_OK(server().link->Flush());
  ASSERT_OK(server().link->Renew(log::WriterState::kOpen));
  // The held descriptor does not show it, as on some file systems; one that is opened anew does.
  std::string beginning(8, '\0');
  const int fd = open(pair().responses.c_str(), O_RDONLY | O_CLOEXEC);
  ASSERT_GE(fd, 0);
  ASSERT_EQ(pread(fd, &beginning[0], 8, log::kHeadSize), 8);
  close(fd);
  Damage(pair().responses, log::kHeadSize, std::string(8, '\0'));
  const auto reopened = faults().Run({Call::kOpen, "/responses", 0, 1},
                                     [&] { Damage(pair().responses, log::kHeadSize, beginning); });
  EXPECT_EQ(client().PollHead().end, PollResult::End::kNone);
  EXPECT_EQ(faults().Met(reopened), 1);
  EXPECT_EQ(MessageOf(client().frames, 1), "late");
}

TEST_F(LinkFaultsTest, ClaimToHaveReadWhatWasNeverWrittenIsDataLoss) {
  // A frame of the peer's with a `consumed` beyond this side's end, with a right checksum.
  log::FileAccess access;
  log::LogHead head;
  head.id = TestSessionId();
  head.direction = log::Direction::kRequests;
  head.capacity = log::kMinCapacity;
  auto file = log::OpenLogForWriting(os::SystemCalls::Real(), pair().requests, access);
  ASSERT_OK(file);
  log::LogWriter writer(*std::move(file), head, access);
  writer.BeginFrame(0);
  writer.EndFrame(FrameType::kCancel, 0, 1, /*consumed=*/4096);
  log::Batch batch;
  writer.TakeBatch(&batch);
  ASSERT_OK(writer.Write(batch));
  const PollResult result = server().Poll();
  EXPECT_EQ(result.end, PollResult::End::kCorrupt);
  EXPECT_THAT(result.status, HasCode(absl::StatusCode::kDataLoss));
}

TEST_F(LinkFaultsTest, RemovedFileIsFoundOutByTheNextRenewal) {
  client().Send(FrameType::kCall, 1, "x");
  ASSERT_OK(client().link->Flush());
  ASSERT_EQ(unlink(pair().requests.c_str()), 0);
  EXPECT_THAT(client().link->Renew(log::WriterState::kOpen),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr(pair().requests), HasSubstr("removed"))));
}

TEST_F(LinkFaultsTest, FailedReadsEndTheSession) {
  server().Send(FrameType::kReply, 1, "x");
  ASSERT_OK(server().link->Flush());
  faults().Fail({Call::kPread, "/responses"}, EIO);
  const PollResult result = client().Poll();
  EXPECT_EQ(result.end, PollResult::End::kFailed);
  EXPECT_THAT(std::string(result.status.message()), HasSubstr(pair().responses));
}

TEST_F(LinkFaultsTest, StaleDescriptorIsReopened) {
  server().Send(FrameType::kReply, 1, "x");
  ASSERT_OK(server().link->Flush());
  faults().Fail({Call::kPread, "/responses", 0, 1}, ESTALE);
  EXPECT_EQ(client().Poll().end, PollResult::End::kNone);
  EXPECT_EQ(MessageOf(client().frames, 1), "x");
}

TEST_F(LinkFaultsTest, BreachOfProtocolEndsTheSession) {
  client().Send(FrameType::kCall, 1, "x");
  ASSERT_OK(client().link->Flush());
  ASSERT_TRUE(server().link->TryBeginPoll());
  const PollResult result = server().link->Poll(true, &server().buffer, [](const log::Frame&) {
    return absl::DataLossError("that frame does not belong here");
  });
  server().link->EndPoll();
  EXPECT_EQ(result.end, PollResult::End::kFailed);
  EXPECT_THAT(result.status, HasCode(absl::StatusCode::kDataLoss));
}

TEST_F(LinkFaultsTest, BlockedWriteHoldsNeitherSendersNorReaders) {
  // Whoever writes is stuck in the file system; others add what they have, and reading goes on.
  const auto block = faults().Block({Call::kPwrite, "/requests", 0, 1});
  client().Send(FrameType::kCall, 1, "first");
  std::thread writer([&] { EXPECT_OK(client().link->Flush()); });
  ASSERT_TRUE(faults().AwaitBlocked(block));
  client().Send(FrameType::kCall, 2, "second");
  EXPECT_OK(client().link->Flush());
  EXPECT_THAT(client().link->FlushAndWait(absl::Milliseconds(20)),
              HasCode(absl::StatusCode::kDeadlineExceeded));
  server().Send(FrameType::kReply, 9, "meanwhile");
  ASSERT_OK(server().link->Flush());
  EXPECT_EQ(client().Poll().frames, 1);
  faults().Release(block);
  writer.join();
  EXPECT_OK(client().link->FlushAndWait(absl::Seconds(60)));
  server().Poll();
  EXPECT_EQ(MessageOf(server().frames, 1), "first");
  EXPECT_EQ(MessageOf(server().frames, 2), "second");
}

}  // namespace
}  // namespace spoolrpc::link
