// QuerySpool() and WaitForServer() over file systems and hosts that the real programs do not have
// here.
#include "spoolrpc/spool/query.h"

#include <errno.h>

#include <atomic>
#include <filesystem>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "spoolrpc/log/log_file.h"
#include "spoolrpc/spool/layout.h"
#include "spoolrpc/spool/server_directory.h"
#include "spoolrpc/spool/spool.h"
#include "tests/testing/faulty_system_calls.h"
#include "tests/testing/memory_file_system.h"
#include "tests/testing/scratch_directory.h"
#include "tests/testing/status_matchers.h"

namespace spoolrpc {
namespace {

using State = ServerStatus::State;
using ::spoolrpc::testing::HasCode;
using ::spoolrpc::testing::IsOk;
using ::spoolrpc::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr char kSpool[] = "/spool";

// Of this host nobody can say anything on another.
class OtherHost final : public os::Host {
 public:
  os::ProcessId Self() const override {
    os::ProcessId self = os::Host::Real()->Self();
    self.boot_id = "another-boot";
    self.host = "another-host";
    return self;
  }
  os::Liveness Look(const os::ProcessId&) const override { return os::Liveness::kUnknown; }
  int OpenPidfd(const os::ProcessId&) const override { return -1; }
  int Cpus() const override { return 1; }
};

std::unique_ptr<spool::ServerDirectory> Publish(const os::Environment& env, const std::string& path,
                                                absl::Duration term,
                                                const std::string& service = "a.Service") {
  auto spool = spool::Spool::OpenOrCreate(env, path, spool::Transport::kAuto);
  EXPECT_OK(spool);
  spool::ServerRecord record;
  record.set_lease_term_ns(absl::ToInt64Nanoseconds(term));
  record.add_services()->set_name(service);
  auto server = spool::ServerDirectory::Publish(*spool, record);
  EXPECT_OK(server);
  return *std::move(server);
}

// Two hosts over NFS, as far as it matters here.
class NetworkQueryTest : public ::testing::Test {
 protected:
  NetworkQueryTest() {
    testing::MemoryClientOptions options;
    options.network = true;
    options.uid = geteuid();
    server_calls_ = files_.NewClient(options);
    query_calls_ = files_.NewClient(options);
    server_env_.calls = server_calls_.get();
    server_env_.host = &host_;
    query_env_.calls = query_calls_.get();
    query_env_.host = &host_;
  }

  OtherHost host_;
  testing::MemoryFileSystem files_;
  std::unique_ptr<testing::MemoryClient> server_calls_;
  std::unique_ptr<testing::MemoryClient> query_calls_;
  os::Environment server_env_;
  os::Environment query_env_;
};

TEST_F(NetworkQueryTest, AServerOfAnotherHostIsKnownByItsMovingLease) {
  const auto server = Publish(server_env_, kSpool, absl::Minutes(10));
  std::atomic<bool> stop{false};
  std::thread renewing([&] {
    for (uint64_t calls = 7; !stop; calls = 8) {
      EXPECT_OK(server->RenewLease(log::WriterState::kOpen, calls));
      absl::SleepFor(absl::Milliseconds(1));
    }
  });
  QueryOptions options;
  options.environment = query_env_;
  options.watch = absl::Minutes(5);
  const auto status = QuerySpool(kSpool, options);
  stop = true;
  renewing.join();
  ASSERT_OK(status);
  EXPECT_FALSE(status->local);
  EXPECT_EQ(status->file_system, "nfs");
  ASSERT_THAT(status->servers, SizeIs(1));
  const ServerStatus& described = status->servers[0];
  EXPECT_EQ(described.state, State::kServing);
  EXPECT_EQ(described.host, "another-host");
  EXPECT_LT(described.lease_age, absl::Minutes(5));
  EXPECT_GE(described.calls_served, 7);
  EXPECT_THAT(described.services, ElementsAre("a.Service"));
}

TEST_F(NetworkQueryTest, OneWhoseLeaseStandsStillIsUnresponsive) {
  const auto server = Publish(server_env_, kSpool, absl::Milliseconds(50));
  QueryOptions options;
  options.environment = query_env_;
  // Its own term is over long before.
  options.watch = absl::Hours(100);
  const auto status = QuerySpool(kSpool, options);
  ASSERT_OK(status);
  ASSERT_THAT(status->servers, SizeIs(1));
  EXPECT_EQ(status->servers[0].state, State::kUnresponsive);
  EXPECT_EQ(status->servers[0].lease_age, absl::InfiniteDuration());
  EXPECT_FALSE(HasServer(*status, ""));
}

TEST_F(NetworkQueryTest, WatchesNoLongerThanItIsTold) {
  const auto server = Publish(server_env_, kSpool, absl::Hours(100));
  QueryOptions options;
  options.environment = query_env_;
  options.watch = absl::Milliseconds(30);
  const auto status = QuerySpool(kSpool, options);
  ASSERT_OK(status);
  EXPECT_EQ(status->servers.at(0).state, State::kUnresponsive);
}

TEST_F(NetworkQueryTest, WithoutWatchingItCountsAsServing) {
  const auto server = Publish(server_env_, kSpool, absl::Seconds(10));
  QueryOptions options;
  options.environment = query_env_;
  const auto status = QuerySpool(kSpool, options);
  ASSERT_OK(status);
  EXPECT_EQ(status->servers.at(0).state, State::kServing);
  EXPECT_EQ(status->servers.at(0).lease_age, absl::InfiniteDuration());
}

TEST_F(NetworkQueryTest, WaitsForTheLeaseOfTheServiceThatIsAskedFor) {
  const auto still = Publish(server_env_, kSpool, absl::Milliseconds(50));
  const auto moving = Publish(server_env_, kSpool, absl::Minutes(10), "b.Service");
  WaitOptions options;
  options.environment = query_env_;
  options.timeout = absl::Milliseconds(300);
  const auto none = WaitForServer(kSpool, options);
  ASSERT_OK(none);
  EXPECT_FALSE(HasServer(*none, "")) << "nobody has shown life";
  std::atomic<bool> stop{false};
  std::thread renewing([&] {
    while (!stop) {
      EXPECT_OK(moving->RenewLease(log::WriterState::kOpen, 0));
      absl::SleepFor(absl::Milliseconds(1));
    }
  });
  options.timeout = absl::Minutes(5);
  options.service = "b.Service";
  const auto found = WaitForServer(kSpool, options);
  stop = true;
  renewing.join();
  ASSERT_OK(found);
  EXPECT_TRUE(HasServer(*found, "b.Service"));
  EXPECT_FALSE(HasServer(*found, "a.Service"));
}

class LocalQueryTest : public ::testing::Test {
 protected:
  LocalQueryTest() { options_.environment.calls = &calls_; }

