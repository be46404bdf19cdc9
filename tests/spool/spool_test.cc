// Opening and making spools: what is unsafe or foreign is refused and said, and many may make one
// at once.
#include "spoolrpc/spool/spool.h"

#include <grp.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "spoolrpc/os/file.h"
#include "spoolrpc/spool.pb.h"
#include "spoolrpc/spool/record_file.h"
#include "tests/testing/faulty_system_calls.h"
#include "tests/testing/scratch_directory.h"
#include "tests/testing/status_matchers.h"

namespace spoolrpc::spool {
namespace {

using ::testing::AllOf;
using testing::Call;
using testing::HasCode;
using ::testing::HasSubstr;
using testing::StatusIs;

class OpenSpoolTest : public ::testing::Test {
 protected:
  std::string root() const { return scratch_ / "a/b/spool"; }
  absl::Status Make() {
    return Spool::OpenOrCreate(os::Environment{}, root(), Transport::kAuto).status();
  }
  absl::Status Open() { return Spool::Open(os::Environment{}, root(), Transport::kAuto).status(); }
  void WriteFormat(const std::string& bytes) {
    ASSERT_OK(os::RemoveFile(os::SystemCalls::Real(), root() + "/format"));
    ASSERT_OK(os::WriteNewFile(os::SystemCalls::Real(), root() + "/format", bytes, 0600, false));
  }
  static uint32_t ModeOf(const std::string& path) {
    struct stat info;
    return stat(path.c_str(), &info) == 0 ? info.st_mode & 07777 : 0;
  }

  // Where other users get to, too: Bazel's own directory may lie below one's home.
  const testing::ScratchDirectory scratch_{"/tmp"};
};

TEST_F(OpenSpoolTest, IsMadeWithItsParentsForTheOwnerAlone) {
  const mode_t before = umask(0);
  EXPECT_OK(Make());
  umask(before);
  for (const char* name : {"", "/servers", "/sessions", "/logs", "/durable"}) {
    EXPECT_EQ(ModeOf(root() + name), 0700) << name;
  }
  EXPECT_EQ(ModeOf(root() + "/format"), 0600);
  EXPECT_EQ(ModeOf(scratch_ / "a"), 0700);
  EXPECT_OK(Open());
  EXPECT_OK(Make());
  // Nothing temporary is left.
  ASSERT_OK_AND_ASSIGN(const auto names, os::ListDirectory(os::SystemCalls::Real(), root()));
  EXPECT_EQ(names.size(), 5);
}

TEST_F(OpenSpoolTest, NotThereIsNotFound) {
  EXPECT_THAT(Open(), StatusIs(absl::StatusCode::kNotFound, HasSubstr(root())));
}

TEST_F(OpenSpoolTest, HalfMadeIsNotFound) {
  ASSERT_OK(Make());
  ASSERT_EQ(unlink((root() + "/format").c_str()), 0);
  EXPECT_THAT(Open(), HasCode(absl::StatusCode::kNotFound));
  EXPECT_OK(Make());
  EXPECT_OK(Open());
}

TEST_F(OpenSpoolTest, FileInItsPlaceIsRefused) {
  ASSERT_OK(os::WriteNewFile(os::SystemCalls::Real(), scratch_ / "a", "", 0600, false));
  EXPECT_FALSE(Make().ok());
  ASSERT_EQ(unlink((scratch_ / "a").c_str()), 0);
  ASSERT_EQ(mkdir((scratch_ / "a").c_str(), 0700), 0);
  ASSERT_EQ(mkdir((scratch_ / "a/b").c_str(), 0700), 0);
  ASSERT_OK(os::WriteNewFile(os::SystemCalls::Real(), root(), "", 0600, false));
  for (const absl::Status& status : {Make(), Open()}) {
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kFailedPrecondition,
                                 AllOf(HasSubstr(root()), HasSubstr("directory"))));
  }
}

