// A disk that is full: calls on sessions that are there go on, since their files have their size
// already; a new session gets RESOURCE_EXHAUSTED with the path, and works once there is room.
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <iostream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/failure/make_call.h"
#include "tests/failure/spool_fixture.h"

namespace spoolrpc::failure {
namespace {

class FullDiskTest : public SettingTest {
 protected:
  void SetUp() override {
    // A file system of its own, which goes with the test's processes.
    if (unshare(CLONE_NEWNS) != 0 ||
        mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mkdir(spool().c_str(), 0700) != 0 ||
        mount("tmpfs", spool().c_str(), "tmpfs", 0, "size=16m,mode=700") != 0) {
      GTEST_SKIP() << "cannot mount a file system here: " << strerror(errno);
    }
    mounted_ = true;
  }
  void TearDown() override {
    if (mounted_) umount2(spool().c_str(), MNT_DETACH);
  }

  // Takes all room that is left.
  void Fill() {
    const int fd = open((spool() + "/filler").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ASSERT_GE(fd, 0);
    const std::string block(4096, 'x');
    while (write(fd, block.data(), block.size()) > 0) {
    }
    EXPECT_EQ(errno, ENOSPC);
    close(fd);
  }
  void MakeRoom() { ASSERT_EQ(unlink((spool() + "/filler").c_str()), 0); }

  Result Call(Channel* channel) {
    const auto stub =
        Failure::NewStub(std::shared_ptr<ChannelInterface>(channel, [](ChannelInterface*) {}));
    ClientContext context;
    context.set_ack_timeout(absl::Seconds(3));
    Work work;
    work.set_payload(std::string(1000, 'p'));
    return MakeCall(stub.get(), "Echo", &context, work);
  }

  bool mounted_ = false;
};

TEST_P(FullDiskTest, ANewSessionGetsResourceExhausted) {
  const auto server = StartServer(absl::Seconds(1));
  const auto before = MakeChannel();
  Result result = Call(before.get());
  ASSERT_TRUE(result.ok()) << result;
  Fill();
  // What has its files goes on, many times around its rings.
  for (int i = 0; i < 1000; ++i) {
    result = Call(before.get());
    ASSERT_TRUE(result.ok()) << result;
  }
  const auto channel = MakeChannel();
  result = Call(channel.get());
  EXPECT_EQ(result.code, absl::StatusCode::kResourceExhausted) << result;
  EXPECT_FALSE(result.may_have_executed) << result;
  EXPECT_TRUE(absl::StrContains(result.message, spool() + "/sessions")) << result;
  EXPECT_LE(absl::Nanoseconds(result.ended - result.began), absl::Seconds(2)) << result;
  std::cout << result << std::endl;
  MakeRoom();
  result = Call(channel.get());
  EXPECT_TRUE(result.ok()) << result;
  // Of the session that could not be made nothing is left.
  EXPECT_FALSE(absl::StrContains(ListFiles(), "/.tmp-")) << ListFiles();
}

// There is room for the client's half and not for the server's.
TEST_P(FullDiskTest, NoRoomForTheServersHalf) {
  const auto server = StartServer(absl::Seconds(1));
  ChannelOptions options;
  options.log_capacity = 64 * 1024;
  const auto channel = MakeChannel(options);
  Fill();
  // Enough for a request log of 64 KiB, not for a response log of 192 KiB.
  ASSERT_EQ(truncate((spool() + "/filler").c_str(), 12 << 20), 0);
  const int fd = open((spool() + "/filler").c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  ASSERT_GE(fd, 0);
  const std::string block(1 << 12, 'x');
  struct stat info;
  ASSERT_EQ(fstat(fd, &info), 0);
  while (write(fd, block.data(), block.size()) > 0) {
  }
  ASSERT_EQ(fstat(fd, &info), 0);
  ASSERT_EQ(ftruncate(fd, (info.st_size - (144 << 10)) / 4096 * 4096), 0);
  close(fd);
  Result result = Call(channel.get());
  EXPECT_EQ(result.code, absl::StatusCode::kResourceExhausted) << result;
  EXPECT_FALSE(result.may_have_executed) << result;
  EXPECT_LE(absl::Nanoseconds(result.ended - result.began), absl::Seconds(4)) << result;
  EXPECT_TRUE(absl::StrContains(result.message, spool() + "/servers/") &&
              absl::StrContains(result.message, "/responses"))
      << "what had no room is not named: " << result;
  std::cout << result << std::endl;
  MakeRoom();
  const auto works = [&] {
    result = Call(channel.get());
    return result.ok();
  };
  EXPECT_TRUE(Await(kLong, works)) << result;
}

// What was accepted before is executed, its replies come once there is room, and what is refused
// meanwhile says so.
TEST_P(FullDiskTest, DurableCallsOutliveIt) {
  const auto server = StartServer(absl::Seconds(1), {"--workers=1"});
  const auto stub = Failure::NewStub(MakeChannel());
  const auto submit = [&](const std::string& id, const std::string& hold_until) {
    Work work;
    work.set_id(id);
    work.set_hold_until(hold_until);
    work.set_payload(std::string(20000, 'p'));
    return stub->durable()->CountedAppend(work);
  };
  const auto running = submit("running", file("release"));
  ASSERT_TRUE(running.ok()) << running.status();
  ASSERT_TRUE(AwaitExecutions(1));
  std::vector<Ticket> tickets = {*running};
  for (int i = 0; i < 5; ++i) {
    const auto waiting = submit(absl::StrCat("waiting", i), "");
    ASSERT_TRUE(waiting.ok()) << waiting.status();
    tickets.push_back(*waiting);
  }
  Fill();
  for (int i = 0; i < 3; ++i) {
    const auto refused = submit(absl::StrCat("refused", i), "");
    EXPECT_EQ(refused.status().code(), absl::StatusCode::kResourceExhausted) << refused.status();
    EXPECT_TRUE(absl::StrContains(refused.status().message(), spool() + "/durable"))
        << refused.status();
  }
  EXPECT_FALSE(absl::StrContains(ListFiles(), "/.tmp-")) << ListFiles();
  Touch(file("release"));
  EXPECT_EQ(server->AwaitExit(absl::ZeroDuration()), std::nullopt) << "the server has ended";
  MakeRoom();
  for (const Ticket& ticket : tickets) {
    const auto reply = stub->durable()->Collect<Done>(ticket, kLong);
    EXPECT_TRUE(reply.ok()) << reply.status();
  }
  const auto again = submit("again", "");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(stub->durable()->Collect<Done>(*again, kLong).ok());
  const Executions done = executions();
  EXPECT_EQ(done.executed.size(), 7);
  for (const auto& [id, times] : done.executed) EXPECT_EQ(times, 1) << id;
}

TEST_P(FullDiskTest, AServerThatHasNoRoomToStartSaysSoAndLeavesNothing) {
  Drain(StartServer(absl::Seconds(1)).get());
  Fill();
  for (const char* mode : {"--exclusive=refuse", "--quiet"}) {
    const auto server = LaunchServer(absl::Seconds(1), {mode});
    const std::string said = server->NextLine(kLong).value_or("nothing");
    EXPECT_TRUE(absl::StartsWith(said, "failed RESOURCE_EXHAUSTED")) << said;
    EXPECT_TRUE(absl::StrContains(said, spool())) << said;
  }
  EXPECT_FALSE(absl::StrContains(ListFiles(), "/.tmp-")) << ListFiles();
  MakeRoom();
  const auto server = StartServer(absl::Seconds(1), {"--exclusive=refuse"});
}

INSTANTIATE_TEST_SUITE_P(All, FullDiskTest, ::testing::Values(kLocal, kNetwork), SettingName);

}  // namespace
}  // namespace spoolrpc::failure
