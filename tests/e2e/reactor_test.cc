// Calls that do not block, on either side, over real spools.
#include <atomic>
#include <deque>
#include <filesystem>
#include <thread>

#include "absl/synchronization/blocking_counter.h"
#include "tests/e2e/fixture.h"
#include "tests/e2e/streams.spoolrpc.pb.h"
#include "tests/testing/faulty_system_calls.h"

namespace spoolrpc::e2e {
namespace {

using ::e2e::Streams;

Text Number(int64_t number) {
  Text text;
  text.set_number(number);
  return text;
}

// What all reactors of a test report to.
struct Counts {
  std::atomic<int> done{0};
  std::atomic<int> cancelled{0};
};

// Handlers that do not block.
class ReactorService final : public Streams::CallbackService {
 public:
  ServerUnaryReactor* Plain(CallbackServerContext* context, const Text* request,
                            Text* reply) override {
    reply->set_number(request->number() + 1);
    ServerUnaryReactor* const reactor = context->DefaultReactor();
    if (request->number() == kLater) {
      later = reactor;
    } else {
      reactor->Finish(absl::OkStatus());
    }
    return reactor;
  }

  ServerReadReactor<Text>* Collect(CallbackServerContext*, Text* reply) override {
    class Reactor final : public ServerReadReactor<Text> {
     public:
      Reactor(Text* reply, Counts* counts) : reply_(reply), counts_(counts) { StartRead(&text_); }
      void OnReadDone(bool ok) override {
        if (!ok) return Finish(absl::OkStatus());
        reply_->set_number(reply_->number() + text_.number());
        StartRead(&text_);
      }
      void OnDone() override {
        ++counts_->done;
        delete this;
      }

     private:
      Text* const reply_;
      Counts* const counts_;
      Text text_;
    };
    return new Reactor(reply, &counts);
  }

  ServerWriteReactor<Text>* Expand(CallbackServerContext*, const Text* request) override {
    class Reactor final : public ServerWriteReactor<Text> {
     public:
      Reactor(const Text* request, Counts* counts)
          : last_(request->number()), counts_(counts), text_(*request) {
        Next();
      }
      void OnWriteDone(bool ok) override {
        if (!ok) return Finish(absl::UnknownError("nobody reads"));
        Next();
      }
      void OnDone() override {
        ++counts_->done;
        delete this;
      }

     private:
      void Next() {
        if (next_ == last_) return Finish(absl::OkStatus());
        text_.set_number(next_++);
        if (next_ == last_) {
          StartWriteAndFinish(&text_, WriteOptions(), absl::OkStatus());
        } else {
          StartWrite(&text_,
                     text_.data().empty() ? WriteOptions() : WriteOptions().set_buffer_hint());
        }
      }

      const int64_t last_;
      Counts* const counts_;
      int64_t next_ = 0;
      Text text_;
    };
    return new Reactor(request, &counts);
  }

  ServerBidiReactor<Text, Text>* Talk(CallbackServerContext* context) override {
    class Reactor final : public ServerBidiReactor<Text, Text> {
     public:
      explicit Reactor(Counts* counts) : counts_(counts) {
        StartSendInitialMetadata();
        StartRead(&text_);
      }
      void OnReadDone(bool ok) override {
        if (!ok) return Finish(absl::OkStatus());
        StartWrite(&text_);
      }
      void OnWriteDone(bool ok) override {
        if (ok) StartRead(&text_);
      }
      void OnCancel() override { ++counts_->cancelled; }
      void OnDone() override {
        ++counts_->done;
        delete this;
      }

     private:
      Counts* const counts_;
      Text text_;
    };
    context->AddInitialMetadata("kind", "reactor");
    return new Reactor(&counts);
  }

  // The Plain() of this number is the test's to finish.
  static constexpr int64_t kLater = -1;
  std::atomic<ServerUnaryReactor*> later{nullptr};
  Counts counts;
};

class ReactorTest : public BothTransports {
 protected:
  void SetUp() override {
    server_ = Serve(&service_, [](ServerBuilder* builder) { builder->set_workers(2); });
    channel_ = Connect();
    stub_ = Streams::NewStub(channel_);
  }
  void TearDown() override {
    server_->Shutdown();
    EXPECT_EQ(log().Count(LogLevel::kError), 0) << log().Text();
  }

