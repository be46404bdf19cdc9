// A server that stands still at the worst moments (before the acknowledgement, after it, between
// check and execution, before the reply's flush), shorter and longer than its lease: no call is
// executed twice, none hangs, and what the caller is told is true.
#include <atomic>
#include <thread>

#include "spoolrpc/os/clock.h"
#include "tests/e2e/fixture.h"
#include "tests/testing/faulty_system_calls.h"

namespace spoolrpc::e2e {
namespace {

using testing::Call;

constexpr absl::Duration kTerm = absl::Seconds(3);

// Stops one thread when it next asks for the time.
class PausingClock final : public os::Clock {
 public:
  // The calling thread stops at its `count`-th question from now on.
  void PauseThisThread(int count) {
    absl::MutexLock lock(&mu_);
    thread_ = std::this_thread::get_id();
    count_ = count;
    open_ = false;
  }
  bool AwaitPaused() {
    absl::MutexLock lock(&mu_);
    return mu_.AwaitWithTimeout(absl::Condition(&paused_), kLong);
  }
  void GoOn() {
    absl::MutexLock lock(&mu_);
    thread_ = std::thread::id();
    open_ = true;
  }

  os::Nanos Now() const override {
    {
      absl::MutexLock lock(&mu_);
      if (std::this_thread::get_id() == thread_ && --count_ == 0) {
        paused_ = true;
        mu_.AwaitWithTimeout(absl::Condition(&open_), 2 * kLong);
      }
    }
    return os::Clock::Real()->Now();
  }
  absl::Time WallTime() const override { return absl::Now(); }

 private:
  mutable absl::Mutex mu_;
  mutable std::thread::id thread_ ABSL_GUARDED_BY(mu_);
  mutable int count_ ABSL_GUARDED_BY(mu_) = 0;
  mutable bool paused_ ABSL_GUARDED_BY(mu_) = false;
  bool open_ ABSL_GUARDED_BY(mu_) = false;
};

class PausesTest : public BothTransports {
 protected:
  PausesTest() {
    first_.handler = [this](ServerContext*, const Text*, Text*) {
      clock_.Now();  // where a thread can be stopped after the check
      ++by_first_;
      if (in_handler_) in_handler_();
      return absl::OkStatus();
    };
    second_.handler = [this](ServerContext*, const Text*, Text*) {
      ++by_second_;
      return absl::OkStatus();
    };
    os::Environment env;
    env.calls = &faults_;
    env.clock = &clock_;
    paused_server_ = Serve(&first_, [&](ServerBuilder* builder) {
      builder->set_environment(env);
      builder->set_lease_term(kTerm);
      builder->set_workers(2);
    });
    ChannelOptions options = Options();
    options.lease_term = kTerm;
    stub_ = Probe::NewStub(Connect(options));
    ClientContext context;
    Text reply;
    EXPECT_OK(stub_->Echo(&context, Say(""), &reply));
  }
  ~PausesTest() override {
    clock_.GoOn();
    faults_.Clear();
    if (caller_.joinable()) caller_.join();
    stub_.reset();
  }

  void StartSecondServer() {
    second_server_ = Serve(&second_, [&](ServerBuilder* b) { b->set_lease_term(kTerm); });
  }
  // Begins the call that the test is about.
  void Begin(bool ack_first) {
    caller_ = std::thread([this, ack_first] {
      Text reply;
      status_ = ack_first ? stub_->RunAckFirst(&context_, Say(""), &reply)
                          : stub_->Run(&context_, Say(""), &reply);
    });
  }
  const absl::Status& AwaitEnd() {
    caller_.join();
    return status_;
  }
  // The paused server goes on and ends; whatever it still did has been counted then.
  void LetGo(testing::FaultySystemCalls::Fault block) {
    faults_.Remove(block);
    clock_.GoOn();
    paused_server_->Shutdown();
  }
  void ExpectLost(bool acknowledged) {
    EXPECT_EQ(ReasonOf(status_), ErrorInfo::SERVER_LOST) << status_;
    ASSERT_TRUE(GetErrorInfo(status_).has_value());
    EXPECT_TRUE(GetErrorInfo(status_)->may_have_executed());
    EXPECT_EQ(context_.acknowledged(), acknowledged);
  }

  Probe::Stub* stub() { return stub_.get(); }

  testing::FaultySystemCalls faults_;
  PausingClock clock_;
  std::function<void()> in_handler_;
  std::atomic<int> by_first_{0};
  std::atomic<int> by_second_{0};
  ClientContext context_;
  absl::Status status_;

