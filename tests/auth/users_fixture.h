// What the tests with several users share: a spool in a directory of one user's, and programs that
// run as others. The test runs as root; users and groups need no entry in the user database.
#ifndef SPOOLRPC_TESTS_AUTH_USERS_FIXTURE_H_
#define SPOOLRPC_TESTS_AUTH_USERS_FIXTURE_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "spoolrpc/spool/spool.h"
#include "tests/failure/process.h"
#include "tests/testing/scratch_directory.h"

namespace spoolrpc::auth_test {

constexpr absl::Duration kLong = absl::Seconds(60);
constexpr uint32_t kGroup = 65100;  // that the spool is shared with
constexpr uint32_t kOwner = 65001;
constexpr uint32_t kMember = 65002;
constexpr uint32_t kOtherMember = 65003;
constexpr uint32_t kOutsider = 65004;
constexpr uint32_t kOtherGroup = 65101;  // the outsider's

class UsersTest : public ::testing::TestWithParam<spool::Transport> {
 protected:
  void SetUp() override;

  std::string spool() const { return scratch_ / "home/spool"; }
  bool network() const { return GetParam() == spool::Transport::kNetwork; }
  // Starts the program as that user, the outsider in his group, all others in the spool's.
  std::unique_ptr<failure::Process> Start(uint32_t uid, std::vector<std::string> arguments);
  // Runs it to its end; the line that it says.
  std::string Run(uint32_t uid, std::vector<std::string> arguments);
  // A server of that user, which is serving.
  std::unique_ptr<failure::Process> Serve(uint32_t uid, std::vector<std::string> arguments);
  // The same, the owner's in a group's spool.
  std::unique_ptr<failure::Process> ServeGroup(std::vector<std::string> arguments = {});

  // The names in a directory of the spool; none if it is not there.
  std::vector<std::string> Names(const std::string& directory) const;

 private:
  // Where other users get to.
  const testing::ScratchDirectory scratch_{"/tmp"};
};

#define SPOOLRPC_AS_USERS(suite)                                                                  \
  INSTANTIATE_TEST_SUITE_P(                                                                       \
      Transports, suite, ::testing::Values(spool::Transport::kLocal, spool::Transport::kNetwork), \
      [](const auto& info) {                                                                      \
        return info.param == spool::Transport::kLocal ? "Local" : "Network";                      \
      })

}  // namespace spoolrpc::auth_test

#endif  // SPOOLRPC_TESTS_AUTH_USERS_FIXTURE_H_
