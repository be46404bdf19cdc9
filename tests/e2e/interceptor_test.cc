// Interceptors on both sides, and calls that handlers make, over real spools.
#include <atomic>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "tests/e2e/fixture.h"
#include "tests/e2e/streams.spoolrpc.pb.h"

namespace spoolrpc::e2e {
namespace {

using ::e2e::Streams;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Text Number(int64_t number) {
  Text text;
  text.set_number(number);
  return text;
}

// Writes down what it sees, and adds 1 to each number that it sees on its way in.
class Journal {
 public:
  void Add(const std::string& line) {
    absl::MutexLock lock(&mu_);
    lines_.push_back(line);
  }
  std::vector<std::string> Take() {
    absl::MutexLock lock(&mu_);
    return std::exchange(lines_, {});
  }

 private:
  absl::Mutex mu_;
  std::vector<std::string> lines_ ABSL_GUARDED_BY(mu_);
};

int64_t NumberOf(const google::protobuf::MessageLite& message) {
  return static_cast<const Text&>(message).number();
}

class ClientWitness final : public ClientInterceptor {
 public:
  ClientWitness(std::string name, Journal* journal) : name_(std::move(name)), journal_(journal) {}
  absl::Status OnStart(const MethodInfo& method, ClientContext* context) override {
    journal_->Add(absl::StrCat(name_, " start ", method.full_name));
    context->AddMetadata("witness", name_);
    return name_ == "refuses" ? absl::PermissionDeniedError("not you") : absl::OkStatus();
  }
  void OnSendMessage(const google::protobuf::MessageLite& message) override {
    journal_->Add(absl::StrCat(name_, " send ", NumberOf(message)));
  }
  void OnReceiveMessage(google::protobuf::MessageLite* message) override {
    journal_->Add(absl::StrCat(name_, " receive ", NumberOf(*message)));
    auto* const text = static_cast<Text*>(message);
    text->set_number(text->number() + 1);
  }
  void OnFinish(absl::Status* status, ClientContext*) override {
    journal_->Add(absl::StrCat(name_, " finish ", absl::StatusCodeToString(status->code())));
  }

 private:
  const std::string name_;
  Journal* const journal_;
};

class ServerWitness final : public ServerInterceptor {
 public:
  ServerWitness(std::string name, Journal* journal) : name_(std::move(name)), journal_(journal) {}
  absl::Status OnStart(const MethodInfo& method, ServerContext* context) override {
    journal_->Add(absl::StrCat(name_, " start ", context->client_metadata().count("witness")));
    return name_ == "refuses" ? absl::PermissionDeniedError("not you") : absl::OkStatus();
  }
  void OnReceiveMessage(google::protobuf::MessageLite* message) override {
    journal_->Add(absl::StrCat(name_, " receive ", NumberOf(*message)));
    auto* const text = static_cast<Text*>(message);
    text->set_number(text->number() + 10);
  }
  void OnSendMessage(const google::protobuf::MessageLite& message) override {
    journal_->Add(absl::StrCat(name_, " send ", NumberOf(message)));
  }
  void OnFinish(absl::Status* status, ServerContext*) override {
    journal_->Add(absl::StrCat(name_, " finish ", absl::StatusCodeToString(status->code())));
  }

 private:
  const std::string name_;
  Journal* const journal_;
};

class Witnesses final : public ClientInterceptorFactory, public ServerInterceptorFactory {
 public:
  Witnesses(std::string name, Journal* journal) : name_(std::move(name)), journal_(journal) {}
  std::unique_ptr<ClientInterceptor> CreateClientInterceptor(const MethodInfo&) override {
    return std::make_unique<ClientWitness>(name_, journal_);
  }
  std::unique_ptr<ServerInterceptor> CreateServerInterceptor(const MethodInfo&) override {
    return std::make_unique<ServerWitness>(name_, journal_);
  }

 private:
  const std::string name_;
  Journal* const journal_;
};

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
      void OnWriteDone(bool ok) override { StartRead(&text_); }
      void OnDone() override { delete this; }

     private:
      Text text_;
    };
    return new Reactor;
  }
};

class InterceptorTest : public BothTransports {
 protected:
  void Start(Service* service, const std::string& name = "S") {
    server_ = Serve(service, [&](ServerBuilder* builder) {
      builder->AddInterceptor(std::make_shared<Witnesses>(name, &server_journal_));
    });
    channel_ = InterceptChannel(Connect(), {std::make_shared<Witnesses>("A", &journal_),
                                            std::make_shared<Witnesses>("B", &journal_)});
    stub_ = Streams::NewStub(channel_);
  }

