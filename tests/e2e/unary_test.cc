// Blocking unary calls: each caller gets its own reply, and what the server does not know is said.
#include <atomic>
#include <set>

#include "absl/strings/str_cat.h"
#include "google/protobuf/util/message_differencer.h"
#include "tests/e2e/fixture.h"
#include "tests/e2e/legacy.spoolrpc.pb.h"

namespace spoolrpc::e2e {
namespace {

using ::testing::AllOf;
using testing::HasCode;
using ::testing::HasSubstr;
using testing::StatusIs;

class UnaryTest : public BothTransports {};
SPOOLRPC_BOTH_TRANSPORTS(UnaryTest);

TEST_P(UnaryTest, ReplyComesBack) {
  ProbeService service;
  const auto server = Serve(&service);
  const auto stub = Probe::NewStub(Connect());
  Text request = Say("hello");
  request.set_data(std::string("\0\xff\n", 3));
  request.set_number(-7);
  ClientContext context;
  Text reply;
  ASSERT_OK(stub->Echo(&context, request, &reply));
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(request, reply));
  EXPECT_TRUE(context.acknowledged());
  EXPECT_THAT(context.peer(), HasSubstr(absl::StrCat("spool:", spool(), "#")));
}

TEST_P(UnaryTest, EmptyMessages) {
  ProbeService service;
  const auto server = Serve(&service);
  const auto stub = Probe::NewStub(Connect());
  ClientContext context;
  Text reply = Say("to be overwritten");
  ASSERT_OK(stub->Echo(&context, Text(), &reply));
  EXPECT_EQ(reply.ByteSizeLong(), 0);
}

TEST_P(UnaryTest, ManyThreadsShareOneStubAndNeverGetEachOthersReplies) {
  ProbeService service;
  const auto server = Serve(&service);
  const auto stub = Probe::NewStub(Connect());
  constexpr int kThreads = 64;
  constexpr int kCalls = 200;
  std::atomic<int> wrong{0};
  InThreads(kThreads, [&](int thread) {
    for (int i = 0; i < kCalls; ++i) {
      ClientContext context;
      Text reply;
      const std::string text = absl::StrCat(thread, "/", i);
      const absl::Status status = stub->Echo(&context, Say(text), &reply);
      EXPECT_OK(status);
      if (!status.ok() || reply.text() != text) ++wrong;
    }
  });
  EXPECT_EQ(wrong, 0);
}

TEST_P(UnaryTest, UnoverriddenMethodIsUnimplemented) {
  ProbeService service;
  const auto server = Serve(&service);
  const auto stub = Probe::NewStub(Connect());
  ClientContext context;
  Text reply;
  const absl::Status status = stub->Missing(&context, Say(""), &reply);
  EXPECT_THAT(status, HasCode(absl::StatusCode::kUnimplemented));
  EXPECT_FALSE(IsTransportError(status));
}

TEST_P(UnaryTest, MethodUnknownToTheServerIsUnimplementedAndNamed) {
  ProbeService service;
  const auto server = Serve(&service);
  const auto channel = Connect();
  static constexpr MethodInfo kNewer = {"/e2e.Probe/AddedLater"};
  ClientContext context;
  Text reply;
  EXPECT_THAT(channel->BlockingUnaryCall(kNewer, &context, Say(""), &reply),
              StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("/e2e.Probe/AddedLater")));
  // The session goes on.
  ClientContext next;
  EXPECT_OK(Probe::NewStub(channel)->Echo(&next, Say("on"), &reply));
  EXPECT_EQ(reply.text(), "on");
}

TEST_P(UnaryTest, ServiceThatNobodyOffersEndsAtTheAckTimeout) {
  ProbeService service;
  const auto server = Serve(&service);
  ChannelOptions options = Options();
  options.ack_timeout = absl::Milliseconds(300);
  const auto stub = ::e2e::Legacy::NewStub(Connect(options));
  ClientContext context;
  ::e2e::Form request;
  request.set_id(1);
  ::e2e::Form reply;
  const absl::Status status = stub->Fill(&context, request, &reply);
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kUnimplemented,
                               AllOf(HasSubstr("/e2e.Legacy/Fill"), HasSubstr("e2e.Probe"),
                                     HasSubstr(spool()))));
  EXPECT_EQ(ReasonOf(status), ErrorInfo::NO_SERVER);
  EXPECT_FALSE(GetErrorInfo(status)->may_have_executed());
  EXPECT_FALSE(context.acknowledged());
}

TEST_P(UnaryTest, ReplyOfAnotherTypeIsSaid) {
  ProbeService service;
  const auto server = Serve(&service);
  const auto channel = Connect();
  static constexpr MethodInfo kEcho = {"/e2e.Probe/Echo"};
  ClientContext context;
  ::e2e::Nested reply;
  const absl::Status status = channel->BlockingUnaryCall(kEcho, &context, Say("hello"), &reply);
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kInternal,
                               AllOf(HasSubstr("/e2e.Probe/Echo"), HasSubstr("e2e.Nested"),
                                     HasSubstr(".proto"))));
  EXPECT_EQ(ReasonOf(status), ErrorInfo::BAD_MESSAGE);
  ClientContext next;
  Text text;
  EXPECT_OK(Probe::NewStub(channel)->Echo(&next, Say("on"), &text));
}

