// Pages of a web server, through a fetch_server, as fetch_client prints them.

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "tests/examples/fetch_fixture.h"

namespace spoolrpc::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class FetchPagesTest : public FetchFixture {
 protected:
  FetchPagesTest() : nginx_(scratch_ / "nginx"), server_(StartServer()) {
    WriteWholeFile(nginx_.pages() + "/hello.txt", "Hello from the other side.\n");
  }

  Nginx nginx_;
  std::unique_ptr<Program> server_;
};

TEST_F(FetchPagesTest, PageGoesToStandardOutputAndStatusToStandardError) {
  const Fetched fetched = Fetch({nginx_.Url("/hello.txt")});
  EXPECT_EQ(fetched.exit_status, 0);
  EXPECT_EQ(fetched.output, "Hello from the other side.\n");
  EXPECT_EQ(fetched.errors,
            absl::StrCat("HTTP/1.1 200 OK, 27 bytes from ", nginx_.Url("/hello.txt"), "\n"));
  EXPECT_EQ(nginx_.Log(), "GET /hello.txt 200 27\n");
}

TEST_F(FetchPagesTest, ErrorsOfTheWebServerAreAnswers) {
  const Fetched missing = Fetch({nginx_.Url("/missing")});
  EXPECT_EQ(missing.exit_status, 0);
  EXPECT_THAT(missing.output, HasSubstr("404"));
  EXPECT_THAT(missing.errors, HasSubstr("HTTP/1.1 404 Not Found"));
}

TEST_F(FetchPagesTest, FailMakesThemErrors) {
  const Fetched missing = Fetch({"-f", nginx_.Url("/missing")});
  EXPECT_EQ(missing.exit_status, 22);
  EXPECT_EQ(missing.output, "");
  EXPECT_THAT(missing.errors, HasSubstr("404 Not Found"));
}

TEST_F(FetchPagesTest, LargePageArrivesWhole) {
  std::string page(20 << 20, '\0');
  uint32_t state = 1;
  for (char& c : page) c = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  WriteWholeFile(nginx_.pages() + "/large.bin", page);
  const std::string file = scratch_ / "large";
  const Fetched fetched = Fetch({nginx_.Url("/large.bin"), "-o", file});
  EXPECT_EQ(fetched.exit_status, 0) << fetched.errors;
  EXPECT_EQ(fetched.output, "");
  EXPECT_TRUE(ReadWholeFile(file) == page) << ReadWholeFile(file).size() << " bytes arrived";
}

TEST_F(FetchPagesTest, ManyClientsAtOnce) {
  constexpr int kClients = 8;
  std::vector<std::unique_ptr<Program>> clients;
  for (int i = 0; i < kClients; ++i) {
    clients.push_back(StartClient({"-s", nginx_.Url(absl::StrCat("/echo?", i))}));
  }
  for (int i = 0; i < kClients; ++i) {
    const Fetched fetched = End(clients[i].get());
    EXPECT_EQ(fetched.exit_status, 0) << fetched.errors;
    EXPECT_EQ(fetched.output, absl::StrCat("GET /echo?", i, "\n\n\n"));
    EXPECT_EQ(fetched.errors, "");
  }
}

TEST_F(FetchPagesTest, MethodHeadersAndBodyAreSent) {
  const Fetched echo = Fetch(
      {"-s", "-X", "DELETE", "-H", "X-Test: a: b", "-H", "Authorization: me", nginx_.Url("/echo")});
  EXPECT_EQ(echo.output, "DELETE /echo\na: b\nme\n") << echo.errors;
  const Fetched body = Fetch({"-s", "-X", "PUT", "-d", "the body", nginx_.Url("/body")});
  EXPECT_EQ(body.output, "PUT the body") << body.errors;
  const Fetched post = Fetch({"-s", "-d", "a=b", nginx_.Url("/body")});
  EXPECT_EQ(post.output, "POST a=b") << post.errors;
}

