// What a broken or hostile client can do with bulk buffers: nothing to others.
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "absl/strings/match.h"
#include "spoolrpc/link/bulk_pool.h"
#include "tests/e2e/hostile_fixture.h"

namespace spoolrpc::e2e {
namespace {

using ::testing::HasSubstr;

constexpr size_t kLarge = size_t{1} << 20;

class HostileBulkTest : public HostileTest {
 protected:
  void SetUp() override {
    if (network()) GTEST_SKIP() << "there are no bulk buffers there";
    HostileTest::SetUp();
  }
  void TearDown() override {
    if (!network()) HostileTest::TearDown();
  }
  // A session with a buffer of the client's that holds a request, and the reference to it.
  void Prepare() {
    session_ = Accepted();
    directory_ = std::filesystem::path(session_->requests()).parent_path();
    std::string id;
    ASSERT_TRUE(spool::ParseIdName(std::filesystem::path(directory_).filename().string(), &id));
    link::BulkPoolOptions options;
    options.env.calls = os::SystemCalls::Real();
    options.directory = directory_;
    options.session_id = id;
    options.limit = 64 << 20;
    pool_ = std::make_shared<link::BulkPool>(options);
    Text request;
    request.set_data(std::string(kLarge, 'q'));
    auto loan = pool_->LendBytes(request.SerializeAsString());
    ASSERT_NE(loan, nullptr);
    loan->SetWritten();
    reference_ = loan->reference();
  }
  std::string buffer() const { return directory_ + "/bulk.1"; }
  void Call(uint64_t call, const std::string& reference, uint8_t flags = log::kBulk) {
    session_->Write(log::FrameType::kCall, flags, call,
                    RawSession::CallPayload(Header("/e2e.Probe/Run"), reference));
  }
  void Call(uint64_t call) { Call(call, link::EncodeBulkReference(reference_)); }
  // The session ends, and the call is not executed.
  void ExpectEnd(wire::Goodbye::Cause cause, const std::string& why) {
    const wire::Goodbye goodbye = session_->AwaitGoodbye();
    EXPECT_EQ(goodbye.cause(), cause);
    EXPECT_THAT(goodbye.detail(), HasSubstr(why));
    EXPECT_EQ(executed_, 0);
  }

