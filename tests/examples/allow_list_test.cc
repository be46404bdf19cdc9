// Which URLs a list of hosts allows.

#include "examples/http_fetch/allow_list.h"

#include <string>

#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace http_fetch {
namespace {

using ::spoolrpc::testing::StatusIs;
using ::testing::AllOf;
using ::testing::HasSubstr;

absl::Status Check(const std::string& list, const std::string& text) {
  const absl::StatusOr<AllowList> allowed = AllowList::Parse(list);
  if (!allowed.ok()) return allowed.status();
  const absl::StatusOr<HttpUrl> url = HttpUrl::Parse(text);
  if (!url.ok()) return url.status();
  return allowed->Check(*url);
}

struct Case {
  const char* list;
  const char* url;
};

TEST(AllowListTest, Allows) {
  const Case kCases[] = {
      {"example.org", "http://example.org/x"},
      {"example.org", "https://example.org/x"},
      {"example.org", "http://example.org:80/"},
      {"Example.ORG.", "http://example.org/"},
      {"example.org", "http://EXAMPLE.org./"},
      {"a, example.org ,b", "http://example.org/"},
      {"example.org:8080", "http://example.org:8080/"},
      {"example.org:8080", "https://example.org:8080/"},
      {"example.org:*", "http://example.org:1234/"},
      {"example.org:*", "http://example.org/"},
      {"a:1,a:2", "http://a:2/"},
      {"127.0.0.1:81", "http://127.0.0.1:81/"},
      {"127.0.0.1", "http://0x7f000001/"},
      {"[::1]", "http://[0::1]/"},
      {"[::1]:81", "http://[::1]:81/"},
      {"[0:0::1]:*", "http://[::1]:9/"},
  };
  for (const Case& c : kCases) EXPECT_OK(Check(c.list, c.url)) << c.list << " " << c.url;
}

TEST(AllowListTest, DeniesTheRest) {
  const Case kCases[] = {
      {"example.org", "http://example.com/"},
      {"example.org", "http://www.example.org/"},
      {"example.org", "http://example.org.evil/"},
      {"example.org", "http://evilexample.org/"},
      {"www.example.org", "http://example.org/"},
      // The usual port of the other scheme is not usual.
      {"example.org", "http://example.org:443/"},
      {"example.org", "https://example.org:80/"},
      {"example.org", "http://example.org:8080/"},
      {"example.org:8080", "http://example.org/"},
      {"example.org:443", "http://example.org/"},
      {"127.0.0.1", "http://localhost/"},
      {"localhost", "http://127.0.0.1/"},
      {"127.0.0.1", "http://[::ffff:127.0.0.1]/"},
      {"127.0.0.1", "http://[::1]/"},
      {"127.0.0.1", "http://127.0.0.2/"},
      {"[::1]:81", "http://[::1]/"},
  };
  for (const Case& c : kCases) {
    EXPECT_THAT(Check(c.list, c.url),
                StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr("--allow=")))
        << c.list << " " << c.url;
  }
}

TEST(AllowListTest, DenialNamesUrlAndWhatToAdd) {
  EXPECT_THAT(Check("a", "http://b:81/c?token=d"),
              StatusIs(absl::StatusCode::kPermissionDenied,
                       AllOf(HasSubstr("http://b:81/c"), HasSubstr("host b "),
                             HasSubstr("--allow=...,b:81"), ::testing::Not(HasSubstr("token")))));
  EXPECT_THAT(Check("b", "http://b:81/"),
              StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr("port 81 of host b ")));
  EXPECT_THAT(Check("b", "https://[::2]/"),
              StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr("--allow=...,[::2]")));
}

TEST(AllowListTest, RefusesEntriesThatAreNoHosts) {
  for (const char* list : {"http://a", "a/b", "*",   "*.example.org", "a:*:*",       "a:1:*", "a:",
                           ":80",      "a:b", "a:0", "a:65536",       "u@a",         "a b",   "::1",
                           "[::1",     "a?",  "a#",  "a%41",          "caf\xc3\xa9", "a..b"}) {
    EXPECT_THAT(AllowList::Parse(list),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("allow-list entry")))
        << list;
  }
}

TEST(AllowListTest, AnEmptyListIsAnError) {
  for (const char* list : {"", ",", " , "}) {
    EXPECT_THAT(AllowList::Parse(list),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--allow=")));
  }
}

}  // namespace
}  // namespace http_fetch
