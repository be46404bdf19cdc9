// What becomes of the single calls of a batch: their statuses, deadlines and cancellations.
#include <atomic>
#include <stdexcept>

#include "spoolrpc/os/environment.h"
#include "tests/e2e/batch_fixture.h"

namespace spoolrpc::e2e {
namespace {

using ::testing::ElementsAre;
using testing::HasCode;
using ::testing::HasSubstr;
using testing::StatusIs;
using ::testing::UnorderedElementsAre;

SPOOLRPC_BOTH_TRANSPORTS(BatchTest);

TEST_P(BatchTest, BadItemFailsAlone) {
  BatchService service;
  service.handler = [](BatchContext* batch, Requests requests, Replies) {
    for (int i = 0; i < batch->size(); ++i) {
      if (requests[i]->number() == 2) batch->SetStatus(i, absl::InvalidArgumentError("two"));
    }
    return absl::OkStatus();
  };
  const auto server = Serve(&service);
  auto calls = BeginInOrder(Connect(), &Batches::StubInterface::Full, 1, 4);
  EXPECT_OK(calls[0]->End());
  EXPECT_THAT(calls[1]->End(), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("two")));
  EXPECT_OK(calls[2]->End());
  EXPECT_OK(calls[3]->End());
  EXPECT_EQ(service.batches().size(), 1);
}

TEST_P(BatchTest, FunctionForSingleCallsGetsEachItem) {
  BatchService service;
  const auto server = Serve(&service);
  auto calls = BeginInOrder(Connect(), &Batches::StubInterface::Single, 1, 4);
  EXPECT_OK(calls[0]->End());
  EXPECT_THAT(calls[1]->End(), HasCode(absl::StatusCode::kNotFound));
  EXPECT_OK(calls[2]->End());
  EXPECT_OK(calls[3]->End());
}

TEST_P(BatchTest, ErrorOfTheHandlerIsThatOfAll) {
  BatchService service;
  service.handler = [](BatchContext* batch, Requests, Replies) {
    batch->SetStatus(0, absl::OkStatus());
    return absl::AbortedError("all");
  };
  const auto server = Serve(&service);
  auto calls = BeginInOrder(Connect(), &Batches::StubInterface::Full, 1, 4);
  for (auto& call : calls) {
    EXPECT_THAT(call->End(), StatusIs(absl::StatusCode::kAborted, HasSubstr("all")));
  }
}

TEST_P(BatchTest, WhatIsThrownFailsTheItemsThatHaveNoStatus) {
  BatchService service;
  service.handler = [](BatchContext* batch, Requests, Replies) -> absl::Status {
    batch->SetStatus(0, absl::OkStatus());
    batch->SetStatus(1, absl::NotFoundError("two"));
    throw std::runtime_error("no more");
  };
  const auto server = Serve(&service);
  const auto channel = Connect();
  auto calls = BeginInOrder(channel, &Batches::StubInterface::Full, 1, 4);
  EXPECT_OK(calls[0]->End());
  EXPECT_THAT(calls[1]->End(), HasCode(absl::StatusCode::kNotFound));
  for (int i : {2, 3}) {
    const absl::Status status = calls[i]->End();
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kUnknown, HasSubstr("no more")));
    const auto info = GetDetails<ExceptionInfo>(status);
    ASSERT_EQ(info.size(), 1);
    EXPECT_EQ(info[0].type(), "std::runtime_error");
  }
  // The server goes on.
  EXPECT_OK(PendingCall(channel, &Batches::StubInterface::Plain, 5).End());
}

TEST_P(BatchTest, WhatWasCancelledOrHasExpiredIsTakenOutBefore) {
  BatchService service;
  const auto server = Serve(&service);
  const auto channel = Connect();
  auto calls = BeginInOrder(channel, &Batches::StubInterface::Full, 1, 2);
  PendingCall expires(channel, &Batches::StubInterface::Full, 3, [](ClientContext* context) {
    context->set_timeout(absl::Milliseconds(300));
  });
  ASSERT_TRUE(expires.AwaitTaken());
  calls[0]->context()->TryCancel();
  EXPECT_THAT(calls[0]->End(), HasCode(absl::StatusCode::kCancelled));
  EXPECT_THAT(expires.End(), HasCode(absl::StatusCode::kDeadlineExceeded));
  // The server reads in order: once this one is answered it knows of the ends of the two.
  EXPECT_OK(PendingCall(channel, &Batches::StubInterface::Plain, 0).End());
  EXPECT_OK(PendingCall(channel, &Batches::StubInterface::Full, 4).End());
  EXPECT_OK(calls[1]->End());
  EXPECT_THAT(service.batches(), ElementsAre(ElementsAre(2, 4)));
}

