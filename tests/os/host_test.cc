// Whether processes live is asked of real ones: running, killed, dead and unwaited for, hidden.
#include "spoolrpc/os/host.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace spoolrpc::os {
namespace {

using ::testing::MatchesRegex;
using ::testing::StartsWith;

// A child that writes its ProcessId's start time into a pipe and then lives until it is killed.
class Child {
 public:
  // `after` runs in the child once it has told its identity.
  explicit Child(std::function<void()> after = [] {}) {
    int ends[2];
    if (pipe(ends) != 0) abort();
    pid_ = fork();
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      const uint64_t start = Host::Real()->Self().start_time;
      if (write(ends[1], &start, sizeof(start)) != sizeof(start)) _exit(1);
      after();
      for (;;) pause();
    }
    id_ = Host::Real()->Self();
    id_.pid = pid_;
    if (read(ends[0], &id_.start_time, sizeof(id_.start_time)) != sizeof(id_.start_time)) abort();
    close(ends[0]);
    close(ends[1]);
  }
  ~Child() {
    Kill();
    Reap();
  }
  void Kill() { kill(pid_, SIGKILL); }
  // Waits for its end, and leaves it a zombie.
  void AwaitEnd() {
    siginfo_t info;
    if (waitid(P_PID, pid_, &info, WEXITED | WNOWAIT) != 0) abort();
  }
  void Reap() {
    if (!reaped_) waitpid(pid_, nullptr, 0);
    reaped_ = true;
  }
  const ProcessId& id() const { return id_; }

 private:
  pid_t pid_;
  ProcessId id_;
  bool reaped_ = false;
};

char StateOf(int64_t pid) {
  std::ifstream in(absl::StrCat("/proc/", pid, "/stat"));
  std::string line;
  std::getline(in, line);
  const size_t close = line.rfind(')');
  return close == std::string::npos ? '-' : line[close + 2];
}

TEST(Host, SelfIsComplete) {
  const ProcessId self = Host::Real()->Self();
  EXPECT_EQ(self.pid, getpid());
  EXPECT_EQ(self.uid, geteuid());
  EXPECT_NE(self.start_time, 0);
  EXPECT_NE(self.pid_namespace, 0);
  EXPECT_EQ(self.boot_id.size(), 36);
  EXPECT_FALSE(self.host.empty());
}

TEST(Host, AForkedChildIsAnotherProcess) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  Host::Real()->Self();
  const pid_t pid = fork();
  if (pid == 0) {
    const int64_t self = Host::Real()->Self().pid;
    if (write(ends[1], &self, sizeof(self)) != sizeof(self)) _exit(1);
    _exit(0);
  }
  int64_t told = 0;
  ASSERT_EQ(read(ends[0], &told, sizeof(told)), sizeof(told));
  EXPECT_EQ(told, pid);
  waitpid(pid, nullptr, 0);
  close(ends[0]);
  close(ends[1]);
}

TEST(Host, LivesUntilKilled) {
  Child child;
  EXPECT_EQ(Host::Real()->Look(Host::Real()->Self()), Liveness::kAlive);
  EXPECT_EQ(Host::Real()->Look(child.id()), Liveness::kAlive);
  child.Kill();
  child.AwaitEnd();
  EXPECT_EQ(Host::Real()->Look(child.id()), Liveness::kDead) << "a zombie has ended";
  child.Reap();
  EXPECT_EQ(Host::Real()->Look(child.id()), Liveness::kDead);
}

TEST(Host, AStoppedProcessLives) {
  Child child;
  kill(child.id().pid, SIGSTOP);
  siginfo_t info;
  ASSERT_EQ(waitid(P_PID, child.id().pid, &info, WSTOPPED), 0);
  EXPECT_EQ(Host::Real()->Look(child.id()), Liveness::kAlive);
}