  ReactorService service_;
  std::unique_ptr<Server> server_;
  std::shared_ptr<Channel> channel_;
  std::unique_ptr<Streams::Stub> stub_;
};

TEST_P(ReactorTest, ServesBlockingClients) {
  {
    ClientContext context;
    Text reply;
    EXPECT_OK(stub_->Plain(&context, Number(1), &reply));
    EXPECT_EQ(reply.number(), 2);
  }
  {
    ClientContext context;
    Text reply;
    const auto writer = stub_->Collect(&context, &reply);
    for (int i = 1; i <= 100; ++i) EXPECT_TRUE(writer->Write(Number(i)));
    EXPECT_OK(writer->Finish());
    EXPECT_EQ(reply.number(), 5050);
  }
  {
    ClientContext context;
    const auto reader = stub_->Expand(&context, Number(5000));
    Text text;
    for (int i = 0; i < 5000; ++i) {
      ASSERT_TRUE(reader->Read(&text));
      ASSERT_EQ(text.number(), i);
    }
    EXPECT_FALSE(reader->Read(&text));
    EXPECT_OK(reader->Finish());
  }
  ClientContext context;
  const auto stream = stub_->Talk(&context);
  stream->WaitForInitialMetadata();
  EXPECT_EQ(context.GetServerInitialMetadata().count("kind"), 1);
  Text text;
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(stream->Write(Number(i)));
    ASSERT_TRUE(stream->Read(&text));
    ASSERT_EQ(text.number(), i);
  }
  EXPECT_OK(stream->Finish());
  EXPECT_TRUE(Eventually([&] { return service_.counts.done == 3; }));
}

TEST_P(ReactorTest, MessagesThatMayBeKeptBack) {
  constexpr int kMessages = 3000;
  Text text = Number(kMessages);
  text.set_data(std::string(100, 'k'));
  ClientContext context;
  const auto reader = stub_->Expand(&context, text);
  for (int i = 0; i < kMessages; ++i) {
    ASSERT_TRUE(reader->Read(&text)) << reader->Finish();
    ASSERT_EQ(text.number(), i);
  }
  EXPECT_FALSE(reader->Read(&text));
  EXPECT_OK(reader->Finish());
}

TEST_P(ReactorTest, UnaryCallbacks) {
  constexpr int kCalls = 500;
  struct Call {
    ClientContext context;
    Text request;
    Text reply;
  };
  std::deque<Call> calls(kCalls);
  absl::BlockingCounter left(kCalls);
  for (int i = 0; i < kCalls; ++i) {
    Call& call = calls[i];
    call.request.set_number(i);
    stub_->async()->Plain(&call.context, &call.request, &call.reply, [&, i](absl::Status status) {
      EXPECT_OK(status);
      EXPECT_EQ(calls[i].reply.number(), i + 1);
      left.DecrementCount();
    });
  }
  left.Wait();
}

// Its method is known to be short, so that it runs where it is read.
TEST_P(ReactorTest, OneThatEndsLaterIsAcknowledgedMeanwhile) {
  Text reply;
  for (int i = 0; i < 50; ++i) {
    ClientContext context;
    ASSERT_OK(stub_->Plain(&context, Number(i), &reply));
  }
  ClientContext context;
  const Text request = Number(ReactorService::kLater);
  absl::Notification ended;
  stub_->async()->Plain(&context, &request, &reply, [&](absl::Status status) {
    EXPECT_OK(status);
    ended.Notify();
  });
  // (Half of the time after which the client would give it up.)
  const absl::Time bound = absl::Now() + absl::Seconds(10);
  // (By network rules it may be acknowledged before it starts.)
  const auto both = [&] { return context.acknowledged() && service_.later != nullptr; };
  while (!both() && absl::Now() < bound) absl::SleepFor(absl::Milliseconds(1));
  EXPECT_TRUE(context.acknowledged());
  ASSERT_NE(service_.later, nullptr);
  service_.later.load()->Finish(absl::OkStatus());
  ended.WaitForNotification();
}

// A callback may begin the next call.
TEST_P(ReactorTest, CallbacksThatCall) {
  struct Chain {
    Streams::Stub* stub = nullptr;
    std::deque<ClientContext> contexts;
    Text request;
    Text reply;
    absl::Notification done;
    void Next(int left) {
      if (left == 0) return done.Notify();
      request.set_number(left);
      stub->async()->Plain(&contexts.emplace_back(), &request, &reply,
                           [this, left](absl::Status status) {
                             EXPECT_OK(status);
                             Next(left - 1);
                           });
    }
  } chain;
  chain.stub = stub_.get();
  chain.Next(200);
  EXPECT_TRUE(chain.done.WaitForNotificationWithTimeout(kLong));
}

class Talker final : public ClientBidiReactor<Text, Text> {
 public:
  Talker(Streams::Stub* stub, int rounds, bool half_close)
      : rounds_(rounds), half_close_(half_close) {
    stub->async()->Talk(&context, this);
    StartRead(&read_);
    Next();
    StartCall();
  }
  void OnReadInitialMetadataDone(bool ok) override { initial = ok; }
  void OnWriteDone(bool ok) override { wrote += ok; }
  void OnReadDone(bool ok) override {
    if (!ok) return;
    EXPECT_EQ(read_.number(), read);
    ++read;
    StartRead(&read_);
    Next();
  }
  void OnDone(const absl::Status& s) override {
    status = s;
    done.Notify();
  }

