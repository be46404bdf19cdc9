// How calls are gathered into batches: when a batch starts, which calls it has, and what it holds
// up.
#include <atomic>
#include <set>

#include "spoolrpc/metrics/counting_system_calls.h"
#include "tests/e2e/batch_fixture.h"

namespace spoolrpc::e2e {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::StatusIs;
using ::testing::UnorderedElementsAre;

SPOOLRPC_BOTH_TRANSPORTS(BatchTest);

TEST_P(BatchTest, StartsAsSoonAsItIsFull) {
  BatchService service;
  const auto server = Serve(&service);
  const auto channel = Connect();
  for (int round = 0; round < 3; ++round) {
    auto calls = BeginInOrder(channel, &Batches::StubInterface::Full, 1, 4);
    for (auto& call : calls) EXPECT_OK(call->End());
  }
  const Numbers all = {1, 2, 3, 4};
  EXPECT_THAT(service.batches(), ElementsAre(all, all, all));
}

TEST_P(BatchTest, HasCallsOfSeveralClients) {
  BatchService service;
  const auto server = Serve(&service);
  std::vector<std::unique_ptr<PendingCall>> calls;
  for (int i = 1; i <= 8; ++i) {
    calls.push_back(std::make_unique<PendingCall>(Connect(), &Batches::StubInterface::Full, i));
  }
  for (auto& call : calls) EXPECT_OK(call->End());
  const auto batches = service.batches();
  ASSERT_EQ(batches.size(), 2);
  EXPECT_EQ(batches[0].size(), 4);
  EXPECT_EQ(batches[1].size(), 4);
  std::set<int64_t> numbers(batches[0].begin(), batches[0].end());
  numbers.insert(batches[1].begin(), batches[1].end());
  EXPECT_EQ(numbers.size(), 8);
}

TEST_P(BatchTest, PartialOneGoesOutAfterMaxDelay) {
  BatchService service;
  const auto server = Serve(&service);
  const auto channel = Connect();
  for (int round = 1; round <= 3; ++round) {
    const absl::Time began = absl::Now();
    PendingCall call(channel, &Batches::StubInterface::Delayed, round);
    EXPECT_OK(call.End());
    EXPECT_GE(absl::Now() - began, absl::Milliseconds(200));
    EXPECT_EQ(service.batches().size(), round);
  }
  EXPECT_THAT(service.batches(), ElementsAre(ElementsAre(1), ElementsAre(2), ElementsAre(3)));
}

// With one worker and no delay: what came while the worker was busy, in the order of arrival.
TEST_P(BatchTest, IsWhatIsThereWhenAWorkerIsFree) {
  Gate gate;
  BatchService service;
  service.plain = [&](int64_t) {
    gate.Pass();
    return absl::OkStatus();
  };
  const auto server = Serve(&service, [](ServerBuilder* b) { b->set_workers(1); });
  const auto channel = Connect();
  PendingCall busy(channel, &Batches::StubInterface::Plain, 0);
  ASSERT_TRUE(gate.AwaitArrived(1));
  auto calls = BeginInOrder(channel, &Batches::StubInterface::AtOnce, 1, 12);
  EXPECT_THAT(service.batches(), IsEmpty());
  gate.Open();
  for (auto& call : calls) EXPECT_OK(call->End());
  EXPECT_OK(busy.End());
  EXPECT_THAT(service.batches(),
              ElementsAre(ElementsAre(1, 2, 3, 4, 5, 6, 7, 8), ElementsAre(9, 10, 11, 12)));
}

TEST_P(BatchTest, WithoutADelayNobodyWaitsForOthers) {
  BatchService service;
  const auto server = Serve(&service);
  const auto channel = Connect();
  for (int i = 1; i <= 20; ++i) {
    EXPECT_OK(PendingCall(channel, &Batches::StubInterface::AtOnce, i).End());
  }
  EXPECT_EQ(service.batches().size(), 20);
}

TEST_P(BatchTest, OneWorkerRunsOneBatchAtATime) {
  std::atomic<int> running{0};
  std::atomic<int> most{0};
  BatchService service;
  service.handler = [&](BatchContext*, Requests, Replies) {
    most = std::max<int>(most, ++running);
    absl::SleepFor(absl::Milliseconds(1));
    --running;
    return absl::OkStatus();
  };
  const auto server = Serve(&service, [](ServerBuilder* b) { b->set_workers(1); });
  const auto channel = Connect();
  InThreads(16, [&](int thread) {
    const auto stub = Batches::NewStub(channel);
    for (int i = 0; i < 10; ++i) {
      ClientContext context;
      Text reply;
      EXPECT_OK(stub->AtOnce(&context, Numbered(i), &reply));
    }
  });
  EXPECT_EQ(most, 1);
}

TEST_P(BatchTest, EveryCallOfManyClientsIsInExactlyOneBatch) {
  BatchService service;
  const auto server = Serve(&service, [](ServerBuilder* b) {
    b->set_workers(4);
    b->set_method_batch("/e2e.Batches/Delayed", 5, absl::Milliseconds(1));
  });
  InThreads(12, [&](int thread) {
    const auto stub = Batches::NewStub(Connect());
    for (int i = 0; i < 40; ++i) {
      ClientContext context;
      Text reply;
      EXPECT_OK(stub->Delayed(&context, Numbered(thread * 1000 + i), &reply));
      EXPECT_EQ(reply.number(), thread * 1000 + i);
    }
  });
  std::set<int64_t> numbers;
  size_t count = 0;
  for (const Numbers& batch : service.batches()) {
    EXPECT_LE(batch.size(), 5);
    count += batch.size();
    numbers.insert(batch.begin(), batch.end());
  }
  EXPECT_EQ(count, 12 * 40);
  EXPECT_EQ(numbers.size(), 12 * 40);
}

TEST_P(BatchTest, CallsThatAreGatheredHoldUpNobody) {
  BatchService service;
  const auto server = Serve(&service, [](ServerBuilder* b) { b->set_workers(1); });
  const auto channel = Connect();
  auto gathered = BeginInOrder(channel, &Batches::StubInterface::Full, 1, 3);
  for (int i = 0; i < 50; ++i) {
    EXPECT_OK(PendingCall(channel, &Batches::StubInterface::Plain, i).End());
    EXPECT_OK(PendingCall(channel, &Batches::StubInterface::AtOnce, i).End());
  }
  EXPECT_EQ(service.batches().size(), 50);
  EXPECT_OK(PendingCall(channel, &Batches::StubInterface::Full, 4).End());
  for (auto& call : gathered) EXPECT_OK(call->End());
  EXPECT_THAT(service.batches().back(), ElementsAre(1, 2, 3, 4));
}

TEST_P(BatchTest, MethodWithWorkersOfItsOwnIsNotHeldUp) {
  Gate gate;
  BatchService service;
  service.plain = [&](int64_t) {
    gate.Pass();
    return absl::OkStatus();
  };
  const auto server = Serve(&service, [](ServerBuilder* b) {
    b->set_workers(1);
    b->set_method_concurrency("/e2e.Batches/AtOnce", 1);
  });
  const auto channel = Connect();
  PendingCall busy(channel, &Batches::StubInterface::Plain, 0);
  ASSERT_TRUE(gate.AwaitArrived(1));
  EXPECT_OK(PendingCall(channel, &Batches::StubInterface::AtOnce, 7).End());
  gate.Open();
  EXPECT_OK(busy.End());
}

TEST_P(BatchTest, MoreThanMayWaitIsReturnedUnstarted) {
  BatchService service;
  const auto server = Serve(&service, [](ServerBuilder* b) {
    b->set_max_queued_calls(3);
    b->set_method_batch("/e2e.Batches/Full", 100, absl::Hours(1));
  });
  const auto channel = Connect();
  auto calls = BeginInOrder(channel, &Batches::StubInterface::Full, 1, 3);
  const absl::Status status = PendingCall(channel, &Batches::StubInterface::Full, 4).End();
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("Batches/Full")));
  EXPECT_EQ(ReasonOf(status), ErrorInfo::NOT_STARTED);
  EXPECT_FALSE(GetErrorInfo(status)->may_have_executed());
  for (auto& call : calls) call->context()->TryCancel();
}

