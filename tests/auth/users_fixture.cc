#include "tests/auth/users_fixture.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "spoolrpc/os/file.h"

namespace spoolrpc::auth_test {
namespace {
constexpr char kSetpriv[] = "/usr/bin/setpriv";
}  // namespace

void UsersTest::SetUp() {
  if (geteuid() != 0) GTEST_SKIP() << "only root can be several users";
  if (access(kSetpriv, X_OK) != 0) GTEST_SKIP() << "there is no " << kSetpriv;
  ASSERT_EQ(chmod(scratch_.path().c_str(), 0755), 0);
  ASSERT_EQ(mkdir((scratch_ / "home").c_str(), 0755), 0);
  ASSERT_EQ(chown((scratch_ / "home").c_str(), kOwner, kGroup), 0);
  // Bazel's own directory may lie below a home that others do not get into.
  std::filesystem::copy_file("tests/auth/member", scratch_ / "member");
  ASSERT_EQ(chmod((scratch_ / "member").c_str(), 0755), 0);
}

std::unique_ptr<failure::Process> UsersTest::Start(uint32_t uid,
                                                   std::vector<std::string> arguments) {
  const uint32_t gid = uid == kOutsider ? kOtherGroup : kGroup;
  std::vector<std::string> all = {
      absl::StrCat("--reuid=", uid),     absl::StrCat("--regid=", uid),
      absl::StrCat("--groups=", gid),    scratch_ / "member",
      absl::StrCat("--spool=", spool()), absl::StrCat("--network=", network())};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return failure::Process::Start(kSetpriv, all);
}

std::string UsersTest::Run(uint32_t uid, std::vector<std::string> arguments) {
  const auto process = Start(uid, std::move(arguments));
  const auto line = process->NextLine(2 * kLong);
  EXPECT_TRUE(process->AwaitExit(kLong).has_value());
  return line.value_or("(it said nothing)");
}

std::unique_ptr<failure::Process> UsersTest::Serve(uint32_t uid,
                                                   std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "serve");
  auto process = Start(uid, std::move(arguments));
  EXPECT_EQ(process->NextLine(kLong).value_or("(it said nothing)"), "OK serving");
  return process;
}

std::unique_ptr<failure::Process> UsersTest::ServeGroup(std::vector<std::string> arguments) {
  arguments.push_back(absl::StrCat("--group=", kGroup));
  return Serve(kOwner, std::move(arguments));
}

std::vector<std::string> UsersTest::Names(const std::string& directory) const {
  const auto names = os::ListDirectory(os::SystemCalls::Real(), absl::StrCat(spool(), directory));
  return names.ok() ? *names : std::vector<std::string>();
}

}  // namespace spoolrpc::auth_test
