// How long calls last: deadlines, ack timeouts, acknowledgements, cancellation.
#include <atomic>
#include <thread>

#include "absl/strings/str_cat.h"
#include "tests/e2e/fixture.h"

namespace spoolrpc::e2e {
namespace {

using ::testing::AllOf;
using testing::HasCode;
using ::testing::HasSubstr;
using testing::StatusIs;

// Answers with the time that the handler has left, in milliseconds, or -1 if there is no deadline;
// then waits until nobody waits for it any more, if the request says so.
class TimedService final : public ::e2e::Timed::Service {
 public:
  absl::Status ByService(ServerContext* context, const Text* request, Text* reply) override {
    return Answer(context, request, reply);
  }
  absl::Status ByMethod(ServerContext* context, const Text* request, Text* reply) override {
    return Answer(context, request, reply);
  }

 private:
  static absl::Status Answer(ServerContext* context, const Text* request, Text* reply) {
    reply->set_number(context->deadline() == absl::InfiniteFuture()
                          ? -1
                          : absl::ToInt64Milliseconds(context->deadline() - absl::Now()));
    return absl::OkStatus();
  }
};

class DeadlineTest : public BothTransports {};
SPOOLRPC_BOTH_TRANSPORTS(DeadlineTest);

TEST_P(DeadlineTest, ContextWinsOverChannelOverMethodOverService) {
  TimedService service;
  const auto server = Serve(&service);
  ChannelOptions options = Options();
  const auto by_idl = ::e2e::Timed::NewStub(Connect(options));
  options.timeout = absl::Hours(2);
  const auto by_channel = ::e2e::Timed::NewStub(Connect(options));
  // A call first, so that finding the server costs no time of what follows.
  for (const auto* stub : {by_idl.get(), by_channel.get()}) {
    ClientContext context;
    context.set_timeout(absl::InfiniteDuration());
    Text reply;
    ASSERT_OK(const_cast<::e2e::Timed::Stub*>(stub)->ByMethod(&context, Text(), &reply));
    EXPECT_EQ(reply.number(), -1);
  }
  Text reply;
  {
    ClientContext context;
    ASSERT_OK(by_idl->ByService(&context, Text(), &reply));
    EXPECT_LE(reply.number(), 200);
    EXPECT_GT(reply.number(), 0);
  }
  {
    ClientContext context;
    ASSERT_OK(by_idl->ByMethod(&context, Text(), &reply));
    EXPECT_LE(reply.number(), 400);
    EXPECT_GT(reply.number(), 200);
  }
  {
    ClientContext context;
    ASSERT_OK(by_channel->ByMethod(&context, Text(), &reply));
    EXPECT_LE(reply.number(), 7200'000);
    EXPECT_GT(reply.number(), 3600'000);
  }
  {
    ClientContext context;
    context.set_timeout(absl::Hours(5));
    ASSERT_OK(by_channel->ByMethod(&context, Text(), &reply));
    EXPECT_LE(reply.number(), 5 * 3600'000);
    EXPECT_GT(reply.number(), 4 * 3600'000);
  }
  {
    ClientContext context;
    context.set_deadline(absl::Now() + absl::Hours(10));
    ASSERT_OK(by_channel->ByMethod(&context, Text(), &reply));
    EXPECT_LE(reply.number(), 10 * 3600'000);
    EXPECT_GT(reply.number(), 9 * 3600'000);
  }
}

TEST_P(DeadlineTest, AckTimeoutOfTheContextWinsOverTheChannels) {
  // There is no server: the ack timeout alone ends these calls.
  ChannelOptions options = Options();
  options.ack_timeout = absl::Milliseconds(150);
  const auto stub = Probe::NewStub(Connect(options));
  Text reply;
  ClientContext by_channel;
  absl::Time began = absl::Now();
  absl::Status status = stub->Echo(&by_channel, Text(), &reply);
  EXPECT_EQ(ReasonOf(status), ErrorInfo::NO_SERVER) << status;
  EXPECT_GE(absl::Now() - began, absl::Milliseconds(150));
  ClientContext by_context;
  by_context.set_ack_timeout(absl::Milliseconds(600));
  began = absl::Now();
  status = stub->Echo(&by_context, Text(), &reply);
  EXPECT_EQ(ReasonOf(status), ErrorInfo::NO_SERVER) << status;
  EXPECT_GE(absl::Now() - began, absl::Milliseconds(600));
  // By the IDL's.
  options.ack_timeout.reset();
  const auto timed = ::e2e::Timed::NewStub(Connect(options));
  ClientContext by_idl;
  by_idl.set_timeout(absl::InfiniteDuration());
  began = absl::Now();
  EXPECT_EQ(ReasonOf(timed->ByService(&by_idl, Text(), &reply)), ErrorInfo::NO_SERVER);
  EXPECT_GE(absl::Now() - began, absl::Milliseconds(300));
  EXPECT_LT(absl::Now() - began, absl::Seconds(15));
}

TEST_P(DeadlineTest, PassesOnBothSides) {
  Gate gate;
  std::atomic<bool> cancelled{false};
  ProbeService service;
  service.handler = [&](ServerContext* context, const Text*, Text*) {
    EXPECT_LT(context->deadline(), absl::Now() + absl::Seconds(1));
    cancelled = Eventually([&] { return context->IsCancelled(); });
    gate.Pass();  // not before the caller has given up, or its reply could win
    return absl::OkStatus();
  };
  const auto server = Serve(&service);
  const auto stub = Probe::NewStub(Connect());
  ClientContext context;
  context.set_timeout(absl::Milliseconds(300));
  Text reply;
  const absl::Time began = absl::Now();
  const absl::Status status = stub->Run(&context, Text(), &reply);
  EXPECT_GE(absl::Now() - began, absl::Milliseconds(300));
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kDeadlineExceeded, HasSubstr("/e2e.Probe/Run")));
  EXPECT_EQ(ReasonOf(status), ErrorInfo::DEADLINE);
  EXPECT_TRUE(GetErrorInfo(status)->may_have_executed());
  EXPECT_TRUE(gate.AwaitArrived(1));
  gate.Open();
  EXPECT_TRUE(cancelled);
}

TEST_P(DeadlineTest, ThatHasPassedAlreadyEndsTheCallUnsent) {
  ProbeService service;
  std::atomic<int> calls{0};
  service.handler = [&](ServerContext*, const Text*, Text*) {
    ++calls;
    return absl::OkStatus();
  };
  const auto server = Serve(&service);
  const auto stub = Probe::NewStub(Connect());
  Text reply;
  ClientContext first;
  ASSERT_OK(stub->Echo(&first, Text(), &reply));
  ClientContext late;
  late.set_deadline(absl::Now() - absl::Seconds(1));
  EXPECT_THAT(stub->Run(&late, Text(), &reply), HasCode(absl::StatusCode::kDeadlineExceeded));
  ClientContext again;
  ASSERT_OK(stub->Echo(&again, Text(), &reply));
  EXPECT_EQ(calls, 0);
}

TEST_P(DeadlineTest, WithoutAServerItEndsTheCall) {
  const auto stub = Probe::NewStub(Connect());
  ClientContext context;
  context.set_timeout(absl::Milliseconds(200));
  Text reply;
  const absl::Status status = stub->Echo(&context, Text(), &reply);
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kDeadlineExceeded, HasSubstr(spool())));
  EXPECT_EQ(ReasonOf(status), ErrorInfo::DEADLINE);
  EXPECT_FALSE(GetErrorInfo(status)->may_have_executed());
}

TEST_P(DeadlineTest, CallThatWaitsInTheQueueIsNotStartedAfterIt) {
  Gate gate;
  absl::Mutex mu;
  std::vector<int64_t> started;
  ProbeService service;
  service.handler = [&](ServerContext*, const Text* request, Text*) {
    {
      absl::MutexLock lock(&mu);
      started.push_back(request->number());
    }
    gate.Pass();
    return absl::OkStatus();
  };
  const auto server = Serve(&service, [](ServerBuilder* b) { b->set_workers(1); });
  const auto stub = Probe::NewStub(Connect());
  std::vector<std::thread> callers;
  const auto begin = [&](int64_t number, std::function<void()> acknowledged) {
    callers.emplace_back([&stub, number, acknowledged] {
      ClientContext context;
      context.set_acknowledged_callback(acknowledged);
      Text request;
      request.set_number(number);
      Text reply;
      EXPECT_OK(stub->Run(&context, request, &reply));
    });
  };
  begin(1, [] {});
  ASSERT_TRUE(gate.AwaitArrived(1));
  ClientContext context;
  context.set_timeout(absl::Milliseconds(300));
  Text request;
  request.set_number(2);
  Text reply;
  EXPECT_THAT(stub->Run(&context, request, &reply), HasCode(absl::StatusCode::kDeadlineExceeded));
  EXPECT_TRUE(context.acknowledged());  // it was in the queue
  // What is acknowledged later was read later than the cancellation.
  absl::Notification later;
  begin(3, [&] { later.Notify(); });
  EXPECT_TRUE(later.WaitForNotificationWithTimeout(kLong));
  gate.Open();
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(started, (std::vector<int64_t>{1, 3}));
}

TEST_P(DeadlineTest, SlowHandlerIsAcknowledgedBeforeItsReply) {
  Gate gate;
  ProbeService service;
  service.handler = [&](ServerContext*, const Text*, Text*) {
    gate.Pass();
    return absl::OkStatus();
  };
  const auto server = Serve(&service);
  const auto stub = Probe::NewStub(Connect());
  ClientContext context;
  // Shorter than the handler takes: it does not end what is acknowledged.
  context.set_ack_timeout(absl::Seconds(20));
  std::atomic<int> calls_back{0};
  context.set_acknowledged_callback([&] { ++calls_back; });
  absl::Status status;
  Text reply;
  std::thread caller([&] { status = stub->Run(&context, Text(), &reply); });
  EXPECT_TRUE(Eventually([&] { return context.acknowledged(); }));
  EXPECT_TRUE(gate.AwaitArrived(1));
  gate.Open();
  caller.join();
  EXPECT_OK(status);
  EXPECT_EQ(calls_back, 1);
}

TEST_P(DeadlineTest, AcknowledgedCallOutlivesTheAckTimeout) {
  ProbeService service;
  Gate gate;
  service.handler = [&](ServerContext*, const Text*, Text*) {
    gate.Pass();
    return absl::OkStatus();
  };
  const auto server = Serve(&service);
  const auto stub = Probe::NewStub(Connect());
  Text reply;
  ClientContext first;
  ASSERT_OK(stub->Echo(&first, Text(), &reply));
  ClientContext context;
  context.set_ack_timeout(absl::Seconds(1));
  absl::Notification acknowledged;
  context.set_acknowledged_callback([&] { acknowledged.Notify(); });
  absl::Status status;
  std::thread caller([&] { status = stub->Run(&context, Text(), &reply); });
  EXPECT_TRUE(acknowledged.WaitForNotificationWithTimeout(kLong));
  // The handler ends a whole second after the ack timeout would have.
  absl::SleepFor(absl::Seconds(2));
  gate.Open();
  caller.join();
  EXPECT_OK(status);
}

TEST_P(DeadlineTest, FastReplyAcknowledgesToo) {
  ProbeService service;
  const auto server = Serve(&service);
  const auto stub = Probe::NewStub(Connect());
  ClientContext context;
  std::atomic<int> calls_back{0};
  context.set_acknowledged_callback([&] { ++calls_back; });
  EXPECT_FALSE(context.acknowledged());
  Text reply;
  ASSERT_OK(stub->Echo(&context, Text(), &reply));
  EXPECT_TRUE(context.acknowledged());
  EXPECT_EQ(calls_back, 1);
}

TEST_P(DeadlineTest, CancelEndsTheCallAndTellsTheHandler) {
  Gate gate;
  std::atomic<bool> seen{false};
  ProbeService service;
  service.handler = [&](ServerContext* context, const Text*, Text*) {
    gate.Pass();
    seen = Eventually([&] { return context->IsCancelled(); });
    return absl::OkStatus();
  };
  gate.Open();
  const auto server = Serve(&service);
  const auto stub = Probe::NewStub(Connect());
  ClientContext context;
  absl::Status status;
  Text reply;
  std::thread caller([&] { status = stub->Run(&context, Text(), &reply); });
  ASSERT_TRUE(gate.AwaitArrived(1));
  context.TryCancel();
  caller.join();
  EXPECT_THAT(status, HasCode(absl::StatusCode::kCancelled));
  EXPECT_EQ(ReasonOf(status), ErrorInfo::CANCELLED);
  EXPECT_TRUE(GetErrorInfo(status)->may_have_executed());
  EXPECT_TRUE(Eventually([&] { return seen.load(); }));
  context.TryCancel();  // has no effect any more
}

TEST_P(DeadlineTest, CancelBeforeTheCallEndsItAsItBegins) {
  std::atomic<int> calls{0};
  ProbeService service;
  service.handler = [&](ServerContext*, const Text*, Text*) {
    ++calls;
    return absl::OkStatus();
  };
  const auto server = Serve(&service);
  const auto stub = Probe::NewStub(Connect());
  ClientContext context;
  context.TryCancel();
  Text reply;
  const absl::Status status = stub->Run(&context, Text(), &reply);
  EXPECT_THAT(status, HasCode(absl::StatusCode::kCancelled));
  EXPECT_FALSE(GetErrorInfo(status)->may_have_executed());
  ClientContext next;
  EXPECT_OK(stub->Echo(&next, Text(), &reply));
  EXPECT_EQ(calls, 0);
}

TEST_P(DeadlineTest, CancelWhileNoServerIsThere) {
  const auto stub = Probe::NewStub(Connect());
  ClientContext context;
  absl::Status status;
  Text reply;
  std::thread caller([&] { status = stub->Echo(&context, Text(), &reply); });
  absl::SleepFor(absl::Milliseconds(50));  // either way it is cancelled; mostly while it waits
  context.TryCancel();
  caller.join();
  EXPECT_THAT(status, HasCode(absl::StatusCode::kCancelled));
  EXPECT_FALSE(GetErrorInfo(status)->may_have_executed());
}

}  // namespace
}  // namespace spoolrpc::e2e