  ClientContext context;
  std::atomic<bool> initial{false};
  std::atomic<int> read{0};
  std::atomic<int> wrote{0};
  absl::Status status;
  absl::Notification done;

 private:
  void Next() {
    if (next_ < rounds_) {
      write_ = Number(next_++);
      StartWrite(&write_);
    } else if (half_close_) {
      StartWritesDone();
    }
  }

  const int rounds_;
  const bool half_close_;
  int next_ = 0;
  Text read_;
  Text write_;
};

TEST_P(ReactorTest, BidiReactors) {
  Talker talker(stub_.get(), 300, /*half_close=*/true);
  ASSERT_TRUE(talker.done.WaitForNotificationWithTimeout(kLong));
  EXPECT_OK(talker.status);
  EXPECT_TRUE(talker.initial);
  EXPECT_EQ(talker.read, 300);
  EXPECT_EQ(talker.wrote, 300);
  EXPECT_EQ(talker.context.GetServerInitialMetadata().count("kind"), 1);
}

TEST_P(ReactorTest, ThousandOpenCallsNeedNoThousandThreads) {
  constexpr int kCalls = 1000;
  std::deque<std::unique_ptr<Talker>> talkers;
  for (int i = 0; i < kCalls; ++i) {
    talkers.push_back(std::make_unique<Talker>(stub_.get(), 2, /*half_close=*/false));
  }
  EXPECT_TRUE(Eventually([&] {
    for (const auto& talker : talkers) {
      if (talker->read < 2) return false;
    }
    return true;
  }));
  int threads = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) {
    ++threads;
    (void)entry;
  }
  EXPECT_LT(threads, 100);
  for (const auto& talker : talkers) talker->context.TryCancel();
  for (const auto& talker : talkers) {
    ASSERT_TRUE(talker->done.WaitForNotificationWithTimeout(kLong));
    EXPECT_EQ(talker->status.code(), absl::StatusCode::kCancelled);
  }
  EXPECT_TRUE(Eventually([&] { return service_.counts.done == kCalls; }));
}

TEST_P(ReactorTest, CancellationReachesTheServersReactor) {
  Talker talker(stub_.get(), 1, /*half_close=*/false);
  EXPECT_TRUE(Eventually([&] { return talker.read == 1; }));
  talker.context.TryCancel();
  ASSERT_TRUE(talker.done.WaitForNotificationWithTimeout(kLong));
  EXPECT_EQ(talker.status.code(), absl::StatusCode::kCancelled);
  EXPECT_TRUE(Eventually([&] { return service_.counts.done == 1; }));
}

