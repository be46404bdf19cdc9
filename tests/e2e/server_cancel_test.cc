// Calls that the server cancels by itself: ServerContext::TryCancel().
#include <atomic>
#include <thread>
#include <vector>

#include "tests/e2e/fixture.h"
#include "tests/e2e/streams.spoolrpc.pb.h"

namespace spoolrpc::e2e {
namespace {

using ::e2e::Streams;

// Tells its context to the test, and what it is told itself.
struct Seen {
  absl::Notification started;
  const ServerContext* context = nullptr;
  std::atomic<int> wrote{0};
  std::atomic<bool> write_failed{false};
  std::atomic<bool> cancelled{false};
  std::atomic<bool> done{false};
};

// Writes until it cannot.
class Writer final : public ServerWriteReactor<Text> {
 public:
  explicit Writer(Seen* seen) : seen_(seen) {
    text_.set_text(std::string(10000, 'x'));
    StartWrite(&text_);
  }
  void OnWriteDone(bool ok) override {
    if (ok) {
      ++seen_->wrote;
      return StartWrite(&text_);
    }
    seen_->write_failed = true;
    Finish(absl::OkStatus());
  }
  void OnCancel() override { seen_->cancelled = true; }
  void OnDone() override {
    seen_->done = true;
    delete this;
  }

 private:
  Seen* const seen_;
  Text text_;
};

class WriterService final : public Streams::CallbackService {
 public:
  ServerWriteReactor<Text>* Expand(CallbackServerContext* context, const Text*) override {
    auto* const writer = new Writer(&seen);
    seen.context = context;
    seen.started.Notify();
    return writer;
  }

  Seen seen;
};

// Blocks in a read, or in a write.
class BlockingService final : public Streams::Service {
 public:
  absl::Status Collect(ServerContext* context, ServerReader<Text>* reader, Text*) override {
    Began(context);
    Text text;
    while (reader->Read(&text)) {
    }
    seen.cancelled = context->IsCancelled();
    return absl::OkStatus();
  }
  absl::Status Expand(ServerContext* context, const Text*, ServerWriter<Text>* writer) override {
    Text text;
    text.set_text(std::string(10000, 'x'));
    Began(context);
    while (writer->Write(text)) ++seen.wrote;
    seen.cancelled = context->IsCancelled();
    return absl::OkStatus();
  }

  Seen seen;

 private:
  void Began(ServerContext* context) {
    seen.context = context;
    seen.started.Notify();
  }
};

class ServerCancelTest : public BothTransports {};

// A client that does not read: the write that waits for it fails.
TEST_P(ServerCancelTest, ReactorsWrite) {
  WriterService service;
  const auto server = Serve(&service);
  const auto stub = Streams::NewStub(Connect());
  ClientContext context;
  const auto reader = stub->Expand(&context, Text());
  ASSERT_TRUE(service.seen.started.WaitForNotificationWithTimeout(kLong));
  // The window holds 13 of them, and the 14th begins within it.
  EXPECT_TRUE(Eventually([&] { return service.seen.wrote >= 13; }));
  service.seen.context->TryCancel();
  EXPECT_TRUE(Eventually([&] { return service.seen.done.load(); }));
  EXPECT_TRUE(service.seen.write_failed);
  const absl::Status end = reader->Finish();
  EXPECT_EQ(end.code(), absl::StatusCode::kCancelled) << end;
  EXPECT_EQ(ReasonOf(end), ErrorInfo::REASON_UNSPECIFIED) << end;
  server->Shutdown();
}

TEST_P(ServerCancelTest, BlockedRead) {
  BlockingService service;
  const auto server = Serve(&service);
  const auto stub = Streams::NewStub(Connect());
  ClientContext context;
  Text reply;
  const auto writer = stub->Collect(&context, &reply);
  EXPECT_TRUE(writer->Write(Say("one")));
  ASSERT_TRUE(service.seen.started.WaitForNotificationWithTimeout(kLong));
  service.seen.context->TryCancel();
  EXPECT_TRUE(Eventually([&] { return service.seen.cancelled.load(); }));
  if (!service.seen.cancelled) context.TryCancel();
  EXPECT_EQ(writer->Finish().code(), absl::StatusCode::kCancelled);
  server->Shutdown();
}

TEST_P(ServerCancelTest, BlockedWrite) {
  BlockingService service;
  const auto server = Serve(&service);
  const auto stub = Streams::NewStub(Connect());
  ClientContext context;
  const auto reader = stub->Expand(&context, Text());
  ASSERT_TRUE(service.seen.started.WaitForNotificationWithTimeout(kLong));
  EXPECT_TRUE(Eventually([&] { return service.seen.wrote >= 13; }));
  service.seen.context->TryCancel();
  EXPECT_TRUE(Eventually([&] { return service.seen.cancelled.load(); }));
  if (!service.seen.cancelled) context.TryCancel();
  EXPECT_EQ(reader->Finish().code(), absl::StatusCode::kCancelled);
  server->Shutdown();
}

// A callback that waits for the end of the call is told, too.
TEST_P(ServerCancelTest, NotifyOnCancel) {
  ProbeService service;
  absl::Notification told;
  service.handler = [&told](ServerContext* context, const Text*, Text*) {
    context->NotifyOnCancel([&told] { told.Notify(); });
    EXPECT_FALSE(context->IsCancelled());
    context->TryCancel();
    EXPECT_TRUE(context->IsCancelled());
    EXPECT_TRUE(told.WaitForNotificationWithTimeout(kLong));
    return absl::OkStatus();
  };
  const auto server = Serve(&service);
  const auto stub = Probe::NewStub(Connect());
  ClientContext context;
  Text reply;
  EXPECT_EQ(stub->Run(&context, Say(""), &reply).code(), absl::StatusCode::kCancelled);
  server->Shutdown();
}

// Occupies the threads that call back, one with each call: its callback waits for the gate.
class OccupyingService final : public Streams::Service {
 public:
  absl::Status Collect(ServerContext* context, ServerReader<Text>*, Text*) override {
    const auto begun = std::make_shared<absl::Notification>();
    context->NotifyOnCancel([this, begun] {
      begun->Notify();
      gate.Pass();
    });
    context->TryCancel();
    EXPECT_TRUE(begun->WaitForNotificationWithTimeout(kLong));
    return absl::OkStatus();
  }

