// What every test of this directory starts with: a spool, servers and clients in processes of their
// own.
#ifndef SPOOLRPC_TESTS_FAILURE_SPOOL_FIXTURE_H_
#define SPOOLRPC_TESTS_FAILURE_SPOOL_FIXTURE_H_

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "spoolrpc/spoolrpc.h"
#include "tests/failure/executions.h"
#include "tests/failure/failure.spoolrpc.pb.h"
#include "tests/failure/other_host.h"
#include "tests/failure/process.h"
#include "tests/failure/result.h"
#include "tests/testing/scratch_directory.h"

namespace spoolrpc::failure {

// Longer than anything here takes on a busy machine; a wait that lasts so long is a hang.
constexpr absl::Duration kLong = absl::Seconds(60);

// How the processes of a test see each other.
struct Setting {
  const char* name;
  bool network = false;     // the rules of network file systems
  bool other_host = false;  // the kernel tells nothing about peers

  std::vector<std::string> Flags() const;
};

constexpr Setting kLocal = {"Local"};
constexpr Setting kNetwork = {"Network", true};
constexpr Setting kOtherHost = {"OtherHost", true, true};

class SpoolTest : public ::testing::Test {
 protected:
  explicit SpoolTest(const Setting& setting = kLocal) : setting_(setting) {}

  // Starts a server, and waits until it serves. `lease_term` is the server's.
  std::unique_ptr<Process> StartServer(absl::Duration lease_term,
                                       std::vector<std::string> flags = {});
  // The same without waiting: its first line says whether it serves.
  std::unique_ptr<Process> LaunchServer(absl::Duration lease_term,
                                        std::vector<std::string> flags = {});
  std::unique_ptr<Process> StartClient(std::vector<std::string> flags);
  // A channel of this process. The setting's host is used.
  std::shared_ptr<Channel> MakeChannel(ChannelOptions options = {});
  // Drains the server (SIGTERM), so that whatever it would still have executed is, and waits for
  // its end.
  void Drain(Process* server);

  std::string spool() const { return scratch_ / "spool"; }
  std::string file(const std::string& name) const { return scratch_ / name; }
  static void Touch(const std::string& path);
  Executions executions() const { return ReadExecutions(file("executions")); }
  // Waits until `calls` different calls have been begun by handlers.
  bool AwaitExecutions(size_t calls) const;
  // Ids of the sessions whose response log does not say that the server has closed it; of the
  // server with this pid, or of all.
  std::set<std::string> OpenSessions(int64_t server_pid = 0) const;
  // Files and directories in the spool. Those of processes on other hosts that were killed before
  // they had made them are left out: nobody can tell that they are dead before an hour has passed.
  int CountFiles() const;
  // All of them, to be printed when a test fails.
  std::string ListFiles() const;

  const Setting setting_;
  testing::ScratchDirectory scratch_;
  OtherHost other_host_;
};

class SettingTest : public SpoolTest, public ::testing::WithParamInterface<Setting> {
 protected:
  SettingTest() : SpoolTest(GetParam()) {}
};

// For INSTANTIATE_TEST_SUITE_P.
inline std::string SettingName(const ::testing::TestParamInfo<Setting>& info) {
  return info.param.name;
}

// All lines of the client's output as results, until it has ended; fails the test if one is no
// result, or if that takes longer than `timeout`.
std::vector<Result> AwaitResults(Process* client, absl::Duration timeout = kLong);

}  // namespace spoolrpc::failure

#endif  // SPOOLRPC_TESTS_FAILURE_SPOOL_FIXTURE_H_
