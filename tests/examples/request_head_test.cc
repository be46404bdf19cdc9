// What a caller may put into a request's head, and what is kept of an answer's.

#include "examples/http_fetch/request_head.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace http_fetch {
namespace {

using ::spoolrpc::testing::StatusIs;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

FetchRequest With(const std::string& name, const std::string& value) {
  FetchRequest request;
  Header* header = request.add_headers();
  header->set_name(name);
  header->set_value(value);
  return request;
}

TEST(RequestHeadTest, Methods) {
  EXPECT_EQ(CheckedMethod("").value(), "GET");
  EXPECT_EQ(CheckedMethod("PATCH").value(), "PATCH");
  for (const char* method : {"get", "CONNECT", "TRACE", "GET / HTTP/1.1\r\nX: 1", "GET ", "*"}) {
    EXPECT_THAT(CheckedMethod(method),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("only DELETE")))
        << method;
  }
}

TEST(RequestHeadTest, HeadersOfOneLine) {
  EXPECT_OK(CheckHeaders(With("X-Test", "a\tb c: d \xe9")));
  EXPECT_OK(CheckHeaders(With("Accept", "")));
}

TEST(RequestHeadTest, RefusesSecondLines) {
  const std::string kValues[] = {
      "a\r\nX-Evil: 1",       "a\nX-Evil: 1", "a\r", "\r\n\r\nGET / HTTP/1.1",
      std::string("a\0b", 3), "\x1b[31m",     "\x7f"};
  for (const std::string& value : kValues) {
    EXPECT_THAT(CheckHeaders(With("X-Test", value)),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("X-Test")));
  }
  const std::string kNames[] = {
      "",   "X Test", "X-Test:", "X\r\nEvil", "X\n", "X\tY",
      "X;", "X=",     "@file",   "X\x80",     "(X)", std::string("X\0", 2)};
  for (const std::string& name : kNames) {
    EXPECT_THAT(CheckHeaders(With(name, "a")),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("its name")))
        << name;
  }
}

TEST(RequestHeadTest, RefusesHeadersOfTheConnection) {
  for (const char* name : {"Host", "HOST", "content-length", "Transfer-Encoding", "Connection",
                           "Upgrade", "TE", "Expect", "Trailer", "Keep-Alive", "HTTP2-Settings",
                           "Proxy-Authorization", "proxy-connection"}) {
    EXPECT_THAT(CheckHeaders(With(name, "a")),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("connection")))
        << name;
  }
}

TEST(RequestHeadTest, HeadersAreBounded) {
  EXPECT_OK(CheckHeaders(With("X", std::string(60000, 'a'))));
  EXPECT_THAT(CheckHeaders(With("X", std::string(66000, 'a'))),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("66001 bytes")));
}

TEST(RequestHeadTest, Lines) {
  FetchRequest request = With("Authorization", "secret");
  *request.add_headers() = With("X-Token", "secret").headers(0);
  *request.add_headers() = With("Accept", " text/html ").headers(0);
  *request.add_headers() = With("User-Agent", "").headers(0);
  const auto lines = HeaderLines(request, /*same_origin=*/true);
  EXPECT_THAT(lines, Contains("Authorization: secret"));
  EXPECT_THAT(lines, Contains("X-Token: secret"));
  EXPECT_THAT(lines, Contains("Accept: text/html"));
  EXPECT_THAT(lines, Contains("User-Agent;"));
  const auto elsewhere = HeaderLines(request, /*same_origin=*/false);
  EXPECT_THAT(elsewhere, Contains("Accept: text/html"));
  EXPECT_THAT(elsewhere, Not(Contains(HasSubstr("secret"))));
}

TEST(RequestHeadTest, AnswerKeepsTheLastHead) {
  FetchReply reply;
  for (const char* line :
       {"HTTP/1.1 103 Early Hints\r\n", "Link: x\r\n", "\r\n", "HTTP/1.1 200 OK\r\n", "A:1\r\n",
        "no colon\r\n", "B:  two words \r\n", "A: \xff\r\n", "\r\n"}) {
    AddAnswerLine(line, &reply);
  }
  EXPECT_EQ(reply.status_line(), "HTTP/1.1 200 OK");
  ASSERT_EQ(reply.headers_size(), 3);
  EXPECT_EQ(reply.headers(0).name(), "A");
  EXPECT_EQ(reply.headers(0).value(), "1");
  EXPECT_EQ(reply.headers(1).value(), "two words");
  EXPECT_EQ(reply.headers(2).value(), "\xff");
}

}  // namespace
}  // namespace http_fetch