  Gate gate;
};

// Such calls, each from a thread of its own.
class OccupyingCalls {
 public:
  OccupyingCalls(OccupyingService* service, Streams::Stub* stub, int count) : ended_(count) {
    for (int i = 0; i < count; ++i) {
      threads_.emplace_back([this, stub, i] {
        ClientContext context;
        Text reply;
        const auto writer = stub->Collect(&context, &reply);
        EXPECT_EQ(writer->Finish().code(), absl::StatusCode::kCancelled);
        ended_[i].Notify();
      });
    }
    EXPECT_TRUE(service->gate.AwaitArrived(count));
  }
  void Join() {
    for (std::thread& thread : threads_) thread.join();
  }
  const absl::Notification& ended(int i) const { return ended_[i]; }

 private:
  std::vector<absl::Notification> ended_;
  std::vector<std::thread> threads_;
};

// What a callback uses may go with its handler: one that comes too late is not called at all.
TEST_P(ServerCancelTest, NotifyOnCancelComesNotAfterTheHandler) {
  constexpr int kWorkers = 2;  // and as many threads that call back
  OccupyingService occupying;
  ProbeService service;
  std::atomic<bool> told{false};
  service.handler = [&told](ServerContext* context, const Text*, Text*) {
    context->NotifyOnCancel([&told] { told = true; });
    context->TryCancel();
    return absl::OkStatus();
  };
  const auto server = Serve(&service, [&](ServerBuilder* builder) {
    builder->RegisterService(&occupying).set_workers(kWorkers);
  });
  const auto channel = Connect();
  const auto streams = Streams::NewStub(channel);
  OccupyingCalls occupied(&occupying, streams.get(), kWorkers);
  ClientContext context;
  Text reply;
  EXPECT_EQ(Probe::NewStub(channel)->Run(&context, Say(""), &reply).code(),
            absl::StatusCode::kCancelled);
  // The handler has returned, and its callback was not called yet.
  EXPECT_FALSE(told);
  occupying.gate.Open();
  occupied.Join();
  server->Shutdown();
  EXPECT_FALSE(told);
}

// A call does not end while one of its callbacks still runs.
TEST_P(ServerCancelTest, NotifyOnCancelIsWaitedFor) {
  OccupyingService service;
  const auto server = Serve(&service);
  const auto stub = Streams::NewStub(Connect());
  OccupyingCalls occupied(&service, stub.get(), 1);
  EXPECT_FALSE(occupied.ended(0).WaitForNotificationWithTimeout(absl::Milliseconds(200)));
  service.gate.Open();
  occupied.Join();
  server->Shutdown();
}

SPOOLRPC_BOTH_TRANSPORTS(ServerCancelTest);

}  // namespace
}  // namespace spoolrpc::e2e