TEST_P(BatchTest, DrainReturnsWhatHasNotStarted) {
  BatchService first;
  BatchService second;
  const auto draining = Serve(&first);
  const auto channel = Connect();
  auto calls = BeginInOrder(channel, &Batches::StubInterface::Full, 1, 3);
  const auto other = Serve(&second, [](ServerBuilder* b) {
    b->set_method_batch("/e2e.Batches/Full", 3, absl::Hours(1));
  });
  draining->Shutdown();
  for (auto& call : calls) EXPECT_OK(call->End());
  EXPECT_THAT(first.batches(), IsEmpty());
  EXPECT_THAT(second.batches(), ElementsAre(UnorderedElementsAre(1, 2, 3)));
}

TEST_P(BatchTest, DrainFinishesTheBatchThatRuns) {
  Gate gate;
  BatchService service;
  service.handler = [&](BatchContext*, Requests, Replies) {
    gate.Pass();
    return absl::OkStatus();
  };
  const auto server = Serve(&service);
  const auto channel = Connect();
  auto calls = BeginInOrder(channel, &Batches::StubInterface::Full, 1, 4);
  ASSERT_TRUE(gate.AwaitArrived(1));
  std::thread shutdown([&] { server->Shutdown(); });
  EXPECT_TRUE(log().Await("draining"));
  gate.Open();
  shutdown.join();
  for (auto& call : calls) EXPECT_OK(call->End());
}