TEST_P(BatchTest, BatchOfWhichNothingIsLeftIsNotRun) {
  BatchService service;
  const auto server = Serve(&service);
  const auto channel = Connect();
  auto calls = BeginInOrder(channel, &Batches::StubInterface::Full, 1, 3);
  for (auto& call : calls) call->context()->TryCancel();
  for (auto& call : calls) EXPECT_THAT(call->End(), HasCode(absl::StatusCode::kCancelled));
  EXPECT_OK(PendingCall(channel, &Batches::StubInterface::Plain, 0).End());
  // Fills the batch, and is all that is left of it.
  EXPECT_OK(PendingCall(channel, &Batches::StubInterface::Full, 4).End());
  EXPECT_THAT(service.batches(), ElementsAre(ElementsAre(4)));
}

TEST_P(BatchTest, ItemsSeeTheirOwnCancellationAndDeadlineWhileTheBatchRuns) {
  absl::Notification running;
  std::atomic<int> told{0};
  BatchService service;
  service.handler = [&](BatchContext* batch, Requests, Replies) {
    for (int i = 0; i < 4; ++i) batch->context(i)->NotifyOnCancel([&, i] { told += 1 << (8 * i); });
    running.Notify();
    EXPECT_TRUE(Eventually([&] {
      return batch->context(1)->IsCancelled() && batch->context(3)->IsCancelled() &&
             told == (1 << 8) + (1 << 24);
    }));
    EXPECT_FALSE(batch->context(0)->IsCancelled());
    EXPECT_FALSE(batch->context(2)->IsCancelled());
    return absl::OkStatus();
  };
  const auto server = Serve(&service);
  const auto channel = Connect();
  auto calls = BeginInOrder(channel, &Batches::StubInterface::Full, 1, 3);
  PendingCall expires(channel, &Batches::StubInterface::Full, 4,
                      [](ClientContext* context) { context->set_timeout(absl::Seconds(4)); });
  ASSERT_TRUE(running.WaitForNotificationWithTimeout(kLong));
  calls[1]->context()->TryCancel();
  EXPECT_THAT(calls[1]->End(), HasCode(absl::StatusCode::kCancelled));
  EXPECT_THAT(expires.End(), HasCode(absl::StatusCode::kDeadlineExceeded));
  EXPECT_OK(calls[0]->End());
  EXPECT_OK(calls[2]->End());
}

TEST_P(BatchTest, ItemsHaveTheirOwnMetadataAndWorkAfterTheReply) {
  std::atomic<int> done{0};
  BatchService service;
  service.handler = [&](BatchContext* batch, Requests requests, Replies) {
    for (int i = 0; i < batch->size(); ++i) {
      batch->context(i)->AddTrailingMetadata("number", std::to_string(requests[i]->number()));
      batch->context(i)->RunAfterReply([&] { ++done; });
    }
    return absl::OkStatus();
  };
  auto server = Serve(&service);
  auto calls = BeginInOrder(Connect(), &Batches::StubInterface::Full, 1, 4);
  for (int i = 0; i < 4; ++i) {
    EXPECT_OK(calls[i]->End());
    const auto& metadata = calls[i]->context()->GetServerTrailingMetadata();
    ASSERT_EQ(metadata.count("number"), 1);
    EXPECT_EQ(metadata.find("number")->second, std::to_string(i + 1));
  }
  server->Shutdown();
  EXPECT_EQ(done, 4);
}

