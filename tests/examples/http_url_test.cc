// What counts as a URL, and which host it goes to.

#include "examples/http_fetch/http_url.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace http_fetch {
namespace {

using ::spoolrpc::testing::StatusIs;
using ::testing::HasSubstr;

struct Good {
  const char* url;
  const char* host;
  int port;
};

TEST(HttpUrlTest, HostAndPortHaveOneForm) {
  const Good kCases[] = {
      {"http://example.org/", "example.org", 80},
      {"https://example.org", "example.org", 443},
      {"HTTP://EXAMPLE.Org:8080/a?b=c", "example.org", 8080},
      {"http://example.org./", "example.org", 80},
      {"http://example.org:/", "example.org", 80},
      {"http://%65xample.org/", "example.org", 80},
      {"http://127.0.0.1:1/", "127.0.0.1", 1},
      // All the ways in which C libraries write an IPv4 address.
      {"http://2130706433/", "127.0.0.1", 80},
      {"http://0x7f.1/", "127.0.0.1", 80},
      {"http://0177.0.0.1/", "127.0.0.1", 80},
      {"http://[::1]:8080/", "::1", 8080},
      {"http://[0:0:0:0:0:0:0:1]/", "::1", 80},
      // Another address than 127.0.0.1 as far as a list is concerned.
      {"http://[::FFFF:7f00:1]/", "::ffff:127.0.0.1", 80},
      {"http://a/@b", "a", 80},
      {"http://a?@b", "a", 80},
      {"http://a#@b", "a", 80},
  };
  for (const Good& good : kCases) {
    ASSERT_OK_AND_ASSIGN(const HttpUrl url, HttpUrl::Parse(good.url));
    EXPECT_EQ(url.host(), good.host) << good.url;
    EXPECT_EQ(url.port(), good.port) << good.url;
  }
}

TEST(HttpUrlTest, FragmentIsNotSent) {
  ASSERT_OK_AND_ASSIGN(const HttpUrl url, HttpUrl::Parse("http://a/b?c#d"));
  EXPECT_EQ(url.text(), "http://a/b?c");
  EXPECT_EQ(url.WithoutQuery(), "http://a/b");
}

TEST(HttpUrlTest, OriginIsSchemeHostAndPort) {
  ASSERT_OK_AND_ASSIGN(const HttpUrl url, HttpUrl::Parse("http://a/b"));
  for (const char* same : {"http://a/", "http://A.:80/c"}) {
    ASSERT_OK_AND_ASSIGN(const HttpUrl other, HttpUrl::Parse(same));
    EXPECT_TRUE(url.SameOrigin(other)) << same;
  }
  for (const char* different : {"https://a/", "http://b/", "http://a:81/", "https://a:80/"}) {
    ASSERT_OK_AND_ASSIGN(const HttpUrl other, HttpUrl::Parse(different));
    EXPECT_FALSE(url.SameOrigin(other)) << different;
  }
}

TEST(HttpUrlTest, RefusesWhatIsNoPlainHttpUrl) {
  const std::string kCases[] = {
      "",
      "/",
      "example.org",
      "//example.org/",
      "http:",
      "http://",
      "http:///path",
      "http:/a/",
      "http:a",
      "http:////a/",
      "http://.",
      // Other schemes.
      "file:///etc/passwd",
      "FILE:///etc/passwd",
      "ftp://a/",
      "gopher://a:70/_x",
      "dict://a/",
      "scp://a/",
      "javascript:1",
      "ht tp://a/",
      "httpx://a/",
      "unix:/run/x",
      // User and password.
      "http://allowed@evil/",
      "http://allowed:80@evil/",
      "http://@evil/",
      "http://a:b@evil/",
      "http://allowed%40@evil/",
      // A backslash is a slash to some.
      "http://evil\\@allowed/",
      "http:\\\\evil/",
      "http://allowed\\.evil/",
      // Hosts that are none.
      "http://a..b/",
      "http://..",
      "http://a b/",
      "http://a%20b/",
      "http://a%00b/",
      "http://a%2fb/",
      "http://allowed%0d%0aX:1/",
      "http://a,b/",
      "http://a;b/",
      "http://a*/",
      "http://(a)/",
      "http://%ff/",
      "http://caf\xc3\xa9/",
      "http://[::1/",
      "http://[::g]/",
      "http://[]/",
      "http://[::1%25lo]/",
      "http://[fe80::1%25eth0]/",
      "http://[v1.x]/",
      "http://[::1]x/",
      // Ports.
      "http://a:0/",
      "http://a:65536/",
      "http://a:-1/",
      "http://a:8o/",
      "http://a:80:80/",
      "http://a:99999999999999999999/",
      // Line ends and other control characters anywhere.
      "http://a/\r\nHost: b",
      "http://a/\n",
      " http://a/",
      "http://a/ ",
      "http://a/\t",
      "\nhttp://a/",
      std::string("http://a/\0b", 11),
      "http://a/\x7f",
      "http://a/\x80",
      absl::StrCat("http://", std::string(254, 'a'), "/"),
      absl::StrCat("http://a/", std::string(9000, 'a')),
  };
  for (const std::string& text : kCases) {
    const absl::StatusOr<HttpUrl> url = HttpUrl::Parse(text);
    EXPECT_THAT(url, StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("bad URL")))
        << text << " is read as " << (url.ok() ? url->text() : "");
    for (char c : url.status().message()) EXPECT_TRUE(c >= ' ' && c < 0x7f) << text;
    EXPECT_LT(url.status().message().size(), 1200u);
  }
}

TEST(HttpUrlTest, SaysWhatToDo) {
  EXPECT_THAT(HttpUrl::Parse("file:///etc/passwd"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       ::testing::AllOf(HasSubstr("file:///etc/passwd"),
                                        HasSubstr("only http and https"))));
  EXPECT_THAT(HttpUrl::Parse("http://user:pass@a/"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("Authorization header")));
  EXPECT_THAT(HttpUrl::Parse("example.org/"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("http://")));
}

}  // namespace
}  // namespace http_fetch
