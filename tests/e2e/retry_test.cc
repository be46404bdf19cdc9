// Calls that are sent again: retries and hedging, over real spools.
#include <atomic>
#include <set>
#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "tests/e2e/fixture.h"
#include "tests/e2e/streams.spoolrpc.pb.h"

namespace spoolrpc::e2e {
namespace {

using ::e2e::Again;

class AgainService final : public Again::Service {
 public:
  absl::Status Retried(ServerContext* context, const Text* request, Text* reply) override {
    return handler(context, request, reply);
  }
  absl::Status Hedged(ServerContext* context, const Text* request, Text* reply) override {
    return handler(context, request, reply);
  }
  absl::Status Idempotent(ServerContext* context, const Text* request, Text* reply) override {
    return handler(context, request, reply);
  }
  absl::Status Once(ServerContext* context, const Text* request, Text* reply) override {
    return handler(context, request, reply);
  }
  Handler handler;
};

class RetryTest : public BothTransports {
 protected:
  // Fails the first `failures` attempts with `status`.
  Handler Failing(int failures, absl::Status status) {
    return [this, failures, status](ServerContext* context, const Text* request, Text* reply) {
      const int attempt = attempts_++;
      const auto told = context->client_metadata().find("grpc-previous-rpc-attempts");
      EXPECT_EQ(told == context->client_metadata().end() ? "0" : told->second,
                std::to_string(attempt));
      context->AddTrailingMetadata("attempt", std::to_string(attempt));
      if (attempt < failures) return status;
      *reply = *request;
      return absl::OkStatus();
    };
  }
  static std::string AttemptOf(const ClientContext& context) {
    const auto& metadata = context.GetServerTrailingMetadata();
    const auto it = metadata.find("attempt");
    return it == metadata.end() || metadata.count("attempt") != 1 ? "none, or several" : it->second;
  }

