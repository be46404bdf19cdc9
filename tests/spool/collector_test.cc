// What dead processes leave is removed, and what the living use is not.
#include "spoolrpc/spool/collector.h"

#include <sys/wait.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "spoolrpc/os/file.h"
#include "spoolrpc/spool/server_directory.h"
#include "spoolrpc/spool/session_directory.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/scratch_directory.h"
#include "tests/testing/status_matchers.h"

namespace spoolrpc::spool {
namespace {

constexpr absl::Duration kTerm = absl::Seconds(10);

// A host whose other processes live or die as the test says, or are unknown to it.
class FakeHost final : public os::Host {
 public:
  os::ProcessId Self() const override {
    os::ProcessId self = os::Host::Real()->Self();
    self.pid += offset;  // as if it were another process
    return self;
  }
  os::Liveness Look(const os::ProcessId& process) const override {
    return process.pid == os::Host::Real()->Self().pid ? os::Liveness::kAlive : others;
  }
  int OpenPidfd(const os::ProcessId&) const override { return -1; }
  int Cpus() const override { return 2; }

  os::Liveness others = os::Liveness::kUnknown;
  int64_t offset = 0;
};

class CollectorTest : public ::testing::Test {
 protected:
  CollectorTest() {
    env_.clock = &clock_;
    env_.host = &host_;
    spool_ = *Spool::OpenOrCreate(env_, scratch_ / "spool", Transport::kLocal);
    collector_ = std::make_unique<Collector>(spool_);
  }

  // Of another process than this one.
  std::unique_ptr<ServerDirectory> OthersServer() {
    host_.offset = 1;
    auto server = MakeServer();
    host_.offset = 0;
    return server;
  }
  std::unique_ptr<ServerDirectory> MakeServer() {
    ServerRecord record;
    record.set_lease_term_ns(absl::ToInt64Nanoseconds(kTerm));
    auto server = ServerDirectory::Publish(spool_, record);
    EXPECT_OK(server);
    return *std::move(server);
  }
  std::unique_ptr<SessionDirectory> OthersSession(const ServerDirectory& server) {
    ServerEntry entry;
    entry.id = server.id();
    entry.directory = server.path();
    entry.record = std::make_shared<ServerRecord>(server.record());
    host_.offset = 1;
    auto session =
        SessionDirectory::Create(spool_, entry, log::kMinCapacity, absl::ToInt64Nanoseconds(kTerm));
    EXPECT_OK(session);
    EXPECT_OK((*session)->Publish());
    host_.offset = 0;
    return *std::move(session);
  }
  std::vector<std::string> Collect(const std::string& own = "", bool serves = false) {
    return collector_->Collect(own, [serves](const std::string&) { return serves; });
  }
  static bool Exists(const std::string& path) {
    return os::StatPath(os::SystemCalls::Real(), path).ok();
  }

