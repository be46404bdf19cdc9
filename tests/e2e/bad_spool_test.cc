// What bad spools get, seen through channels and servers: a status that names the path and says
// what to do, and a process that goes on.
#include <grp.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "spoolrpc/os/file.h"
#include "spoolrpc/spool.pb.h"
#include "spoolrpc/spool/record_file.h"
#include "tests/e2e/fixture.h"
#include "tests/testing/faulty_system_calls.h"

namespace spoolrpc::e2e {
namespace {

using ::testing::AllOf;
using testing::Call;
using testing::HasCode;
using ::testing::HasSubstr;
using testing::StatusIs;

class BadSpoolTest : public BothTransports {
 protected:
  // A call on a new channel, with a short ack timeout.
  absl::Status TryCall(absl::Duration ack_timeout = kLong) {
    ChannelOptions options = Options();
    options.ack_timeout = ack_timeout;
    const auto stub = Probe::NewStub(Connect(options));
    ClientContext context;
    Text reply;
    return stub->Echo(&context, Say(""), &reply);
  }
  absl::Status TryServe() {
    ProbeService service;
    return Builder(&service).BuildAndStart().status();
  }
  // A spool with nobody on it.
  void MakeSpool() { EXPECT_OK(TryServe()); }
  // Both sides say so, at once, and say it of this spool.
  void ExpectUnusable(absl::StatusCode code, const std::string& text,
                      ErrorInfo::Reason reason = ErrorInfo::SPOOL_UNUSABLE) {
    const absl::Time began = absl::Now();
    const absl::Status called = TryCall();
    EXPECT_LT(absl::Now() - began, kLong / 2);
    EXPECT_THAT(called, StatusIs(code, AllOf(HasSubstr(spool()), HasSubstr(text))));
    EXPECT_EQ(ReasonOf(called), reason);
    EXPECT_FALSE(GetErrorInfo(called)->may_have_executed());
    EXPECT_EQ(GetErrorInfo(called)->path(), spool());
    EXPECT_THAT(TryServe(), StatusIs(code, AllOf(HasSubstr(spool()), HasSubstr(text))));
  }
};
SPOOLRPC_BOTH_TRANSPORTS(BadSpoolTest);

TEST_P(BadSpoolTest, PathIsAFile) {
  std::ofstream(spool()) << "x";
  ExpectUnusable(absl::StatusCode::kFailedPrecondition, "not a directory");
}

TEST_P(BadSpoolTest, EverybodyMayWriteToIt) {
  MakeSpool();
  ASSERT_EQ(chmod(spool().c_str(), 0777), 0);
  ExpectUnusable(absl::StatusCode::kFailedPrecondition, "chmod 700");
}

TEST_P(BadSpoolTest, NewerFormat) {
  MakeSpool();
  spool::SpoolRecord record;
  record.set_format_version(7);
  ASSERT_EQ(unlink((spool() + "/format").c_str()), 0);
  ASSERT_OK(os::WriteNewFile(os::SystemCalls::Real(), spool() + "/format",
                             spool::EncodeRecord(spool::RecordKind::kSpool, record), 0600, false));
  ExpectUnusable(absl::StatusCode::kFailedPrecondition, "newer software",
                 ErrorInfo::VERSION_MISMATCH);
}

TEST_P(BadSpoolTest, SpoolIsMendedAndTheChannelGoesOn) {
  MakeSpool();
  ASSERT_EQ(chmod(spool().c_str(), 0777), 0);
  const auto stub = Probe::NewStub(Connect());
  ClientContext context;
  Text reply;
  EXPECT_THAT(stub->Echo(&context, Say(""), &reply),
              HasCode(absl::StatusCode::kFailedPrecondition));
  ASSERT_EQ(chmod(spool().c_str(), 0700), 0);
  ProbeService service;
  const auto server = Serve(&service);
  ClientContext again;
  EXPECT_OK(stub->Echo(&again, Say(""), &reply));
}

TEST_P(BadSpoolTest, NoServerOnALocalDiskSaysSo) {
  MakeSpool();
  const absl::Status status = TryCall(absl::Milliseconds(200));
  EXPECT_EQ(ReasonOf(status), ErrorInfo::NO_SERVER);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr(spool()), HasSubstr("of this host"), HasSubstr("alone")));
}

TEST_P(BadSpoolTest, NoPermission) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  MakeSpool();
  ASSERT_EQ(chmod(scratch().path().c_str(), 0755), 0);
  const pid_t pid = fork();
  if (pid == 0) {
    if (setgroups(0, nullptr) != 0 || setgid(12345) != 0 || setuid(12345) != 0) _exit(99);
    const absl::Status called = TryCall();
    const absl::Status served = TryServe();
    dprintf(2, "%s\n%s\n", called.ToString().c_str(), served.ToString().c_str());
    const bool well = absl::IsPermissionDenied(called) &&
                      absl::StrContains(called.message(), spool()) &&
                      ReasonOf(called) == ErrorInfo::SPOOL_UNUSABLE && !served.ok() &&
                      absl::StrContains(served.message(), spool());
    _exit(well ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  EXPECT_EQ(status, 0);
}

TEST_P(BadSpoolTest, WithoutSharedMemoryItIsOnlySlower) {
  // No mmap on either side, and then on one.
  for (const char* path : {"", "/servers/", "/sessions/"}) {
    testing::FaultySystemCalls faults;
    faults.Fail({Call::kMap, path}, ENODEV);
    os::Environment env;
    env.calls = &faults;
    ProbeService service;
    const auto server = Serve(&service, [&](ServerBuilder* b) { b->set_environment(env); });
    ChannelOptions options = Options();
    options.environment = env;
    {
      const auto stub = Probe::NewStub(Connect(options));
      for (int i = 0; i < 20; ++i) {
        ClientContext context;
        Text reply;
        EXPECT_OK(stub->Echo(&context, Say("slow"), &reply)) << path;
        EXPECT_EQ(reply.text(), "slow");
      }
    }
  }
}

TEST_P(BadSpoolTest, DirectoryRemovedUnderARunningServerIsFoundOut) {
  ProbeService service;
  const auto server =
      Serve(&service, [](ServerBuilder* b) { b->set_lease_term(absl::Milliseconds(400)); });
  ASSERT_OK(os::RemoveTree(os::SystemCalls::Real(), spool()));
  EXPECT_THAT(server->Wait(),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("removed")));
  EXPECT_TRUE(log().Contains("stepping down"));
  // Another one can be started at the same place.
  const auto next = Serve(&service);
  EXPECT_OK(TryCall());
}

}  // namespace
}  // namespace spoolrpc::e2e