  std::atomic<int> attempts_{0};
  AgainService service_;
};

TEST_P(RetryTest, BlockingCallIsSentAgain) {
  service_.handler = Failing(2, absl::UnavailableError("not yet"));
  const auto server = Serve(&service_);
  const auto stub = Again::NewStub(Connect());
  ClientContext context;
  Text reply;
  EXPECT_OK(stub->Retried(&context, Say("hi"), &reply));
  EXPECT_EQ(reply.text(), "hi");
  EXPECT_EQ(attempts_, 3);
  EXPECT_EQ(AttemptOf(context), "2");
}

TEST_P(RetryTest, CallWithACallbackIsSentAgain) {
  service_.handler = Failing(3, absl::UnavailableError("not yet"));
  const auto server = Serve(&service_);
  const auto stub = Again::NewStub(Connect());
  ClientContext context;
  Text reply;
  const Text request = Say("hi");
  absl::Notification done;
  stub->async()->Retried(&context, &request, &reply, [&](absl::Status status) {
    EXPECT_OK(status);
    done.Notify();
  });
  ASSERT_TRUE(done.WaitForNotificationWithTimeout(kLong));
  EXPECT_EQ(reply.text(), "hi");
  EXPECT_EQ(attempts_, 4);
  EXPECT_EQ(AttemptOf(context), "3");
}

TEST_P(RetryTest, AttemptsEnd) {
  service_.handler = Failing(100, absl::UnavailableError("never"));
  const auto server = Serve(&service_);
  const auto stub = Again::NewStub(Connect());
  ClientContext context;
  Text reply;
  EXPECT_EQ(stub->Retried(&context, Say("hi"), &reply), absl::UnavailableError("never"));
  EXPECT_EQ(attempts_, 4);
}

TEST_P(RetryTest, OtherCodesAreFinal) {
  service_.handler = Failing(100, absl::InternalError("broken"));
  const auto server = Serve(&service_);
  const auto stub = Again::NewStub(Connect());
  ClientContext context;
  Text reply;
  EXPECT_EQ(stub->Retried(&context, Say("hi"), &reply), absl::InternalError("broken"));
  EXPECT_EQ(attempts_, 1);
}

TEST_P(RetryTest, MethodThatIsNotIdempotentIsSentOnce) {
  service_.handler = Failing(100, absl::UnavailableError("never"));
  const auto server = Serve(&service_);
  ChannelOptions options = Options();
  options.retry = RetryPolicy();
  const auto stub = Again::NewStub(Connect(options));
  ClientContext context;
  Text reply;
  EXPECT_EQ(stub->Once(&context, Say("hi"), &reply), absl::UnavailableError("never"));
  EXPECT_EQ(attempts_, 1);
}

TEST_P(RetryTest, PolicyOfTheChannel) {
  service_.handler = Failing(1, absl::AbortedError("again"));
  const auto server = Serve(&service_);
  ChannelOptions options = Options();
  options.retry = RetryPolicy();
  options.retry->initial_backoff = absl::Milliseconds(5);
  options.retry->retryable = {absl::StatusCode::kAborted};
  const auto stub = Again::NewStub(Connect(options));
  ClientContext context;
  Text reply;
  EXPECT_OK(stub->Idempotent(&context, Say("hi"), &reply));
  EXPECT_EQ(attempts_, 2);
}

// The server says when, or that it had better not.
TEST_P(RetryTest, Pushback) {
  service_.handler = [&](ServerContext* context, const Text*, Text*) -> absl::Status {
    ++attempts_;
    context->AddTrailingMetadata("grpc-retry-pushback-ms", "-1");
    return absl::UnavailableError("stay away");
  };
  const auto server = Serve(&service_);
  const auto stub = Again::NewStub(Connect());
  ClientContext context;
  Text reply;
  EXPECT_EQ(stub->Retried(&context, Say("hi"), &reply), absl::UnavailableError("stay away"));
  EXPECT_EQ(attempts_, 1);
}

// Many failures stop the second attempts of all calls of the channel.
TEST_P(RetryTest, Throttle) {
  service_.handler = [&](ServerContext*, const Text*, Text*) -> absl::Status {
    ++attempts_;
    return absl::UnavailableError("never");
  };
  const auto server = Serve(&service_);
  ChannelOptions options = Options();
  options.retry_max_tokens = 4;
  const auto stub = Again::NewStub(Connect(options));
  for (int i = 0; i < 5; ++i) {
    ClientContext context;
    Text reply;
    EXPECT_EQ(stub->Retried(&context, Say("hi"), &reply), absl::UnavailableError("never"));
  }
  // Two failures leave half of the tokens: one call had a second attempt at most.
  EXPECT_LE(attempts_, 7);
}

TEST_P(RetryTest, CancelledBetweenTwoAttempts) {
  service_.handler = [&](ServerContext*, const Text*, Text*) -> absl::Status {
    ++attempts_;
    return absl::UnavailableError("never");
  };
  const auto server = Serve(&service_);
  ChannelOptions options = Options();
  options.retry = RetryPolicy();
  options.retry->initial_backoff = options.retry->max_backoff = absl::Hours(1);
  const auto channel = Connect(options);
  const auto stub = Again::NewStub(channel);
  ClientContext context;
  Text reply;
  std::thread other([&] {
    EXPECT_TRUE(Eventually([&] { return attempts_ == 1; }));
    context.TryCancel();
  });
  // Either the attempt that ends just then, or the pause.
  EXPECT_FALSE(stub->Idempotent(&context, Say("hi"), &reply).ok());
  other.join();
  ClientContext second;
  const Text request;
  absl::Notification done;
  stub->async()->Idempotent(&second, &request, &reply, [&](absl::Status status) {
    EXPECT_EQ(status.code(), absl::StatusCode::kCancelled) << status;
    done.Notify();
  });
  EXPECT_TRUE(Eventually([&] { return attempts_ == 2; }));
  // During the attempt or in the pause after it.
  second.TryCancel();
  ASSERT_TRUE(done.WaitForNotificationWithTimeout(kLong));
}

TEST_P(RetryTest, DeadlineIsThatOfTheCall) {
  service_.handler = Failing(100, absl::UnavailableError("never"));
  const auto server = Serve(&service_);
  ChannelOptions options = Options();
  options.retry = RetryPolicy();
  options.retry->initial_backoff = options.retry->max_backoff = absl::Hours(1);
  const auto stub = Again::NewStub(Connect(options));
  ClientContext context;
  context.set_timeout(absl::Minutes(1));
  Text reply;
  // The next attempt would come too late: its failure is the call's, at once.
  EXPECT_EQ(stub->Idempotent(&context, Say("hi"), &reply), absl::UnavailableError("never"));
  EXPECT_EQ(attempts_, 1);
}

// A server that does not answer is not waited for.
TEST_P(RetryTest, HedgedCallGoesToAnotherServer) {
  AgainService slow;
  std::atomic<int> cancelled{0};
  std::atomic<int> slow_calls{0};
  slow.handler = [&](ServerContext* context, const Text* request, Text* reply) {
    reply->set_text("slow");
    if (request->text() == "who?") return absl::OkStatus();
    ++slow_calls;
    EXPECT_TRUE(Eventually([&] { return context->IsCancelled(); }));
    ++cancelled;
    return absl::OkStatus();
  };
  AgainService fast;
  fast.handler = [&](ServerContext*, const Text*, Text* reply) {
    reply->set_text("fast");
    return absl::OkStatus();
  };
  const auto first = Serve(&slow);
  const auto second = Serve(&fast);
  const auto channel = Connect();
  const auto stub = Again::NewStub(channel);
  // Until both have been met, so that there is a choice.
  std::set<std::string> met;
  ASSERT_TRUE(Eventually([&] {
    ClientContext context;
    Text reply;
    EXPECT_OK(stub->Once(&context, Say("who?"), &reply));
    met.insert(reply.text());
    return met.size() == 2;
  }));
  for (int i = 0; slow_calls < 3; ++i) {
    ASSERT_LT(i, 1000);
    ClientContext context;
    Text reply;
    ASSERT_OK(stub->Hedged(&context, Say("hi"), &reply));
    EXPECT_EQ(reply.text(), "fast");
  }
  EXPECT_TRUE(Eventually([&] { return cancelled == slow_calls; })) << "the others are cancelled";
}

// (On a busy machine the second copy may be sent before the first one is executed.)
TEST_P(RetryTest, HedgedCallThatFails) {
  service_.handler = [&](ServerContext* context, const Text*, Text*) -> absl::Status {
    context->AddTrailingMetadata("attempt", std::to_string(attempts_++));
    return absl::InternalError("broken");
  };
  const auto server = Serve(&service_);
  const auto stub = Again::NewStub(Connect());
  ClientContext context;
  Text reply;
  EXPECT_EQ(stub->Hedged(&context, Say("hi"), &reply), absl::InternalError("broken"));
  EXPECT_NE(AttemptOf(context), "none, or several");
}

TEST_P(RetryTest, HedgedCallWhereOneFailsHarmlessly) {
  service_.handler = [&](ServerContext*, const Text* request, Text* reply) {
    if (attempts_++ == 0) return absl::UnavailableError("not this one");
    *reply = *request;
    return absl::OkStatus();
  };
  const auto server = Serve(&service_);
  const auto stub = Again::NewStub(Connect());
  ClientContext context;
  Text reply;
  EXPECT_OK(stub->Hedged(&context, Say("hi"), &reply));
  EXPECT_EQ(reply.text(), "hi");
  EXPECT_EQ(attempts_, 2);
}

TEST_P(RetryTest, HedgedCallIsCancelled) {
  std::atomic<int> running{0};
  service_.handler = [&](ServerContext* context, const Text*, Text*) {
    ++running;
    EXPECT_TRUE(Eventually([&] { return context->IsCancelled(); }));
    return absl::OkStatus();
  };
  const auto server = Serve(&service_);
  const auto stub = Again::NewStub(Connect());
  ClientContext context;
  std::thread other([&] {
    EXPECT_TRUE(Eventually([&] { return running > 0; }));
    context.TryCancel();
  });
  Text reply;
  EXPECT_EQ(stub->Hedged(&context, Say("hi"), &reply).code(), absl::StatusCode::kCancelled);
  other.join();
}

TEST_P(RetryTest, HedgedCallThatWasCancelledBeforeIsNotSent) {
  service_.handler = [&](ServerContext*, const Text*, Text*) {
    ++attempts_;
    return absl::OkStatus();
  };
  const auto server = Serve(&service_);
  const auto stub = Again::NewStub(Connect());
  Text reply;
  {
    ClientContext context;  // so that there is a session
    ASSERT_OK(stub->Once(&context, Say("hi"), &reply));
  }
  ClientContext context;
  context.TryCancel();
  const absl::Status status = stub->Hedged(&context, Say("hi"), &reply);
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled) << status;
  const auto info = GetErrorInfo(status);
  ASSERT_TRUE(info.has_value()) << status;
  EXPECT_FALSE(info->may_have_executed());
  server->Shutdown();
  EXPECT_EQ(attempts_, 1);
}

// One copy was certainly not executed; of the other one nobody has heard.
TEST_P(RetryTest, HedgedCallThatFailsWhileACopyIsOpenMayHaveBeenExecuted) {
  Gate gate;
  service_.handler = [&](ServerContext*, const Text*, Text*) {
    gate.Pass();
    return absl::OkStatus();
  };
  const auto server = Serve(
      &service_, [](ServerBuilder* builder) { builder->set_workers(1).set_max_queued_calls(1); });
  const auto stub = Again::NewStub(Connect());
  std::thread other([&] {
    ClientContext context;
    Text reply;
    EXPECT_OK(stub->Once(&context, Say("hi"), &reply));
  });
  ASSERT_TRUE(gate.AwaitArrived(1));
  // The first copy fills the queue, the second one is turned away.
  ClientContext context;
  Text reply;
  const absl::Status status = stub->Hedged(&context, Say("hi"), &reply);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  const auto info = GetErrorInfo(status);
  ASSERT_TRUE(info.has_value()) << status;
  EXPECT_TRUE(info->may_have_executed());
  gate.Open();
  other.join();
}

SPOOLRPC_BOTH_TRANSPORTS(RetryTest);

}  // namespace
}  // namespace spoolrpc::e2e
