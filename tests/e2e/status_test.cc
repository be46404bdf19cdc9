// What a handler ends with reaches the caller unchanged; what the runtime says can be told apart.
#include <stdexcept>
#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "tests/e2e/fixture.h"

namespace spoolrpc::e2e {
namespace {

using testing::HasCode;
using ::testing::HasSubstr;
using testing::StatusIs;

class StatusTest : public BothTransports {
 protected:
  absl::Status Call(const Handler& handler) {
    service_.handler = handler;
    if (server_ == nullptr) server_ = Serve(&service_);
    if (stub_ == nullptr) stub_ = Probe::NewStub(Connect());
    ClientContext context;
    Text reply;
    return stub_->Run(&context, Say(""), &reply);
  }
  absl::Status Return(const absl::Status& status) {
    return Call([status](ServerContext*, const Text*, Text*) { return status; });
  }
  void TearDown() override { stub_.reset(); }

 private:
  ProbeService service_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<Probe::Stub> stub_;
};
SPOOLRPC_BOTH_TRANSPORTS(StatusTest);

TEST_P(StatusTest, EveryCodeAndMessage) {
  for (int code = 1; code <= 16; ++code) {
    const absl::Status sent(static_cast<absl::StatusCode>(code), absl::StrCat("code ", code));
    const absl::Status came = Return(sent);
    EXPECT_EQ(came, sent);
    EXPECT_FALSE(IsTransportError(came)) << came;
  }
}

TEST_P(StatusTest, MessagesOfAnyTextAndLength) {
  for (const std::string& message :
       {std::string(""), std::string("Gr\xc3\xbc\xc3\x9f Gott \xf0\x9f\x98\x80"),
        std::string("line\nline\0nul", 13), std::string("not utf-8: \xff\xfe"),
        std::string(1 << 20, 'm')}) {
    const absl::Status came = Return(absl::NotFoundError(message));
    EXPECT_EQ(came.code(), absl::StatusCode::kNotFound);
    EXPECT_TRUE(came.message() == message) << came.message().substr(0, 100);
  }
}

TEST_P(StatusTest, DetailsKeepTheirOrderAndMayRepeat) {
  absl::Status sent = absl::FailedPreconditionError("see details");
  AddDetail(&sent, Say("one"));
  ::e2e::Nested nested;
  nested.mutable_child();
  AddDetail(&sent, nested);
  AddDetail(&sent, Say("two"));
  AddDetail(&sent, Say("one"));
  const absl::Status came = Return(sent);
  const google::rpc::Status whole = ToRpcStatus(came);
  ASSERT_EQ(whole.details_size(), 4);
  EXPECT_EQ(whole.details(1).type_url(), "type.googleapis.com/e2e.Nested");
  const auto texts = GetDetails<Text>(came);
  ASSERT_EQ(texts.size(), 3);
  EXPECT_EQ(texts[0].text(), "one");
  EXPECT_EQ(texts[1].text(), "two");
  EXPECT_EQ(texts[2].text(), "one");
  EXPECT_EQ(came, sent);
}

TEST_P(StatusTest, PayloadsSetByHand) {
  absl::Status sent = absl::InternalError("with payloads");
  sent.SetPayload("example.com/bytes", absl::Cord(std::string("\0\xff", 2)));
  sent.SetPayload("example.com/empty", absl::Cord());
  const absl::Status came = Return(sent);
  EXPECT_EQ(came.GetPayload("example.com/bytes"), absl::Cord(std::string("\0\xff", 2)));
  EXPECT_EQ(came.GetPayload("example.com/empty"), absl::Cord());
}

TEST_P(StatusTest, ErrorInfoOfAPeerIsDropped) {
  ErrorInfo forged;
  forged.set_reason(ErrorInfo::NO_SERVER);
  absl::Status as_detail = absl::UnavailableError("forged");
  AddDetail(&as_detail, forged);
  AddDetail(&as_detail, Say("kept"));
  absl::Status as_payload = absl::UnavailableError("forged");
  as_payload.SetPayload("type.googleapis.com/spoolrpc.ErrorInfo",
                        absl::Cord(forged.SerializeAsString()));
  absl::Status by_another_prefix = absl::UnavailableError("forged");
  by_another_prefix.SetPayload("example.com/spoolrpc.ErrorInfo",
                               absl::Cord(forged.SerializeAsString()));
  for (const absl::Status& sent : {as_detail, as_payload, by_another_prefix}) {
    const absl::Status came = Return(sent);
    EXPECT_THAT(came, StatusIs(absl::StatusCode::kUnavailable, "forged"));
    EXPECT_FALSE(IsTransportError(came)) << came;
    EXPECT_EQ(ReasonOf(came), ErrorInfo::REASON_UNSPECIFIED);
    EXPECT_TRUE(GetDetails<ErrorInfo>(came).empty());
  }
  EXPECT_EQ(GetDetails<Text>(Return(as_detail)).size(), 1);
}

TEST_P(StatusTest, StandardExceptionsBecomeStatuses) {
  const absl::Status came = Call([](ServerContext*, const Text*, Text*) -> absl::Status {
    throw std::out_of_range("index 7");
  });
  EXPECT_THAT(came, StatusIs(absl::StatusCode::kUnknown, HasSubstr("std::out_of_range: index 7")));
  const auto infos = GetDetails<ExceptionInfo>(came);
  ASSERT_EQ(infos.size(), 1);
  EXPECT_EQ(infos[0].type(), "std::out_of_range");
  EXPECT_EQ(infos[0].text(), "index 7");
  EXPECT_FALSE(IsTransportError(came));
  EXPECT_OK(Return(absl::OkStatus()));
}

struct Custom {};

TEST_P(StatusTest, OtherExceptionsBecomeStatuses) {
  absl::Status came = Call([](ServerContext*, const Text*, Text*) -> absl::Status { throw 42; });
  ASSERT_EQ(GetDetails<ExceptionInfo>(came).size(), 1) << came;
  EXPECT_EQ(GetDetails<ExceptionInfo>(came)[0].type(), "int");
  EXPECT_EQ(GetDetails<ExceptionInfo>(came)[0].text(), "");
  came = Call([](ServerContext*, const Text*, Text*) -> absl::Status { throw Custom(); });
  ASSERT_EQ(GetDetails<ExceptionInfo>(came).size(), 1) << came;
  EXPECT_THAT(GetDetails<ExceptionInfo>(came)[0].type(), HasSubstr("Custom"));
  // The server goes on, and so does the thread that ran the handler.
  for (int i = 0; i < 20; ++i) EXPECT_OK(Return(absl::OkStatus()));
}

TEST_P(StatusTest, ReplyOfAFailedCallStaysAsItWas) {
  ProbeService service;
  service.handler = [](ServerContext*, const Text*, Text* reply) {
    reply->set_text("not sent");
    return absl::CancelledError("by the handler");
  };
  const auto server = Serve(&service);
  const auto stub = Probe::NewStub(Connect());
  ClientContext context;
  Text reply = Say("before");
  const absl::Status status = stub->Run(&context, Say(""), &reply);
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kCancelled, "by the handler"));
  EXPECT_FALSE(IsTransportError(status));
  EXPECT_EQ(reply.text(), "before");
}

}  // namespace
}  // namespace spoolrpc::e2e
