// The greeter as its README shows it: a server and its clients, each a process of its own.

#include <signal.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/examples/program.h"
#include "tests/testing/scratch_directory.h"

namespace spoolrpc::testing {
namespace {

using ::testing::HasSubstr;

class GreeterTest : public ::testing::Test {
 protected:
  std::unique_ptr<Program> Start(const std::string& program, std::vector<std::string> flags) {
    flags.insert(flags.begin(), {absl::StrCat("examples/greeter/greeter_", program),
                                 "--spool=" + (scratch_ / "s")});
    return std::make_unique<Program>(scratch_.path(), absl::StrCat(program, ++programs_), flags);
  }

  const ScratchDirectory scratch_;

 private:
  int programs_ = 0;
};

TEST_F(GreeterTest, ClientsAreGreeted) {
  const auto server = Start("server", {});
  ASSERT_TRUE(server->AwaitOutput("Server listening on spool:" + (scratch_ / "s")));
  std::vector<std::unique_ptr<Program>> clients;
  for (const char* name : {"ada", "grace", "barbara"}) {
    clients.push_back(Start("client", {absl::StrCat("--name=", name), "--ack_timeout=100s"}));
  }
  EXPECT_EQ(clients[0]->AwaitExit().value_or(-1), 0) << clients[0]->Errors();
  EXPECT_EQ(clients[1]->AwaitExit().value_or(-1), 0) << clients[1]->Errors();
  EXPECT_EQ(clients[2]->AwaitExit().value_or(-1), 0) << clients[2]->Errors();
  EXPECT_EQ(clients[0]->Output(), "Greeter received: Hello ada\n");
  EXPECT_EQ(clients[1]->Output(), "Greeter received: Hello grace\n");
  EXPECT_EQ(clients[2]->Output(), "Greeter received: Hello barbara\n");
  server->Send(SIGTERM);
  EXPECT_EQ(server->AwaitExit().value_or(-1), 0) << server->Errors();
}

TEST_F(GreeterTest, ClientMayComeFirst) {
  const auto client = Start("client", {"--ack_timeout=100s"});
  const auto server = Start("server", {});
  EXPECT_EQ(client->AwaitExit().value_or(-1), 0) << client->Errors();
  EXPECT_EQ(client->Output(), "Greeter received: Hello world\n");
}

TEST_F(GreeterTest, NobodyGreets) {
  const auto client = Start("client", {"--ack_timeout=300ms"});
  EXPECT_EQ(client->AwaitExit().value_or(-1), 1);
  EXPECT_EQ(client->Output(), "");
  EXPECT_THAT(client->Errors(), HasSubstr(scratch_ / "s"));
}

}  // namespace
}  // namespace spoolrpc::testing