TEST(Host, AProcessWhoseFirstThreadEndedLives) {
  Child child([] {
    pthread_t thread;
    pthread_create(
        &thread, nullptr,
        [](void*) -> void* {
          for (;;) pause();
        },
        nullptr);
    syscall(SYS_exit, 0);  // of this thread alone
  });
  const absl::Time deadline = absl::Now() + absl::Seconds(30);
  while (StateOf(child.id().pid) != 'Z' && absl::Now() < deadline) sched_yield();
  ASSERT_EQ(StateOf(child.id().pid), 'Z');
  EXPECT_EQ(Host::Real()->Look(child.id()), Liveness::kAlive);
  child.Kill();
  child.AwaitEnd();
  EXPECT_EQ(Host::Real()->Look(child.id()), Liveness::kDead);
}

TEST(Host, AProcessThatGotTheNumberOfAnotherIsNotIt) {
  Child child;
  ProcessId earlier = child.id();
  --earlier.start_time;
  EXPECT_EQ(Host::Real()->Look(earlier), Liveness::kDead);
  EXPECT_EQ(Host::Real()->OpenPidfd(earlier), -1);
}

TEST(Host, NamesWithParenthesesAndSpacesDoNotConfuseIt) {
  Child child([] {
    prctl(PR_SET_NAME, ") Z 1 (\n)");
    kill(getpid(), SIGSTOP);
  });
  siginfo_t info;
  ASSERT_EQ(waitid(P_PID, child.id().pid, &info, WSTOPPED), 0);
  EXPECT_EQ(Host::Real()->Look(child.id()), Liveness::kAlive);
}

TEST(Host, WhatItCannotTellIsUnknown) {
  const ProcessId self = Host::Real()->Self();
  ProcessId other = self;
  other.boot_id = "00000000-0000-0000-0000-000000000000";
  EXPECT_EQ(Host::Real()->Look(other), Liveness::kUnknown) << "another boot";
  other = self;
  other.pid_namespace += 1;
  EXPECT_EQ(Host::Real()->Look(other), Liveness::kUnknown) << "another namespace";
  other = self;
  other.start_time = 0;
  EXPECT_EQ(Host::Real()->Look(other), Liveness::kUnknown) << "no start time";
  for (const int64_t pid : {int64_t{0}, int64_t{-1}, std::numeric_limits<int64_t>::min()}) {
    other = self;
    other.pid = pid;
    EXPECT_EQ(Host::Real()->Look(other), Liveness::kUnknown) << pid;
    EXPECT_EQ(Host::Real()->OpenPidfd(other), -1);
  }
}

TEST(Host, NumbersBeyondThoseOfProcessesAreDead) {
  ProcessId other = Host::Real()->Self();
  // Cut to 32 bits this would be this very process.
  other.pid += int64_t{1} << 32;
  EXPECT_EQ(Host::Real()->Look(other), Liveness::kDead);
  EXPECT_EQ(Host::Real()->OpenPidfd(other), -1);
}

// Sites mount /proc with hidepid=2: what is not shown there need not be dead.
TEST(Host, AHiddenProcessIsUnknownUntilItIsDead) {
  if (geteuid() != 0) GTEST_SKIP() << "takes root to mount /proc";
  Child hidden, dead;
  dead.Kill();
  dead.Reap();
  const pid_t looker = fork();
  if (looker == 0) {
    // 77: it could not be tried.
    if (unshare(CLONE_NEWNS) != 0) _exit(77);
    if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) _exit(77);
    if (mount("proc", "/proc", "proc", 0, "hidepid=2") != 0) _exit(77);
    if (setgid(65534) != 0 || setuid(65534) != 0) _exit(77);
    if (access(absl::StrCat("/proc/", hidden.id().pid).c_str(), F_OK) == 0) _exit(77);
    if (Host::Real()->Look(hidden.id()) != Liveness::kUnknown) _exit(1);
    if (Host::Real()->Look(dead.id()) != Liveness::kDead) _exit(2);
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(looker, &status, 0), looker);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "no mounting here, as in a sandbox";
  EXPECT_EQ(WEXITSTATUS(status), 0) << "1: not unknown; 2: not dead";
}