TEST_F(FetchPagesTest, HeadPrintsTheHead) {
  const Fetched head = Fetch({"-I", nginx_.Url("/hello.txt")});
  EXPECT_EQ(head.exit_status, 0) << head.errors;
  EXPECT_THAT(head.output, HasSubstr("HTTP/1.1 200 OK\n"));
  EXPECT_THAT(head.output, HasSubstr("Content-Length: 27\n"));
  EXPECT_THAT(head.output, Not(HasSubstr("Hello")));
  // The limit counts what is fetched, and that is nothing.
  EXPECT_EQ(Fetch({"-I", "--max-reply-bytes=5", nginx_.Url("/hello.txt")}).exit_status, 0);
}

TEST_F(FetchPagesTest, IncludePrintsHeadAndBody) {
  const Fetched fetched = Fetch({"-i", nginx_.Url("/hello.txt")});
  EXPECT_THAT(fetched.output, HasSubstr("HTTP/1.1 200 OK\n"));
  EXPECT_THAT(fetched.output, HasSubstr("\n\nHello from the other side.\n"));
}

TEST_F(FetchPagesTest, RedirectsAreFollowedWhenAskedTo) {
  const Fetched plain = Fetch({nginx_.Url("/to/hello.txt")});
  EXPECT_EQ(plain.exit_status, 0);
  EXPECT_THAT(plain.errors, HasSubstr("HTTP/1.1 302"));
  const Fetched followed = Fetch({"-L", nginx_.Url("/to/to/hello.txt")});
  EXPECT_EQ(followed.exit_status, 0);
  EXPECT_EQ(followed.output, "Hello from the other side.\n");
  EXPECT_THAT(followed.errors, HasSubstr(nginx_.Url("/hello.txt") + " after 2 redirects"));
}

TEST_F(FetchPagesTest, RedirectedPostBecomesGet) {
  const Fetched fetched = Fetch({"-s", "-L", "-d", "x", nginx_.Url("/to/echo")});
  EXPECT_EQ(fetched.output, "GET /echo\n\n\n") << fetched.errors;
}

TEST_F(FetchPagesTest, SecretsDoNotFollowToAnotherHost) {
  const std::vector<std::string> secrets = {"-s", "-L",       "-H", "Authorization: me",
                                            "-H", "X-Test: t"};
  std::vector<std::string> same = secrets, other = secrets;
  same.push_back(nginx_.Url("/to/echo"));
  other.push_back(nginx_.Url("/away/echo"));
  EXPECT_EQ(Fetch(same).output, "GET /echo\nt\nme\n");
  EXPECT_EQ(Fetch(other).output, "GET /echo\n\n\n");
}

TEST_F(FetchPagesTest, OutputThatCannotBeWrittenIsAnError) {
  const Fetched directory = Fetch({nginx_.Url("/hello.txt"), "-o", scratch_.path()});
  EXPECT_EQ(directory.exit_status, 23);
  EXPECT_THAT(directory.errors, HasSubstr("write " + scratch_.path()));
  const Fetched full = Fetch({nginx_.Url("/hello.txt"), "-o", "/dev/full"});
  EXPECT_EQ(full.exit_status, 23);
  EXPECT_THAT(full.errors, HasSubstr("No space left"));
}

TEST_F(FetchPagesTest, WhatWebServersSayIsNotObeyedByTerminals) {
  RawServer raw;
  const auto client = StartClient({raw.Url("/")});
  EXPECT_THAT(raw.AwaitRequest(), HasSubstr("GET / HTTP/1.1\r\n"));
  ASSERT_TRUE(raw.Send("HTTP/1.1 200 \x1b[2J\xff\r\nContent-Length: 2\r\n\r\nok"));
  const Fetched fetched = End(client.get());
  EXPECT_EQ(fetched.exit_status, 0) << fetched.errors;
  EXPECT_EQ(fetched.output, "ok");
  EXPECT_THAT(fetched.errors, HasSubstr("\\x1b[2J\\xff"));
}

}  // namespace
}  // namespace spoolrpc::testing
