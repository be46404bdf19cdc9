// Broken and hostile clients: the server refuses or ends their sessions, says why, and serves the
// others on.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <random>

#include "absl/strings/str_cat.h"
#include "spoolrpc/os/file.h"
#include "spoolrpc/spool/record_file.h"
#include "tests/e2e/fixture.h"
#include "tests/e2e/raw_session.h"
#include "tests/testing/seed.h"

namespace spoolrpc::e2e {
namespace {

using log::FrameType;
using ::testing::AnyOf;
using ::testing::HasSubstr;

class BadSessionTest : public BothTransports {
 protected:
  void SetUp() override {
    service_.handler = [this](ServerContext*, const Text*, Text*) {
      ++executed_;
      return absl::OkStatus();
    };
    server_ = Serve(&service_);
    stub_ = Probe::NewStub(Connect());
    ExpectOthersAreServed();
  }
  void TearDown() override {
    ExpectOthersAreServed();
    stub_.reset();
  }

  void ExpectOthersAreServed() {
    ClientContext context;
    Text reply;
    EXPECT_OK(stub_->Echo(&context, Say("well"), &reply));
    EXPECT_EQ(reply.text(), "well");
  }
  std::unique_ptr<RawSession> Accepted() {
    auto session = std::make_unique<RawSession>(spool(), GetParam());
    session->Publish();
    EXPECT_EQ(session->AwaitVerdict().verdict(), spool::VerdictRecord::ACCEPTED);
    return session;
  }
  // The session that `spoil` has spoiled before it is published is refused with such a detail.
  void ExpectRefused(const std::function<void(const std::string& directory)>& spoil,
                     const std::string& detail) {
    RawSession session(spool(), GetParam());
    spoil(session.directory());
    session.Publish();
    const spool::VerdictRecord verdict = session.AwaitVerdict();
    EXPECT_EQ(verdict.verdict(), spool::VerdictRecord::REFUSED);
    EXPECT_THAT(verdict.detail(), HasSubstr(detail));
    EXPECT_TRUE(log().Await("session refused"));
    ExpectOthersAreServed();
  }
  // A session that writes this is ended as a breach of the protocol.
  void ExpectBreach(FrameType type, uint8_t flags, uint64_t call, const std::string& payload) {
    const auto session = Accepted();
    session->Write(type, flags, call, payload);
    const wire::Goodbye goodbye = session->AwaitGoodbye();
    EXPECT_THAT(goodbye.cause(), AnyOf(wire::Goodbye::PROTOCOL_ERROR, wire::Goodbye::CORRUPT));
    EXPECT_FALSE(goodbye.detail().empty());
    session->Renew(log::WriterState::kClosed);
    ExpectOthersAreServed();
  }
  static wire::CallHeader Header(const std::string& method, uint32_t id = 1) {
    wire::CallHeader header;
    header.set_method_id(id);
    header.set_method(method);
    return header;
  }

  std::atomic<int> executed_{0};

