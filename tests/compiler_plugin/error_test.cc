// Bad input to the plugin: each error names file, line and what to do, and nothing is generated.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/compiler_plugin/run_protoc.h"

namespace spoolrpc::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class PluginErrorTest : public ::testing::Test {
 protected:
  // Runs the plugin on bad.proto, whose first line is `head` and whose service starts on line 6.
  ProtocResult Run(const std::string& service, const std::string& parameter = "") {
    WriteFile(directory_ + "/bad.proto", absl::StrCat(R"(syntax = "proto3";
package bad;
import "spoolrpc/options.proto";
message Text {}

)",
                                                      service));
    return RunProtoc({absl::StrCat("--spoolrpc_out=", parameter, parameter.empty() ? "" : ":",
                                   directory_, "/out"),
                      directory_ + "/bad.proto"},
                     directory_);
  }

  void SetUp() override { std::filesystem::create_directory(directory_ + "/out"); }

  bool NothingWasGenerated() const { return std::filesystem::is_empty(directory_ + "/out"); }

  const std::string directory_ = MakeTemporaryDirectory();
};

// A method with `option (spoolrpc.method) = { VALUE };` on line 8.
std::string WithMethodOption(const std::string& value) {
  return absl::StrCat(R"(service S {
  rpc M(Text) returns (Text) {
    option (spoolrpc.method) = { )",
                      value, R"( };
  }
}
)");
}

TEST_F(PluginErrorTest, AGoodFileIsNoError) {
  const ProtocResult result = Run(WithMethodOption("timeout { seconds: 1 }"));
  EXPECT_EQ(result.exit_code, 0) << result.output;
  EXPECT_EQ(result.output, "");
  EXPECT_FALSE(NothingWasGenerated());
}

TEST_F(PluginErrorTest, UnknownParameterNamesItAndTheKnownOnes) {
  const ProtocResult result = Run("", "generate_mocks=true");
  EXPECT_NE(result.exit_code, 0);
  EXPECT_THAT(result.output, HasSubstr("unknown parameter 'generate_mocks'"));
  EXPECT_THAT(result.output, HasSubstr("generate_mock_code=true|false"));
  EXPECT_TRUE(NothingWasGenerated());
}

TEST_F(PluginErrorTest, ParameterWithAnotherValueSaysWhatToWrite) {
  const ProtocResult result = Run("", "generate_mock_code=yes");
  EXPECT_NE(result.exit_code, 0);
  EXPECT_THAT(result.output,
              HasSubstr("generate_mock_code has the value 'yes': write true or false"));
  EXPECT_TRUE(NothingWasGenerated());
}

struct BadDuration {
  const char* value;
  const char* message;
};

class BadDurationTest : public PluginErrorTest,
                        public ::testing::WithParamInterface<BadDuration> {};

TEST_P(BadDurationTest, NamesFileLineAndRemedy) {
  const ProtocResult result = Run(WithMethodOption(GetParam().value));
  EXPECT_NE(result.exit_code, 0);
  EXPECT_THAT(result.output, HasSubstr(absl::StrCat("bad.proto:8: option (spoolrpc.method).",
                                                    GetParam().message)));
  EXPECT_TRUE(NothingWasGenerated());
}

INSTANTIATE_TEST_SUITE_P(
    All, BadDurationTest,
    ::testing::Values(
        BadDuration{"timeout { seconds: -3 }", "timeout is -3 s 0 ns: write a positive duration"},
        BadDuration{"timeout {}", "timeout is 0 s 0 ns: write a positive duration"},
        BadDuration{"ack_timeout { seconds: 0 }", "ack_timeout is 0 s 0 ns: write a positive"},
        BadDuration{"timeout { nanos: -1 }", "timeout has nanos: -1: write 0 to 999999999"},
        BadDuration{"timeout { seconds: -1 nanos: -1 }", "timeout has nanos: -1: write 0 to"},
        BadDuration{"ack_timeout { seconds: 1 nanos: 1000000000 }",
                    "ack_timeout has nanos: 1000000000: write 0 to 999999999"},
        BadDuration{"timeout { seconds: 315576000000 }",
                    "timeout is 315576000000 s: write at most 9223372035 s"}));

TEST_F(PluginErrorTest, BadServiceOptionNamesItsLine) {
  const ProtocResult result = Run(R"(service S {
  option (spoolrpc.service).timeout.seconds = 5;
  option (spoolrpc.service).ack_timeout.seconds = -5;
  rpc M(Text) returns (Text);
}
)");
  EXPECT_NE(result.exit_code, 0);
  EXPECT_THAT(result.output,
              HasSubstr("bad.proto:8: option (spoolrpc.service).ack_timeout is -5 s"));
  EXPECT_THAT(result.output, Not(HasSubstr("bad.proto:7")));
}

TEST_F(PluginErrorTest, BadServiceOptionOfAServiceWithoutMethodsIsAnError) {
  const ProtocResult result = Run(R"(service S {
  option (spoolrpc.service).timeout.nanos = -1;
}
)");
  EXPECT_NE(result.exit_code, 0);
  EXPECT_THAT(result.output, HasSubstr("bad.proto:7: option (spoolrpc.service).timeout has nanos"));
}

TEST_F(PluginErrorTest, AllErrorsAreToldAtOnce) {
  const ProtocResult result = Run(R"(service S {
  rpc M(Text) returns (Text) {
    option (spoolrpc.method).timeout.seconds = -1;
    option (spoolrpc.method).ack_timeout.seconds = -2;
  }
  rpc N(Text) returns (Text) {
    option (spoolrpc.method).timeout.seconds = -3;
  }
}
)");
  EXPECT_THAT(result.output, HasSubstr("bad.proto:8: option (spoolrpc.method).timeout is -1 s"));
  EXPECT_THAT(result.output,
              HasSubstr("bad.proto:9: option (spoolrpc.method).ack_timeout is -2 s"));
  EXPECT_THAT(result.output, HasSubstr("bad.proto:12: option (spoolrpc.method).timeout is -3 s"));
  EXPECT_TRUE(NothingWasGenerated());
}

TEST_F(PluginErrorTest, AnOptionNewerThanThePluginIsNotIgnored) {
  std::filesystem::create_directory(directory_ + "/spoolrpc");
  WriteFile(directory_ + "/spoolrpc/options.proto", R"(syntax = "proto3";
package spoolrpc;
import "google/protobuf/descriptor.proto";
message MethodOptions {
  int32 concurrency = 77;
}
extend google.protobuf.MethodOptions {
  MethodOptions method = 51319;
}
)");
  const ProtocResult result = Run(WithMethodOption("concurrency: 4"));
  EXPECT_NE(result.exit_code, 0);
  EXPECT_THAT(result.output, HasSubstr("bad.proto:8: option (spoolrpc.method).concurrency is newer "
                                       "than this protoc-gen-spoolrpc"));
  EXPECT_TRUE(NothingWasGenerated());
}

}  // namespace
}  // namespace spoolrpc::testing