// What the program has read by the time that the call counts as begun gives the server credit too.
TEST_P(ReactorTest, AnswersThatComeBeforeTheCallHasBegun) {
  class ShiftedClock final : public os::Clock {
   public:
    os::Nanos Now() const override { return os::Clock::Real()->Now() + shift; }
    absl::Time WallTime() const override { return absl::Now(); }
    std::atomic<os::Nanos> shift{0};
  };
  class Reader final : public ClientReadReactor<Text> {
   public:
    void OnReadDone(bool ok) override {
      if (!ok) return;
      ++read;
      StartRead(&text);
    }
    void OnDone(const absl::Status& s) override {
      status = s;
      done.Notify();
    }
    ClientContext context;
    Text text;
    std::atomic<int> read{0};
    absl::Status status;
    absl::Notification done;
  };
  constexpr int kAnswers = 100;
  testing::FaultySystemCalls faults;
  ShiftedClock clock;
  ChannelOptions options = Options();
  options.environment.calls = &faults;
  options.environment.clock = &clock;
  options.lease_term = absl::Seconds(20);
  const auto channel = Connect(options);
  auto stub = Streams::NewStub(channel);
  ClientContext context;
  Text reply;
  EXPECT_OK(stub->Plain(&context, Number(1), &reply));

  // The next call comes with a renewal, before which the writer looks at its file: there it stays,
  // with the call written.
  clock.shift = 6 * int64_t{1000000000};
  const auto block = faults.Block({testing::Call::kFstat, "/requests"});
  Reader reader;
  reader.context.set_timeout(2 * kLong);
  Text request = Number(kAnswers);
  request.set_data(std::string(15000, 'x'));
  std::thread caller([&] {
    stub->async()->Expand(&reader.context, &request, &reader);
    reader.StartRead(&reader.text);
    reader.StartCall();
  });
  EXPECT_TRUE(faults.AwaitBlocked(block));
  // More than half of the window, so that there is credit to be told.
  EXPECT_TRUE(Eventually([&] { return reader.read >= 5; }));
  faults.Release(block);
  caller.join();
  ASSERT_TRUE(reader.done.WaitForNotificationWithTimeout(3 * kLong));
  EXPECT_OK(reader.status);
  EXPECT_EQ(reader.read, kAnswers);
  // Whoever told the end holds the channel a moment longer, and that uses what is on this stack.
  stub.reset();
  EXPECT_TRUE(Eventually([&] { return channel.use_count() == 1; }));
}

TEST_P(ReactorTest, Deadline) {
  ClientContext context;
  class Reader final : public ClientReadReactor<Text> {
   public:
    void OnDone(const absl::Status& s) override {
      status = s;
      done.Notify();
    }
    absl::Status status;
    absl::Notification done;
  } reader;
  // Long enough for the call to begin on a slow machine.
  context.set_timeout(absl::Seconds(3));
  const Text request = Number(int64_t{1} << 40);
  stub_->async()->Expand(&context, &request, &reader);
  reader.StartCall();
  ASSERT_TRUE(reader.done.WaitForNotificationWithTimeout(kLong));
  EXPECT_EQ(reader.status.code(), absl::StatusCode::kDeadlineExceeded) << reader.status;
  EXPECT_TRUE(Eventually([&] { return service_.counts.done == 1; }));
}

// While there is a hold the reactor is not done.
TEST_P(ReactorTest, Holds) {
  class Writer final : public ClientWriteReactor<Text> {
   public:
    void OnDone(const absl::Status& s) override {
      status = s;
      done.Notify();
    }
    void OnWriteDone(bool ok) override { written = ok; }
    ClientContext context;
    Text reply;
    std::atomic<bool> written{false};
    absl::Status status;
    absl::Notification done;
  } writer;
  stub_->async()->Collect(&writer.context, &writer.reply, &writer);
  writer.AddHold();
  writer.StartCall();
  const Text text = Number(42);
  writer.StartWriteLast(&text, WriteOptions());
  EXPECT_TRUE(Eventually([&] { return writer.written && service_.counts.done == 1; }));
  EXPECT_FALSE(writer.done.HasBeenNotified());
  writer.RemoveHold();
  ASSERT_TRUE(writer.done.WaitForNotificationWithTimeout(kLong));
  EXPECT_OK(writer.status);
  EXPECT_EQ(writer.reply.number(), 42);
}

TEST_P(ReactorTest, NoServer) {
  server_->Shutdown();
  const auto channel = Connect();
  const auto stub = Streams::NewStub(channel);
  ClientContext context;
  context.set_ack_timeout(absl::Milliseconds(150));
  Text reply;
  const Text request;
  absl::Notification done;
  absl::Status status;
  const absl::Time began = absl::Now();
  stub->async()->Plain(&context, &request, &reply, [&](absl::Status s) {
    status = std::move(s);
    done.Notify();
  });
  ASSERT_TRUE(done.WaitForNotificationWithTimeout(kLong));
  EXPECT_EQ(ReasonOf(status), ErrorInfo::NO_SERVER) << status;
  EXPECT_GE(absl::Now() - began, absl::Milliseconds(150));
}

