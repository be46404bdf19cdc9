// How fetches end that cannot go on: deadlines, clients and servers that go away, restarts.

#include <signal.h>

#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "spoolrpc/spoolrpc.h"
#include "tests/examples/fetch_fixture.h"

namespace spoolrpc::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr char kAnswer[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nlate\n";

class FetchEndingsTest : public FetchFixture {
 protected:
  // True once the only server is draining.
  bool AwaitDraining() {
    return Await([this] {
      const auto status = QuerySpool(spool());
      return status.ok() && status->servers.size() == 1 &&
             status->servers[0].state == ServerStatus::State::kDraining;
    });
  }

  RawServer raw_;
};

TEST_F(FetchEndingsTest, SlowPageEndsAtTheDeadlineOnBothSides) {
  Nginx nginx(scratch_ / "nginx");
  WriteWholeFile(nginx.pages() + "/zeros.bin", std::string(1 << 20, '\0'));
  const auto server = StartServer();
  // It would take 1024 s.
  const Fetched fetched = Fetch({"-m", "1.5", nginx.Url("/slow")});
  EXPECT_EQ(fetched.exit_status, 28);
  EXPECT_EQ(fetched.output, "");
  EXPECT_THAT(fetched.errors, HasSubstr("DEADLINE_EXCEEDED"));
  // nginx logs a request when it is over: the server has hung up.
  EXPECT_TRUE(Await([&] { return !nginx.Log().empty(); }));
  EXPECT_THAT(nginx.Log(), HasSubstr("GET /slow 200 "));
}

TEST_F(FetchEndingsTest, TheServersOwnTimeLimit) {
  const auto server = StartServer({"--allow=127.0.0.1:*", "--max_time=500ms"});
  const auto client = StartClient({raw_.Url("/page?token=secret")});
  ASSERT_NE(raw_.AwaitRequest(), "");
  const Fetched fetched = End(client.get());
  EXPECT_EQ(fetched.exit_status, 28);
  EXPECT_THAT(fetched.errors, AllOf(HasSubstr("DEADLINE_EXCEEDED"), HasSubstr(raw_.Url("/page:"))));
  EXPECT_TRUE(raw_.AwaitClosed());
}

TEST_F(FetchEndingsTest, KilledClientEndsItsFetch) {
  const auto server = StartServer();
  const auto client = StartClient({raw_.Url("/")});
  ASSERT_NE(raw_.AwaitRequest(), "");
  client->Send(SIGKILL);
  EXPECT_TRUE(raw_.AwaitClosed());
  EXPECT_TRUE(server->AwaitOutput("CANCELLED"));
}

TEST_F(FetchEndingsTest, RefusedAndBrokenConnections) {
  const auto server = StartServer();
  std::string nobody;
  {
    RawServer closed;
    nobody = closed.Url("/");
  }
  const Fetched refused = Fetch({nobody});
  EXPECT_EQ(refused.exit_status, 7);
  EXPECT_THAT(refused.errors, AllOf(HasSubstr("UNAVAILABLE"), HasSubstr(nobody)));
  for (const char* answer :
       {"", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhal", "no HTTP\r\n\r\n"}) {
    const auto client = StartClient({raw_.Url("/")});
    ASSERT_NE(raw_.AwaitRequest(), "");
    raw_.Send(answer);
    raw_.Close();
    const Fetched broken = End(client.get());
    EXPECT_EQ(broken.exit_status, 7) << answer << broken.errors;
    EXPECT_EQ(broken.output, "");
  }
}

TEST_F(FetchEndingsTest, TerminatedServerFinishesWhatRuns) {
  const auto server = StartServer();
  const auto client = StartClient({raw_.Url("/")});
  ASSERT_NE(raw_.AwaitRequest(), "");
  server->Send(SIGTERM);
  ASSERT_TRUE(AwaitDraining());
  EXPECT_FALSE(client->Ended());
  ASSERT_TRUE(raw_.Send(kAnswer));
  const Fetched fetched = End(client.get());
  EXPECT_EQ(fetched.exit_status, 0) << fetched.errors;
  EXPECT_EQ(fetched.output, "late\n");
  EXPECT_EQ(server->AwaitExit().value_or(-1), 0) << server->Errors();
}

TEST_F(FetchEndingsTest, TerminatedServerCancelsWhatRunsTooLong) {
  const auto server = StartServer({"--allow=127.0.0.1:*", "--drain=300ms"});
  const auto client = StartClient({raw_.Url("/")});
  ASSERT_NE(raw_.AwaitRequest(), "");
  server->Send(SIGTERM);
  EXPECT_TRUE(raw_.AwaitClosed());
  EXPECT_EQ(End(client.get()).exit_status, 1);
  EXPECT_EQ(server->AwaitExit().value_or(-1), 0) << server->Errors();
}

TEST_F(FetchEndingsTest, ClientOfAKilledServerIsToldAndANewOneServes) {
  auto server = StartServer();
  const auto client = StartClient({raw_.Url("/")});
  ASSERT_NE(raw_.AwaitRequest(), "");
  server->Send(SIGKILL);
  const Fetched lost = End(client.get());
  EXPECT_EQ(lost.exit_status, 69);
  EXPECT_THAT(lost.errors, HasSubstr("UNAVAILABLE"));

  server = StartServer();
  const auto again = StartClient({"-s", raw_.Url("/")});
  ASSERT_NE(raw_.AwaitRequest(), "");
  ASSERT_TRUE(raw_.Send(kAnswer));
  EXPECT_EQ(End(again.get()).output, "late\n");
}

TEST_F(FetchEndingsTest, FetchBetweenTwoServersWaitsForTheSecond) {
  auto server = StartServer();
  server->Send(SIGTERM);
  EXPECT_EQ(server->AwaitExit().value_or(-1), 0) << server->Errors();
  const auto client = StartClient({"-s", raw_.Url("/")});
  server = StartServer();
  ASSERT_NE(raw_.AwaitRequest(), "");
  ASSERT_TRUE(raw_.Send(kAnswer));
  EXPECT_EQ(End(client.get()).output, "late\n");
}

TEST_F(FetchEndingsTest, NoServer) {
  const Fetched fetched = Fetch({"--ack-timeout=0.3", raw_.Url("/")});
  EXPECT_EQ(fetched.exit_status, 69);
  EXPECT_THAT(fetched.errors, HasSubstr(spool()));
}

}  // namespace
}  // namespace spoolrpc::testing
