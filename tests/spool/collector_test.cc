// What dead processes leave is removed, and what the living use is not.
#include "spoolrpc/spool/collector.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "spoolrpc/os/file.h"
#include "spoolrpc/spool/server_directory.h"
#include "spoolrpc/spool/session_directory.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/faulty_system_calls.h"
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
  // The paths of what was removed.
  std::vector<std::string> Collect(const std::string& own = "", bool serves = false) {
    std::vector<std::string> removed;
    leftovers_ = collector_->Collect(own, [serves](const std::string&) { return serves; });
    for (const Leftover& leftover : leftovers_) {
      EXPECT_OK(leftover.status) << leftover.path;
      removed.push_back(leftover.path);
    }
    return removed;
  }
  // Makes the file or directory look so old to the file system.
  static void Age(const std::string& path, absl::Duration age) {
    const timespec then = absl::ToTimespec(absl::Now() - age);
    const timespec times[] = {then, then};
    ASSERT_EQ(utimensat(AT_FDCWD, path.c_str(), times, 0), 0) << path;
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
  std::vector<Leftover> leftovers_;  // of the last look
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

TEST_F(CollectorTest, TemporaryNamesGoWithTheirMakerOrWhenTheyAreOlderThanAnHour) {
  host_.offset = 1;
  const std::string others = spool_->TemporaryPath(spool_->sessions());
  host_.offset = 0;
  const std::string own = spool_->TemporaryPath(spool_->servers());
  for (const std::string& path : {others, own}) {
    ASSERT_OK(os::MakeDirectory(env_.calls, path, 0700));
    ASSERT_OK(os::WriteNewFile(env_.calls, path + "/file", "x", 0600, false));
  }
  EXPECT_TRUE(Collect().empty());
  for (const std::string& path : {others, own}) Age(path, absl::Minutes(55));
  EXPECT_TRUE(Collect().empty());
  for (const std::string& path : {others, own}) Age(path, absl::Minutes(61));
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

TEST_F(CollectorTest, WhatAnNfsClientKeptOpenWhenItWasRemovedGoesAfterAnHour) {
  const auto server = MakeServer();
  const std::string sessions = Join(spool_->sessions(), ".nfs000000000001");
  const std::string verdicts = Join(Join(server->path(), kVerdicts), ".nfs000000000002");
  const std::string root = Join(spool_->root(), ".nfs000000000003");  // not the spool's
  for (const std::string& path : {sessions, verdicts, root}) {
    ASSERT_OK(os::WriteNewFile(env_.calls, path, "x", 0600, false));
    Age(path, absl::Minutes(50));
  }
  EXPECT_TRUE(Collect(server->id()).empty());
  for (const std::string& path : {sessions, verdicts, root}) Age(path, absl::Minutes(70));
  EXPECT_EQ(Collect(server->id()), (std::vector<std::string>{verdicts, sessions}));
  EXPECT_TRUE(Exists(root));
}

TEST_F(CollectorTest, TemporaryNamesInDurableCallsGo) {
  std::vector<std::string> paths;
  host_.offset = 1;
  for (int i = 0; i < 7; ++i) {
    const std::string ticket = Join(spool_->durable(), IdName(std::string(kIdSize, 'a' + i)));
    ASSERT_OK(os::MakeDirectory(env_.calls, ticket, 0700));
    paths.push_back(spool_->TemporaryPath(ticket));
    ASSERT_OK(os::WriteNewFile(env_.calls, paths.back(), "x", 0600, false));
  }
  host_.offset = 0;
  host_.others = os::Liveness::kDead;
  CollectorOptions options;
  options.max_calls = 3;  // a look takes so many, and the next one goes on
  collector_ = std::make_unique<Collector>(spool_, options);
  EXPECT_EQ(Collect(), std::vector<std::string>(paths.begin(), paths.begin() + 3));
  EXPECT_EQ(Collect(), std::vector<std::string>(paths.begin() + 3, paths.begin() + 6));
  EXPECT_EQ(Collect(), std::vector<std::string>(paths.begin() + 6, paths.end()));
}

TEST_F(CollectorTest, DamagedRecordsGoWhenNobodyRenewsTheirLease) {
  const auto own = MakeServer();
  const auto server = OthersServer();
  const auto session = OthersSession(*own);
  for (const std::string& directory : {server->path(), session->paths().client_half}) {
    const std::string path = Join(directory, kRecord);
    ASSERT_OK(os::RemoveFile(env_.calls, path));
    ASSERT_OK(os::WriteNewFile(env_.calls, path, "damaged", 0600, false));
  }
  EXPECT_TRUE(Collect(own->id()).empty());
  clock_.Advance(kTerm * 17);
  EXPECT_TRUE(Collect(own->id()).empty());
  clock_.Advance(kTerm * 2);
  EXPECT_EQ(Collect(own->id()),
            (std::vector<std::string>{session->paths().client_half, server->path()}));
}

TEST_F(CollectorTest, SessionsOfWhatIsNoFileGoWhenTheyAreSilent) {
  const auto own = MakeServer();
  std::vector<std::string> expected;
  for (const char* const file : {kRecord, kRequests}) {
    for (int kind = 0; kind < 4; ++kind) {
      const auto session = OthersSession(*own);
      const std::string half = session->paths().client_half;
      const std::string path = Join(half, file);
      if (kind < 3) {
        ASSERT_OK(os::RemoveFile(env_.calls, path));
      }
      if (kind == 0) {
        ASSERT_EQ(symlink("/dev/zero", path.c_str()), 0);
      }
      if (kind == 1) {
        ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
      }
      if (kind == 2) {
        ASSERT_OK(os::MakeDirectory(env_.calls, path, 0700));
      }
      if (kind == 3) {
        ASSERT_OK(os::Link(env_.calls, path, Join(half, "again")));
      }
      expected.push_back(half);
    }
  }
  EXPECT_TRUE(Collect(own->id()).empty());
  clock_.Advance(kTerm * 17);
  EXPECT_TRUE(Collect(own->id()).empty());
  clock_.Advance(kTerm * 2);
  std::vector<std::string> removed = Collect(own->id());
  std::sort(removed.begin(), removed.end());
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(removed, expected);
}

// Somebody of another host died while he removed it, and had removed its log first.
TEST_F(CollectorTest, SessionWithoutALogGoes) {
  const auto server = MakeServer();
  const auto session = OthersSession(*server);
  ASSERT_OK(os::RemoveFile(env_.calls, session->paths().requests));
  EXPECT_TRUE(Collect(server->id()).empty());
  clock_.Advance(kTerm * 19);
  EXPECT_EQ(Collect(server->id()), std::vector<std::string>{session->paths().client_half});
}

TEST_F(CollectorTest, SessionOfADeadClientAndADeadServerGoesInTheSameLook) {
  const auto server = OthersServer();
  const auto session = OthersSession(*server);
  host_.others = os::Liveness::kDead;
  EXPECT_EQ(Collect(), (std::vector<std::string>{session->paths().client_half, server->path()}));
}

TEST_F(CollectorTest, ADryRunSaysTheSameAndRemovesNothing) {
  const auto server = OthersServer();
  const auto session = OthersSession(*server);
  host_.offset = 1;
  const std::string temporary = spool_->TemporaryPath(spool_->servers());
  host_.offset = 0;
  ASSERT_OK(os::WriteNewFile(env_.calls, temporary, "x", 0600, false));
  host_.others = os::Liveness::kDead;
  Collector dry(spool_, {/*dry_run=*/true});
  const auto said = dry.Collect("", [](const std::string&) { return false; });
  for (const std::string& path :
       {Join(server->path(), kRecord), session->paths().requests, temporary}) {
    EXPECT_TRUE(Exists(path)) << path;
  }
  Collect();
  ASSERT_EQ(said.size(), 3);
  ASSERT_EQ(leftovers_.size(), said.size());
  for (size_t i = 0; i < said.size(); ++i) {
    EXPECT_EQ(said[i].path, leftovers_[i].path);
    EXPECT_EQ(said[i].reason, leftovers_[i].reason);
    EXPECT_FALSE(said[i].reason.empty());
    EXPECT_FALSE(Exists(said[i].path));
  }
}

TEST_F(CollectorTest, WhatCannotBeRemovedIsSaid) {
  testing::FaultySystemCalls faults;
  os::Environment env = env_;
  env.calls = &faults;
  const auto spool = *Spool::Open(env, spool_->root(), Transport::kLocal);
  const auto server = MakeServer();
  const auto session = OthersSession(*server);
  host_.others = os::Liveness::kDead;
  faults.Fail({testing::Call::kUnlinkAt, "/sessions/"}, EACCES);
  Collector collector(spool);
  const auto leftovers = collector.Collect(server->id(), [](const std::string&) { return false; });
  ASSERT_EQ(leftovers.size(), 1);
  EXPECT_EQ(leftovers[0].path, session->paths().client_half);
  EXPECT_EQ(leftovers[0].status.code(), absl::StatusCode::kPermissionDenied) << leftovers[0].status;
}

TEST_F(CollectorTest, RemembersNoMoreThanThereIs) {
  const auto own = MakeServer();
  for (int i = 0; i < 50; ++i) {
    auto server = OthersServer();
    const auto session = OthersSession(*own);
    Collect(own->id());
    EXPECT_EQ(collector_->watched(), 2);
    EXPECT_EQ(collector_->waiting(), 2);
    ASSERT_OK(server->RenewLease(log::WriterState::kOpen, 0));
    Collect(own->id());
    EXPECT_EQ(collector_->waiting(), 1) << "the server lives";
    server->Remove();
    ASSERT_TRUE(session->Remove());
    Collect(own->id());
    EXPECT_EQ(collector_->watched(), 0);
  }
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