TEST_P(BatchTest, ClientThatLeavesTakesOnlyItsOwnCallsOut) {
  BatchService service;
  const auto server = Serve(&service);
  const auto channel = Connect();
  auto calls = BeginInOrder(channel, &Batches::StubInterface::Full, 1, 2);
  {
    auto leaving = Connect();
    PendingCall call(leaving, &Batches::StubInterface::Full, 3);
    ASSERT_TRUE(call.AwaitTaken());
    call.context()->TryCancel();
    EXPECT_THAT(call.End(), HasCode(absl::StatusCode::kCancelled));
    leaving.reset();
  }
  // Its session has ended for the server too.
  EXPECT_TRUE(log().Await("session ended"));
  EXPECT_OK(PendingCall(channel, &Batches::StubInterface::Full, 4).End());
  for (auto& call : calls) EXPECT_OK(call->End());
  EXPECT_THAT(service.batches(), ElementsAre(ElementsAre(1, 2, 4)));
}

// The real time, and what the test adds to it at once: to the server it is as if it had been
// stopped.
class JumpingClock final : public os::Clock {
 public:
  void Jump(absl::Duration by) { added_ += absl::ToInt64Nanoseconds(by); }

  os::Nanos Now() const override { return os::Clock::Real()->Now() + added_; }
  absl::Time WallTime() const override { return absl::Now(); }

 private:
  std::atomic<os::Nanos> added_{0};
};

// A server that was stopped while calls waited does not run them before it knows that their client
// waits for them still (docs/protocol.md, section 4): they are held, and gathered anew.
TEST_P(BatchTest, CallsThatAreInDoubtWhenTheirBatchStartsAreHeld) {
  constexpr absl::Duration kTerm = absl::Seconds(2);
  constexpr absl::Duration kDelay = absl::Seconds(5);
  JumpingClock clock;
  Gate gate;
  BatchService service;
  service.plain = [&](int64_t) {
    gate.Pass();
    return absl::OkStatus();
  };
  const auto server = Serve(&service, [&](ServerBuilder* b) {
    os::Environment environment;
    environment.clock = &clock;
    b->set_environment(environment);
    b->set_lease_term(kTerm);
    b->set_workers(1);
    b->set_method_batch("/e2e.Batches/Full", 3, kDelay);
  });
  ChannelOptions options = Options();
  options.lease_term = kTerm;
  const auto channel = Connect(options);
  PendingCall busy(channel, &Batches::StubInterface::Plain, 0);
  ASSERT_TRUE(gate.AwaitArrived(1));
  // A full batch, which waits for the worker; and then one call less, which the server knows when
  // it has taken the next one.
  auto calls = BeginInOrder(channel, &Batches::StubInterface::Full, 1, 3);
  calls[0]->context()->TryCancel();
  EXPECT_THAT(calls[0]->End(), HasCode(absl::StatusCode::kCancelled));
  PendingCall next(channel, &Batches::StubInterface::Plain, 4);
  ASSERT_TRUE(next.AwaitTaken());
  const absl::Time jumped = absl::Now();
  clock.Jump(2 * kTerm);
  gate.Open();
  EXPECT_OK(calls[1]->End());
  EXPECT_OK(calls[2]->End());
  EXPECT_OK(busy.End());
  EXPECT_OK(next.End());
  EXPECT_THAT(service.batches(), ElementsAre(UnorderedElementsAre(2, 3)));
  // The two that were held waited for a third one. Had they not been held they would have run at
  // once.
  EXPECT_GE(absl::Now() - jumped, kDelay);
}

// Each is acknowledged before the batch runs.
TEST_P(BatchTest, AcknowledgementBeforeExecution) {
  std::atomic<int> acknowledged{0};
  BatchService service;
  service.handler = [&](BatchContext* batch, Requests, Replies) {
    EXPECT_TRUE(Eventually([&] { return acknowledged == 4; }));
    return absl::OkStatus();
  };
  const auto server = Serve(&service);
  std::vector<std::unique_ptr<PendingCall>> calls;
  for (int i = 1; i <= 4; ++i) {
    calls.push_back(std::make_unique<PendingCall>(
        Connect(), &Batches::StubInterface::FullAckFirst, i, [&](ClientContext* context) {
          context->set_acknowledged_callback([&] { ++acknowledged; });
        }));
  }
  for (auto& call : calls) EXPECT_OK(call->End());
  EXPECT_EQ(service.batches().size(), 1);
}

}  // namespace
}  // namespace spoolrpc::e2e
