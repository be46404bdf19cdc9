// What a channel does for all its calls: choosing a server, waiting for one, limits, futures.
#include <atomic>
#include <deque>
#include <set>
#include <thread>
#include <vector>

#include "tests/e2e/fixture.h"
#include "tests/e2e/streams.spoolrpc.pb.h"

namespace spoolrpc::e2e {
namespace {

using testing::HasCode;
using ::testing::HasSubstr;
using testing::StatusIs;

class ChannelTest : public BothTransports {};
SPOOLRPC_BOTH_TRANSPORTS(ChannelTest);

Handler Named(const std::string& name) {
  return [name](ServerContext*, const Text*, Text* reply) {
    reply->set_text(name);
    return absl::OkStatus();
  };
}

// Calls until both servers have been met `times` times.
std::string CallOnce(Probe::Stub* stub) {
  ClientContext context;
  Text reply;
  EXPECT_OK(stub->Run(&context, Text(), &reply));
  return reply.text();
}

TEST_P(ChannelTest, RoundRobinMeetsAll) {
  ProbeService one, two;
  one.handler = Named("one");
  two.handler = Named("two");
  const auto first = Serve(&one);
  const auto second = Serve(&two);
  const auto stub = Probe::NewStub(Connect());
  std::set<std::string> met;
  EXPECT_TRUE(Eventually([&] {
    met.insert(CallOnce(stub.get()));
    return met.size() == 2;
  }));
  std::string before = CallOnce(stub.get());
  for (int i = 0; i < 20; ++i) {
    const std::string now = CallOnce(stub.get());
    EXPECT_NE(now, before);
    before = now;
  }
}

TEST_P(ChannelTest, LeastInFlightAvoidsTheBusyOne) {
  Gate gate;
  ProbeService busy, idle;
  std::atomic<int> held{0};
  std::deque<std::atomic<bool>> ended;
  busy.handler = [&](ServerContext*, const Text* request, Text* reply) {
    reply->set_text("busy");
    if (request->number() == 1) {
      ++held;
      gate.Pass();
    }
    return absl::OkStatus();
  };
  idle.handler = [&](ServerContext*, const Text* request, Text* reply) {
    reply->set_text("idle");
    return absl::OkStatus();
  };
  const auto first = Serve(&busy);
  const auto second = Serve(&idle);
  ChannelOptions options = Options();
  options.balancing = Balancing::kLeastInFlight;
  const auto stub = Probe::NewStub(Connect(options));
  std::set<std::string> met;
  EXPECT_TRUE(Eventually([&] {
    met.insert(CallOnce(stub.get()));
    return met.size() == 2;
  }));
  // One after the other, until one is held.
  std::vector<std::thread> callers;
  while (held == 0) {
    std::atomic<bool>& finished = ended.emplace_back(false);
    callers.emplace_back([&] {
      ClientContext context;
      Text request;
      request.set_number(1);
      Text reply;
      EXPECT_OK(stub->Run(&context, request, &reply));
      finished = true;
    });
    ASSERT_TRUE(Eventually([&] { return finished || held > 0; }));
  }
  for (int i = 0; i < 20; ++i) EXPECT_EQ(CallOnce(stub.get()), "idle");
  gate.Open();
  for (std::thread& caller : callers) caller.join();
}

TEST_P(ChannelTest, PickFirstStays) {
  ProbeService one, two;
  one.handler = Named("one");
  two.handler = Named("two");
  const auto first = Serve(&one);
  const auto second = Serve(&two);
  ChannelOptions options = Options();
  options.balancing = Balancing::kPickFirst;
  const auto stub = Probe::NewStub(Connect(options));
  const std::string name = CallOnce(stub.get());
  for (int i = 0; i < 50; ++i) EXPECT_EQ(CallOnce(stub.get()), name);
}

TEST_P(ChannelTest, StateAndWaiting) {
  const auto channel = Connect();
  EXPECT_EQ(channel->GetState(false), ChannelState::kIdle);
  EXPECT_FALSE(channel->WaitForConnected(absl::Now() + absl::Milliseconds(100)));
  EXPECT_NE(channel->GetState(true), ChannelState::kReady);
  ProbeService service;
  const auto server = Serve(&service);
  EXPECT_TRUE(channel->WaitForConnected(absl::Now() + kLong));
  EXPECT_EQ(channel->GetState(false), ChannelState::kReady);
}

TEST_P(ChannelTest, FailsFastWhenAsked) {
  const auto stub = Probe::NewStub(Connect());
  ClientContext context;
  context.set_wait_for_ready(false);
  Text reply;
  const absl::Time began = absl::Now();
  const absl::Status status = stub->Echo(&context, Text(), &reply);
  EXPECT_EQ(ReasonOf(status), ErrorInfo::NO_SERVER) << status;
  EXPECT_LT(absl::Now() - began, absl::Seconds(15)) << "the ack timeout is 20 s";
}

TEST_P(ChannelTest, WaitsLongerWhenAsked) {
  const auto channel = Connect();
  const auto stub = Probe::NewStub(channel);
  ClientContext context;
  context.set_wait_for_ready(true);
  context.set_ack_timeout(absl::Milliseconds(50));
  ClientContext impatient;
  impatient.set_ack_timeout(absl::Milliseconds(50));
  std::thread caller([&] {
    Text reply;
    EXPECT_OK(stub->Echo(&context, Text(), &reply));
  });
  Text reply;
  EXPECT_EQ(ReasonOf(stub->Echo(&impatient, Text(), &reply)), ErrorInfo::NO_SERVER);
  ProbeService service;
  // A lease that is not held up by a busy machine's acknowledgements.
  const auto server = Serve(&service);
  caller.join();
}

TEST_P(ChannelTest, LimitThatFails) {
  Gate gate;
  ProbeService service;
  service.handler = [&](ServerContext*, const Text*, Text*) {
    gate.Pass();
    return absl::OkStatus();
  };
  const auto server = Serve(&service);
  ChannelOptions options = Options();
  options.max_calls_in_flight = 2;
  options.when_full = WhenFull::kFail;
  const auto stub = Probe::NewStub(Connect(options));
  std::vector<std::thread> callers;
  for (int i = 0; i < 2; ++i) {
    callers.emplace_back([&] {
      ClientContext context;
      Text reply;
      EXPECT_OK(stub->Run(&context, Text(), &reply));
    });
  }
  EXPECT_TRUE(gate.AwaitArrived(2));
  ClientContext context;
  Text reply;
  const absl::Status status = stub->Run(&context, Text(), &reply);
  EXPECT_THAT(status,
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("max_calls_in_flight")));
  EXPECT_FALSE(GetErrorInfo(status)->may_have_executed());
  gate.Open();
  for (std::thread& caller : callers) caller.join();
  ClientContext after;
  EXPECT_OK(stub->Run(&after, Text(), &reply));
}

TEST_P(ChannelTest, LimitThatBlocks) {
  std::atomic<int> running{0};
  std::atomic<int> most{0};
  ProbeService service;
  service.handler = [&](ServerContext*, const Text*, Text*) {
    const int now = ++running;
    int seen = most;
    while (now > seen && !most.compare_exchange_weak(seen, now)) {
    }
    --running;
    return absl::OkStatus();
  };
  const auto server = Serve(&service, [](ServerBuilder* builder) { builder->set_workers(8); });
  ChannelOptions options = Options();
  options.max_calls_in_flight = 2;
  const auto stub = Probe::NewStub(Connect(options));
  std::vector<Future<Text>> futures;
  for (int i = 0; i < 100; ++i) futures.push_back(stub->future()->Run(Text()));
  InThreads(4, [&](int) {
    for (int i = 0; i < 50; ++i) CallOnce(stub.get());
  });
  for (auto& future : futures) EXPECT_OK(future.Get().status());
  EXPECT_LE(most, 2);
}

TEST_P(ChannelTest, FuturesOutOfOrder) {
  Gate gate;
  ProbeService service;
  service.handler = [&](ServerContext*, const Text* request, Text* reply) {
    if (request->number() == 0) gate.Pass();
    reply->set_number(request->number());
    return absl::OkStatus();
  };
  const auto server = Serve(&service);
  const auto stub = Probe::NewStub(Connect());
  std::vector<Future<Text>> futures;
  for (int i = 0; i < 100; ++i) {
    Text request;
    request.set_number(i);
    futures.push_back(stub->future()->Run(request));
  }
  for (int i = 1; i < 100; ++i) {
    const auto reply = futures[i].Get();
    ASSERT_OK(reply.status());
    EXPECT_EQ(reply->number(), i);
  }
  EXPECT_FALSE(futures[0].ready());
  gate.Open();
  EXPECT_OK(futures[0].Get().status());
}

TEST_P(ChannelTest, DroppedFutureLetsItsCallFinish) {
  std::atomic<int> executed{0};
  ProbeService service;
  service.handler = [&](ServerContext*, const Text*, Text*) {
    ++executed;
    return absl::OkStatus();
  };
  const auto server = Serve(&service);
  {
    const auto stub = Probe::NewStub(Connect());
    for (int i = 0; i < 20; ++i) (void)stub->future()->Run(Text());
  }
  EXPECT_TRUE(Eventually([&] { return executed == 20; }));
}

TEST_P(ChannelTest, UnobservedErrorIsReportedWhenAsked) {
  std::atomic<int> calls{0};
  ProbeService service;
  service.handler = [&](ServerContext*, const Text*, Text*) -> absl::Status {
    ++calls;
    return absl::AbortedError("nobody looks");
  };
  const auto server = Serve(&service);
  ChannelOptions options = Options();
  options.report_unobserved_errors = true;
  const auto stub = Probe::NewStub(Connect(options));
  (void)stub->future()->Run(Text());
  // The call ends at some time, and the next one after that reports it, once.
  absl::Status status;
  EXPECT_TRUE(Eventually([&] {
    ClientContext context;
    Text reply;
    status = stub->Echo(&context, Text(), &reply);
    return !status.ok();
  }));
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kAborted, HasSubstr("nobody looks")));
  EXPECT_THAT(std::string(status.message()), HasSubstr("/e2e.Probe/Run"));
  ClientContext context;
  Text reply;
  EXPECT_OK(stub->Echo(&context, Text(), &reply));
}

}  // namespace
}  // namespace spoolrpc::e2e
