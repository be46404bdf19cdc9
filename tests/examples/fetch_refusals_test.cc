// What a fetch_server refuses: hosts that are not on its list, however their URL is dressed up,
// requests within requests, answers without end.

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "tests/examples/fetch_fixture.h"

namespace spoolrpc::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class FetchRefusalsTest : public FetchFixture {
 protected:
  FetchRefusalsTest() : nginx_(scratch_ / "nginx") {
    WriteWholeFile(nginx_.pages() + "/hello.txt", "Hello\n");
  }

  Nginx nginx_;
};

TEST_F(FetchRefusalsTest, HostThatIsNotOnTheList) {
  const auto server = StartServer({"--allow=allowed.example"});
  const Fetched fetched = Fetch({nginx_.Url("/hello.txt")});
  EXPECT_EQ(fetched.exit_status, 9);
  EXPECT_EQ(fetched.output, "");
  EXPECT_THAT(fetched.errors,
              AllOf(HasSubstr("PERMISSION_DENIED"), HasSubstr(nginx_.Url("/hello.txt")),
                    HasSubstr(absl::StrCat("--allow=...,127.0.0.1:", nginx_.port()))));
  EXPECT_EQ(nginx_.Log(), "");
}

TEST_F(FetchRefusalsTest, PortThatIsNotOnTheList) {
  const auto server = StartServer({"--allow=127.0.0.1"});
  EXPECT_EQ(Fetch({nginx_.Url("/hello.txt")}).exit_status, 9);
  EXPECT_EQ(nginx_.Log(), "");
}

TEST_F(FetchRefusalsTest, NoDressedUpUrlReachesAnotherHost) {
  const auto server = StartServer({"--allow=allowed.example"});
  const std::string port = absl::StrCat(nginx_.port());
  const struct {
    std::string url;
    int exit_status;
  } kCases[] = {
      {"http://allowed.example@127.0.0.1:" + port + "/hello.txt", 3},
      {"http://allowed.example:80@127.0.0.1:" + port + "/hello.txt", 3},
      {"http://127.0.0.1:" + port + "\\@allowed.example/hello.txt", 3},
      {"http://127.0.0.1:" + port + "/hello.txt\r\nHost: allowed.example", 3},
      {"http://2130706433:" + port + "/hello.txt", 9},
      {"http://0x7f.1:" + port + "/hello.txt", 9},
      {"http://127.0.0.1.:" + port + "/hello.txt", 9},
      {"http://[::ffff:127.0.0.1]:" + port + "/hello.txt", 9},
      {"http://localhost:" + port + "/hello.txt", 9},
      {"http://allowed.example.localhost:" + port + "/hello.txt", 9},
      {"file:///etc/passwd", 3},
      {"file://allowed.example/etc/passwd", 3},
      {"ftp://127.0.0.1:" + port + "/hello.txt", 3},
      {"gopher://allowed.example:" + port + "/_GET%20/hello.txt", 3},
  };
  for (const auto& c : kCases) {
    const Fetched fetched = Fetch({c.url});
    EXPECT_EQ(fetched.exit_status, c.exit_status) << c.url << " " << fetched.errors;
    EXPECT_EQ(fetched.output, "") << c.url;
  }
  EXPECT_EQ(nginx_.Log(), "");
}

TEST_F(FetchRefusalsTest, RedirectToAnotherHost) {
  const auto server = StartServer({"--allow=127.0.0.1:*"});
  const Fetched away = Fetch({"-L", nginx_.Url("/away/hello.txt")});
  EXPECT_EQ(away.exit_status, 9);
  EXPECT_EQ(away.output, "");
  EXPECT_THAT(away.errors,
              AllOf(HasSubstr("PERMISSION_DENIED"), HasSubstr(nginx_.Url("/away/hello.txt")),
                    HasSubstr(absl::StrCat("http://localhost:", nginx_.port(), "/hello.txt"))));
  EXPECT_THAT(nginx_.Log(), Not(HasSubstr("GET /hello.txt")));
}

TEST_F(FetchRefusalsTest, RedirectToAFileAndRedirectsWithoutEnd) {
  const auto server = StartServer();
  const Fetched file = Fetch({"-L", nginx_.Url("/to-file")});
  EXPECT_EQ(file.exit_status, 3);
  EXPECT_THAT(file.errors, HasSubstr("file:///etc/passwd"));
  EXPECT_EQ(file.output, "");
  const Fetched loop = Fetch({"-L", nginx_.Url("/loop")});
  EXPECT_EQ(loop.exit_status, 47);
  EXPECT_THAT(loop.errors, HasSubstr("more than 10 redirects"));
}