TEST_F(OpenSpoolTest, UnsafeModesAreRefusedWithTheCure) {
  ASSERT_OK(Make());
  for (const mode_t mode : {0777, 0702, 0770, 02770, 01770, 03777}) {
    ASSERT_EQ(chmod(root().c_str(), mode), 0);
    for (const absl::Status& status : {Make(), Open()}) {
      EXPECT_THAT(status, StatusIs(absl::StatusCode::kFailedPrecondition,
                                   AllOf(HasSubstr(root()), HasSubstr("chmod"))))
          << std::oct << mode;
    }
  }
  for (const mode_t mode : {0700, 0755, 03770}) {
    ASSERT_EQ(chmod(root().c_str(), mode), 0);
    EXPECT_OK(Open()) << std::oct << mode;
  }
}

TEST_F(OpenSpoolTest, UnsafeModesAboveItAreRefusedWithTheCure) {
  ASSERT_OK(Make());
  const std::string above = scratch_ / "a/b";
  const auto expect_refused = [&](mode_t mode) {
    ASSERT_EQ(chmod(above.c_str(), mode), 0);
    for (const absl::Status& status : {Make(), Open()}) {
      EXPECT_THAT(status, StatusIs(absl::StatusCode::kFailedPrecondition,
                                   AllOf(HasSubstr(root()), HasSubstr("lies in " + above),
                                         HasSubstr("chmod"))))
          << std::oct << mode;
    }
  };
  expect_refused(0777);
  expect_refused(0702);
  expect_refused(02777);
  // A group is trusted: projects share their directories.
  if (geteuid() == 0) {
    ASSERT_EQ(chown(above.c_str(), 0, 12345), 0);
  }
  for (const mode_t mode : {01777, 01770, 0755, 0770, 02770, 02775}) {
    ASSERT_EQ(chmod(above.c_str(), mode), 0);
    EXPECT_OK(Open()) << std::oct << mode;
  }
}

TEST_F(OpenSpoolTest, DirectoriesInItAreLookedAtToo) {
  ASSERT_OK(Make());
  const auto expect_refused = [&](const std::string& path) {
    for (const absl::Status& status : {Make(), Open()}) {
      EXPECT_THAT(status, StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr(path)));
    }
  };
  for (const char* name : {"/servers", "/sessions", "/durable"}) {
    const std::string path = root() + name;
    ASSERT_EQ(chmod(path.c_str(), 0777), 0);
    expect_refused(path + ": has mode 0777");
    ASSERT_EQ(chmod(path.c_str(), 0700), 0);
    if (geteuid() != 0) continue;
    ASSERT_EQ(chown(path.c_str(), 12345, 12345), 0);
    expect_refused(path + ": belongs to uid 12345");
    ASSERT_EQ(chown(path.c_str(), 0, 0), 0);
  }
  EXPECT_OK(Open());
  if (geteuid() != 0) return;
  ASSERT_EQ(chown((root() + "/format").c_str(), 12345, 12345), 0);
  expect_refused(root() + "/format: belongs to uid 12345");
}

TEST_F(OpenSpoolTest, NobodyOwnsNoSpool) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  ASSERT_OK(Make());
  ASSERT_EQ(chown(root().c_str(), 65534, 65534), 0);
  EXPECT_THAT(Open(), StatusIs(absl::StatusCode::kFailedPrecondition,
                               AllOf(HasSubstr(root()), HasSubstr("nobody"))));
}