// The client comes first.
TEST_P(ReactorTest, ServerThatComesLater) {
  server_->Shutdown();
  const auto channel = Connect();
  const auto stub = Streams::NewStub(channel);
  ClientContext context;
  Text reply;
  const Text request = Number(1);
  absl::Notification done;
  absl::Status status;
  stub->async()->Plain(&context, &request, &reply, [&](absl::Status s) {
    status = std::move(s);
    done.Notify();
  });
  const auto server = Serve(&service_);
  ASSERT_TRUE(done.WaitForNotificationWithTimeout(kLong));
  EXPECT_OK(status);
  EXPECT_EQ(reply.number(), 2);
}

TEST_P(ReactorTest, CancelBeforeThereIsAServer) {
  server_->Shutdown();
  const auto channel = Connect();
  const auto stub = Streams::NewStub(channel);
  ClientContext context;
  Text reply;
  const Text request;
  absl::Notification done;
  absl::Status status;
  stub->async()->Plain(&context, &request, &reply, [&](absl::Status s) {
    status = std::move(s);
    done.Notify();
  });
  context.TryCancel();
  ASSERT_TRUE(done.WaitForNotificationWithTimeout(kLong));
  EXPECT_EQ(ReasonOf(status), ErrorInfo::CANCELLED) << status;
}

// Nothing of a call that nobody waits for needs the caller's channel or stub.
TEST_P(ReactorTest, OutlivesItsChannel) {
  ClientContext context;
  Text reply;
  const Text request = Number(5);
  absl::Notification done;
  stub_->async()->Plain(&context, &request, &reply, [&](absl::Status status) {
    EXPECT_OK(status);
    done.Notify();
  });
  stub_.reset();
  channel_.reset();
  ASSERT_TRUE(done.WaitForNotificationWithTimeout(kLong));
  EXPECT_EQ(reply.number(), 6);
}

// Whenever the thread that starts a call asks for the time, it waits a little for the call's end.
class LingeringClock final : public os::Clock {
 public:
  os::Nanos Now() const override {
    if (std::this_thread::get_id() == starter_.load() &&
        ended.WaitForNotificationWithTimeout(absl::Milliseconds(200))) {
      ended_early_ = true;
    }
    return os::Clock::Real()->Now();
  }
  absl::Time WallTime() const override { return os::Clock::Real()->WallTime(); }

  // This thread starts a call; not any more.
  void Enter() { starter_ = std::this_thread::get_id(); }
  void Leave() { starter_ = std::thread::id(); }
  bool ended_early() const { return ended_early_; }

  absl::Notification ended;

 private:
  std::atomic<std::thread::id> starter_{};
  mutable std::atomic<bool> ended_early_{false};
};

// A program may destroy context, reactor and channel as soon as it is told the end, and so nothing
// may use them then: the thread that began the call, neither.
TEST_P(ReactorTest, EndIsNotToldBeforeTheCallHasBegun) {
  // (The last of a channel may go a little after the last of its calls.)
  static auto* const clocks = new std::deque<LingeringClock>;
  LingeringClock& clock = clocks->emplace_back();
  ChannelOptions options = Options();
  options.environment.clock = &clock;
  const auto channel = Connect(options);
  const auto stub = Streams::NewStub(channel);
  Text reply;
  {
    ClientContext context;  // so that there is a session
    ASSERT_OK(stub->Plain(&context, Number(1), &reply));
  }
  ClientContext context;
  const Text request = Number(5);
  clock.Enter();
  stub->async()->Plain(&context, &request, &reply, [&](absl::Status status) {
    EXPECT_OK(status);
    clock.ended.Notify();
  });
  clock.Leave();
  ASSERT_TRUE(clock.ended.WaitForNotificationWithTimeout(kLong));
  EXPECT_FALSE(clock.ended_early());
}

SPOOLRPC_BOTH_TRANSPORTS(ReactorTest);

}  // namespace
}  // namespace spoolrpc::e2e