// As few writes as there are sessions, and not as many as there are calls.
TEST_P(BatchTest, RepliesOfASessionGoOutTogether) {
  constexpr int kCalls = 40;
  metrics::CountingSystemCalls calls;
  const auto writes = [&] {
    return calls.Counts()[static_cast<int>(metrics::FileOperation::kPwrite)];
  };
  std::atomic<uint64_t> before{0};
  BatchService service;
  service.handler = [&](BatchContext*, Requests, Replies) {
    before = writes();
    return absl::OkStatus();
  };
  const auto server = Serve(&service, [&](ServerBuilder* b) {
    os::Environment environment;
    environment.calls = &calls;
    b->set_environment(environment);
    b->set_method_batch("/e2e.Batches/Full", kCalls, absl::Hours(1));
  });
  const auto begin = [&](const std::shared_ptr<Channel>& channel, int first, Calls* pending) {
    for (auto& call :
         BeginInOrder(channel, &Batches::StubInterface::Full, first, first + kCalls / 2 - 1)) {
      pending->push_back(std::move(call));
    }
  };
  Calls pending;
  const auto one = Connect();
  const auto other = Connect();
  begin(one, 1, &pending);
  begin(other, 1 + kCalls / 2, &pending);
  for (auto& call : pending) EXPECT_OK(call->End());
  EXPECT_EQ(service.batches().size(), 1);
  EXPECT_GT(before, 0);
  // One each, and room for leases that are renewed meanwhile.
  EXPECT_LE(writes() - before, 10);
  // Replies are seen by this count: those that go out one by one are as many writes.
  before = writes();
  for (int i = 1; i <= 20; ++i) {
    EXPECT_OK(PendingCall(one, &Batches::StubInterface::Plain, i).End());
  }
  EXPECT_GE(writes() - before, 20);
}

TEST_P(BatchTest, SettingsThatMakeNoSense) {
  BatchService service;
  const auto build = [&](absl::string_view method, int size, absl::Duration delay) {
    return Builder(&service).set_method_batch(method, size, delay).BuildAndStart().status();
  };
  const auto code = absl::StatusCode::kInvalidArgument;
  EXPECT_THAT(build("/e2e.Batches/None", 2, absl::Seconds(1)), StatusIs(code, HasSubstr("None")));
  EXPECT_THAT(build("/e2e.Batches/Plain", 2, absl::Seconds(1)),
              StatusIs(code, HasSubstr("option batch")));
  EXPECT_THAT(build("/e2e.Batches/Full", 0, absl::Seconds(1)),
              StatusIs(code, HasSubstr("max_size")));
  EXPECT_THAT(build("/e2e.Batches/Full", 2, absl::Seconds(-1)),
              StatusIs(code, HasSubstr("max_delay")));
}

}  // namespace
}  // namespace spoolrpc::e2e