TEST_F(OpenSpoolTest, IsSharedWithAGroupAndStaysSo) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  SpoolAccess access;
  access.group = 12345;
  access.server_uids = {4711, 4712};
  const auto make = [&] {
    return Spool::OpenOrCreate(os::Environment{}, root(), Transport::kAuto, access);
  };
  const auto expect_shared = [&] {
    for (const char* name : {"", "/servers", "/sessions", "/logs", "/durable"}) {
      EXPECT_EQ(ModeOf(root() + name), 03770) << name;
      EXPECT_EQ(os::StatPath(os::SystemCalls::Real(), root() + name)->gid, 12345) << name;
    }
    EXPECT_EQ(ModeOf(root() + "/format"), 0640);
    ASSERT_OK_AND_ASSIGN(const auto spool,
                         Spool::Open(os::Environment{}, root(), Transport::kAuto));
    EXPECT_EQ(spool->group(), 12345);
    for (const uint32_t uid : {0, 4711, 4712}) EXPECT_TRUE(spool->MayServe(uid)) << uid;
    EXPECT_FALSE(spool->MayServe(4713));
  };
  // One that was its owner's alone, then one that is new.
  ASSERT_OK(Make());
  EXPECT_OK(make());
  expect_shared();
  ASSERT_OK(os::RemoveTree(os::SystemCalls::Real(), scratch_ / "a"));
  EXPECT_OK(make());
  expect_shared();
  EXPECT_EQ(ModeOf(scratch_ / "a"), 0711);
  // By hand.
  for (const char* name : {"/servers", "/sessions", "/logs", "/durable"}) {
    ASSERT_EQ(chmod((root() + name).c_str(), 0700), 0);
  }
  ASSERT_EQ(chmod((root() + "/format").c_str(), 0600), 0);
  EXPECT_OK(Make());
  expect_shared();
  // Who says nothing changes nothing; another group is refused, another list replaces the first.
  EXPECT_OK(Make());
  expect_shared();
  access.group = 12346;
  EXPECT_THAT(make(), StatusIs(absl::StatusCode::kFailedPrecondition,
                               AllOf(HasSubstr(root()), HasSubstr("12345"), HasSubstr("12346"))));
  access.group.reset();
  access.server_uids = {4713};
  ASSERT_OK_AND_ASSIGN(const auto spool, make());
  EXPECT_TRUE(spool->MayServe(4713));
  EXPECT_FALSE(spool->MayServe(4711));
  ASSERT_OK_AND_ASSIGN(const auto names, os::ListDirectory(os::SystemCalls::Real(), root()));
  EXPECT_EQ(names.size(), 5);
}

TEST_F(OpenSpoolTest, NewerFormatIsRefusedWithTheCure) {
  ASSERT_OK(Make());
  SpoolRecord record;
  record.set_format_version(2);
  record.set_spool_id(std::string(16, 'x'));
  std::string bytes = EncodeRecord(RecordKind::kSpool, record);
  WriteFormat(bytes);
  for (const absl::Status& status : {Make(), Open()}) {
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kFailedPrecondition,
                                 AllOf(HasSubstr(root()), HasSubstr("version 2"),
                                       HasSubstr("newer software"))));
  }
  // The record's own header may be newer, too.
  bytes[8] = 2;
  WriteFormat(bytes);
  for (const absl::Status& status : {Make(), Open()}) {
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kFailedPrecondition,
                                 AllOf(HasSubstr(root()), HasSubstr("version 2"),
                                       HasSubstr("newer software"))));
  }
}

TEST_F(OpenSpoolTest, DamagedFormatIsDataLoss) {
  ASSERT_OK(Make());
  WriteFormat("rubbish");
  EXPECT_THAT(Make(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr(root() + "/format")));
  EXPECT_THAT(Open(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr(root() + "/format")));
}

TEST_F(OpenSpoolTest, SymbolicLinkMayNameTheSpool) {
  ASSERT_OK(Make());
  ASSERT_EQ(symlink(root().c_str(), (scratch_ / "link").c_str()), 0);
  ASSERT_OK_AND_ASSIGN(const auto spool,
                       Spool::Open(os::Environment{}, scratch_ / "link", Transport::kAuto));
  EXPECT_EQ(spool->root(), root());
}

TEST_F(OpenSpoolTest, TransportIsTheFileSystemsUnlessItIsForced) {
  ASSERT_OK(Make());
  for (const Transport transport : {Transport::kAuto, Transport::kLocal, Transport::kNetwork}) {
    ASSERT_OK_AND_ASSIGN(const auto spool, Spool::Open(os::Environment{}, root(), transport));
    EXPECT_EQ(spool->network(), transport == Transport::kNetwork ||
                                    (transport == Transport::kAuto && !spool->file_system().local));
  }
}

