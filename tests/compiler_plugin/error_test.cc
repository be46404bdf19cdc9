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

struct BadValue {
  const char* value;
  const char* message;
};

class BadValueTest : public PluginErrorTest, public ::testing::WithParamInterface<BadValue> {};

TEST_P(BadValueTest, NamesFileLineAndRemedy) {
  const ProtocResult result = Run(WithMethodOption(GetParam().value));
  EXPECT_NE(result.exit_code, 0);
  EXPECT_THAT(result.output, HasSubstr(absl::StrCat("bad.proto:8: option (spoolrpc.method).",
                                                    GetParam().message)));
  EXPECT_TRUE(NothingWasGenerated());
}

INSTANTIATE_TEST_SUITE_P(
    All, BadValueTest,
    ::testing::Values(
        BadValue{"timeout { seconds: -3 }", "timeout is -3 s 0 ns: write a positive duration"},
        BadValue{"timeout {}", "timeout is 0 s 0 ns: write a positive duration"},
        BadValue{"ack_timeout { seconds: 0 }", "ack_timeout is 0 s 0 ns: write a positive"},
        BadValue{"timeout { nanos: -1 }", "timeout has nanos: -1: write 0 to 999999999"},
        BadValue{"timeout { seconds: -1 nanos: -1 }", "timeout has nanos: -1: write 0 to"},
        BadValue{"ack_timeout { seconds: 1 nanos: 1000000000 }",
                 "ack_timeout has nanos: 1000000000: write 0 to 999999999"},
        BadValue{"timeout { seconds: 315576000000 }",
                 "timeout is 315576000000 s: write at most 9223372035 s"},
        BadValue{"concurrency: -1", "concurrency is -1: write 1 or more"},
        BadValue{"batch {}", "batch.max_size is 0: write 1 or more"},
        BadValue{"batch { max_size: -2 }", "batch.max_size is -2: write 1 or more"},
        BadValue{"batch { max_size: 2 max_delay { seconds: -1 } }",
                 "batch.max_delay is -1 s 0 ns: write a positive duration"},
        BadValue{"retry { max_attempts: 1 }", "retry.max_attempts is 1: write 2 or more"},
        BadValue{"retry { initial_backoff {} }", "retry.initial_backoff is 0 s 0 ns"},
        BadValue{"retry { initial_backoff { seconds: 2 } max_backoff { seconds: 1 } }",
                 "retry.max_backoff is shorter than initial_backoff"},
        BadValue{"retry { backoff_multiplier: 0.5 }",
                 "retry.backoff_multiplier is 0.5: write a number of at least 1"},
        BadValue{"retry { backoff_multiplier: nan }", "retry.backoff_multiplier is nan: write"},
        BadValue{"retry { retryable_codes: [ UNAVAILABLE, OK ] }",
                 "retry.retryable_codes has OK: write codes of errors"},
        BadValue{"hedging { max_attempts: -1 }", "hedging.max_attempts is -1: write 2 or more"},
        BadValue{"hedging { delay { nanos: -1 } }", "hedging.delay has nanos: -1: write 0 to"},
        BadValue{"hedging { non_fatal_codes: OK }", "hedging.non_fatal_codes has OK"},
        // What does not go with the method, or together.
        BadValue{"retry {}", "retry would execute a method more than once that does not say"},
        BadValue{"hedging {}", "hedging would execute a method more than once"},
        BadValue{"retry {} hedging {}", "hedging is on a method with retry: write one of the two"},
        BadValue{"execution: INLINE concurrency: 2", "execution is INLINE on a method with conc"},
        BadValue{"execution: INLINE isolation: PROCESS",
                 "execution is INLINE on a method with iso"},
        BadValue{"execution: INLINE batch { max_size: 2 }",
                 "execution is INLINE on a method with batch"}));

// The same on a method that streams and is idempotent.
class BadStreamTest : public PluginErrorTest, public ::testing::WithParamInterface<BadValue> {};

TEST_P(BadStreamTest, NamesFileLineAndReason) {
  const ProtocResult result = Run(absl::StrCat(R"(service S {
  rpc M(stream Text) returns (Text) {
    option (spoolrpc.method) = { )",
                                               GetParam().value, R"( };
    option idempotency_level = IDEMPOTENT;
  }
}
)"));
  EXPECT_NE(result.exit_code, 0);
  EXPECT_THAT(result.output, HasSubstr(absl::StrCat("bad.proto:8: option (spoolrpc.method).",
                                                    GetParam().message)));
  EXPECT_TRUE(NothingWasGenerated());
}

INSTANTIATE_TEST_SUITE_P(
    All, BadStreamTest,
    ::testing::Values(BadValue{"batch { max_size: 2 }", "batch is on a method that streams"},
                      BadValue{"retry {}", "retry is on a method that streams"},
                      BadValue{"hedging {}", "hedging is on a method that streams"},
                      BadValue{"execution: INLINE",
                               "execution is INLINE on a method that streams"}));

TEST_F(PluginErrorTest, AnErrorInsideAnOptionNamesItsOwnLine) {
  const ProtocResult result = Run(R"(service S {
  rpc M(Text) returns (Text) {
    option (spoolrpc.method).batch.max_size = 4;
    option (spoolrpc.method).batch.max_delay.seconds = -1;
  }
}
)");
  EXPECT_THAT(result.output, HasSubstr("bad.proto:9: option (spoolrpc.method).batch.max_delay is"));
  EXPECT_THAT(result.output, Not(HasSubstr("bad.proto:8")));
}

TEST_F(PluginErrorTest, ABadDefaultOfAServiceIsAnError) {
  const ProtocResult result = Run(R"(service S {
  option (spoolrpc.service) = { retry { max_attempts: 1 } };
}
)");
  EXPECT_THAT(result.output,
              HasSubstr("bad.proto:7: option (spoolrpc.service).retry.max_attempts is 1"));
}

TEST_F(PluginErrorTest, AFieldOrAValueNewerThanThePluginIsNotIgnored) {
  std::filesystem::create_directory(directory_ + "/spoolrpc");
  WriteFile(directory_ + "/spoolrpc/options.proto", R"(syntax = "proto3";
package spoolrpc;
import "google/protobuf/descriptor.proto";
message MethodOptions {
  message Batch { int32 max_size = 1; int32 max_bytes = 77; }
  enum Compression { COMPRESSION_UNSPECIFIED = 0; LZ4 = 3; }
  Batch batch = 7;
  Compression compression = 10;
}
extend google.protobuf.MethodOptions {
  MethodOptions method = 51319;
}
)");
  const ProtocResult result =
      Run(WithMethodOption("batch { max_size: 1 max_bytes: 2 } compression: LZ4"));
  EXPECT_NE(result.exit_code, 0);
  EXPECT_THAT(result.output, HasSubstr("batch.max_bytes is newer than this protoc-gen-spoolrpc"));
  EXPECT_THAT(result.output, HasSubstr("compression is newer than this protoc-gen-spoolrpc"));
}

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
  int32 colour = 77;
}
extend google.protobuf.MethodOptions {
  MethodOptions method = 51319;
}
)");
  const ProtocResult result = Run(WithMethodOption("colour: 4"));
  EXPECT_NE(result.exit_code, 0);
  EXPECT_THAT(result.output, HasSubstr("bad.proto:8: option (spoolrpc.method).colour is newer "
                                       "than this protoc-gen-spoolrpc"));
  EXPECT_TRUE(NothingWasGenerated());
}

}  // namespace
}  // namespace spoolrpc::testing