TEST(Host, PidfdTellsTheEnd) {
  Child child;
  const int fd = Host::Real()->OpenPidfd(child.id());
  ASSERT_GE(fd, 0);
  pollfd p{fd, POLLIN, 0};
  EXPECT_EQ(poll(&p, 1, 0), 0) << "it runs";
  child.Kill();
  EXPECT_EQ(poll(&p, 1, 30000), 1);
  close(fd);
  EXPECT_EQ(Host::Real()->OpenPidfd(child.id()), -1) << "a zombie has ended";
}

TEST(Host, HasACpu) { EXPECT_GE(Host::Real()->Cpus(), 1); }

TEST(SameHost, TakesBootAndNamespace) {
  const ProcessId a = Host::Real()->Self();
  ProcessId b = a;
  b.pid += 1;
  EXPECT_TRUE(SameHost(a, b));
  b.pid_namespace += 1;
  EXPECT_FALSE(SameHost(a, b));
  b = a;
  b.boot_id = "other";
  EXPECT_FALSE(SameHost(a, b));
  ProcessId none = a;
  none.boot_id = "";
  EXPECT_FALSE(SameHost(none, none)) << "both without a boot id are not the same";
  none = a;
  none.pid_namespace = 0;
  EXPECT_FALSE(SameHost(none, none)) << "nor both without a namespace";
}

TEST(TemporaryName, SaysWhoMadeItAndIsNeverTheSame) {
  const ProcessId self = Host::Real()->Self();
  const std::string name = TemporaryName(self);
  EXPECT_THAT(name, StartsWith(".tmp-" + self.boot_id.substr(0, 8) + "-"));
  EXPECT_THAT(name, MatchesRegex("\\.tmp-[0-9a-f]{8}-[0-9]+-[0-9]+-[0-9]+-[0-9a-f]{16}"));
  EXPECT_NE(name, TemporaryName(self));
}

TEST(LookAtMaker, FollowsTheMakersLife) {
  Child child;
  const std::string name = TemporaryName(child.id());
  EXPECT_EQ(LookAtMaker(*Host::Real(), TemporaryName(Host::Real()->Self())), Liveness::kAlive);
  EXPECT_EQ(LookAtMaker(*Host::Real(), name), Liveness::kAlive);
  child.Kill();
  child.AwaitEnd();
  EXPECT_EQ(LookAtMaker(*Host::Real(), name), Liveness::kDead);
}

TEST(LookAtMaker, IsUnknownForNamesOfOthers) {
  ProcessId maker = Host::Real()->Self();
  maker.boot_id = "ffffffff-0000-0000-0000-000000000000";
  EXPECT_EQ(LookAtMaker(*Host::Real(), TemporaryName(maker)), Liveness::kUnknown);
  maker = Host::Real()->Self();
  maker.pid_namespace += 1;
  EXPECT_EQ(LookAtMaker(*Host::Real(), TemporaryName(maker)), Liveness::kUnknown);
  const std::string boot = Host::Real()->Self().boot_id.substr(0, 8);
  for (const std::string& name :
       {std::string(""), std::string(".tmp-"), std::string(".nfs0000000000000001"),
        std::string("requests"), ".tmp-" + boot, ".tmp-" + boot + "-1-2-3",
        ".tmp-" + boot + "-a-b-c-d", ".tmp-" + boot + "-1-2-3-4-5",
        ".tmp-" + boot + "-99999999999999999999999-1-1-1", std::string(".tmp-----"),
        ".tmp-" + boot.substr(0, 4) + "-1-2-3-4"}) {
    EXPECT_EQ(LookAtMaker(*Host::Real(), name), Liveness::kUnknown) << name;
  }
}

}  // namespace
}  // namespace spoolrpc::os
