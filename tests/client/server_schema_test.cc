// A server's record against a method of this program: what may be called, and what is said where
// it may not.
#include "spoolrpc/client/server_schema.h"

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "spoolrpc/spool.pb.h"
#include "spoolrpc/spool/layout.h"

namespace spoolrpc::client {
namespace {

using spool::MethodRecord;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

MethodInfo Method(const char* name = "/a.B/Get", MethodKind kind = MethodKind::kUnary,
                  const char* request = "a.In", const char* response = "a.Out",
                  uint64_t fingerprint = 0xabc) {
  MethodInfo info = {name};
  info.kind = kind;
  info.request_type = request;
  info.response_type = response;
  info.fingerprint = fingerprint;
  return info;
}

// A server of this release with the service a.B, whose one method is Get as above.
spool::ServerRecord Record() {
  spool::ServerRecord record;
  record.mutable_process()->set_host("node-7");
  record.mutable_process()->set_pid(42);
  record.set_software_version("0.0.7");
  record.set_protocol_version(spool::kProtocolVersion);
  record.set_min_protocol_version(spool::kMinProtocolVersion);
  spool::ServiceRecord* const service = record.add_services();
  service->set_name("a.B");
  MethodRecord* const method = service->add_methods();
  method->set_name("Get");
  method->set_kind(MethodRecord::UNARY);
  method->set_request_type("a.In");
  method->set_response_type("a.Out");
  method->set_fingerprint(0xabc);
  return record;
}

ServerSchema Schema(const spool::ServerRecord& record) {
  spool::ServerEntry entry;
  entry.directory = "/spool/servers/x";
  entry.record = std::make_shared<spool::ServerRecord>(record);
  return ServerSchema(entry);
}

Fit Compare(const ServerSchema& schema, const MethodInfo& method) {
  return schema.Compare(&method);
}

// Record() with its one method changed.
template <class Change>
ServerSchema Changed(Change change) {
  spool::ServerRecord record = Record();
  change(record.mutable_services(0)->mutable_methods(0));
  return Schema(record);
}

TEST(ServerSchemaTest, TheSameMethodFits) {
  EXPECT_EQ(Compare(Schema(Record()), Method()), Fit::kFits);
}

TEST(ServerSchemaTest, AnotherServiceIsNotOffered) {
  const ServerSchema schema = Schema(Record());
  for (const char* name : {"/a.C/Get", "/a.B.C/Get", "a.B/Get", "/", "", "Get"}) {
    EXPECT_EQ(Compare(schema, Method(name)), Fit::kNotOffered) << name;
  }
}

TEST(ServerSchemaTest, AMethodThatTheServerLacksIsTheServersToSay) {
  EXPECT_EQ(Compare(Schema(Record()), Method("/a.B/Set")), Fit::kFits);
  EXPECT_EQ(Compare(Schema(Record()), Method("/a.B/")), Fit::kFits);
}

TEST(ServerSchemaTest, AnotherFingerprintAloneIsDifferent) {
  const ServerSchema schema = Changed([](MethodRecord* m) { m->set_fingerprint(0xabd); });
  EXPECT_EQ(Compare(schema, Method()), Fit::kDifferent);
}

TEST(ServerSchemaTest, AnotherKindOrTypeIsIncompatibleWhateverTheFingerprint) {
  const ServerSchema request = Changed([](MethodRecord* m) { m->set_request_type("a.Other"); });
  const ServerSchema reply = Changed([](MethodRecord* m) { m->set_response_type("a.Other"); });
  EXPECT_EQ(Compare(request, Method()), Fit::kIncompatible);
  EXPECT_EQ(Compare(reply, Method()), Fit::kIncompatible);
  constexpr MethodKind kKinds[] = {MethodKind::kUnary, MethodKind::kClientStreaming,
                                   MethodKind::kServerStreaming, MethodKind::kBidiStreaming};
  constexpr MethodRecord::Kind kRecorded[] = {MethodRecord::UNARY, MethodRecord::CLIENT_STREAMING,
                                              MethodRecord::SERVER_STREAMING,
                                              MethodRecord::BIDI_STREAMING};
  for (int ours = 0; ours < 4; ++ours) {
    for (int theirs = 0; theirs < 4; ++theirs) {
      const ServerSchema schema = Changed([&](MethodRecord* m) { m->set_kind(kRecorded[theirs]); });
      EXPECT_EQ(Compare(schema, Method("/a.B/Get", kKinds[ours])),
                ours == theirs ? Fit::kFits : Fit::kIncompatible)
          << ours << " " << theirs;
    }
  }
}

TEST(ServerSchemaTest, WhatOneSideDoesNotSayIsNotCompared) {
  EXPECT_EQ(Compare(Schema(Record()), {"/a.B/Get"}), Fit::kFits);
  const auto forget = [](MethodRecord* m) {
    m->clear_kind();
    m->clear_request_type();
    m->clear_response_type();
    m->clear_fingerprint();
  };
  EXPECT_EQ(Compare(Changed(forget), Method()), Fit::kFits);
  EXPECT_EQ(Compare(Changed(forget), Method("/a.B/Get", MethodKind::kBidiStreaming)), Fit::kFits);
  // What both say is.
  const ServerSchema other = Changed([](MethodRecord* m) {
    m->clear_kind();
    m->set_request_type("a.Other");
  });
  EXPECT_EQ(Compare(other, Method()), Fit::kIncompatible);
}

TEST(ServerSchemaTest, AnOlderRecordWithoutMethodsIsTakenAsItIs) {
  spool::ServerRecord record = Record();
  record.mutable_services(0)->clear_methods();
  EXPECT_EQ(Compare(Schema(record), Method()), Fit::kFits);
}

TEST(ServerSchemaTest, KindsOfTheFutureAreOtherKinds) {
  const ServerSchema schema =
      Changed([](MethodRecord* m) { m->set_kind(static_cast<MethodRecord::Kind>(77)); });
  for (const MethodKind kind : {MethodKind::kUnary, MethodKind::kClientStreaming,
                                MethodKind::kServerStreaming, MethodKind::kBidiStreaming}) {
    EXPECT_EQ(Compare(schema, Method("/a.B/Get", kind)), Fit::kIncompatible);
  }
  EXPECT_THAT(schema.Explain(Method()), HasSubstr("unknown kind 77 of rpc (a.In)"));
}

TEST(ServerSchemaTest, ProtocolVersionsMustMeet) {
  struct Case {
    uint32_t min, max;
    bool meets;
    const char* what_to_do;
  };
  constexpr uint32_t kOurs = spool::kProtocolVersion;
  for (const Case& c : {Case{kOurs, kOurs, true, ""}, Case{kOurs, kOurs + 5, true, ""},
                        Case{0, kOurs, true, ""}, Case{kOurs + 1, kOurs + 5, false, "client"},
                        Case{0, spool::kMinProtocolVersion - 1, false, "server"}}) {
    spool::ServerRecord record = Record();
    record.set_min_protocol_version(c.min);
    record.set_protocol_version(c.max);
    const ServerSchema schema = Schema(record);
    EXPECT_EQ(schema.speaks_our_protocol(), c.meets) << c.min << " " << c.max;
    EXPECT_EQ(Compare(schema, Method()), c.meets ? Fit::kFits : Fit::kIncompatible);
    EXPECT_EQ(Compare(schema, Method("/a.C/Get")), Fit::kNotOffered);
    EXPECT_EQ(schema.Compare(nullptr), c.meets ? Fit::kFits : Fit::kIncompatible);
    if (c.meets) continue;
    EXPECT_THAT(
        schema.Explain(Method()),
        AllOf(HasSubstr(absl::StrCat("protocol versions ", c.min, " to ", c.max)),
              HasSubstr(absl::StrCat("speaks ", spool::kMinProtocolVersion, " to ", kOurs)),
              HasSubstr("spoolrpc 0.0.7"),
              HasSubstr(absl::StrCat("spoolrpc ", spool::kSoftwareVersion)),
              HasSubstr(absl::StrCat("build the ", c.what_to_do, " with a newer release"))));
  }
}

TEST(ServerSchemaTest, ExplainNamesBothSides) {
  const ServerSchema schema = Changed([](MethodRecord* m) {
    m->set_kind(MethodRecord::BIDI_STREAMING);
    m->set_fingerprint(0x123);
  });
  EXPECT_EQ(schema.Explain(Method("/a.B/Get", MethodKind::kServerStreaming)),
            absl::StrCat("this program (spoolrpc ", spool::kSoftwareVersion,
                         ") was built with rpc (a.In) returns (stream a.Out), fingerprint "
                         "0x0000000000000abc; the server /spool/servers/x (node-7:42, spoolrpc "
                         "0.0.7) with rpc (stream a.In) returns (stream a.Out), fingerprint "
                         "0x0000000000000123; build both from the same .proto file, or give a "
                         "method that changes another name"));
  EXPECT_THAT(Changed([](MethodRecord* m) { m->set_fingerprint(0x123); }).Explain(Method()),
              AllOf(HasSubstr("rpc (a.In) returns (a.Out), fingerprint 0x0000000000000123"),
                    HasSubstr("calls go on"), Not(HasSubstr("another name"))));
  EXPECT_THAT(schema.Explain({"/a.B/Get"}), HasSubstr("rpc (?) returns (?), no fingerprint"));
}

TEST(ServerSchemaTest, WhatTheRecordBringsIsBoundedAndHarmless) {
  spool::ServerRecord record = Record();
  const std::string wild = absl::StrCat("\x1b[2J\n\r", std::string(300'000, 'x'));
  record.mutable_process()->set_host(wild);
  record.set_software_version(wild);
  record.mutable_services(0)->mutable_methods(0)->set_request_type(wild);
  record.mutable_services(0)->mutable_methods(0)->set_response_type(wild);
  const ServerSchema schema = Schema(record);
  EXPECT_EQ(Compare(schema, Method()), Fit::kIncompatible);
  const std::string text = schema.Explain(Method());
  EXPECT_LT(text.size(), 3000);
  for (const char c : text) EXPECT_TRUE(absl::ascii_isprint(static_cast<unsigned char>(c)));
  record.set_min_protocol_version(99);
  EXPECT_LT(Schema(record).Explain(Method()).size(), 3000);
}

TEST(ServerSchemaTest, ALongListIsFoundIn) {
  spool::ServerRecord record = Record();
  for (int i = 0; i < 50'000; ++i) {
    record.mutable_services(0)->add_methods()->set_name(absl::StrCat("Method", i));
    record.add_services()->set_name(absl::StrCat("a.Service", i));
  }
  const ServerSchema schema = Schema(record);
  EXPECT_EQ(Compare(schema, Method()), Fit::kFits);
  EXPECT_EQ(Compare(schema, Method("/a.B/Method49999")), Fit::kFits);
  EXPECT_EQ(Compare(schema, Method("/a.Service49999/Get")), Fit::kFits);
  EXPECT_EQ(Compare(schema, Method("/a.Service50000/Get")), Fit::kNotOffered);
}

}  // namespace
}  // namespace spoolrpc::client