TEST_F(FetchRefusalsTest, RequestsWithinRequests) {
  const auto server = StartServer();
  const std::vector<std::vector<std::string>> kCases = {
      {"-H", "X-Test: a\r\nAuthorization: evil"},   {"-H", "X-Test: a\nAuthorization: evil"},
      {"-H", "X-Test\r\nAuthorization: evil"},      {"-H", "Host: other.example"},
      {"-H", "Transfer-Encoding: chunked"},         {"-H", "Content-Length: 0"},
      {"-X", "GET /hello.txt HTTP/1.1\r\nX-Test:"}, {"-X", "CONNECT"},
  };
  for (std::vector<std::string> arguments : kCases) {
    arguments.push_back(nginx_.Url("/echo"));
    const Fetched fetched = Fetch(arguments);
    EXPECT_EQ(fetched.exit_status, 3) << arguments[1];
    EXPECT_THAT(fetched.errors, HasSubstr("INVALID_ARGUMENT")) << arguments[1];
  }
  EXPECT_EQ(nginx_.Log(), "");
}

TEST_F(FetchRefusalsTest, AnswerLargerThanALimit) {
  WriteWholeFile(nginx_.pages() + "/page", std::string(100000, 'x'));
  const auto server = StartServer({"--allow=127.0.0.1:*", "--max_reply_bytes=50000"});
  const Fetched server_limit = Fetch({nginx_.Url("/page")});
  EXPECT_EQ(server_limit.exit_status, 63);
  EXPECT_THAT(server_limit.errors, AllOf(HasSubstr("RESOURCE_EXHAUSTED"), HasSubstr("50000 bytes"),
                                         HasSubstr(nginx_.Url("/page"))));
  EXPECT_EQ(Fetch({"--max-reply-bytes=6", nginx_.Url("/hello.txt")}).exit_status, 0);
  const Fetched client_limit = Fetch({"--max-reply-bytes=5", nginx_.Url("/hello.txt")});
  EXPECT_EQ(client_limit.exit_status, 63);
  EXPECT_EQ(client_limit.output, "");
  const Fetched part = Fetch({"-s", "-H", "Range: bytes=0-9", nginx_.Url("/page")});
  EXPECT_EQ(part.output, std::string(10, 'x')) << part.errors;
}

TEST_F(FetchRefusalsTest, AnswerThatDoesNotSayItsLength) {
  const auto server = StartServer({"--allow=127.0.0.1:*", "--max_reply_bytes=50000"});
  RawServer raw;
  const auto client = StartClient({raw.Url("/")});
  ASSERT_NE(raw.AwaitRequest(), "");
  ASSERT_TRUE(raw.Send("HTTP/1.1 200 OK\r\n\r\n"));
  // Sends as long as the other side takes it.
  for (int i = 0; i < 1000000 && raw.Send(std::string(1000, 'x')); ++i) {
  }
  EXPECT_TRUE(raw.AwaitClosed());
  EXPECT_EQ(End(client.get()).exit_status, 63);
}

TEST_F(FetchRefusalsTest, HeadWithoutEnd) {
  const auto server = StartServer();
  RawServer raw;
  const auto client = StartClient({raw.Url("/")});
  ASSERT_NE(raw.AwaitRequest(), "");
  ASSERT_TRUE(raw.Send("HTTP/1.1 200 OK\r\n"));
  for (int i = 0; i < 1000000 && raw.Send("X: " + std::string(1000, 'x') + "\r\n"); ++i) {
  }
  EXPECT_TRUE(raw.AwaitClosed());
  const Fetched fetched = End(client.get());
  EXPECT_EQ(fetched.exit_status, 63);
  EXPECT_THAT(fetched.errors, HasSubstr("head is larger"));
}

TEST_F(FetchRefusalsTest, ServersThatCannotFetchAnythingDoNotStart) {
  for (const char* flag : {"--allow=", "--allow=http://a", "--max_reply_bytes=0", "--max_time=0s",
                           "--max_redirects=-1"}) {
    Program server(scratch_.path(), "refused",
                   {"examples/http_fetch/fetch_server", "--spool=" + spool(), "--allow=a", flag});
    EXPECT_EQ(server.AwaitExit().value_or(-1), 1) << flag;
    EXPECT_THAT(server.Errors(), HasSubstr("INVALID_ARGUMENT")) << flag;
  }
}

}  // namespace
}  // namespace spoolrpc::testing