TEST_F(OpenSpoolTest, EachFailingCallIsReportedAndTheNextTryWorks) {
  for (const Call call : {Call::kMkdir, Call::kOpen, Call::kPwrite, Call::kFsync, Call::kLink,
                          Call::kStatfs, Call::kLstat}) {
    const testing::ScratchDirectory scratch;
    testing::FaultySystemCalls faults;
    os::Environment env;
    env.calls = &faults;
    const auto fault = faults.Fail({call, scratch.path(), 0, 1}, EIO);
    const auto failed = Spool::OpenOrCreate(env, scratch / "spool", Transport::kAuto);
    if (faults.Met(fault) == 0) continue;  // not needed on this file system
    EXPECT_FALSE(failed.ok()) << static_cast<int>(call);
    EXPECT_THAT(std::string(failed.status().message()), HasSubstr(scratch.path()));
    EXPECT_OK(Spool::OpenOrCreate(env, scratch / "spool", Transport::kAuto));
    ASSERT_OK_AND_ASSIGN(const auto names,
                         os::ListDirectory(os::SystemCalls::Real(), scratch / "spool"));
    EXPECT_EQ(names.size(), 5) << static_cast<int>(call);
  }
}

TEST_F(OpenSpoolTest, TwentyProcessesMakeOneSpool) {
  for (int round = 0; round < 5; ++round) {
    const testing::ScratchDirectory scratch;
    const std::string path = scratch / "deep/spool";
    int start[2];
    ASSERT_EQ(pipe(start), 0);
    std::vector<pid_t> children;
    for (int i = 0; i < 20; ++i) {
      const pid_t pid = fork();
      if (pid == 0) {
        close(start[1]);
        char byte;
        if (read(start[0], &byte, 1) < 0) _exit(3);  // until the parent closes it
        const auto spool = Spool::OpenOrCreate(os::Environment{}, path, Transport::kAuto);
        if (!spool.ok()) {
          dprintf(2, "%s\n", spool.status().ToString().c_str());
          _exit(1);
        }
        _exit(0);
      }
      ASSERT_GT(pid, 0);
      children.push_back(pid);
    }
    close(start[0]);
    close(start[1]);
    for (const pid_t pid : children) {
      int status = 0;
      ASSERT_EQ(waitpid(pid, &status, 0), pid);
      EXPECT_EQ(status, 0);
    }
    ASSERT_OK_AND_ASSIGN(const auto names, os::ListDirectory(os::SystemCalls::Real(), path));
    EXPECT_EQ(std::set<std::string>(names.begin(), names.end()),
              (std::set<std::string>{"format", "servers", "sessions", "logs", "durable"}));
  }
}

// Runs `body` as uid 12345 in a child; its exit status.
int AsNobody(const std::function<int()>& body) {
  const pid_t pid = fork();
  if (pid == 0) {
    if (setgroups(0, nullptr) != 0 || setgid(12345) != 0 || setuid(12345) != 0) _exit(99);
    _exit(body());
  }
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 100;
}

TEST_F(OpenSpoolTest, AnotherUserIsToldThatItMayNot) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  ASSERT_OK(Make());
  // May not even look into the directory above.
  EXPECT_EQ(AsNobody([&] {
              const absl::Status status = Open();
              return absl::IsPermissionDenied(status) &&
                             std::string(status.message()).find(root()) != std::string::npos
                         ? 0
                         : (dprintf(2, "%s\n", status.ToString().c_str()), 1);
            }),
            0);
  // May look, and even so a server must be the owner's.
  for (const char* directory : {"a", "a/b", "a/b/spool"}) {
    ASSERT_EQ(chmod((scratch_ / directory).c_str(), 0755), 0);
  }
  ASSERT_EQ(chmod(scratch_.path().c_str(), 0755), 0);
  EXPECT_EQ(AsNobody([&] {
              const absl::Status status = Make();
              return absl::IsFailedPrecondition(status) &&
                             std::string(status.message()).find("owner") != std::string::npos
                         ? 0
                         : (dprintf(2, "%s\n", status.ToString().c_str()), 1);
            }),
            0);
}

}  // namespace
}  // namespace spoolrpc::spool
