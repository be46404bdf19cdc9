// The command line of fetch_client.

#include "examples/http_fetch/client_options.h"

#include <getopt.h>

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace http_fetch {
namespace {

using ::spoolrpc::testing::StatusIs;
using ::testing::HasSubstr;

absl::StatusOr<ClientOptions> Parse(std::vector<std::string> words) {
  words.insert(words.begin(), "fetch_client");
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  optind = 0;  // begins anew
  return ParseCommandLine(static_cast<int>(words.size()), argv.data());
}

TEST(ClientOptionsTest, AUrlIsEnough) {
  ASSERT_OK_AND_ASSIGN(const ClientOptions options, Parse({"http://a/"}));
  EXPECT_EQ(options.request.url(), "http://a/");
  EXPECT_EQ(options.request.method(), "");
  EXPECT_EQ(options.request.max_redirects(), 0);
  EXPECT_EQ(options.request.headers_size(), 0);
  EXPECT_FALSE(options.max_time.has_value());
}

TEST(ClientOptionsTest, OptionsMayFollowTheUrl) {
  ASSERT_OK_AND_ASSIGN(
      const ClientOptions options,
      Parse({"http://a/", "-o", "x", "--spool=/s", "-L", "-m", "1.5", "--ack-timeout", "3", "-fis",
             "-H", "A: b: c", "--max-reply-bytes=7"}));
  EXPECT_EQ(options.output, "x");
  EXPECT_EQ(options.spool, "/s");
  EXPECT_EQ(options.request.max_redirects(), 10);
  EXPECT_EQ(options.request.max_reply_bytes(), 7);
  EXPECT_EQ(*options.max_time, absl::Seconds(1.5));
  EXPECT_EQ(options.ack_timeout, absl::Seconds(3));
  EXPECT_TRUE(options.fail_on_error && options.include_head && options.silent);
  EXPECT_EQ(options.request.headers(0).name(), "A");
  EXPECT_EQ(options.request.headers(0).value(), "b: c");
}

TEST(ClientOptionsTest, DataIsPosted) {
  ASSERT_OK_AND_ASSIGN(const ClientOptions options, Parse({"-d", "a=b", "http://a/"}));
  EXPECT_EQ(options.request.method(), "POST");
  EXPECT_EQ(options.request.body(), "a=b");
  EXPECT_EQ(options.request.headers(0).value(), "application/x-www-form-urlencoded");
  ASSERT_OK_AND_ASSIGN(
      const ClientOptions put,
      Parse({"-X", "PUT", "-H", "content-type: text/plain", "-d", "x", "http://a/"}));
  EXPECT_EQ(put.request.method(), "PUT");
  EXPECT_EQ(put.request.headers_size(), 1);
}

TEST(ClientOptionsTest, RefusesWhatItDoesNotUnderstand) {
  const std::vector<std::vector<std::string>> kCases = {
      {},
      {"http://a/", "http://b/"},
      {"http://a/", "-m", "0"},
      {"http://a/", "-m", "-1"},
      {"http://a/", "-m", "nan"},
      {"http://a/", "-m", "soon"},
      {"http://a/", "--ack-timeout="},
      {"http://a/", "-H", "no colon"},
      {"http://a/", "-d", "@/no/such/file"},
      {"http://a/", "-d", "@/"},
      {"http://a/", "--max-reply-bytes", "0"},
      {"http://a/", "--max-reply-bytes", "9999999999"},
      {"http://a/", "--no-such-option"},
      {"http://a/", "-o"},
  };
  for (const auto& words : kCases) {
    EXPECT_THAT(Parse(words), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("")));
  }
}

}  // namespace
}  // namespace http_fetch
