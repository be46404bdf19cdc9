// Who runs when: workers, queues, and that a long handler holds nobody up.
#include <algorithm>
#include <atomic>
#include <filesystem>
#include <iterator>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/e2e/fixture.h"

namespace spoolrpc::e2e {
namespace {

using testing::HasCode;
using ::testing::HasSubstr;
using testing::StatusIs;

class DispatchTest : public BothTransports {};
SPOOLRPC_BOTH_TRANSPORTS(DispatchTest);

Text Number(int64_t number) {
  Text text;
  text.set_number(number);
  return text;
}

TEST_P(DispatchTest, OneWorkerSerializes) {
  std::atomic<int> running{0};
  std::atomic<int> most{0};
  ProbeService service;
  service.handler = [&](ServerContext*, const Text* request, Text*) {
    const int now = ++running;
    int seen = most;
    while (now > seen && !most.compare_exchange_weak(seen, now)) {
    }
    // Some short and some long, so that both ways of running a handler are taken.
    if (request->number() % 10 == 0) absl::SleepFor(absl::Milliseconds(3));
    --running;
    return absl::OkStatus();
  };
  const auto server = Serve(&service, [](ServerBuilder* b) { b->set_workers(1); });
  const auto channel = Connect();
  InThreads(16, [&](int thread) {
    const auto stub = Probe::NewStub(channel);
    for (int i = 0; i < 50; ++i) {
      ClientContext context;
      Text reply;
      EXPECT_OK(stub->Run(&context, Number(thread + i), &reply));
    }
  });
  EXPECT_EQ(most, 1);
}

TEST_P(DispatchTest, AsManyAtOnceAsThereAreWorkersAndNoMore) {
  Gate gate;
  ProbeService service;
  service.handler = [&](ServerContext*, const Text*, Text*) {
    gate.Pass();
    return absl::OkStatus();
  };
  const auto server = Serve(&service, [](ServerBuilder* b) { b->set_workers(4); });
  const auto stub = Probe::NewStub(Connect());
  std::atomic<int> acknowledged{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 12; ++i) {
    callers.emplace_back([&] {
      ClientContext context;
      context.set_acknowledged_callback([&] { ++acknowledged; });
      Text reply;
      EXPECT_OK(stub->Run(&context, Text(), &reply));
    });
  }
  EXPECT_TRUE(gate.AwaitArrived(4));
  // All twelve are in the queue or running by now.
  EXPECT_TRUE(Eventually([&] { return acknowledged == 12; }));
  EXPECT_EQ(gate.arrived(), 4);
  gate.Open();
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(gate.arrived(), 12);
}

TEST_P(DispatchTest, CallsStartInTheOrderOfTheirArrival) {
  Gate gate;
  absl::Mutex mu;
  std::vector<int64_t> order;
  ProbeService service;
  service.handler = [&](ServerContext*, const Text* request, Text*) {
    if (request->number() == 0) gate.Pass();
    absl::MutexLock lock(&mu);
    order.push_back(request->number());
    return absl::OkStatus();
  };
  const auto server = Serve(&service, [](ServerBuilder* b) { b->set_workers(1); });
  const auto stub = Probe::NewStub(Connect());
  std::vector<std::thread> callers;
  for (int i = 0; i < 20; ++i) {
    absl::Notification acknowledged;
    callers.emplace_back([&, i] {
      ClientContext context;
      context.set_acknowledged_callback([&] { acknowledged.Notify(); });
      Text reply;
      EXPECT_OK(stub->Run(&context, Number(i), &reply));
    });
    // So that the next one is later.
    ASSERT_TRUE(acknowledged.WaitForNotificationWithTimeout(kLong));
  }
  gate.Open();
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(order.size(), 20);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
}

TEST_P(DispatchTest, HandlerThatBlocksDoesNotDelayOthers) {
  Gate gate;
  ProbeService service;
  service.handler = [&](ServerContext*, const Text* request, Text*) {
    if (request->number() == 1) gate.Pass();
    return absl::OkStatus();
  };
  const auto server = Serve(&service, [](ServerBuilder* b) { b->set_workers(4); });
  const auto stub = Probe::NewStub(Connect());
  const auto run = [&](int64_t number) {
    ClientContext context;
    Text reply;
    EXPECT_OK(stub->Run(&context, Number(number), &reply));
  };
  // The method is known to be short, and so run where the log is read; then it is long for once.
  for (int i = 0; i < 200; ++i) run(0);
  std::vector<std::thread> blocked;
  for (int i = 0; i < 3; ++i) {
    blocked.emplace_back([&] { run(1); });
    ASSERT_TRUE(gate.AwaitArrived(i + 1));
    const absl::Time began = absl::Now();
    for (int call = 0; call < 50; ++call) {
      ClientContext context;
      Text reply;
      EXPECT_OK(stub->Echo(&context, Text(), &reply));
      run(0);
    }
    // The handler blocks for as long as the test wants; what it must not cost is that.
    EXPECT_LT(absl::Now() - began, kLong / 2);
    EXPECT_EQ(gate.arrived(), i + 1);
  }
  gate.Open();
  for (std::thread& thread : blocked) thread.join();
}

// Whoever takes over from a handler that blocks keeps the place, however long that lasts.
TEST_P(DispatchTest, HandlerThatBlocksCostsOneThread) {
  const auto threads = [] {
    const std::filesystem::directory_iterator tasks("/proc/self/task");
    return std::distance(begin(tasks), end(tasks));
  };
  Gate gate;
  ProbeService service;
  service.handler = [&](ServerContext*, const Text* request, Text*) {
    if (request->number() == 1) gate.Pass();
    return absl::OkStatus();
  };
  const auto server = Serve(&service, [](ServerBuilder* b) { b->set_workers(4); });
  const auto stub = Probe::NewStub(Connect());
  const auto run = [&](int64_t number) {
    ClientContext context;
    Text reply;
    EXPECT_OK(stub->Run(&context, Number(number), &reply));
  };
  for (int i = 0; i < 200; ++i) run(0);
  const auto before = threads();
  std::thread blocked([&] { run(1); });
  ASSERT_TRUE(gate.AwaitArrived(1));
  // (Time to do wrong: a server that does right needs none.)
  absl::SleepFor(absl::Milliseconds(300));
  EXPECT_LE(threads(), before + 5);
  gate.Open();
  blocked.join();
}

// A method with workers of its own neither delays others nor takes more than it has.
TEST_P(DispatchTest, MethodWithWorkersOfItsOwn) {
  Gate gate;
  ProbeService service;
  service.handler = [&](ServerContext*, const Text*, Text*) {
    gate.Pass();
    return absl::OkStatus();
  };
  const auto server = Serve(&service, [](ServerBuilder* builder) {
    builder->set_workers(2);
    builder->set_method_concurrency("/e2e.Probe/Run", 3);
  });
  const auto channel = Connect();
  std::vector<std::thread> callers;
  for (int i = 0; i < 6; ++i) {
    callers.emplace_back([&] {
      ClientContext context;
      Text reply;
      EXPECT_OK(Probe::NewStub(channel)->Run(&context, Number(1), &reply));
    });
  }
  EXPECT_TRUE(gate.AwaitArrived(3));
  for (int i = 0; i < 50; ++i) {
    ClientContext context;
    Text reply;
    EXPECT_OK(Probe::NewStub(channel)->Echo(&context, Number(i), &reply));
  }
  EXPECT_EQ(gate.arrived(), 3);
  gate.Open();
  for (std::thread& caller : callers) caller.join();
}

TEST_P(DispatchTest, ConcurrencyOfAMethodThatIsNotThere) {
  ProbeService service;
  EXPECT_THAT(
      Builder(&service).set_method_concurrency("/e2e.Probe/Walk", 3).BuildAndStart().status(),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("/e2e.Probe/Walk")));
}

// Work after the reply holds up neither the reply nor other calls, keeps its order, and is done
// before the server has gone.
TEST_P(DispatchTest, WorkAfterTheReply) {
  Gate gate;
  absl::Mutex mu;
  std::vector<int64_t> done;
  ProbeService service;
  service.handler = [&](ServerContext* context, const Text* request, Text*) {
    context->RunAfterReply([&, number = request->number()] {
      gate.Pass();
      absl::MutexLock lock(&mu);
      done.push_back(number);
    });
    return absl::OkStatus();
  };
  auto server = Serve(&service);
  const auto channel = Connect();
  for (int i = 0; i < 20; ++i) {
    ClientContext context;
    Text reply;
    ASSERT_OK(Probe::NewStub(channel)->Run(&context, Number(i), &reply));
  }
  {
    absl::MutexLock lock(&mu);
    EXPECT_TRUE(done.empty());
  }
  gate.Open();
  server->Shutdown();
  absl::MutexLock lock(&mu);
  ASSERT_EQ(done.size(), 20);
  EXPECT_TRUE(std::is_sorted(done.begin(), done.end()));
}

TEST_P(DispatchTest, FullQueueReturnsTheCallUnstarted) {
  Gate gate;
  std::atomic<int> started{0};
  ProbeService service;
  service.handler = [&](ServerContext*, const Text*, Text*) {
    ++started;
    gate.Pass();
    return absl::OkStatus();
  };
  const auto server = Serve(&service, [](ServerBuilder* builder) {
    builder->set_workers(1);
    builder->set_max_queued_calls(2);
  });
  const auto stub = Probe::NewStub(Connect());
  std::atomic<int> acknowledged{0};
  std::atomic<int> well{0};
  std::vector<std::thread> callers;
  const auto call = [&] {
    ClientContext context;
    context.set_acknowledged_callback([&] { ++acknowledged; });
    Text reply;
    if (stub->Run(&context, Text(), &reply).ok()) ++well;
  };
  callers.emplace_back(call);
  ASSERT_TRUE(gate.AwaitArrived(1));
  for (int i = 0; i < 2; ++i) {
    callers.emplace_back(call);
    ASSERT_TRUE(Eventually([&] { return acknowledged == i + 2; }));
  }
  ClientContext context;
  Text reply;
  const absl::Status status = stub->Run(&context, Text(), &reply);
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("/e2e.Probe/Run")));
  EXPECT_EQ(ReasonOf(status), ErrorInfo::NOT_STARTED);
  EXPECT_TRUE(status.GetPayload("type.googleapis.com/google.rpc.RetryInfo").has_value());
  EXPECT_FALSE(GetErrorInfo(status)->may_have_executed());
  gate.Open();
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(well, 3);
  EXPECT_EQ(started, 3);
  ClientContext after;
  EXPECT_OK(stub->Run(&after, Text(), &reply));
}

TEST_P(DispatchTest, SlowHandlersOfOneClientDoNotDelayAnotherClient) {
  Gate gate;
  ProbeService service;
  service.handler = [&](ServerContext*, const Text*, Text*) {
    gate.Pass();
    return absl::OkStatus();
  };
  const auto server = Serve(&service, [](ServerBuilder* b) { b->set_workers(3); });
  const auto slow = Probe::NewStub(Connect());
  const auto fast = Probe::NewStub(Connect());
  std::vector<std::thread> blocked;
  for (int i = 0; i < 2; ++i) {
    blocked.emplace_back([&] {
      ClientContext context;
      Text reply;
      EXPECT_OK(slow->Run(&context, Text(), &reply));
    });
  }
  ASSERT_TRUE(gate.AwaitArrived(2));
  for (int i = 0; i < 100; ++i) {
    ClientContext context;
    Text reply;
    EXPECT_OK(fast->Echo(&context, Text(), &reply));
  }
  gate.Open();
  for (std::thread& thread : blocked) thread.join();
}

}  // namespace
}  // namespace spoolrpc::e2e
