// Where a spool is, by what the user gave.
#include "spoolrpc/spool/address.h"

#include <stdlib.h>
#include <unistd.h>

#include <filesystem>

#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace spoolrpc::spool {
namespace {

using ::testing::HasSubstr;
using testing::StatusIs;

class AddressTest : public ::testing::Test {
 protected:
  void SetUp() override {
    unsetenv("SPOOLRPC_DIR");
    setenv("HOME", "/home/someone", 1);
  }
  static std::string Resolve(absl::string_view address) {
    const auto path = ResolveAddress(address);
    EXPECT_OK(path);
    return path.value_or("");
  }
};

TEST_F(AddressTest, PlainPathsAndTheScheme) {
  EXPECT_EQ(Resolve("/scratch/me"), "/scratch/me");
  EXPECT_EQ(Resolve("spool:/scratch/me"), "/scratch/me");
  EXPECT_EQ(Resolve("spool:///scratch/me"), "/scratch/me");
  EXPECT_EQ(Resolve("/scratch//a/../me/./"), "/scratch/me");
  EXPECT_EQ(Resolve("/"), "/");
  EXPECT_EQ(Resolve("/with space/\xc3\xbc"), "/with space/\xc3\xbc");
}

TEST_F(AddressTest, RelativePathsBecomeAbsolute) {
  const std::string here = std::filesystem::current_path();
  EXPECT_EQ(Resolve("me"), here + "/me");
  EXPECT_EQ(Resolve("spool:me/too"), here + "/me/too");
  EXPECT_EQ(Resolve("./me"), here + "/me");
  // A colon behind a slash is no scheme, nor is one letter.
  EXPECT_EQ(Resolve("./odd:name"), here + "/odd:name");
  EXPECT_EQ(Resolve("/a:b"), "/a:b");
  EXPECT_EQ(Resolve("c:name"), here + "/c:name");
}

TEST_F(AddressTest, EmptyIsTheEnvironmentsThenTheHomes) {
  EXPECT_EQ(Resolve(""), "/home/someone/.cache/spoolrpc");
  setenv("SPOOLRPC_DIR", "/from/environment", 1);
  EXPECT_EQ(Resolve(""), "/from/environment");
  EXPECT_EQ(Resolve("/argument/wins"), "/argument/wins");
  setenv("SPOOLRPC_DIR", "spool:/from/environment", 1);
  EXPECT_EQ(Resolve(""), "/from/environment");
  setenv("SPOOLRPC_DIR", "", 1);
  EXPECT_EQ(Resolve(""), "/home/someone/.cache/spoolrpc");
}

TEST_F(AddressTest, WithoutHomeThePasswordFileTells) {
  unsetenv("HOME");
  EXPECT_THAT(Resolve(""), HasSubstr("/.cache/spoolrpc"));
  setenv("HOME", "not/absolute", 1);
  EXPECT_EQ(Resolve("")[0], '/');
}

TEST_F(AddressTest, WhatMakesNoSenseIsSaid) {
  EXPECT_THAT(ResolveAddress("http://host/x"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("spool:/path")));
  EXPECT_THAT(ResolveAddress("ssh:host"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("ssh")));
  EXPECT_THAT(ResolveAddress("spool:"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("spool:/path")));
  EXPECT_THAT(ResolveAddress(absl::string_view("/a\0b", 4)),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("not a path")));
}

}  // namespace
}  // namespace spoolrpc::spool