 private:
  ProbeService first_;
  ProbeService second_;
  std::unique_ptr<Server> paused_server_;
  std::unique_ptr<Server> second_server_;
  std::unique_ptr<Probe::Stub> stub_;
  std::thread caller_;
};
SPOOLRPC_BOTH_TRANSPORTS(PausesTest);

class LookTest : public SpoolTest {
 protected:
  LookTest() : SpoolTest(spool::Transport::kLocal) {}
};

// A call that comes while the server looks at the session all the same, just after it has read:
// whoever answers the doorbell cannot read then, and nobody rings again.
TEST_F(LookTest, CallAtTheEndOfALookIsSeen) {
  testing::FaultySystemCalls faults;
  PausingClock clock;
  Gate gate;
  ProbeService service;
  service.handler = [&](ServerContext*, const Text*, Text*) {
    gate.Pass();
    return absl::OkStatus();
  };
  os::Environment env;
  env.calls = &faults;
  env.clock = &clock;
  // It looks every quarter of it.
  constexpr absl::Duration kLookTerm = absl::Seconds(20);
  const auto server = Serve(&service, [&](ServerBuilder* builder) {
    builder->set_environment(env);
    builder->set_lease_term(kLookTerm);
  });
  const auto stub = Probe::NewStub(Connect());
  Text reply;
  ClientContext first;
  // While it runs the log is read at every look, whatever the doorbell says.
  Text running;
  Text request = Say("first");
  absl::Notification ended;
  stub->async()->Run(&first, &request, &running, [&](absl::Status s) {
    EXPECT_OK(s);
    ended.Notify();
  });
  ASSERT_TRUE(gate.AwaitArrived(1));
  const auto looks =
      faults.Run({Call::kPread, "/requests", 0, 1}, [&] { clock.PauseThisThread(1); });
  ASSERT_TRUE(clock.AwaitPaused());
  faults.Remove(looks);
  absl::Status status;
  std::thread caller([&] {
    ClientContext context;
    context.set_timeout(kLookTerm / 5);
    status = stub->Echo(&context, Say("second"), &reply);
  });
  absl::SleepFor(absl::Milliseconds(300));  // it is right whichever is first
  clock.GoOn();
  caller.join();
  EXPECT_OK(status);
  gate.Open();
  EXPECT_TRUE(ended.WaitForNotificationWithTimeout(kLong));
}

// Nobody has looked at an idle session for a while, but at the doorbell, which it did not ring: its
// next call does not wait until the client is known to live.
TEST_F(LookTest, ACallAfterALongSilenceStartsAtOnce) {
  constexpr absl::Duration kServerTerm = absl::Seconds(4);
  ProbeService service;
  const auto server =
      Serve(&service, [&](ServerBuilder* builder) { builder->set_lease_term(kServerTerm); });
  ChannelOptions options = Options();
  // The counter that would tell it moves a quarter of that after the call before, at the earliest.
  options.lease_term = absl::Seconds(80);
  const auto stub = Probe::NewStub(Connect(options));
  Text reply;
  ClientContext first;
  ASSERT_OK(stub->Echo(&first, Say("first"), &reply));
  absl::SleepFor(kServerTerm * 1.5);  // (time has to pass, nothing else)
  ClientContext second;
  second.set_timeout(absl::Seconds(5));
  EXPECT_OK(stub->Echo(&second, Say("second"), &reply));
}

TEST_P(PausesTest, BeforeTheAcknowledgementOfAMethodThatIsAcknowledgedFirst) {
  const auto block = faults_.Block({Call::kPwrite, "/responses"});
  Begin(/*ack_first=*/true);
  ASSERT_TRUE(faults_.AwaitBlocked(block));
  StartSecondServer();
  // Not acknowledged by a server that is lost: certainly not executed, and so it goes elsewhere.
  EXPECT_OK(AwaitEnd());
  EXPECT_EQ(by_second_, 1);
  LetGo(block);
  EXPECT_EQ(by_first_, 0);
  EXPECT_EQ(by_second_, 1);
}

TEST_P(PausesTest, BeforeTheAcknowledgementOfAnOrdinaryMethod) {
  Gate gate;
  in_handler_ = [&] { gate.Pass(); };
  const auto block = faults_.Block({Call::kPwrite, "/responses"});
  Begin(/*ack_first=*/false);
  ASSERT_TRUE(faults_.AwaitBlocked(block));
  ASSERT_TRUE(gate.AwaitArrived(1));
  StartSecondServer();
  AwaitEnd();
  ExpectLost(/*acknowledged=*/false);
  gate.Open();
  LetGo(block);
  EXPECT_EQ(by_first_, 1);
  EXPECT_EQ(by_second_, 0);
}

TEST_P(PausesTest, BetweenAcknowledgementAndCheck) {
  if (network()) GTEST_SKIP() << "another thread writes";
  // This write is the acknowledgement; it still goes out.
  faults_.Run({Call::kPwrite, "/responses", 0, 1}, [&] { clock_.PauseThisThread(1); });
  Begin(/*ack_first=*/true);
  ASSERT_TRUE(clock_.AwaitPaused());
  // (Not before: on a slow machine the thread may write a head, too, before it looks at the clock.)
  const auto block = faults_.Block({Call::kPwrite, "/responses"});
  // Nor does the server see any more what its client writes.
  faults_.Block({Call::kPread, "/requests"});
  StartSecondServer();
  AwaitEnd();
  ExpectLost(/*acknowledged=*/true);
  // The thread that has acknowledged the call is the first to come to itself: it must know by its
  // own lease alone. (Time to do wrong; a server that does right needs none.)
  clock_.GoOn();
  absl::SleepFor(kTerm / 10);
  EXPECT_EQ(by_first_, 0);
  faults_.Clear();
  LetGo(block);
  // The server's lease had lapsed when it came to itself: it does not execute.
  EXPECT_EQ(by_first_, 0);
  EXPECT_EQ(by_second_, 0);
}

TEST_P(PausesTest, BetweenCheckAndExecution) {
  if (network()) GTEST_SKIP() << "another thread writes";
  std::atomic<testing::FaultySystemCalls::Fault> block{0};
  faults_.Run({Call::kPwrite, "/responses", 0, 1}, [&] {
    clock_.PauseThisThread(2);
    block = faults_.Block({Call::kPwrite, "/responses"});
  });
  Begin(/*ack_first=*/true);
  ASSERT_TRUE(clock_.AwaitPaused());
  StartSecondServer();
  AwaitEnd();
  ExpectLost(/*acknowledged=*/true);
  EXPECT_EQ(by_first_, 0);
  LetGo(block);
  // Now nothing can stop it any more, and the caller was told that it may have been executed.
  EXPECT_EQ(by_first_, 1);
  EXPECT_EQ(by_second_, 0);
}

TEST_P(PausesTest, BeforeTheReplysFlush) {
  std::atomic<testing::FaultySystemCalls::Fault> block{0};
  in_handler_ = [&] { block = faults_.Block({Call::kPwrite, "/responses"}); };
  Begin(/*ack_first=*/false);
  AwaitEnd();
  ExpectLost(/*acknowledged=*/false);
  EXPECT_EQ(by_first_, 1);
  StartSecondServer();
  LetGo(block);
  EXPECT_EQ(by_first_, 1);
  EXPECT_EQ(by_second_, 0);
}

TEST_P(PausesTest, BeforeTheReplysFlushOfAMethodThatIsAcknowledgedFirst) {
  std::atomic<testing::FaultySystemCalls::Fault> block{0};
  in_handler_ = [&] { block = faults_.Block({Call::kPwrite, "/responses"}); };
  Begin(/*ack_first=*/true);
  AwaitEnd();
  ExpectLost(/*acknowledged=*/true);
  StartSecondServer();
  LetGo(block);
  EXPECT_EQ(by_first_, 1);
  EXPECT_EQ(by_second_, 0);
}

class ShortPausesTest : public PausesTest {
 protected:
  void PauseShortly(bool ack_first) {
    // The write of the acknowledgement or of the reply, whichever comes first.
    const auto block = faults_.Block({Call::kPwrite, "/responses", 0, 1});
    Begin(ack_first);
    EXPECT_TRUE(faults_.AwaitBlocked(block));
    absl::SleepFor(kTerm / 10);
    faults_.Release(block);
    EXPECT_OK(AwaitEnd());
    EXPECT_EQ(by_first_, 1);
  }
};
SPOOLRPC_BOTH_TRANSPORTS(ShortPausesTest);

TEST_P(ShortPausesTest, DelayAnOrdinaryCall) { PauseShortly(/*ack_first=*/false); }
TEST_P(ShortPausesTest, DelayACallThatIsAcknowledgedFirst) { PauseShortly(/*ack_first=*/true); }

TEST_P(ShortPausesTest, ReplyThatFillsTheLogDelaysNoAcknowledgement) {
  // A method that is acknowledged first, while a large reply waits for room in the same log.
  in_handler_ = nullptr;
  std::atomic<bool> stop{false};
  std::thread large([&] {
    while (!stop) {
      Text request;
      request.set_data(std::string(size_t{8} << 20, 'l'));
      ClientContext context;
      Text reply;
      EXPECT_OK(stub()->Echo(&context, request, &reply));
    }
  });
  for (int i = 0; i < 50; ++i) {
    ClientContext context;
    Text reply;
    EXPECT_OK(stub()->RunAckFirst(&context, Say(""), &reply));
  }
  stop = true;
  large.join();
  EXPECT_EQ(by_first_, 50);
}

TEST_P(PausesTest, CallsOfOtherSessionsGoOnMeanwhile) {
  if (!network()) GTEST_SKIP() << "a write to a local file system does not block";
  ChannelOptions options = Options();
  const auto other = Probe::NewStub(Connect(options));
  const auto echo = [&] {
    ClientContext context;
    Text reply;
    EXPECT_OK(other->Echo(&context, Say("on"), &reply));
  };
  echo();
  const auto block = faults_.Block({Call::kPwrite, "/responses", 0, 1});
  Begin(/*ack_first=*/false);
  ASSERT_TRUE(faults_.AwaitBlocked(block));
  for (int i = 0; i < 20; ++i) echo();
  faults_.Release(block);
  AwaitEnd();
}

}  // namespace
}  // namespace spoolrpc::e2e