  void ExpectUnaryLines() {
    EXPECT_THAT(
        journal_.Take(),
        ElementsAre("A start /e2e.Streams/Plain", "B start /e2e.Streams/Plain", "A send 1",
                    "B send 1", "B receive 11", "A receive 12", "B finish OK", "A finish OK"));
    EXPECT_THAT(server_journal_.Take(),
                ElementsAre("S start 2", "S receive 1", "S send 11", "S finish OK"));
  }
  void ExpectTalkLines() {
    EXPECT_THAT(journal_.Take(),
                ElementsAre("A start /e2e.Streams/Talk", "B start /e2e.Streams/Talk", "A send 1",
                            "B send 1", "B receive 11", "A receive 12", "B finish ABORTED",
                            "A finish ABORTED"));
    EXPECT_THAT(server_journal_.Take(),
                ElementsAre("S start 2", "S receive 1", "S send 11", "S finish ABORTED"));
  }
  void TalkBlocking() {
    ClientContext context;
    const auto stream = stub_->Talk(&context);
    Text text;
    EXPECT_TRUE(stream->Write(Number(1)));
    EXPECT_TRUE(stream->Read(&text));
    EXPECT_EQ(text.number(), 13);
    EXPECT_EQ(stream->Finish(), absl::AbortedError("enough"));
  }
  void PlainBlocking() {
    ClientContext context;
    Text reply;
    EXPECT_OK(stub_->Plain(&context, Number(1), &reply));
    EXPECT_EQ(reply.number(), 13);
  }

  Journal journal_;
  Journal server_journal_;
  std::unique_ptr<Server> server_;
  std::shared_ptr<ChannelInterface> channel_;
  std::unique_ptr<Streams::Stub> stub_;
};

TEST_P(InterceptorTest, UnaryCall) {
  StreamsService service;
  Start(&service);
  PlainBlocking();
  ExpectUnaryLines();
}

TEST_P(InterceptorTest, UnaryCallback) {
  StreamsService service;
  Start(&service);
  ClientContext context;
  const Text request = Number(1);
  Text reply;
  absl::Notification done;
  stub_->async()->Plain(&context, &request, &reply, [&](absl::Status status) {
    EXPECT_OK(status);
    done.Notify();
  });
  ASSERT_TRUE(done.WaitForNotificationWithTimeout(kLong));
  EXPECT_EQ(reply.number(), 13);
  ExpectUnaryLines();
}

TEST_P(InterceptorTest, Stream) {
  StreamsService service;
  Start(&service);
  TalkBlocking();
  ExpectTalkLines();
}

TEST_P(InterceptorTest, ReactorsOnTheServer) {
  StreamsReactors service;
  Start(&service);
  PlainBlocking();
  ExpectUnaryLines();
  TalkBlocking();
  ExpectTalkLines();
  server_->Shutdown();  // ends only when all reactors are done
}