  const testing::ScratchDirectory scratch_;
  const std::string spool_ = scratch_ / "spool";
  testing::FaultySystemCalls calls_;
  QueryOptions options_;
};

TEST_F(LocalQueryTest, TheAgeOfALeaseIsThatOfItsFile) {
  const auto server = Publish({}, spool_, absl::Seconds(10));
  auto status = QuerySpool(spool_, options_);
  ASSERT_OK(status);
  EXPECT_TRUE(status->local);
  EXPECT_EQ(status->servers.at(0).state, State::kServing);
  EXPECT_LT(status->servers.at(0).lease_age, absl::Seconds(10));
  const std::string lease = spool::Join(server->path(), spool::kLease);
  const auto age = [&](std::chrono::milliseconds by) {
    std::filesystem::last_write_time(lease, std::filesystem::file_time_type::clock::now() - by);
  };
  age(std::chrono::milliseconds(3500));
  status = QuerySpool(spool_, options_);
  ASSERT_OK(status);
  EXPECT_EQ(status->servers.at(0).state, State::kServing);
  EXPECT_GE(status->servers.at(0).lease_age, absl::Milliseconds(3490)) << "not in whole seconds";
  EXPECT_LT(status->servers.at(0).lease_age, absl::Seconds(10));
  age(std::chrono::seconds(11));
  status = QuerySpool(spool_, options_);
  ASSERT_OK(status);
  EXPECT_EQ(status->servers.at(0).state, State::kUnresponsive);
  // A clock that was set back makes no negative age.
  age(std::chrono::hours(-1));
  status = QuerySpool(spool_, options_);
  ASSERT_OK(status);
  EXPECT_EQ(status->servers.at(0).lease_age, absl::ZeroDuration());
}

TEST_F(LocalQueryTest, TheLeaseSaysDrainingAndStopped) {
  const auto server = Publish({}, spool_, absl::Seconds(10));
  ASSERT_OK(server->RenewLease(log::WriterState::kDraining, 5));
  auto status = QuerySpool(spool_, options_);
  ASSERT_OK(status);
  EXPECT_EQ(status->servers.at(0).state, State::kDraining);
  EXPECT_EQ(status->servers.at(0).calls_served, 5);
  EXPECT_FALSE(HasServer(*status, "")) << "it takes nothing new";
  ASSERT_OK(server->RenewLease(log::WriterState::kClosed, 6));
  status = QuerySpool(spool_, options_);
  ASSERT_OK(status);
  EXPECT_EQ(status->servers.at(0).state, State::kStopped);
}

TEST_F(LocalQueryTest, CountsSessionsWithoutReadingTheirLogs) {
  const auto server = Publish({}, spool_, absl::Seconds(10));
  const std::string halves = spool::Join(server->path(), spool::kSessions);
  for (int i = 0; i < 500; ++i) {
    std::string id(spool::kIdSize, '\0');
    id[0] = static_cast<char>(i / 256);
    id[1] = static_cast<char>(i % 256);
    std::filesystem::create_directory(spool::Join(halves, spool::IdName(id)));
  }
  std::filesystem::create_directory(spool::Join(halves, ".tmp-something"));
  options_.max_sessions = 0;
  auto status = QuerySpool(spool_, options_);
  ASSERT_OK(status);
  EXPECT_EQ(status->servers.at(0).session_count, 500);
  EXPECT_THAT(status->servers.at(0).sessions, IsEmpty());
  EXPECT_EQ(calls_.Count(testing::Call::kOpen, spool::kResponses), 0);
  options_.max_sessions = 3;
  status = QuerySpool(spool_, options_);
  ASSERT_OK(status);
  EXPECT_EQ(status->servers.at(0).session_count, 500);
  EXPECT_THAT(status->servers.at(0).sessions, SizeIs(3));
  EXPECT_EQ(calls_.Count(testing::Call::kOpen, spool::kResponses), 3);
}

TEST_F(LocalQueryTest, ChangesNothing) {
  const auto server = Publish({}, spool_, absl::Seconds(10));
  ASSERT_OK(QuerySpool(spool_, options_));
  for (const testing::Call call :
       {testing::Call::kPwrite, testing::Call::kMkdir, testing::Call::kUnlink,
        testing::Call::kRename, testing::Call::kLink, testing::Call::kMap,
        testing::Call::kFallocate}) {
    EXPECT_EQ(calls_.Count(call), 0);
  }
}

TEST_F(LocalQueryTest, WhatCannotBeReadIsSaid) {
  const auto server = Publish({}, spool_, absl::Seconds(10));
  const auto lease = calls_.Fail({testing::Call::kOpen, spool::kLease}, EIO);
  auto status = QuerySpool(spool_, options_);
  ASSERT_OK(status);
  EXPECT_EQ(status->servers.at(0).state, State::kUnresponsive);
  EXPECT_THAT(status->problems, ElementsAre(HasSubstr("/lease")));
  calls_.Remove(lease);
  calls_.Fail({testing::Call::kOpen, spool::kFormatFile}, EACCES);
  EXPECT_THAT(QuerySpool(spool_, options_),
              StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr(spool_)));
  WaitOptions wait;
  wait.environment = options_.environment;
  EXPECT_THAT(WaitForServer(spool_, wait), HasCode(absl::StatusCode::kPermissionDenied))
      << "waiting for ever would not mend it";
}

TEST_F(LocalQueryTest, AServerThatGoesWhileOneLooksIsNoProblem) {
  const auto server = Publish({}, spool_, absl::Seconds(10));
  calls_.Run({testing::Call::kOpen, spool::kLease},
             [&] { std::filesystem::remove_all(server->path()); });
  const auto status = QuerySpool(spool_, options_);
  ASSERT_OK(status);
  EXPECT_THAT(status->servers, IsEmpty());
  EXPECT_THAT(status->problems, IsEmpty());
}

TEST_F(LocalQueryTest, MissingAndForeignDirectoriesAreToldApart) {
  EXPECT_THAT(QuerySpool(spool_), StatusIs(absl::StatusCode::kNotFound, HasSubstr(spool_)));
  std::filesystem::create_directory(spool_);
  std::filesystem::permissions(spool_, std::filesystem::perms::owner_all);
  EXPECT_THAT(QuerySpool(spool_), HasCode(absl::StatusCode::kNotFound));
  std::filesystem::create_directory(spool_ + "/photos");
  EXPECT_THAT(QuerySpool(spool_),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("not a spool")));
  WaitOptions wait;
  wait.timeout = absl::Milliseconds(20);
  EXPECT_THAT(WaitForServer(spool_, wait), HasCode(absl::StatusCode::kFailedPrecondition));
  const auto server = Publish({}, spool_, absl::Seconds(10));
  EXPECT_OK(QuerySpool(spool_)) << "a server may have it all the same";
  std::filesystem::remove_all(spool_ + "/servers");
  EXPECT_THAT(QuerySpool(spool_),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("incomplete")));
}

}  // namespace
}  // namespace spoolrpc
