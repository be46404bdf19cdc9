// `spoolrpc drain` and `spoolrpc stop` with real servers.
#include <signal.h>
#include <sys/wait.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "google/protobuf/util/json_util.h"
#include "gtest/gtest.h"
#include "spoolrpc/spool/query.h"
#include "spoolrpc/status.pb.h"
#include "tests/cli/programs.h"
#include "tests/testing/scratch_directory.h"

namespace spoolrpc::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class StopTest : public ::testing::Test {
 protected:
  Outcome Spoolrpc(const std::vector<std::string>& arguments) {
    return RunProgram(scratch_.path(), kSpoolrpc, arguments);
  }
  // Of a command with --json.
  static StopDocument Parse(const Outcome& outcome) {
    StopDocument document;
    EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(outcome.out, &document).ok())
        << outcome.out;
    return document;
  }
  std::unique_ptr<Program> Start() { return StartGreeter(scratch_.path(), spool_); }
  std::string IdOf(const Program& server) {
    const auto status = QuerySpool(spool_);
    EXPECT_TRUE(status.ok()) << status.status();
    for (const ServerStatus& one : status->servers) {
      if (one.pid == server.pid()) return one.id;
    }
    return "none";
  }

  const testing::ScratchDirectory scratch_;
  const std::string spool_ = scratch_ / "spool";
};

TEST_F(StopTest, StopWaitsUntilAllServersAreGone) {
  const auto first = Start();
  const auto second = Start();
  const Outcome outcome = Spoolrpc({"stop", spool_, "--json"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  const StopDocument document = Parse(outcome);
  EXPECT_EQ(document.path(), spool_);
  ASSERT_EQ(document.servers_size(), 2);
  for (const StoppedServerDocument& server : document.servers()) {
    EXPECT_EQ(server.outcome(), "gone");
  }
  EXPECT_EQ(first->Wait(), 0) << first->err();
  EXPECT_EQ(second->Wait(), 0) << second->err();
  EXPECT_EQ(Spoolrpc({"status", spool_}).status, 1);
}

TEST_F(StopTest, DrainAsksAndReturns) {
  const auto server = Start();
  const std::string id = IdOf(*server);
  const Outcome outcome = Spoolrpc({"drain", spool_});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr(id));
  EXPECT_THAT(outcome.out, HasSubstr("asked"));
  EXPECT_EQ(server->Wait(), 0) << server->err();
}

TEST_F(StopTest, OneServerOfSeveral) {
  const auto first = Start();
  const auto second = Start();
  const std::string id = IdOf(*first);
  const Outcome outcome = Spoolrpc({"stop", spool_, "--server", id.substr(0, 12)});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(first->Wait(), 0);
  EXPECT_TRUE(second->running());
  EXPECT_EQ(Spoolrpc({"status", spool_}).status, 0);
  const Outcome none = Spoolrpc({"stop", spool_, "--server=" + std::string(32, 'f')});
  EXPECT_EQ(none.status, 1);
  EXPECT_THAT(none.err, HasSubstr("no server"));
  EXPECT_EQ(Spoolrpc({"stop", spool_, "--server="}).status, 2);
}

TEST_F(StopTest, AServerThatDoesNotEndInTimeIsSaid) {
  const auto server = Start();
  server->Send(SIGSTOP);
  int status = 0;
  ASSERT_EQ(waitpid(server->pid(), &status, WUNTRACED), server->pid());
  const Outcome outcome = Spoolrpc({"stop", spool_, "--wait=300ms", "--json"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, HasSubstr("still there"));
  ASSERT_EQ(Parse(outcome).servers_size(), 1);
  EXPECT_EQ(Parse(outcome).servers(0).outcome(), "there");
  server->Send(SIGCONT);
  EXPECT_EQ(server->Wait(), 0);
}

TEST_F(StopTest, AKilledServerNeedsNoStopping) {
  const auto server = Start();
  server->Send(SIGKILL);
  ASSERT_EQ(server->Wait(), 128 + SIGKILL);
  for (const char* command : {"drain", "stop"}) {
    const Outcome outcome = Spoolrpc({command, spool_});
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_THAT(outcome.out, HasSubstr("dead"));
  }
}

TEST_F(StopTest, WithoutAServerThereIsNothingToDo) {
  EXPECT_EQ(Spoolrpc({"stop", spool_}).status, 3) << "there is no such spool";
  {
    const auto server = Start();
    EXPECT_EQ(Spoolrpc({"stop", spool_}).status, 0);
    EXPECT_EQ(server->Wait(), 0);
  }
  const Outcome outcome = Spoolrpc({"stop", spool_});
  EXPECT_EQ(outcome.status, 0);
  EXPECT_THAT(outcome.out, HasSubstr("no server"));
  EXPECT_THAT(outcome.err, IsEmpty());
  EXPECT_EQ(Parse(Spoolrpc({"drain", spool_, "--json"})).servers_size(), 0);
}

}  // namespace
}  // namespace spoolrpc::cli