TEST_P(InterceptorTest, ReactorOnTheClient) {
  StreamsService service;
  Start(&service);
  class Talker final : public ClientBidiReactor<Text, Text> {
   public:
    explicit Talker(Streams::Stub* stub) {
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
    Text write = Number(1);
    absl::Status status;
    absl::Notification done;
  } talker(stub_.get());
  ASSERT_TRUE(talker.done.WaitForNotificationWithTimeout(kLong));
  EXPECT_EQ(talker.status, absl::AbortedError("enough"));
  EXPECT_EQ(talker.read.number(), 13);
  ExpectTalkLines();
}

TEST_P(InterceptorTest, RefusalOnTheServer) {
  for (const bool reactors : {false, true}) {
    StreamsService service;
    StreamsReactors reactor_service;
    Start(reactors ? static_cast<Service*>(&reactor_service) : &service, "refuses");
    ClientContext context;
    Text reply;
    EXPECT_EQ(stub_->Plain(&context, Number(1), &reply), absl::PermissionDeniedError("not you"));
    EXPECT_THAT(server_journal_.Take(),
                ElementsAre("refuses start 2", "refuses finish PERMISSION_DENIED"));
    server_->Shutdown();
  }
}

TEST_P(InterceptorTest, RefusalOnTheClient) {
  StreamsService service;
  Start(&service);
  const auto stub = Streams::NewStub(
      InterceptChannel(Connect(), {std::make_shared<Witnesses>("refuses", &journal_)}));
  ClientContext context;
  Text reply;
  EXPECT_EQ(stub->Plain(&context, Number(1), &reply), absl::PermissionDeniedError("not you"));
  ClientContext talk;
  const auto stream = stub->Talk(&talk);
  EXPECT_FALSE(stream->Write(Number(1)));
  EXPECT_EQ(stream->Finish(), absl::PermissionDeniedError("not you"));
  EXPECT_THAT(server_journal_.Take(), ElementsAre());
}

TEST_P(InterceptorTest, Metrics) {
  metrics::Registry server_registry(metrics::Role::kServer);
  metrics::Registry client_registry(metrics::Role::kClient);
  StreamsService service;
  const auto server = Serve(&service, [&](ServerBuilder* builder) {
    builder->AddInterceptor(std::make_shared<MetricsInterceptorFactory>(&server_registry));
  });
  stub_ = Streams::NewStub(
      InterceptChannel(Connect(), {std::make_shared<MetricsInterceptorFactory>(&client_registry)}));
  for (int i = 0; i < 10; ++i) {
    ClientContext context;
    Text reply;
    EXPECT_OK(stub_->Plain(&context, Number(1), &reply));
  }
  ClientContext context;
  EXPECT_EQ(stub_->Talk(&context)->Finish(), absl::AbortedError("enough"));
  for (const metrics::Registry* registry : {&server_registry, &client_registry}) {
    const std::string text = registry->OpenMetricsText();
    EXPECT_THAT(text, HasSubstr("/e2e.Streams/Plain"));
    EXPECT_THAT(text, HasSubstr("ABORTED"));
    EXPECT_THAT(text, HasSubstr("# EOF"));
    const auto summaries = registry->Summaries();
    ASSERT_EQ(summaries.size(), 2);
  }
}

TEST_P(InterceptorTest, Logging) {
  Journal lines;
  StreamsService service;
  const auto server = Serve(&service);
  stub_ = Streams::NewStub(
      InterceptChannel(Connect(), {std::make_shared<LoggingInterceptorFactory>(
                                      [&](const std::string& line) { lines.Add(line); })}));
  ClientContext context;
  Text reply;
  EXPECT_OK(stub_->Plain(&context, Number(1), &reply));
  const auto written = lines.Take();
  ASSERT_EQ(written.size(), 1);
  EXPECT_THAT(written[0], HasSubstr("/e2e.Streams/Plain spool:"));
  EXPECT_THAT(written[0], HasSubstr("sent 1 (2 bytes) received 1 (2 bytes)"));
  EXPECT_THAT(written[0], HasSubstr(": OK"));
}

// A handler's own calls end with the call that it serves.
class NestedCallTest : public BothTransports {};
SPOOLRPC_BOTH_TRANSPORTS(NestedCallTest);

TEST_P(NestedCallTest, InheritsDeadlineAndCancellation) {
  std::shared_ptr<ChannelInterface> channel = Connect();
  std::atomic<int> inner_running{0};
  std::atomic<int> inner_cancelled{0};
  absl::Mutex mu;
  absl::Status nested;
  absl::Time outer_deadline, inner_deadline;
  ProbeService service;
  service.handler = [&](ServerContext* context, const Text* request, Text* reply) {
    if (request->number() == 0) {  // the outer call
      const auto client = NestedCallContext(context);
      const absl::Status status = Probe::NewStub(channel)->Run(client.get(), Number(1), reply);
      absl::MutexLock lock(&mu);
      outer_deadline = context->deadline();
      nested = status;
      return status;
    }
    {
      absl::MutexLock lock(&mu);
      inner_deadline = context->deadline();
    }
    ++inner_running;
    EXPECT_TRUE(Eventually([&] { return context->IsCancelled(); }));
    ++inner_cancelled;
    return absl::OkStatus();
  };
  const auto server = Serve(&service, [](ServerBuilder* builder) { builder->set_workers(4); });
  const auto stub = Probe::NewStub(Connect());
  ClientContext context;
  context.set_timeout(absl::Minutes(5));
  std::thread caller([&] {
    Text reply;
    EXPECT_EQ(stub->Run(&context, Number(0), &reply).code(), absl::StatusCode::kCancelled);
  });
  EXPECT_TRUE(Eventually([&] { return inner_running == 1; }));
  context.TryCancel();
  caller.join();
  EXPECT_TRUE(Eventually([&] { return inner_cancelled == 1; }));
  EXPECT_TRUE(Eventually([&] {
    absl::MutexLock lock(&mu);
    return nested.code() == absl::StatusCode::kCancelled;
  }));
  absl::MutexLock lock(&mu);
  EXPECT_LT(absl::AbsDuration(outer_deadline - inner_deadline), absl::Minutes(1));
}

SPOOLRPC_BOTH_TRANSPORTS(InterceptorTest);

}  // namespace
}  // namespace spoolrpc::e2e