  const testing::ScratchDirectory scratch_;
  testing::FakeClock clock_;
  FakeHost host_;
  os::Environment env_;
  std::shared_ptr<const Spool> spool_;
  std::unique_ptr<Collector> collector_;
};

TEST_F(CollectorTest, ServerOfADeadProcessGoesAtOnce) {
  const auto server = OthersServer();
  EXPECT_TRUE(Collect().empty());
  host_.others = os::Liveness::kDead;
  EXPECT_EQ(Collect().size(), 1);
  EXPECT_FALSE(Exists(server->path()));
}

TEST_F(CollectorTest, LivingServerStays) {
  const auto server = OthersServer();
  host_.others = os::Liveness::kAlive;
  for (int i = 0; i < 20; ++i) {
    clock_.Advance(kTerm);
    EXPECT_TRUE(Collect().empty());
  }
  EXPECT_TRUE(Exists(server->path()));
}

TEST_F(CollectorTest, ServerOfAnotherHostGoesAfterSixTermsWithoutRenewal) {
  const auto server = OthersServer();
  EXPECT_TRUE(Collect().empty());
  for (int i = 0; i < 10; ++i) {
    clock_.Advance(5 * kTerm);
    ASSERT_OK(server->RenewLease(log::WriterState::kOpen, 0));
    EXPECT_TRUE(Collect().empty());
  }
  clock_.Advance(5 * kTerm);
  EXPECT_TRUE(Collect().empty());
  clock_.Advance(kTerm * 1.1);
  EXPECT_EQ(Collect().size(), 1);
  EXPECT_FALSE(Exists(server->path()));
}

TEST_F(CollectorTest, OwnServerStays) {
  const auto server = OthersServer();
  host_.others = os::Liveness::kDead;
  EXPECT_TRUE(Collect(server->id()).empty());
  EXPECT_TRUE(Exists(server->path()));
}

TEST_F(CollectorTest, SessionOfADeadClientGoes) {
  const auto server = MakeServer();
  const auto session = OthersSession(*server);
  EXPECT_TRUE(Collect(server->id()).empty());
  host_.others = os::Liveness::kDead;
  // While the server serves it, it sees to it itself.
  EXPECT_TRUE(Collect(server->id(), /*serves=*/true).empty());
  EXPECT_EQ(Collect(server->id()).size(), 1);
  EXPECT_FALSE(Exists(session->paths().client_half));
}

TEST_F(CollectorTest, SessionsOfOtherServersStayAsLongAsThoseAreThere) {
  const auto own = MakeServer();
  auto other = OthersServer();
  const auto session = OthersSession(*other);
  host_.others = os::Liveness::kAlive;
  EXPECT_TRUE(Collect(own->id()).empty());
  // Its server is gone and its client lives: that one will find out.
  other->Remove();
  EXPECT_TRUE(Collect(own->id()).empty());
  EXPECT_TRUE(Exists(session->paths().client_half));
  host_.others = os::Liveness::kDead;
  EXPECT_EQ(Collect(own->id()).size(), 1);
}

TEST_F(CollectorTest, SessionOfAnotherHostGoesAfterEighteenTerms) {
  const auto server = MakeServer();
  const auto session = OthersSession(*server);
  EXPECT_TRUE(Collect(server->id()).empty());
  clock_.Advance(17 * kTerm);
  EXPECT_TRUE(Collect(server->id()).empty());
  clock_.Advance(2 * kTerm);
  EXPECT_EQ(Collect(server->id()).size(), 1);
  EXPECT_FALSE(Exists(session->paths().client_half));
}

TEST_F(CollectorTest, TemporaryNamesGoWithTheirMakerOrAnHourAfterTheyWereSeen) {
  host_.offset = 1;
  const std::string others = spool_->TemporaryPath(spool_->sessions());
  host_.offset = 0;
  const std::string own = spool_->TemporaryPath(spool_->servers());
  for (const std::string& path : {others, own}) {
    ASSERT_OK(os::MakeDirectory(env_.calls, path, 0700));
    ASSERT_OK(os::WriteNewFile(env_.calls, path + "/file", "x", 0600, false));
  }
  EXPECT_TRUE(Collect().empty());
  clock_.Advance(absl::Minutes(59));
  EXPECT_TRUE(Collect().empty());
  clock_.Advance(absl::Minutes(2));
  EXPECT_EQ(Collect(), std::vector<std::string>{others});
  EXPECT_TRUE(Exists(own));
  ASSERT_OK(os::MakeDirectory(env_.calls, others, 0700));
  host_.others = os::Liveness::kDead;
  EXPECT_EQ(Collect(), std::vector<std::string>{others});
  EXPECT_TRUE(Exists(own));
}

// A client touches its server's inbox, and may die between making that name and removing it.
TEST_F(CollectorTest, TemporaryNamesInTheOwnInboxGoWithTheirMaker) {
  const auto server = MakeServer();
  host_.offset = 1;
  const std::string touched = spool_->TemporaryPath(Join(server->path(), kInbox));
  host_.offset = 0;
  ASSERT_OK(os::WriteNewFile(env_.calls, touched, "", 0600, false));
  EXPECT_TRUE(Collect(server->id()).empty());
  host_.others = os::Liveness::kDead;
  EXPECT_EQ(Collect(server->id()), std::vector<std::string>{touched});
}

TEST_F(CollectorTest, SessionThatSomebodyDiedRemovingGoes) {
  const auto server = MakeServer();
  const auto session = OthersSession(*server);
  const std::string half = session->paths().client_half;
  ASSERT_OK(os::RemoveFile(env_.calls, Join(half, kRecord)));
  EXPECT_EQ(Collect(server->id()), std::vector<std::string>{half});
  EXPECT_FALSE(Exists(half));
}

TEST_F(CollectorTest, ForeignNamesStay) {
  for (const char* name : {"/.nfs0001", "/README", "/servers/notes", "/servers/.nfs2",
                           "/sessions/0123", "/sessions/core"}) {
    ASSERT_OK(os::WriteNewFile(env_.calls, spool_->root() + name, "x", 0600, false));
  }
  host_.others = os::Liveness::kDead;
  clock_.Advance(absl::Hours(100));
  EXPECT_TRUE(Collect().empty());
  clock_.Advance(absl::Hours(100));
  EXPECT_TRUE(Collect().empty());
}

}  // namespace
}  // namespace spoolrpc::spool