TEST_P(UnaryTest, RequestOfAnotherTypeIsSaidAndNotExecuted) {
  std::atomic<int> executed{0};
  ProbeService service;
  service.handler = [&](ServerContext*, const Text*, Text*) {
    ++executed;
    return absl::OkStatus();
  };
  const auto server = Serve(&service);
  const auto channel = Connect();
  static constexpr MethodInfo kRun = {"/e2e.Probe/Run"};
  // A text that is not UTF-8 is no valid Text.
  ::e2e::Nested request;
  request.mutable_child()->mutable_child();
  google::protobuf::UnknownFieldSet* const fields =
      request.GetReflection()->MutableUnknownFields(&request);
  fields->AddLengthDelimited(1, "\xff\xfe");
  ClientContext context;
  Text reply;
  const absl::Status status = channel->BlockingUnaryCall(kRun, &context, request, &reply);
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kInternal,
                               AllOf(HasSubstr("/e2e.Probe/Run"), HasSubstr("e2e.Text"))));
  EXPECT_EQ(executed, 0);
  ClientContext next;
  EXPECT_OK(Probe::NewStub(channel)->Echo(&next, Say("on"), &reply));
}

class LegacyService final : public ::e2e::Legacy::Service {
 public:
  absl::Status Fill(ServerContext* context, const ::e2e::Form* request,
                    ::e2e::Form* reply) override {
    ++calls;
    if (!request->forget_id()) reply->set_id(request->id());
    return absl::OkStatus();
  }
  std::atomic<int> calls{0};
};

TEST_P(UnaryTest, MissingRequiredFieldsAreNamedOnEitherSide) {
  LegacyService service;
  const auto server = Serve(&service);
  const auto stub = ::e2e::Legacy::NewStub(Connect());
  ::e2e::Form reply;

  ClientContext incomplete_request;
  absl::Status status = stub->Fill(&incomplete_request, ::e2e::Form(), &reply);
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kInternal,
                               AllOf(HasSubstr("/e2e.Legacy/Fill"), HasSubstr("id"))));
  EXPECT_EQ(ReasonOf(status), ErrorInfo::BAD_MESSAGE);
  EXPECT_FALSE(GetErrorInfo(status)->may_have_executed());
  EXPECT_EQ(service.calls, 0);

  ::e2e::Form request;
  request.set_id(1);
  request.set_forget_id(true);
  ClientContext incomplete_reply;
  status = stub->Fill(&incomplete_reply, request, &reply);
  EXPECT_THAT(status,
              StatusIs(absl::StatusCode::kInternal,
                       AllOf(HasSubstr("/e2e.Legacy/Fill"), HasSubstr("reply"), HasSubstr("id"))));
  EXPECT_EQ(ReasonOf(status), ErrorInfo::BAD_MESSAGE);
  EXPECT_TRUE(GetErrorInfo(status)->may_have_executed());
  EXPECT_EQ(service.calls, 1);

  request.set_forget_id(false);
  ClientContext complete;
  EXPECT_OK(stub->Fill(&complete, request, &reply));
  EXPECT_EQ(reply.id(), 1);
}

TEST_P(UnaryTest, ContextServesOneCallOnly) {
  ProbeService service;
  const auto server = Serve(&service);
  const auto stub = Probe::NewStub(Connect());
  ClientContext context;
  Text reply;
  ASSERT_OK(stub->Echo(&context, Say("a"), &reply));
  EXPECT_THAT(stub->Echo(&context, Say("b"), &reply),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("/e2e.Probe/Echo")));
  EXPECT_EQ(reply.text(), "a");
}

TEST_P(UnaryTest, ServerSeesMethodAndPeer) {
  std::string method;
  std::string peer;
  ProbeService service;
  service.handler = [&](ServerContext* context, const Text*, Text*) {
    method = context->method();
    peer = context->peer();
    EXPECT_EQ(context->deadline(), absl::InfiniteFuture());
    EXPECT_FALSE(context->IsCancelled());
    return absl::OkStatus();
  };
  const auto server = Serve(&service);
  const auto stub = Probe::NewStub(Connect());
  ClientContext context;
  Text reply;
  ASSERT_OK(stub->Run(&context, Say(""), &reply));
  EXPECT_EQ(method, "/e2e.Probe/Run");
  EXPECT_THAT(peer, AllOf(HasSubstr(absl::StrCat(":", getpid())),
                          HasSubstr(absl::StrCat("uid ", geteuid()))));
}

}  // namespace
}  // namespace spoolrpc::e2e
