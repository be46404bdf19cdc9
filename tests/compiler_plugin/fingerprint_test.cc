// The fingerprint says "the same schema": it changes with everything that a call can notice, with
// nothing else, and never between two runs.
#include "compiler_plugin/fingerprint.h"

#include <google/protobuf/compiler/parser.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "compiler_plugin/annotations.h"

namespace spoolrpc::compiler {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::FileDescriptor;
using google::protobuf::FileDescriptorProto;

class FailOnError : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, int column, const std::string& message) override {
    ADD_FAILURE() << line << ":" << column << ": " << message;
  }
};

// The first service of a .proto file given as text.
class Parsed {
 public:
  explicit Parsed(const std::string& text) {
    google::protobuf::io::ArrayInputStream stream(text.data(), static_cast<int>(text.size()));
    FailOnError errors;
    google::protobuf::io::Tokenizer tokenizer(&stream, &errors);
    google::protobuf::compiler::Parser parser;
    parser.RecordErrorsTo(&errors);
    FileDescriptorProto proto;
    EXPECT_TRUE(parser.Parse(&tokenizer, &proto)) << text;
    proto.set_name("x.proto");
    FileDescriptorProto descriptor_proto;
    FileDescriptorProto::descriptor()->file()->CopyTo(&descriptor_proto);
    EXPECT_NE(pool_.BuildFile(descriptor_proto), nullptr);
    file_ = pool_.BuildFile(proto);
    EXPECT_NE(file_, nullptr) << text;
  }

  std::string Description() const {
    std::vector<std::string> errors;
    return CanonicalDescription(*file_->service(0), Annotations(*file_, &errors));
  }
  uint64_t Value() const {
    std::vector<std::string> errors;
    return Fingerprint(*file_->service(0), Annotations(*file_, &errors));
  }
  // Of the method with that name.
  std::string Description(const std::string& method) const {
    std::vector<std::string> errors;
    return CanonicalDescription(*file_->service(0)->FindMethodByName(method),
                                Annotations(*file_, &errors));
  }
  uint64_t Value(const std::string& method) const {
    std::vector<std::string> errors;
    return Fingerprint(*file_->service(0)->FindMethodByName(method), Annotations(*file_, &errors));
  }

 private:
  DescriptorPool pool_;
  const FileDescriptor* file_;
};

constexpr char kBase[] = R"(
syntax = "proto3";
package p;
message Request {
  string name = 1;
  repeated int32 numbers = 2;
  Kind kind = 3;
  optional bool flag = 4;
  oneof choice { int64 a = 5; Reply b = 6; }
  map<string, Inner> inners = 7;
  message Inner { double value = 1; }
}
message Reply { Request request = 1; }
message Unused { string text = 1; }
enum Kind { ZERO = 0; ONE = 1; }
service S {
  rpc M(Request) returns (Reply);
  rpc N(Reply) returns (Request);
}
)";

// The example of docs/generated_code.md.
TEST(FingerprintTest, DescriptionIsAsDocumented) {
  const Parsed parsed(R"(
syntax = "proto3";
package helloworld;
service Greeter {
  rpc SayHello(HelloRequest) returns (HelloReply) {}
}
message HelloRequest { string name = 1; }
message HelloReply { string message = 1; }
)");
  EXPECT_EQ(parsed.Description(), R"(service helloworld.Greeter
rpc SayHello helloworld.HelloRequest helloworld.HelloReply idempotency 0 timeout 0 ack_timeout 0 ack_before_execution 0
message helloworld.HelloRequest
  1 optional string name
message helloworld.HelloReply
  1 optional string message
)");
  EXPECT_EQ(parsed.Value(), 0x037cc3a82a3e5830);
  EXPECT_EQ(
      parsed.Description("SayHello"),
      R"(rpc SayHello helloworld.HelloRequest helloworld.HelloReply idempotency 0 timeout 0 ack_timeout 0 ack_before_execution 0
message helloworld.HelloRequest
  1 optional string name
message helloworld.HelloReply
  1 optional string message
)");
  EXPECT_EQ(parsed.Value("SayHello"), 0x2fa6f5359f42651c);
}

