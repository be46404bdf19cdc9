// What only a server counts: who waits and who is turned away, batches, and what all of it costs in
// file-system operations.
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "spoolrpc/metrics/counting_system_calls.h"
#include "tests/e2e/batch_fixture.h"
#include "tests/e2e/metrics_fixture.h"
#include "tests/e2e/raw_session.h"
#include "tests/e2e/streams.spoolrpc.pb.h"

namespace spoolrpc::e2e {
namespace {

using ::e2e::Streams;
using testing::HasCode;

using ServerMetricsTest = MetricsTest;
SPOOLRPC_BOTH_TRANSPORTS(ServerMetricsTest);

constexpr char kRun[] = "/e2e.Probe/Run";
constexpr char kFull[] = "/e2e.Batches/Full";

// Calls of Run on threads of their own.
class Callers {
 public:
  explicit Callers(const std::shared_ptr<Channel>& channel) : stub_(Probe::NewStub(channel)) {}
  ~Callers() { Join(); }
  void Begin(int count) {
    for (int i = 0; i < count; ++i) {
      threads_.emplace_back([this] {
        ClientContext context;
        Text reply;
        EXPECT_OK(stub_->Run(&context, Text(), &reply));
      });
    }
  }
  void Join() {
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

 private:
  const std::unique_ptr<Probe::Stub> stub_;
  std::vector<std::thread> threads_;
};

// Run waits at the gate.
class GatedService {
 public:
  GatedService() {
    service.handler = [this](ServerContext*, const Text*, Text*) {
      gate.Pass();
      return absl::OkStatus();
    };
  }
  ProbeService service;
  Gate gate;
};

TEST_P(ServerMetricsTest, CallsThatWaitForAWorkerAreTheQueuesLength) {
  GatedService gated;
  const auto server =
      ServeCounted(&gated.service, [](ServerBuilder* builder) { builder->set_workers(2); });
  EXPECT_EQ(QueueLength("default"), 0);
  EXPECT_EQ(QueueLength("streams"), 0);
  Callers callers(Connect());
  callers.Begin(5);
  EXPECT_TRUE(gated.gate.AwaitArrived(2));
  EXPECT_TRUE(Eventually([&] { return QueueLength("default") == 3; }));
  EXPECT_EQ(InFlight(server_metrics_, kRun), 5);
  EXPECT_EQ(QueueLength("streams"), 0);
  gated.gate.Open();
  callers.Join();
  EXPECT_EQ(QueueLength("default"), 0);
  EXPECT_EQ(InFlight(server_metrics_, kRun), 0);
}

TEST_P(ServerMetricsTest, MethodWithWorkersOfItsOwnHasAQueueOfItsOwn) {
  GatedService gated;
  const auto server = ServeCounted(
      &gated.service, [](ServerBuilder* builder) { builder->set_method_concurrency(kRun, 1); });
  EXPECT_EQ(QueueLength(kRun), 0);
  Callers callers(Connect());
  callers.Begin(3);
  EXPECT_TRUE(Eventually([&] { return QueueLength(kRun) == 2; }));
  EXPECT_EQ(QueueLength("default"), 0);
  gated.gate.Open();
  callers.Join();
  EXPECT_EQ(QueueLength(kRun), 0);
}

TEST_P(ServerMetricsTest, HandlersOfStreamsHaveAQueueOfTheirOwn) {
  class Service final : public Streams::Service {
   public:
    absl::Status Talk(ServerContext*, ServerReaderWriter<Text, Text>*) override {
      gate.Pass();
      return absl::OkStatus();
    }
    Gate gate;
  } service;
  const auto server = ServeCounted(&service, [](ServerBuilder* builder) {
    builder->set_workers(2);
    builder->set_max_streams(1);
  });
  const auto stub = Streams::NewStub(Connect());
  ClientContext one;
  ClientContext other;
  const auto first = stub->Talk(&one);
  EXPECT_TRUE(service.gate.AwaitArrived(1));
  const auto second = stub->Talk(&other);
  EXPECT_TRUE(Eventually([&] { return QueueLength("streams") == 1; }));
  EXPECT_EQ(QueueLength("default"), 0);
  service.gate.Open();
  EXPECT_OK(first->Finish());
  EXPECT_OK(second->Finish());
  EXPECT_EQ(QueueLength("streams"), 0);
}

// Both spools of one server have a queue of that name.
TEST_P(ServerMetricsTest, QueuesOfSeveralSpoolsAreAddedUp) {
  GatedService gated;
  const auto server = ServeCounted(&gated.service, [&](ServerBuilder* builder) {
    builder->AddSpool(scratch() / "other");
    builder->set_workers(1);
  });
  auto other = CreateChannel(scratch() / "other", Options());
  ASSERT_OK(other);
  Callers callers(Connect());
  Callers more(*other);
  callers.Begin(3);
  more.Begin(4);
  EXPECT_TRUE(Eventually([&] { return QueueLength("default") == 5; }));
  gated.gate.Open();
  callers.Join();
  more.Join();
  EXPECT_EQ(QueueLength("default"), 0);
  EXPECT_EQ(Ended(server_metrics_, kRun, "OK"), 7);
}

TEST_P(ServerMetricsTest, CallsForWhichThereIsNoRoomAreCounted) {
  GatedService gated;
  const auto server = ServeCounted(&gated.service, [](ServerBuilder* builder) {
    builder->set_workers(1);
    builder->set_max_queued_calls(1);
  });
  const auto channel = Connect();
  const auto stub = Probe::NewStub(channel);
  Callers callers(channel);
  callers.Begin(1);
  EXPECT_TRUE(gated.gate.AwaitArrived(1));
  callers.Begin(1);
  EXPECT_TRUE(Eventually([&] { return QueueLength("default") == 1; }));
  Text reply;
  ClientContext full;
  EXPECT_THAT(stub->Run(&full, Text(), &reply), HasCode(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(Ended(server_metrics_, kRun, "RESOURCE_EXHAUSTED"), 1);
  EXPECT_EQ(Started(server_metrics_, kRun), 3);
  EXPECT_EQ(InFlight(server_metrics_, kRun), 2);
  EXPECT_EQ(QueueLength("default"), 1);
  gated.gate.Open();
  callers.Join();
  EXPECT_EQ(Ended(server_metrics_, kRun, "OK"), 2);
}

TEST_P(ServerMetricsTest, CallsThatExpireWhileTheyWaitEndToo) {
  GatedService gated;
  const auto server =
      ServeCounted(&gated.service, [](ServerBuilder* builder) { builder->set_workers(1); });
  // (Written by hand: a channel would cancel it.)
  RawSession session(spool(), GetParam());
  session.Publish();
  EXPECT_EQ(session.AwaitVerdict().verdict(), spool::VerdictRecord::ACCEPTED);
  wire::CallHeader header;
  header.set_method_id(1);
  header.set_method(kRun);
  session.Write(log::FrameType::kCall, 0, 1, RawSession::CallPayload(header, ""));
  EXPECT_TRUE(gated.gate.AwaitArrived(1));
  header.clear_method();
  header.set_timeout_ns(1000000);
  session.Write(log::FrameType::kCall, 0, 2, RawSession::CallPayload(header, ""));
  EXPECT_TRUE(Eventually([&] { return QueueLength("default") == 1; }));
  const absl::Time expired = absl::Now() + absl::Milliseconds(10);
  EXPECT_TRUE(Eventually([&] { return absl::Now() > expired; }));
  gated.gate.Open();
  EXPECT_TRUE(Eventually([&] { return Ended(server_metrics_, kRun, "DEADLINE_EXCEEDED") == 1; }));
  EXPECT_TRUE(Eventually([&] { return InFlight(server_metrics_, kRun) == 0; }));
  EXPECT_EQ(Ended(server_metrics_, kRun, "OK"), 1);
  EXPECT_EQ(QueueLength("default"), 0);
  EXPECT_EQ(gated.gate.arrived(), 1);
}

TEST_P(ServerMetricsTest, CallsThatADrainingServerReturnsAreUnavailable) {
  GatedService gated;
  const auto server =
      ServeCounted(&gated.service, [](ServerBuilder* builder) { builder->set_workers(1); });
  const auto channel = Connect();
  Callers callers(channel);
  callers.Begin(1);
  EXPECT_TRUE(gated.gate.AwaitArrived(1));
  ClientContext context;
  std::thread returned([&] {
    Text reply;
    EXPECT_THAT(Probe::NewStub(channel)->Run(&context, Text(), &reply),
                HasCode(absl::StatusCode::kCancelled));
  });
  EXPECT_TRUE(Eventually([&] { return QueueLength("default") == 1; }));
  std::thread shutdown([&] { server->Shutdown(); });
  EXPECT_TRUE(Eventually([&] { return Ended(server_metrics_, kRun, "UNAVAILABLE") >= 1; }));
  EXPECT_EQ(QueueLength("default"), 0);
  EXPECT_EQ(InFlight(server_metrics_, kRun), 1);
  gated.gate.Open();
  shutdown.join();
  context.TryCancel();  // it looks for another server
  returned.join();
  callers.Join();
  EXPECT_EQ(Ended(server_metrics_, kRun, "OK"), 1);
  EXPECT_EQ(InFlight(server_metrics_, kRun), 0);
}

// It is answered before its handler has ended, and counted then.
TEST_P(ServerMetricsTest, StreamWithAMessageThatIsTooLargeIsCountedOnce) {
  class Service final : public Streams::Service {
   public:
    absl::Status Talk(ServerContext*, ServerReaderWriter<Text, Text>* stream) override {
      Text text;
      while (stream->Read(&text)) stream->Write(text);
      return absl::OkStatus();
    }
  } service;
  const auto server = ServeCounted(
      &service, [](ServerBuilder* builder) { builder->set_max_receive_message_size(1000); });
  ClientContext context;
  const auto stream = Streams::NewStub(Connect())->Talk(&context);
  Text text;
  EXPECT_TRUE(stream->Write(Say("small")));
  EXPECT_TRUE(stream->Read(&text));
  EXPECT_TRUE(stream->Write(Say(std::string(200000, 'x'))));
  EXPECT_THAT(stream->Finish(), HasCode(absl::StatusCode::kResourceExhausted));
  server->Shutdown();  // when the handler has ended
  EXPECT_EQ(Ended(server_metrics_, "/e2e.Streams/Talk", "RESOURCE_EXHAUSTED"), 1);
  EXPECT_EQ(Value(server_metrics_, "spoolrpc_call_latency_seconds_count",
                  {{"method", "/e2e.Streams/Talk"}}),
            1);
  EXPECT_EQ(Started(server_metrics_, "/e2e.Streams/Talk"), 1);
}

// Whatever a client sends: its calls are counted, and no names that it makes up.
TEST_P(ServerMetricsTest, CallsThatMakeNoSenseAreCountedUnderTheirMethod) {
  ProbeService service;
  const auto server = ServeCounted(&service);
  const size_t methods = server_metrics_.Summaries().size();
  RawSession session(spool(), GetParam());
  session.Publish();
  EXPECT_EQ(session.AwaitVerdict().verdict(), spool::VerdictRecord::ACCEPTED);
  wire::CallHeader header;
  header.set_method_id(1);
  header.set_method("/e2e.Probe/MadeUp");
  session.Write(log::FrameType::kCall, 0, 1, RawSession::CallPayload(header, ""));
  header.set_method_id(2);
  header.set_method(kRun);
  header.set_kind(wire::METHOD_KIND_CLIENT_STREAMING);
  session.Write(log::FrameType::kCall, 0, 2, RawSession::CallPayload(header, ""));
  header.set_kind(wire::METHOD_KIND_UNARY);
  session.Write(log::FrameType::kCall, 0, 3, RawSession::CallPayload(header, "no message"));
  header.set_message_size(uint64_t{1} << 40);
  session.Write(log::FrameType::kCall, log::kMore, 4, RawSession::CallPayload(header, "begin"));
  // One that is given up before it has come completely.
  header.set_message_size(1000);
  session.Write(log::FrameType::kCall, log::kMore, 5, RawSession::CallPayload(header, "begin"));
  session.Write(log::FrameType::kCancel, 0, 5, "");
  EXPECT_TRUE(Eventually([&] { return Ended(server_metrics_, kRun, "CANCELLED") == 1; }));
  EXPECT_EQ(Ended(server_metrics_, kRun, "UNIMPLEMENTED"), 1);
  EXPECT_EQ(Ended(server_metrics_, kRun, "INTERNAL"), 1);
  EXPECT_EQ(Ended(server_metrics_, kRun, "RESOURCE_EXHAUSTED"), 1);
  EXPECT_EQ(Started(server_metrics_, kRun), 4);
  EXPECT_EQ(InFlight(server_metrics_, kRun), 0);
  EXPECT_EQ(server_metrics_.Summaries().size(), methods);
}

// The client goes while one of its calls runs, one waits, and one has not come completely.
TEST_P(ServerMetricsTest, CallsOfAClientThatIsGoneAreCancelled) {
  GatedService gated;
  const auto server =
      ServeCounted(&gated.service, [](ServerBuilder* builder) { builder->set_workers(1); });
  RawSession session(spool(), GetParam());
  session.Publish();
  EXPECT_EQ(session.AwaitVerdict().verdict(), spool::VerdictRecord::ACCEPTED);
  wire::CallHeader header;
  header.set_method_id(1);
  header.set_method(kRun);
  session.Write(log::FrameType::kCall, 0, 1, RawSession::CallPayload(header, ""));
  EXPECT_TRUE(gated.gate.AwaitArrived(1));
  header.clear_method();
  session.Write(log::FrameType::kCall, 0, 2, RawSession::CallPayload(header, ""));
  EXPECT_TRUE(Eventually([&] { return QueueLength("default") == 1; }));
  header.set_message_size(1000);
  session.Write(log::FrameType::kCall, log::kMore, 3, RawSession::CallPayload(header, "begin"));
  EXPECT_TRUE(Eventually([&] { return Started(server_metrics_, kRun) == 3; }));
  session.Write(log::FrameType::kGoodbye, 0, 0, wire::Goodbye().SerializeAsString());
  EXPECT_TRUE(Eventually([&] { return Ended(server_metrics_, kRun, "CANCELLED") == 2; }));
  // The one that runs ends with its handler.
  EXPECT_EQ(InFlight(server_metrics_, kRun), 1);
  gated.gate.Open();
  EXPECT_TRUE(Eventually([&] { return Ended(server_metrics_, kRun, "CANCELLED") == 3; }));
  EXPECT_EQ(InFlight(server_metrics_, kRun), 0);
  EXPECT_EQ(Ended(server_metrics_, kRun, "OK"), 0);
  EXPECT_TRUE(Eventually([&] { return QueueLength("default") == 0; }));
}

class BatchMetricsTest : public MetricsTest {};
SPOOLRPC_BOTH_TRANSPORTS(BatchMetricsTest);

TEST_P(BatchMetricsTest, SizesAndWhoWaitsForABatch) {
  BatchService service;
  const auto server = ServeCounted(&service);
  const auto channel = Connect();
  const SampleLabels method = {{"method", kFull}};
  std::vector<std::unique_ptr<PendingCall>> calls;
  const auto begin = [&](int number) {
    calls.push_back(std::make_unique<PendingCall>(channel, &Batches::StubInterface::Full, number));
    EXPECT_TRUE(calls.back()->AwaitTaken());
  };
  for (int i = 1; i <= 3; ++i) begin(i);
  EXPECT_EQ(QueueLength("default"), 3);
  EXPECT_EQ(InFlight(server_metrics_, kFull), 3);
  begin(4);
  for (auto& call : calls) EXPECT_OK(call->End());
  EXPECT_EQ(QueueLength("default"), 0);
  EXPECT_EQ(Value(server_metrics_, "spoolrpc_batch_size_count", method), 1);
  EXPECT_EQ(Value(server_metrics_, "spoolrpc_batch_size_sum", method), 4);
  EXPECT_EQ(
      Value(server_metrics_, "spoolrpc_batch_size_bucket", {{"method", kFull}, {"le", "2.0"}}), 0);
  EXPECT_EQ(
      Value(server_metrics_, "spoolrpc_batch_size_bucket", {{"method", kFull}, {"le", "4.0"}}), 1);
  // The calls of a batch are counted one by one.
  EXPECT_EQ(Ended(server_metrics_, kFull, "OK"), 4);
  EXPECT_EQ(Sent(server_metrics_, kFull), 4 * Numbered(1).ByteSizeLong());
  // A batch of one.
  PendingCall single(channel, &Batches::StubInterface::Delayed, 5);
  EXPECT_OK(single.End());
  EXPECT_EQ(Value(server_metrics_, "spoolrpc_batch_size_sum", {{"method", "/e2e.Batches/Delayed"}}),
            1);
}

TEST_P(BatchMetricsTest, CallsThatADrainTakesOutOfABatchWaitNoMore) {
  BatchService service;
  auto server = ServeCounted(&service);
  PendingCall call(Connect(), &Batches::StubInterface::Full, 1);
  EXPECT_TRUE(Eventually([&] { return QueueLength("default") == 1; }));
  server->Shutdown();
  EXPECT_EQ(QueueLength("default"), 0);
  call.context()->TryCancel();  // it looks for another server
  EXPECT_THAT(call.End(), HasCode(absl::StatusCode::kCancelled));
  EXPECT_EQ(Ended(server_metrics_, kFull, "UNAVAILABLE"), 1);
  EXPECT_EQ(InFlight(server_metrics_, kFull), 0);
}

using FileOperationsTest = MetricsTest;
SPOOLRPC_BOTH_TRANSPORTS(FileOperationsTest);

double Count(const metrics::Registry& registry, const std::vector<std::string>& operations) {
  const auto parsed = testing::ParseOpenMetrics(registry.OpenMetricsText());
  EXPECT_OK(parsed);
  double sum = 0;
  for (const auto& sample : parsed->at("spoolrpc_file_operations").samples) {
    for (const std::string& operation : operations) {
      if (sample.labels.at("operation") == operation) sum += sample.value;
    }
  }
  return sum;
}

const std::vector<std::string>& OnDirectories() {
  static const auto* const operations = new std::vector<std::string>{
      "mkdir", "rmdir", "unlink", "rename", "link", "list", "openat", "unlinkat", "listat"};
  return *operations;
}

TEST_P(FileOperationsTest, BothSidesCountTheirs) {
  ProbeService service;
  const auto server = ServeCounted(&service);
  ClientContext context;
  Text reply;
  EXPECT_OK(Probe::NewStub(ConnectCounted())->Echo(&context, Say("x"), &reply));
  for (const metrics::Registry* registry : {&server_metrics_, &client_metrics_}) {
    EXPECT_GT(Count(*registry, {"open"}), 0);
    EXPECT_GT(Count(*registry, {"pread"}), 0);
    EXPECT_GT(Count(*registry, {"pwrite"}), 0);
    EXPECT_GT(Count(*registry, {"mkdir"}), 0);
    EXPECT_GT(Count(*registry, OnDirectories()), 0);
  }
}

// On a local file system: on a network one a server lists its inbox all the time.
using LocalFileOperationsTest = MetricsTest;
INSTANTIATE_TEST_SUITE_P(Local, LocalFileOperationsTest,
                         ::testing::Values(spool::Transport::kLocal), TransportName);

// A session costs a few of them, a call none.
TEST_P(LocalFileOperationsTest, OperationsDoNotGrowWithCalls) {
  constexpr int kCalls = 2000;
  ProbeService service;
  const auto server = ServeCounted(&service);
  const auto stub = Probe::NewStub(ConnectCounted());
  const auto call = [&] {
    ClientContext context;
    Text reply;
    EXPECT_OK(stub->Echo(&context, Say("x"), &reply));
  };
  call();
  const absl::Time began = absl::Now();
  const auto directories = [&] {
    return Count(server_metrics_, OnDirectories()) + Count(client_metrics_, OnDirectories());
  };
  const auto writes = [&] { return Count(client_metrics_, {"pwrite"}); };
  const double directories_before = directories();
  const double writes_before = writes();
  for (int i = 0; i < kCalls; ++i) call();
  // Logs that are used are mapped.
  EXPECT_LE(writes() - writes_before, kCalls / 4);
  // The server and the channel look around now and then, however many calls there are.
  const double seconds = absl::ToDoubleSeconds(absl::Now() - began);
  EXPECT_LE(directories() - directories_before, 50 + 50 * seconds) << seconds;
}

}  // namespace
}  // namespace spoolrpc::e2e