  std::unique_ptr<RawSession> session_;
  std::string directory_;
  std::shared_ptr<link::BulkPool> pool_;
  link::BulkReference reference_;
};
SPOOLRPC_BOTH_TRANSPORTS(HostileBulkTest);

TEST_P(HostileBulkTest, WhatIsRightIsExecutedAndReleased) {
  ASSERT_NO_FATAL_FAILURE(Prepare());
  Call(1);
  const auto frames = session_->ReadUntil(log::FrameType::kReply);
  EXPECT_EQ(executed_, 1);
  bool released = false;
  for (const RawSession::Frame& frame : frames) {
    if (frame.type == log::FrameType::kRelease) {
      released = frame.payload == link::EncodeBulkRelease({1, reference_.generation});
    }
  }
  EXPECT_TRUE(released);
}

TEST_P(HostileBulkTest, WhatIsNotExecutedIsReleasedToo) {
  ASSERT_NO_FATAL_FAILURE(Prepare());
  session_->Write(log::FrameType::kCall, log::kBulk, 1,
                  RawSession::CallPayload(Header("/e2e.Nobody/Nothing"),
                                          link::EncodeBulkReference(reference_)));
  session_->ReadUntil(log::FrameType::kRelease);
  EXPECT_EQ(executed_, 0);
}

TEST_P(HostileBulkTest, AStreamsMessage) {
  ASSERT_NO_FATAL_FAILURE(Prepare());
  session_->Write(log::FrameType::kMessage, log::kBulk, 1, link::EncodeBulkReference(reference_));
  ExpectEnd(wire::Goodbye::PROTOCOL_ERROR, "in a bulk buffer");
}

TEST_P(HostileBulkTest, ChangedBytes) {
  ASSERT_NO_FATAL_FAILURE(Prepare());
  const int file = open(buffer().c_str(), O_WRONLY | O_CLOEXEC);
  ASSERT_EQ(pwrite(file, "!", 1, kLarge / 2), 1);
  close(file);
  Call(1);
  ExpectEnd(wire::Goodbye::CORRUPT, "checksum");
  EXPECT_TRUE(log().Await("bulk.1"));
}

TEST_P(HostileBulkTest, AnotherGeneration) {
  ASSERT_NO_FATAL_FAILURE(Prepare());
  ++reference_.generation;
  Call(1);
  ExpectEnd(wire::Goodbye::CORRUPT, "checksum");
}

TEST_P(HostileBulkTest, NoFile) {
  ASSERT_NO_FATAL_FAILURE(Prepare());
  reference_.buffer = 999999;
  Call(1);
  ExpectEnd(wire::Goodbye::CORRUPT, "bulk.999999");
}

TEST_P(HostileBulkTest, ASymbolicLink) {
  ASSERT_NO_FATAL_FAILURE(Prepare());
  ASSERT_EQ(rename(buffer().c_str(), (directory_ + "/elsewhere").c_str()), 0);
  ASSERT_EQ(symlink("elsewhere", buffer().c_str()), 0);
  Call(1);
  ExpectEnd(wire::Goodbye::CORRUPT, "bulk.1");
}

TEST_P(HostileBulkTest, AFifo) {
  ASSERT_NO_FATAL_FAILURE(Prepare());
  ASSERT_EQ(unlink(buffer().c_str()), 0);
  ASSERT_EQ(mkfifo(buffer().c_str(), 0600), 0);
  Call(1);
  ExpectEnd(wire::Goodbye::CORRUPT, "not a regular file");
}

TEST_P(HostileBulkTest, ATruncatedFile) {
  ASSERT_NO_FATAL_FAILURE(Prepare());
  ASSERT_EQ(truncate(buffer().c_str(), 4096), 0);
  Call(1);
  ExpectEnd(wire::Goodbye::CORRUPT, "4096 bytes");
}

TEST_P(HostileBulkTest, AFileThatIsTruncatedOnceItIsMapped) {
  ASSERT_NO_FATAL_FAILURE(Prepare());
  Call(1);
  session_->ReadUntil(log::FrameType::kReply);
  executed_ = 0;
  ASSERT_EQ(truncate(buffer().c_str(), 4096), 0);
  Call(2);
  ExpectEnd(wire::Goodbye::CORRUPT, "bulk.1");
}

TEST_P(HostileBulkTest, NumbersOutOfRange) {
  ASSERT_NO_FATAL_FAILURE(Prepare());
  reference_.buffer = 0;
  Call(1);
  ExpectEnd(wire::Goodbye::PROTOCOL_ERROR, "without a reference");
}

TEST_P(HostileBulkTest, NoReferenceAtAll) {
  ASSERT_NO_FATAL_FAILURE(Prepare());
  Call(1, "");
  ExpectEnd(wire::Goodbye::PROTOCOL_ERROR, "without a reference");
}

TEST_P(HostileBulkTest, AnnouncedLengthsTakeNoMemory) {
  ASSERT_NO_FATAL_FAILURE(Prepare());
  // A file that says it has 4 GiB, and references to 2 of them.
  ASSERT_EQ(truncate(buffer().c_str(), int64_t{1} << 32), 0);
  const size_t before = Memory();
  reference_.length = link::kMaxBulkLength;
  for (uint64_t call = 1; call <= 20; ++call) Call(call);
  // Each is refused without a look at it.
  session_->ReadUntil(log::FrameType::kReply);
  EXPECT_LT(Memory(), before + (size_t{64} << 20));
  EXPECT_EQ(executed_, 0);
}

TEST_P(HostileBulkTest, ALargeSparseFileIsReadOnlyWhereTheMessageLies) {
  ASSERT_NO_FATAL_FAILURE(Prepare());
  ASSERT_EQ(truncate(buffer().c_str(), int64_t{1} << 32), 0);
  const size_t before = Memory();
  Call(1);
  session_->ReadUntil(log::FrameType::kReply);
  EXPECT_EQ(executed_, 1);
  EXPECT_LT(Memory(), before + (size_t{64} << 20));
}

}  // namespace
}  // namespace spoolrpc::e2e