TEST(FingerprintTest, EveryShapeIsDescribedOnceThoughMessagesContainThemselves) {
  EXPECT_EQ(Parsed(kBase).Description(), R"(service p.S
rpc M p.Request p.Reply idempotency 0 timeout 0 ack_timeout 0 ack_before_execution 0
rpc N p.Reply p.Request idempotency 0 timeout 0 ack_timeout 0 ack_before_execution 0
message p.Request
  1 optional string name
  2 repeated int32 numbers packed
  3 optional enum kind of p.Kind
  4 optional bool flag presence
  5 optional int64 a presence oneof choice
  6 optional message b presence oneof choice of p.Reply
  7 repeated message inners of p.Request.InnersEntry
message p.Reply
  1 optional message request presence of p.Request
message p.Request.InnersEntry
  1 optional string key
  2 optional message value presence of p.Request.Inner
message p.Request.Inner
  1 optional double value
enum p.Kind open
  0 ZERO
  1 ONE
)");
}

// Two methods of which one reaches less than the other.
constexpr char kTwo[] = R"(
syntax = "proto3";
package p;
message Leaf { int32 number = 1; }
message Tree { Leaf leaf = 1; Kind kind = 2; }
enum Kind { ZERO = 0; }
service S {
  rpc Small(Leaf) returns (Leaf);
  rpc Large(Leaf) returns (stream Tree);
}
)";

TEST(MethodFingerprintTest, CoversWhatTheMethodReaches) {
  const Parsed two(kTwo);
  EXPECT_EQ(two.Description("Small"),
            R"(rpc Small p.Leaf p.Leaf idempotency 0 timeout 0 ack_timeout 0 ack_before_execution 0
message p.Leaf
  1 optional int32 number
)");
  EXPECT_EQ(
      two.Description("Large"),
      R"(rpc Large p.Leaf stream p.Tree idempotency 0 timeout 0 ack_timeout 0 ack_before_execution 0
message p.Leaf
  1 optional int32 number
message p.Tree
  1 optional message leaf presence of p.Leaf
  2 optional enum kind of p.Kind
enum p.Kind open
  0 ZERO
)");
  EXPECT_NE(two.Value("Small"), two.Value("Large"));
}

TEST(MethodFingerprintTest, ChangesWithWhatTheMethodReachesAndWithNothingElse) {
  const Parsed two(kTwo);
  // Only the one method reaches it.
  for (const auto& [from, to] :
       {std::pair<const char*, const char*>{"ZERO = 0;", "ZERO = 0; ONE = 1;"},
        {"Leaf leaf = 1;", "Leaf leaf = 3;"},
        {"returns (stream Tree)", "returns (Tree)"}}) {
    const Parsed changed(absl::StrReplaceAll(kTwo, {{from, to}}));
    EXPECT_EQ(changed.Value("Small"), two.Value("Small")) << to;
    EXPECT_NE(changed.Value("Large"), two.Value("Large")) << to;
    EXPECT_NE(changed.Value(), two.Value()) << to;
  }
  const Parsed both(absl::StrReplaceAll(kTwo, {{"int32 number", "int64 number"}}));
  EXPECT_NE(both.Value("Small"), two.Value("Small"));
  EXPECT_NE(both.Value("Large"), two.Value("Large"));
  // Other methods, and the service's name, are not its own.
  const Parsed alone(absl::StrReplaceAll(
      kTwo, {{"rpc Large(Leaf) returns (stream Tree);", "rpc Other(Tree) returns (Tree);"},
             {"service S", "service T"}}));
  EXPECT_EQ(alone.Value("Small"), two.Value("Small"));
}

struct Change {
  const char* from;
  const char* to;
};

class FingerprintChangeTest : public ::testing::TestWithParam<Change> {
 protected:
  static std::string Changed() {
    const std::string changed = absl::StrReplaceAll(kBase, {{GetParam().from, GetParam().to}});
    EXPECT_NE(changed, kBase) << GetParam().from;
    return changed;
  }
};

