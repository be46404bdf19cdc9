// Callbacks that do what they should not (wait, take long), or what needs care (end the channel):
// every call ends all the same, and every other call goes on meanwhile.
#include <atomic>
#include <deque>
#include <filesystem>
#include <memory>
#include <utility>

#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/notification.h"
#include "tests/e2e/fixture.h"
#include "tests/testing/faulty_system_calls.h"

namespace spoolrpc::e2e {
namespace {

class CallbacksTest : public BothTransports {
 protected:
  CallbacksTest() { server_ = Serve(&service_); }

  // What belongs to a call that nobody waits for.
  struct Call {
    ClientContext context;
    Text request = Say("x");
    Text reply;
  };

  // `done` is told when the call has ended, as it should.
  static void Begin(Probe::Stub* stub, Call* call, absl::Notification* done) {
    stub->async()->Echo(&call->context, &call->request, &call->reply, [done](absl::Status status) {
      EXPECT_OK(status);
      done->Notify();
    });
  }

  ProbeService service_;
  std::unique_ptr<Server> server_;
};
SPOOLRPC_BOTH_TRANSPORTS(CallbacksTest);

TEST_P(CallbacksTest, OneThatWaitsForAnotherThatCameWithIt) {
  const auto stub = Probe::NewStub(Connect());
  for (int round = 0; round < 5; ++round) {
    std::deque<Call> calls(8);
    std::atomic<int> ran{0};
    absl::Notification last;
    absl::BlockingCounter left(static_cast<int>(calls.size()));
    for (Call& call : calls) {
      stub->async()->Echo(&call.context, &call.request, &call.reply, [&](absl::Status status) {
        EXPECT_OK(status);
        // The first one to run waits for the last one.
        const int before = ran++;
        if (before == 7) last.Notify();
        if (before == 0) {
          EXPECT_TRUE(last.WaitForNotificationWithTimeout(kLong));
        }
        left.DecrementCount();
      });
    }
    left.Wait();
  }
}

TEST_P(CallbacksTest, OneThatWaitsForACallThatItBegan) {
  const auto stub = Probe::NewStub(Connect());
  Call first;
  Call second;
  absl::Notification done;
  stub->async()->Echo(&first.context, &first.request, &first.reply, [&](absl::Status status) {
    EXPECT_OK(status);
    absl::Notification inner;
    Begin(stub.get(), &second, &inner);
    EXPECT_TRUE(inner.WaitForNotificationWithTimeout(kLong));
    done.Notify();
  });
  EXPECT_TRUE(done.WaitForNotificationWithTimeout(kLong));
}

TEST_P(CallbacksTest, OneThatMakesABlockingCall) {
  const auto stub = Probe::NewStub(Connect());
  Call first;
  absl::Notification done;
  stub->async()->Echo(&first.context, &first.request, &first.reply, [&](absl::Status status) {
    EXPECT_OK(status);
    Call second;
    EXPECT_OK(stub->Echo(&second.context, second.request, &second.reply));
    done.Notify();
  });
  EXPECT_TRUE(done.WaitForNotificationWithTimeout(kLong));
}

TEST_P(CallbacksTest, BlockingCallsGoOnBesideOneThatWaits) {
  const auto stub = Probe::NewStub(Connect());
  Call call;
  absl::Notification waits;
  absl::Notification go_on;
  absl::Notification done;
  stub->async()->Echo(&call.context, &call.request, &call.reply, [&](absl::Status status) {
    EXPECT_OK(status);
    waits.Notify();
    EXPECT_TRUE(go_on.WaitForNotificationWithTimeout(kLong));
    done.Notify();
  });
  ASSERT_TRUE(waits.WaitForNotificationWithTimeout(kLong));
  for (int i = 0; i < 20; ++i) {
    Call other;
    EXPECT_OK(stub->Echo(&other.context, other.request, &other.reply));
  }
  Call async;
  absl::Notification async_done;
  Begin(stub.get(), &async, &async_done);
  EXPECT_TRUE(async_done.WaitForNotificationWithTimeout(kLong));
  go_on.Notify();
  EXPECT_TRUE(done.WaitForNotificationWithTimeout(kLong));
}

TEST_P(CallbacksTest, PatientCallIsGivenUpIfItsServerDoesNotAcknowledgeIt) {
  // It waits for a server as long as it takes; but not for one that is there and says nothing.
  testing::FaultySystemCalls faults;
  os::Environment env;
  env.calls = &faults;
  ProbeService service;
  server_.reset();
  const auto server =
      Serve(&service, [&](ServerBuilder* builder) { builder->set_environment(env); });
  const auto stub = Probe::NewStub(Connect());
  Call before;
  EXPECT_OK(stub->Echo(&before.context, before.request, &before.reply));
  const auto block = faults.Block({testing::Call::kPwrite, "/responses"});
  Call call;
  call.context.set_wait_for_ready(true);
  call.context.set_ack_timeout(absl::Seconds(1));
  absl::Notification done;
  stub->async()->Run(&call.context, &call.request, &call.reply, [&](absl::Status status) {
    EXPECT_EQ(ReasonOf(status), ErrorInfo::ACK_TIMEOUT) << status;
    done.Notify();
  });
  // (The lease, of 10 s, would end it later, with another error.)
  EXPECT_TRUE(done.WaitForNotificationWithTimeout(kLong));
  faults.Release(block);
}

TEST_P(CallbacksTest, OnesThatTakeLong) {
  const auto stub = Probe::NewStub(Connect());
  std::deque<Call> calls(100);
  absl::BlockingCounter left(static_cast<int>(calls.size()));
  for (Call& call : calls) {
    stub->async()->Echo(&call.context, &call.request, &call.reply, [&](absl::Status status) {
      EXPECT_OK(status);
      absl::SleepFor(absl::Milliseconds(3));
      left.DecrementCount();
    });
  }
  left.Wait();
}

TEST_P(CallbacksTest, OneThatEndsItsChannel) {
  for (int round = 0; round < 5; ++round) {
    auto channel = Connect();
    const std::weak_ptr<Channel> weak = channel;
    auto stub = Probe::NewStub(std::move(channel));
    Call call;
    absl::Notification done;
    Probe::Stub* const raw = stub.get();
    raw->async()->Echo(&call.context, &call.request, &call.reply, [&](absl::Status status) {
      EXPECT_OK(status);
      stub.reset();
      done.Notify();
    });
    ASSERT_TRUE(done.WaitForNotificationWithTimeout(kLong));
    EXPECT_TRUE(Eventually([&] { return weak.expired(); }));
  }
  // With all that was theirs.
  EXPECT_TRUE(Eventually([&] { return std::filesystem::is_empty(spool() + "/sessions"); }));
}

}  // namespace
}  // namespace spoolrpc::e2e