 private:
  ProbeService service_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<Probe::Stub> stub_;
};
SPOOLRPC_BOTH_TRANSPORTS(BadSessionTest);

TEST_P(BadSessionTest, RawSessionWorksAsLongAsItKeepsToTheProtocol) {
  const auto session = Accepted();
  session->Write(
      FrameType::kCall, 0, 1,
      RawSession::CallPayload(Header("/e2e.Probe/Echo"), Say("by hand").SerializeAsString()));
  const auto frames = session->ReadUntil(FrameType::kReply);
  ASSERT_FALSE(frames.empty());
  EXPECT_EQ(frames.back().call, 1);
  EXPECT_THAT(frames.back().payload, HasSubstr("by hand"));
  // An unknown type with SKIPPABLE, and DATA and CANCEL of calls that are over, are no breach.
  session->Write(static_cast<FrameType>(77), log::kSkippable, 0, "newer");
  session->Write(FrameType::kData, 0, 1, "late");
  session->Write(FrameType::kCancel, 0, 1, "");
  session->Write(FrameType::kCancel, 0, 999, "");
  wire::CallHeader again;
  again.set_method_id(1);
  session->Write(FrameType::kCall, 0, 2, RawSession::CallPayload(again, ""));
  EXPECT_EQ(session->ReadUntil(FrameType::kReply).back().call, 2);
  session->Write(FrameType::kGoodbye, 0, 0, wire::Goodbye().SerializeAsString());
  EXPECT_EQ(session->AwaitGoodbye().cause(), wire::Goodbye::CLOSED);
}

TEST_P(BadSessionTest, BreachesOfTheProtocolEndTheSession) {
  const std::string message = Say("x").SerializeAsString();
  ExpectBreach(static_cast<FrameType>(77), 0, 0, "unknown and not to be skipped");
  ExpectBreach(FrameType::kAck, 0, 1, "");
  ExpectBreach(FrameType::kReply, 0, 1, "a client sends none");
  ExpectBreach(FrameType::kCall, 0, 1, "");
  ExpectBreach(FrameType::kCall, 0, 1, "abc");
  ExpectBreach(FrameType::kCall, 0, 1, std::string(8, '\xff'));
  // A method number that was never defined; call 0.
  wire::CallHeader undefined;
  undefined.set_method_id(9);
  ExpectBreach(FrameType::kCall, 0, 1, RawSession::CallPayload(undefined, message));
  ExpectBreach(FrameType::kCall, 0, 0, RawSession::CallPayload(Header("/e2e.Probe/Run"), message));
  EXPECT_EQ(executed_, 0);
}

TEST_P(BadSessionTest, CallNumberUsedTwiceEndsTheSession) {
  const auto session = Accepted();
  const std::string payload = RawSession::CallPayload(Header("/e2e.Probe/Run"), "");
  session->Write(FrameType::kCall, 0, 5, payload);
  session->ReadUntil(FrameType::kReply);
  wire::CallHeader again;
  again.set_method_id(1);
  session->Write(FrameType::kCall, 0, 5, RawSession::CallPayload(again, ""));
  EXPECT_EQ(session->AwaitGoodbye().cause(), wire::Goodbye::PROTOCOL_ERROR);
  EXPECT_EQ(executed_, 1);
}

TEST_P(BadSessionTest, OneMethodNumberCannotMeanTwoMethods) {
  const auto session = Accepted();
  session->Write(FrameType::kCall, 0, 1, RawSession::CallPayload(Header("/e2e.Probe/Echo"), ""));
  session->ReadUntil(FrameType::kReply);
  session->Write(FrameType::kCall, 0, 2, RawSession::CallPayload(Header("/e2e.Probe/Run"), ""));
  EXPECT_EQ(session->AwaitGoodbye().cause(), wire::Goodbye::PROTOCOL_ERROR);
  EXPECT_EQ(executed_, 0);
}

TEST_P(BadSessionTest, SizesThatLieEndNothingButTheCall) {
  const auto session = Accepted();
  // Announces little and sends much; announces more than is allowed.
  wire::CallHeader header = Header("/e2e.Probe/Run");
  header.set_message_size(uint64_t{1} << 40);
  session->Write(FrameType::kCall, log::kMore, 1, RawSession::CallPayload(header, "begin"));
  const auto frames = session->ReadUntil(FrameType::kReply);
  EXPECT_THAT(frames.back().payload, HasSubstr("/e2e.Probe/Run"));
  session->Write(FrameType::kData, 0, 1, "the rest");
  wire::CallHeader second;
  second.set_method_id(1);
  second.set_message_size(1);
  session->Write(FrameType::kCall, log::kMore, 2, RawSession::CallPayload(second, ""));
  for (int i = 0; i < 3; ++i) session->Write(FrameType::kData, log::kMore, 2, "12345");
  session->Write(FrameType::kData, 0, 2, "");
  EXPECT_EQ(session->ReadUntil(FrameType::kReply).back().call, 2);
  // One that never ends does no harm to the others.
  wire::CallHeader third;
  third.set_method_id(1);
  session->Write(FrameType::kCall, log::kMore, 3, RawSession::CallPayload(third, "x"));
}

TEST_P(BadSessionTest, DamageBelowTheFlushedMarkEndsTheSessionAsCorrupt) {
  const auto session = Accepted();
  // A call that stays open, so that the server watches the client's head.
  wire::CallHeader partial = Header("/e2e.Probe/Run");
  session->Write(FrameType::kCall, log::kMore, 1, RawSession::CallPayload(partial, "x"));
  session->WriteDamaged(FrameType::kCancel, 1);
  session->Renew();
  const wire::Goodbye goodbye = session->AwaitGoodbye();
  EXPECT_EQ(goodbye.cause(), wire::Goodbye::CORRUPT);
  EXPECT_THAT(goodbye.detail(), HasSubstr(session->requests()));
  EXPECT_EQ(executed_, 0);
}

TEST_P(BadSessionTest, RandomFramesNeverHarmTheServer) {
  std::mt19937_64 random(testing::TestSeed());
  for (int round = 0; round < 30; ++round) {
    const auto session = Accepted();
    for (int i = 0; i < 20; ++i) {
      std::string payload(random() % 200, '\0');
      for (char& byte : payload) byte = static_cast<char>(random());
      if (random() % 2 == 0) {
        payload = RawSession::CallPayload(Header("/e2e.Probe/Echo", random() % 3), payload);
      }
      session->Write(static_cast<FrameType>(random() % 9), random() % 4, random() % 10, payload);
    }
    session->Write(FrameType::kGoodbye, 0, 0, "");
    session->Renew(log::WriterState::kClosed);
    session->AwaitGoodbye();
  }
}

TEST_P(BadSessionTest, ForeignFilesAreRefused) {
  const std::string victim = scratch() / "victim";
  ASSERT_OK(
      os::WriteNewFile(os::SystemCalls::Real(), victim, std::string(200'000, 'v'), 0600, false));
  const auto replace_requests = [](const std::string& directory) {
    ASSERT_EQ(unlink((directory + "/requests").c_str()), 0);
  };
  ExpectRefused(
      [&](const std::string& directory) {
        replace_requests(directory);
        ASSERT_EQ(symlink(victim.c_str(), (directory + "/requests").c_str()), 0);
      },
      "requests");
  ExpectRefused(
      [&](const std::string& directory) {
        replace_requests(directory);
        ASSERT_EQ(mkfifo((directory + "/requests").c_str(), 0600), 0);
      },
      "requests");
  ExpectRefused(
      [&](const std::string& directory) {
        replace_requests(directory);
        ASSERT_EQ(link(victim.c_str(), (directory + "/requests").c_str()), 0);
      },
      "requests");
  ExpectRefused(
      [&](const std::string& directory) {
        replace_requests(directory);
        ASSERT_EQ(mkdir((directory + "/requests").c_str(), 0700), 0);
      },
      "requests");
  ExpectRefused(replace_requests, "requests");
  // A second link to what is otherwise right.
  ExpectRefused(
      [&](const std::string& directory) {
        ASSERT_EQ(link((directory + "/requests").c_str(), (scratch() / "again").c_str()), 0);
      },
      "links");
  ExpectRefused(
      [&](const std::string& directory) {
        ASSERT_EQ(link((directory + "/record").c_str(), (scratch() / "record").c_str()), 0);
      },
      "record");
  // Somebody else's file.
  if (geteuid() == 0) {
    ExpectRefused(
        [&](const std::string& directory) {
          ASSERT_EQ(chown((directory + "/requests").c_str(), 12345, 12345), 0);
        },
        "12345");
    ExpectRefused(
        [&](const std::string& directory) { ASSERT_EQ(chown(directory.c_str(), 12345, 12345), 0); },
        "12345");
  }
  // Shorter than its head says.
  ExpectRefused(
      [&](const std::string& directory) {
        ASSERT_EQ(truncate((directory + "/requests").c_str(), 5000), 0);
      },
      "requests");
  ExpectRefused(
      [&](const std::string& directory) {
        ASSERT_EQ(truncate((directory + "/requests").c_str(), 10), 0);
      },
      "requests");
}

TEST_P(BadSessionTest, SessionUnderAnotherNameIsRefused) {
  // The log of one session under the name of another does not look authentic.
  RawSession other(spool(), GetParam());
  ExpectRefused(
      [&](const std::string& directory) {
        ASSERT_EQ(unlink((directory + "/requests").c_str()), 0);
        std::filesystem::copy_file(other.directory() + "/requests", directory + "/requests");
      },
      "not of");
  ExpectRefused(
      [&](const std::string& directory) {
        ASSERT_EQ(unlink((directory + "/record").c_str()), 0);
        std::filesystem::copy_file(other.directory() + "/record", directory + "/record");
      },
      "another session");
}

TEST_P(BadSessionTest, AnotherProtocolVersionIsRefusedWithBothVersions) {
  ExpectRefused(
      [&](const std::string& directory) {
        spool::SessionRecord record;
        ASSERT_OK(spool::ReadRecord(os::SystemCalls::Real(), directory + "/record",
                                    spool::RecordKind::kSession, &record));
        record.set_protocol_version(9);
        record.set_min_protocol_version(8);
        ASSERT_EQ(unlink((directory + "/record").c_str()), 0);
        ASSERT_OK(os::WriteNewFile(os::SystemCalls::Real(), directory + "/record",
                                   spool::EncodeRecord(spool::RecordKind::kSession, record), 0600,
                                   false));
      },
      "8 to 9");
}

TEST_P(BadSessionTest, RubbishInTheInboxIsIgnored) {
  ASSERT_OK_AND_ASSIGN(const SpoolStatus status, QuerySpool(spool()));
  const std::string inbox = absl::StrCat(spool(), "/servers/", status.servers[0].id, "/inbox");
  for (const std::string& name : {std::string("x"), std::string(".nfs0001"), std::string("core.1"),
                                  std::string(32, 'a') + ".1", std::string(32, 'z') + ".1"}) {
    ASSERT_OK(os::WriteNewFile(os::SystemCalls::Real(), inbox + "/" + name, "", 0600, false));
  }
  ASSERT_EQ(mkdir((inbox + "/directory").c_str(), 0700), 0);
  for (int i = 0; i < 3; ++i) {
    const auto stub = Probe::NewStub(Connect());
    ClientContext context;
    Text reply;
    EXPECT_OK(stub->Echo(&context, Say(""), &reply));
  }
}

}  // namespace
}  // namespace spoolrpc::e2e