class Noticed : public FingerprintChangeTest {};
class NotNoticed : public FingerprintChangeTest {};

TEST_P(Noticed, ChangesTheFingerprint) {
  EXPECT_NE(Parsed(Changed()).Value(), Parsed(kBase).Value());
}

INSTANTIATE_TEST_SUITE_P(
    All, Noticed,
    ::testing::Values(Change{"string name = 1;", "bytes name = 1;"},
                      Change{"string name = 1;", "string name = 8;"},
                      Change{"string name = 1;", "string title = 1;"},
                      Change{"string name = 1;", "repeated string name = 1;"},
                      Change{"string name = 1;", ""},
                      Change{"numbers = 2;", "numbers = 2 [packed = false];"},
                      Change{"optional bool flag", "bool flag"}, Change{"int64 a = 5;", ""},
                      Change{"double value", "float value"}, Change{"map<string,", "map<int32,"},
                      Change{"ONE = 1;", "ONE = 2;"}, Change{"ONE = 1;", "ONE = 1; TWO = 2;"},
                      Change{"rpc M(", "rpc Em("},
                      Change{"rpc M(Request)", "rpc M(stream Request)"},
                      Change{"rpc M(Request)", "rpc M(Reply)"},
                      Change{"rpc M(Request) returns (Reply);",
                             "rpc M(Request) returns (Reply) { option idempotency_level = "
                             "IDEMPOTENT; }"},
                      Change{"rpc N(Reply) returns (Request);", ""},
                      Change{"service S", "service T"}, Change{"package p;", "package q;"}));

TEST_P(NotNoticed, LeavesTheFingerprint) {
  EXPECT_EQ(Parsed(Changed()).Value(), Parsed(kBase).Value());
}

INSTANTIATE_TEST_SUITE_P(
    All, NotNoticed,
    ::testing::Values(Change{"string name = 1;", "// A comment.\n string name = 1;"},
                      Change{"message Unused { string text = 1; }", ""},
                      Change{"string name = 1;\n  repeated int32 numbers = 2;",
                             "repeated int32 numbers = 2;\n  string name = 1;"},
                      Change{"ZERO = 0; ONE = 1;", "ZERO = 0; /**/ ONE = 1;"},
                      Change{"string name = 1;", "string name = 1 [deprecated = true];"}));

// How a method is run and repeated is not a part of the contract.
TEST(FingerprintTest, OnlyTheTimesOfOptionsCount) {
  const auto with = [](const std::string& options) {
    return absl::StrCat(R"(
syntax = "proto3";
package spoolrpc;
import "google/protobuf/descriptor.proto";
message Duration { int64 seconds = 1; int32 nanos = 2; }
message MethodOptions {
  enum Value { ZERO = 0; ONE = 1; TWO = 2; }
  message Batch { int32 max_size = 1; }
  message Retry { int32 max_attempts = 1; }
  Duration timeout = 1;
  int32 concurrency = 4;
  Value execution = 5;
  Value isolation = 6;
  Batch batch = 7;
  Retry retry = 8;
  Value compression = 10;
}
extend google.protobuf.MethodOptions { MethodOptions method = 51319; }
message M {}
service S { rpc Do(M) returns (M) { option idempotency_level = IDEMPOTENT; )",
                        options, " } }");
  };
  const uint64_t plain = Parsed(with("")).Value();
  for (const char* option :
       {"concurrency: 4", "execution: ONE", "isolation: ONE", "batch { max_size: 3 }",
        "retry { max_attempts: 3 }", "compression: TWO"}) {
    EXPECT_EQ(Parsed(with(absl::StrCat("option (method) = { ", option, " };"))).Value(), plain)
        << option;
  }
  EXPECT_NE(Parsed(with("option (method) = { timeout { seconds: 1 } };")).Value(), plain);
}

}  // namespace
}  // namespace spoolrpc::compiler
