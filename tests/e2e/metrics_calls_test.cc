// Calls as channels and servers count them: each once, with the code that it ended with.
#include <cmath>
#include <string>

#include "absl/synchronization/notification.h"
#include "tests/e2e/metrics_fixture.h"
#include "tests/e2e/streams.spoolrpc.pb.h"

namespace spoolrpc::e2e {
namespace {

using ::e2e::Again;
using ::e2e::Streams;
using testing::HasCode;
using ::testing::HasSubstr;
using testing::StatusIs;

SPOOLRPC_BOTH_TRANSPORTS(MetricsTest);

constexpr char kRun[] = "/e2e.Probe/Run";
constexpr char kTalk[] = "/e2e.Streams/Talk";
constexpr char kPlain[] = "/e2e.Streams/Plain";
constexpr char kRetried[] = "/e2e.Again/Retried";

// Answers what it is told, until it has been told all; then ABORTED.
class StreamsService final : public Streams::Service {
 public:
  absl::Status Plain(ServerContext*, const Text* request, Text* reply) override {
    *reply = *request;
    return absl::OkStatus();
  }
  absl::Status Talk(ServerContext*, ServerReaderWriter<Text, Text>* stream) override {
    Text text;
    while (stream->Read(&text)) stream->Write(text);
    return absl::AbortedError("enough");
  }
};

// The same without blocking.
class StreamsReactors final : public Streams::CallbackService {
 public:
  ServerUnaryReactor* Plain(CallbackServerContext* context, const Text* request,
                            Text* reply) override {
    *reply = *request;
    context->DefaultReactor()->Finish(absl::OkStatus());
    return context->DefaultReactor();
  }
  ServerBidiReactor<Text, Text>* Talk(CallbackServerContext*) override {
    class Reactor final : public ServerBidiReactor<Text, Text> {
     public:
      Reactor() { StartRead(&text_); }
      void OnReadDone(bool ok) override {
        if (!ok) return Finish(absl::AbortedError("enough"));
        StartWrite(&text_);
      }
      void OnWriteDone(bool) override { StartRead(&text_); }
      void OnDone() override { delete this; }

     private:
      Text text_;
    };
    return new Reactor;
  }
};

class AgainService final : public Again::Service {
 public:
  absl::Status Retried(ServerContext* context, const Text* request, Text* reply) override {
    return handler(context, request, reply);
  }
  absl::Status Hedged(ServerContext* context, const Text* request, Text* reply) override {
    return handler(context, request, reply);
  }
  Handler handler;
};

TEST_P(MetricsTest, UnaryCallsByCodeWithTheirTimesAndBytes) {
  const Text request = Say("a request");
  const Text answer = Say("the reply to it");
  ProbeService service;
  service.handler = [&](ServerContext* context, const Text*, Text* reply) {
    *reply = answer;
    absl::SleepFor(absl::Milliseconds(20));
    return context->client_metadata().count("fail") > 0 ? absl::NotFoundError("as told")
                                                        : absl::OkStatus();
  };
  const auto server = ServeCounted(&service);
  // A server's methods are there from the beginning, a channel's when they are called.
  EXPECT_EQ(Started(server_metrics_, kRun), 0);
  EXPECT_EQ(Ended(server_metrics_, "/e2e.Probe/Missing", "OK"), 0);
  EXPECT_TRUE(std::isnan(Started(client_metrics_, kRun)));
  const auto stub = Probe::NewStub(ConnectCounted());
  for (int i = 0; i < 5; ++i) {
    ClientContext context;
    if (i >= 3) context.AddMetadata("fail", "yes");
    Text reply;
    EXPECT_EQ(stub->Run(&context, request, &reply).ok(), i < 3);
  }
  ClientContext context;
  Text reply;
  EXPECT_THAT(stub->Missing(&context, request, &reply), HasCode(absl::StatusCode::kUnimplemented));
  for (const metrics::Registry* registry : {&server_metrics_, &client_metrics_}) {
    EXPECT_EQ(Started(*registry, kRun), 5);
    EXPECT_EQ(InFlight(*registry, kRun), 0);
    EXPECT_EQ(Ended(*registry, kRun, "OK"), 3);
    EXPECT_EQ(Ended(*registry, kRun, "NOT_FOUND"), 2);
    EXPECT_EQ(Ended(*registry, "/e2e.Probe/Missing", "UNIMPLEMENTED"), 1);
    EXPECT_EQ(Value(*registry, "spoolrpc_call_latency_seconds_count", {{"method", kRun}}), 5);
    EXPECT_GE(Value(*registry, "spoolrpc_call_latency_min_seconds", {{"method", kRun}}), 0.02);
    EXPECT_LT(Value(*registry, "spoolrpc_call_latency_max_seconds", {{"method", kRun}}), 60);
  }
  EXPECT_EQ(Value(client_metrics_, "spoolrpc_calls_started_total",
                  {{"role", "client"}, {"method", kRun}}),
            5);
  EXPECT_EQ(Sent(client_metrics_, kRun), 5 * request.ByteSizeLong());
  EXPECT_EQ(Received(server_metrics_, kRun), 5 * request.ByteSizeLong());
  EXPECT_EQ(Sent(server_metrics_, kRun), 3 * answer.ByteSizeLong());
  EXPECT_EQ(Received(client_metrics_, kRun), 3 * answer.ByteSizeLong());
}

TEST_P(MetricsTest, CallbacksAndReactors) {
  const Text request = Say("without waiting");
  StreamsReactors service;
  const auto server = ServeCounted(&service);
  const auto stub = Streams::NewStub(ConnectCounted());
  ClientContext context;
  Text reply;
  absl::Notification done;
  stub->async()->Plain(&context, &request, &reply, [&](absl::Status status) {
    EXPECT_OK(status);
    // It is counted before it is told.
    EXPECT_EQ(Ended(client_metrics_, kPlain, "OK"), 1);
    done.Notify();
  });
  ASSERT_TRUE(done.WaitForNotificationWithTimeout(kLong));
  class Talker final : public ClientBidiReactor<Text, Text> {
   public:
    Talker(Streams::Stub* stub, const Text& said) : write(said) {
      stub->async()->Talk(&context, this);
      StartRead(&read);
      StartWriteLast(&write, WriteOptions());
      StartCall();
    }
    void OnDone(const absl::Status& s) override {
      status = s;
      done.Notify();
    }
    ClientContext context;
    Text read;
    const Text write;
    absl::Status status;
    absl::Notification done;
  } talker(stub.get(), request);
  ASSERT_TRUE(talker.done.WaitForNotificationWithTimeout(kLong));
  EXPECT_THAT(talker.status, HasCode(absl::StatusCode::kAborted));
  for (const metrics::Registry* registry : {&server_metrics_, &client_metrics_}) {
    EXPECT_EQ(Ended(*registry, kPlain, "OK"), 1);
    EXPECT_EQ(Ended(*registry, kTalk, "ABORTED"), 1);
    for (const char* const method : {kPlain, kTalk}) {
      EXPECT_EQ(Started(*registry, method), 1);
      EXPECT_EQ(InFlight(*registry, method), 0);
      EXPECT_EQ(Sent(*registry, method), request.ByteSizeLong()) << method;
      EXPECT_EQ(Received(*registry, method), request.ByteSizeLong()) << method;
    }
  }
}

TEST_P(MetricsTest, BytesOfAStreamAreCountedWhileItIsOpen) {
  const Text said = Say("one of several");
  StreamsService service;
  const auto server = ServeCounted(&service);
  const auto stub = Streams::NewStub(ConnectCounted());
  ClientContext context;
  const auto stream = stub->Talk(&context);
  for (int i = 1; i <= 3; ++i) {
    Text text;
    ASSERT_TRUE(stream->Write(said));
    ASSERT_TRUE(stream->Read(&text));
    for (const metrics::Registry* registry : {&server_metrics_, &client_metrics_}) {
      EXPECT_EQ(Sent(*registry, kTalk), i * said.ByteSizeLong());
      EXPECT_EQ(Received(*registry, kTalk), i * said.ByteSizeLong());
      EXPECT_EQ(InFlight(*registry, kTalk), 1);
    }
  }
  EXPECT_THAT(stream->Finish(), HasCode(absl::StatusCode::kAborted));
  for (const metrics::Registry* registry : {&server_metrics_, &client_metrics_}) {
    EXPECT_EQ(InFlight(*registry, kTalk), 0);
    EXPECT_EQ(Ended(*registry, kTalk, "ABORTED"), 1);
    EXPECT_EQ(Ended(*registry, kTalk, "OK"), 0);
  }
}

TEST_P(MetricsTest, BytesAreThoseBeforeCompression) {
  const Text large = Say(std::string(50000, 'x'));
  StreamsService service;
  const auto server = ServeCounted(
      &service, [](ServerBuilder* builder) { builder->set_compression(Compression::kZstd); });
  ChannelOptions options = CountedOptions();
  options.compression = Compression::kZstd;
  const auto stub = Streams::NewStub(Connect(options));
  ClientContext context;
  Text reply;
  EXPECT_OK(stub->Plain(&context, large, &reply));
  ClientContext talk;
  const auto stream = stub->Talk(&talk);
  EXPECT_TRUE(stream->Write(large));
  EXPECT_TRUE(stream->Read(&reply));
  EXPECT_THAT(stream->Finish(), HasCode(absl::StatusCode::kAborted));
  for (const metrics::Registry* registry : {&server_metrics_, &client_metrics_}) {
    for (const char* const method : {kPlain, kTalk}) {
      EXPECT_EQ(Sent(*registry, method), large.ByteSizeLong()) << method;
      EXPECT_EQ(Received(*registry, method), large.ByteSizeLong()) << method;
    }
  }
}

TEST_P(MetricsTest, CallThatIsSentAgainIsOneForTheChannelAndSeveralForTheServer) {
  for (const bool waits : {true, false}) {
    metrics::Registry client(metrics::Role::kClient);
    metrics::Registry counted(metrics::Role::kServer);
    std::atomic<int> attempts{0};
    AgainService service;
    service.handler = [&](ServerContext*, const Text* request, Text* reply) {
      *reply = *request;
      return ++attempts < 3 ? absl::UnavailableError("not yet") : absl::OkStatus();
    };
    const auto server =
        Serve(&service, [&](ServerBuilder* builder) { builder->set_metrics(&counted); });
    ChannelOptions options = Options();
    options.metrics = &client;
    const auto stub = Again::NewStub(Connect(options));
    ClientContext context;
    const Text request = Say("again");
    Text reply;
    if (waits) {
      EXPECT_OK(stub->Retried(&context, request, &reply));
    } else {
      absl::Notification done;
      stub->async()->Retried(&context, &request, &reply, [&](absl::Status status) {
        EXPECT_OK(status);
        EXPECT_EQ(Ended(client, kRetried, "OK"), 1);
        done.Notify();
      });
      ASSERT_TRUE(done.WaitForNotificationWithTimeout(kLong));
    }
    EXPECT_EQ(Started(client, kRetried), 1);
    EXPECT_EQ(InFlight(client, kRetried), 0);
    EXPECT_EQ(Ended(client, kRetried, "OK"), 1);
    EXPECT_EQ(Sent(client, kRetried), request.ByteSizeLong());
    EXPECT_EQ(Received(client, kRetried), request.ByteSizeLong());
    EXPECT_EQ(Started(counted, kRetried), 3);
    EXPECT_EQ(Ended(counted, kRetried, "UNAVAILABLE"), 2);
    EXPECT_EQ(Ended(counted, kRetried, "OK"), 1);
  }
}

TEST_P(MetricsTest, HedgedCallIsOneForTheChannel) {
  constexpr char kHedged[] = "/e2e.Again/Hedged";
  Gate gate;
  std::atomic<int> copies{0};
  AgainService service;
  service.handler = [&](ServerContext*, const Text* request, Text* reply) {
    *reply = *request;
    if (++copies == 1) gate.Pass();
    return absl::OkStatus();
  };
  const auto server =
      ServeCounted(&service, [](ServerBuilder* builder) { builder->set_workers(2); });
  const auto stub = Again::NewStub(ConnectCounted());
  ClientContext context;
  Text reply;
  EXPECT_OK(stub->Hedged(&context, Say("twice"), &reply));
  EXPECT_EQ(Started(client_metrics_, kHedged), 1);
  EXPECT_EQ(Ended(client_metrics_, kHedged, "OK"), 1);
  EXPECT_EQ(Received(client_metrics_, kHedged), reply.ByteSizeLong());
  EXPECT_EQ(Started(server_metrics_, kHedged), 2);
  EXPECT_EQ(InFlight(server_metrics_, kHedged), 1);
  gate.Open();
  EXPECT_TRUE(Eventually([&] { return InFlight(server_metrics_, kHedged) == 0; }));
}

TEST_P(MetricsTest, CallsThatNoServerGetsAreTheChannelsAlone) {
  ProbeService service;
  auto server = ServeCounted(&service);
  ChannelOptions options = CountedOptions();
  options.max_send_message_size = 1000;
  const auto stub = Probe::NewStub(Connect(options));
  ClientContext used;
  Text reply;
  EXPECT_OK(stub->Run(&used, Text(), &reply));
  EXPECT_THAT(stub->Run(&used, Text(), &reply), HasCode(absl::StatusCode::kFailedPrecondition));
  ClientContext large;
  EXPECT_THAT(stub->Run(&large, Say(std::string(1001, 'x')), &reply),
              HasCode(absl::StatusCode::kResourceExhausted));
  // A context that was used, by the other ways of making a call.
  absl::Notification done;
  const Text request;
  stub->async()->Run(&used, &request, &reply, [&](absl::Status) { done.Notify(); });
  ASSERT_TRUE(done.WaitForNotificationWithTimeout(kLong));
  const auto again = Again::NewStub(Connect(options));
  absl::Notification retried;
  again->async()->Retried(&used, &request, &reply, [&](absl::Status) { retried.Notify(); });
  ASSERT_TRUE(retried.WaitForNotificationWithTimeout(kLong));
  server->Shutdown();
  ClientContext late;
  late.set_ack_timeout(absl::Milliseconds(200));
  EXPECT_THAT(stub->Run(&late, Text(), &reply), HasCode(absl::StatusCode::kUnavailable));
  EXPECT_EQ(Started(client_metrics_, kRun), 5);
  EXPECT_EQ(InFlight(client_metrics_, kRun), 0);
  EXPECT_EQ(Ended(client_metrics_, kRun, "OK"), 1);
  EXPECT_EQ(Ended(client_metrics_, kRun, "FAILED_PRECONDITION"), 2);
  EXPECT_EQ(Ended(client_metrics_, kRun, "RESOURCE_EXHAUSTED"), 1);
  EXPECT_EQ(Ended(client_metrics_, kRun, "UNAVAILABLE"), 1);
  EXPECT_EQ(Sent(client_metrics_, kRun), 0);
  EXPECT_EQ(Ended(client_metrics_, kRetried, "FAILED_PRECONDITION"), 1);
  EXPECT_EQ(InFlight(client_metrics_, kRetried), 0);
  EXPECT_EQ(Started(server_metrics_, kRun), 1);
}

TEST_P(MetricsTest, StreamThatIsDroppedIsCancelled) {
  StreamsService service;
  auto server = ServeCounted(&service);
  const auto stub = Streams::NewStub(ConnectCounted());
  ClientContext context;
  Text text;
  auto stream = stub->Talk(&context);
  EXPECT_TRUE(stream->Write(Say("x")));
  EXPECT_TRUE(stream->Read(&text));
  stream.reset();
  EXPECT_EQ(Ended(client_metrics_, kTalk, "CANCELLED"), 1);
  EXPECT_EQ(InFlight(client_metrics_, kTalk), 0);
  EXPECT_TRUE(Eventually([&] { return InFlight(server_metrics_, kTalk) == 0; }));
  EXPECT_EQ(Started(server_metrics_, kTalk), 1);
  EXPECT_EQ(Ended(server_metrics_, kTalk, "OK"), 0);
}

TEST_P(MetricsTest, RegistriesOfTheWrongRoleAreRefused) {
  ProbeService service;
  EXPECT_THAT(Builder(&service).set_metrics(&client_metrics_).BuildAndStart(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("Role::kServer")));
  ChannelOptions options = Options();
  options.metrics = &server_metrics_;
  EXPECT_THAT(CreateChannel(spool(), options),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("Role::kClient")));
}

}  // namespace
}  // namespace spoolrpc::e2e
