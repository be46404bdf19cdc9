// Streaming calls that block, over real spools.
#include <atomic>
#include <filesystem>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "spoolrpc/rpc/stream_window.h"
#include "tests/e2e/fixture.h"
#include "tests/e2e/streams.spoolrpc.pb.h"

namespace spoolrpc::e2e {
namespace {

using ::e2e::Streams;
using Reader = ServerReader<Text>;
using Writer = ServerWriter<Text>;
using ReaderWriter = ServerReaderWriter<Text, Text>;

class StreamsService final : public Streams::Service {
 public:
  absl::Status Collect(ServerContext* context, Reader* reader, Text* reply) override {
    return collect(context, reader, reply);
  }
  absl::Status Expand(ServerContext* context, const Text* request, Writer* writer) override {
    return expand(context, request, writer);
  }
  absl::Status Talk(ServerContext* context, ReaderWriter* stream) override {
    return talk(context, stream);
  }
  absl::Status Plain(ServerContext*, const Text* request, Text* reply) override {
    *reply = *request;
    return absl::OkStatus();
  }

  std::function<absl::Status(ServerContext*, Reader*, Text*)> collect =
      [](ServerContext*, Reader* reader, Text* reply) {
        Text text;
        int64_t sum = 0;
        while (reader->Read(&text)) sum += text.number();
        reply->set_number(sum);
        return absl::OkStatus();
      };
  std::function<absl::Status(ServerContext*, const Text*, Writer*)> expand =
      [](ServerContext*, const Text* request, Writer* writer) {
        Text text;
        for (int64_t i = 0; i < request->number(); ++i) {
          text.set_number(i);
          EXPECT_TRUE(writer->Write(text));
        }
        return absl::OkStatus();
      };
  std::function<absl::Status(ServerContext*, ReaderWriter*)> talk = [](ServerContext*,
                                                                       ReaderWriter* stream) {
    Text text;
    while (stream->Read(&text)) EXPECT_TRUE(stream->Write(text));
    return absl::OkStatus();
  };
};

Text Number(int64_t number) {
  Text text;
  text.set_number(number);
  return text;
}

Text Bytes(size_t size) {
  Text text;
  text.set_data(std::string(size, 'b'));
  return text;
}

class StreamTest : public BothTransports {
 protected:
  void Start(const std::function<void(ServerBuilder*)>& change = {}) {
    server_ = Serve(&service_, change);
    channel_ = Connect();
    stub_ = Streams::NewStub(channel_);
  }
  void TearDown() override { EXPECT_EQ(log().Count(LogLevel::kError), 0) << log().Text(); }

  StreamsService service_;
  std::unique_ptr<Server> server_;
  std::shared_ptr<Channel> channel_;
  std::unique_ptr<Streams::Stub> stub_;
};

TEST_P(StreamTest, RequestsStream) {
  Start();
  ClientContext context;
  Text reply;
  const auto writer = stub_->Collect(&context, &reply);
  for (int i = 1; i <= 1000; ++i) ASSERT_TRUE(writer->Write(Number(i)));
  EXPECT_TRUE(writer->WritesDone());
  EXPECT_FALSE(writer->Write(Number(1))) << "after WritesDone()";
  EXPECT_OK(writer->Finish());
  EXPECT_EQ(reply.number(), 500500);
}

TEST_P(StreamTest, RepliesStream) {
  Start();
  ClientContext context;
  const auto reader = stub_->Expand(&context, Number(1000));
  Text text;
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(reader->Read(&text)) << reader->Finish();
    ASSERT_EQ(text.number(), i);
  }
  EXPECT_FALSE(reader->Read(&text));
  EXPECT_OK(reader->Finish());
  EXPECT_TRUE(context.acknowledged());
}

// More than the other side gives room for at once, and nothing that is not kept back before it.
TEST_P(StreamTest, MessagesThatMayBeKeptBack) {
  constexpr int kMessages = 3000;
  service_.expand = [](ServerContext*, const Text* request, Writer* writer) {
    Text text = *request;
    for (int i = 0; i < kMessages; ++i) {
      text.set_number(i);
      EXPECT_TRUE(writer->Write(text, WriteOptions().set_buffer_hint()));
    }
    return absl::OkStatus();
  };
  Start();
  Text text = Bytes(100);
  {
    ClientContext context;
    const auto reader = stub_->Expand(&context, text);
    for (int i = 0; i < kMessages; ++i) {
      ASSERT_TRUE(reader->Read(&text)) << reader->Finish();
      ASSERT_EQ(text.number(), i);
    }
    EXPECT_FALSE(reader->Read(&text));
    EXPECT_OK(reader->Finish());
  }
  ClientContext context;
  Text reply;
  const auto writer = stub_->Collect(&context, &reply);
  text.set_number(1);
  for (int i = 0; i < kMessages; ++i) {
    ASSERT_TRUE(writer->Write(text, WriteOptions().set_buffer_hint()));
  }
  EXPECT_TRUE(writer->WritesDone());
  EXPECT_OK(writer->Finish());
  EXPECT_EQ(reply.number(), kMessages);
}

TEST_P(StreamTest, BothStream) {
  Start();
  ClientContext context;
  const auto stream = stub_->Talk(&context);
  Text text;
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(stream->Write(Number(i)));
    ASSERT_TRUE(stream->Read(&text));
    ASSERT_EQ(text.number(), i);
  }
  EXPECT_TRUE(stream->WritesDone());
  EXPECT_FALSE(stream->Read(&text));
  EXPECT_OK(stream->Finish());
}

TEST_P(StreamTest, EmptyStreams) {
  Start();
  {
    ClientContext context;
    Text reply;
    const auto writer = stub_->Collect(&context, &reply);
    EXPECT_OK(writer->Finish());  // half-closes
    EXPECT_EQ(reply.number(), 0);
  }
  ClientContext context;
  const auto reader = stub_->Expand(&context, Number(0));
  Text text;
  EXPECT_FALSE(reader->Read(&text));
  EXPECT_OK(reader->Finish());
}

TEST_P(StreamTest, LargeMessages) {
  Start();
  ClientContext context;
  const auto stream = stub_->Talk(&context);
  std::thread writer([&] {
    for (int i = 0; i < 4; ++i) EXPECT_TRUE(stream->Write(Bytes(size_t{3} << 20)));
    EXPECT_TRUE(stream->WritesDone());
  });
  Text text;
  for (int i = 0; i < 4; ++i) {
    EXPECT_TRUE(stream->Read(&text));
    EXPECT_EQ(text.data().size(), size_t{3} << 20);
  }
  writer.join();
  EXPECT_FALSE(stream->Read(&text));
  EXPECT_OK(stream->Finish());
}

TEST_P(StreamTest, Metadata) {
  Gate gate;
  service_.talk = [&](ServerContext* context, ReaderWriter* stream) {
    context->AddInitialMetadata("first", "1");
    stream->SendInitialMetadata();
    gate.Pass();
    Text text;
    while (stream->Read(&text)) stream->Write(text);
    context->AddTrailingMetadata("last", std::string("2"));
    return absl::InvalidArgumentError("so it ends");
  };
  Start();
  ClientContext context;
  const auto stream = stub_->Talk(&context);
  stream->WaitForInitialMetadata();
  EXPECT_EQ(context.GetServerInitialMetadata().count("first"), 1);
  gate.Open();
  EXPECT_TRUE(stream->Write(Number(1)));
  EXPECT_TRUE(stream->WritesDone());
  Text text;
  EXPECT_TRUE(stream->Read(&text));
  EXPECT_FALSE(stream->Read(&text));
  EXPECT_EQ(stream->Finish(), absl::InvalidArgumentError("so it ends"));
  EXPECT_EQ(context.GetServerTrailingMetadata().count("last"), 1);
}

TEST_P(StreamTest, InitialMetadataGoesWithTheFirstMessage) {
  service_.expand = [&](ServerContext* context, const Text*, Writer* writer) {
    context->AddInitialMetadata("first", "1");
    writer->Write(Number(7));
    return absl::OkStatus();
  };
  Start();
  ClientContext context;
  const auto reader = stub_->Expand(&context, Number(0));
  Text text;
  EXPECT_TRUE(reader->Read(&text));
  EXPECT_EQ(context.GetServerInitialMetadata().count("first"), 1);
  EXPECT_OK(reader->Finish());
}

// A reader that stops reading stops the writer, and nothing else.
TEST_P(StreamTest, ClientsWriterIsStopped) {
  Gate gate;
  service_.collect = [&](ServerContext*, Reader* reader, Text* reply) {
    gate.Pass();
    Text text;
    int64_t sum = 0;
    int64_t last = -1;
    while (reader->Read(&text)) {
      EXPECT_EQ(text.number(), last + 1);
      last = text.number();
      ++sum;
    }
    reply->set_number(sum);
    return absl::OkStatus();
  };
  Start();
  ClientContext context;
  Text reply;
  const auto writer = stub_->Collect(&context, &reply);
  constexpr int kMessages = 3000;
  constexpr size_t kSize = 1000;
  std::atomic<int> written{0};
  std::thread thread([&] {
    Text text = Bytes(kSize);
    for (int i = 0; i < kMessages; ++i) {
      text.set_number(i);
      EXPECT_TRUE(writer->Write(text));
      ++written;
    }
  });
  ASSERT_TRUE(gate.AwaitArrived(1));
  // (It cannot be seen that it never goes on: others are served many times meanwhile.)
  const int most = static_cast<int>(rpc::kStreamWindow / kSize) + 1;
  EXPECT_TRUE(Eventually([&] { return written >= most * 8 / 10; }));
  for (int i = 0; i < 200; ++i) {
    ClientContext plain;
    Text answer;
    ASSERT_OK(stub_->Plain(&plain, Bytes(5000), &answer));
  }
  EXPECT_LE(written, most);
  gate.Open();
  thread.join();
  EXPECT_OK(writer->Finish());
  EXPECT_EQ(reply.number(), kMessages);
}

TEST_P(StreamTest, ServersWriterIsStopped) {
  constexpr int kMessages = 3000;
  constexpr size_t kSize = 1000;
  std::atomic<int> written{0};
  service_.expand = [&](ServerContext*, const Text*, Writer* writer) {
    Text text = Bytes(kSize);
    for (int i = 0; i < kMessages; ++i) {
      text.set_number(i);
      EXPECT_TRUE(writer->Write(text));
      ++written;
    }
    return absl::OkStatus();
  };
  Start();
  ClientContext context;
  const auto reader = stub_->Expand(&context, Number(0));
  const int most = static_cast<int>(rpc::kStreamWindow / kSize) + 1;
  EXPECT_TRUE(Eventually([&] { return written >= most * 8 / 10; }));
  for (int i = 0; i < 200; ++i) {
    ClientContext plain;
    Text answer;
    ASSERT_OK(stub_->Plain(&plain, Bytes(5000), &answer));
  }
  EXPECT_LE(written, most);
  Text text;
  for (int i = 0; i < kMessages; ++i) {
    ASSERT_TRUE(reader->Read(&text));
    ASSERT_EQ(text.number(), i);
  }
  EXPECT_FALSE(reader->Read(&text));
  EXPECT_OK(reader->Finish());
}

// Finish() reads what the program does not want to, so that the server comes to its end.
TEST_P(StreamTest, FinishDropsWhatWasNotRead) {
  Start();
  ClientContext context;
  const auto reader = stub_->Expand(&context, Number(20000));
  Text text;
  EXPECT_TRUE(reader->Read(&text));
  EXPECT_OK(reader->Finish());
}

TEST_P(StreamTest, Cancellation) {
  Gate gate;
  std::atomic<bool> called_back{false};
  std::atomic<bool> seen{false};
  service_.talk = [&](ServerContext* context, ReaderWriter* stream) {
    context->NotifyOnCancel([&] { called_back = true; });
    gate.Pass();
    Text text;
    EXPECT_FALSE(stream->Read(&text));
    EXPECT_FALSE(stream->Write(text));
    EXPECT_TRUE(context->IsCancelled());
    EXPECT_TRUE(Eventually([&] { return called_back.load(); }));
    seen = true;
    return absl::OkStatus();
  };
  Start();
  ClientContext context;
  const auto stream = stub_->Talk(&context);
  ASSERT_TRUE(gate.AwaitArrived(1));
  gate.Open();
  std::thread other([&] { context.TryCancel(); });
  Text text;
  EXPECT_FALSE(stream->Read(&text));
  EXPECT_FALSE(stream->Write(text));
  const absl::Status status = stream->Finish();
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(ReasonOf(status), ErrorInfo::CANCELLED);
  other.join();
  EXPECT_TRUE(Eventually([&] { return seen.load(); }));
}

// Nothing else does: the handler hears of nothing, and leases are not looked at for minutes.
TEST_P(StreamTest, CancellationWakesWhoeverReads) {
  Gate gate;
  service_.talk = [&](ServerContext*, ReaderWriter*) {
    gate.Pass();
    return absl::OkStatus();
  };
  Start([](ServerBuilder* builder) { builder->set_lease_term(absl::Hours(1)); });
  ChannelOptions options = Options();
  options.lease_term = absl::Hours(1);
  const auto channel = Connect(options);
  const auto stub = Streams::NewStub(channel);
  ClientContext context;
  const auto stream = stub->Talk(&context);
  ASSERT_TRUE(gate.AwaitArrived(1));
  absl::Notification ended;
  std::thread reader([&] {
    Text text;
    EXPECT_FALSE(stream->Read(&text));
    ended.Notify();
  });
  // Until it sleeps.
  EXPECT_FALSE(ended.WaitForNotificationWithTimeout(absl::Milliseconds(100)));
  context.TryCancel();
  EXPECT_TRUE(ended.WaitForNotificationWithTimeout(kLong));
  gate.Open();
  reader.join();
  EXPECT_EQ(stream->Finish().code(), absl::StatusCode::kCancelled);
}

TEST_P(StreamTest, DroppedStreamIsCancelled) {
  std::atomic<bool> seen{false};
  service_.talk = [&](ServerContext* context, ReaderWriter* stream) {
    Text text;
    while (stream->Read(&text)) stream->Write(text);
    seen = context->IsCancelled();
    return absl::OkStatus();
  };
  Start();
  {
    ClientContext context;
    const auto stream = stub_->Talk(&context);
    EXPECT_TRUE(stream->Write(Number(1)));
    Text text;
    EXPECT_TRUE(stream->Read(&text));
  }
  EXPECT_TRUE(Eventually([&] { return seen.load(); }));
}

TEST_P(StreamTest, Deadline) {
  std::atomic<bool> seen{false};
  service_.talk = [&](ServerContext* context, ReaderWriter* stream) {
    Text text;
    EXPECT_FALSE(stream->Read(&text));
    seen = context->IsCancelled();
    return absl::OkStatus();
  };
  Start();
  ClientContext context;
  context.set_timeout(absl::Milliseconds(200));
  const auto stream = stub_->Talk(&context);
  Text text;
  EXPECT_FALSE(stream->Read(&text));
  const absl::Status status = stream->Finish();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded) << status;
  EXPECT_TRUE(Eventually([&] { return seen.load(); }));
}

TEST_P(StreamTest, ServerThatEndsEarly) {
  service_.collect = [&](ServerContext*, Reader*, Text* reply) {
    reply->set_text("enough");
    return absl::OkStatus();
  };
  Start();
  ClientContext context;
  Text reply;
  const auto writer = stub_->Collect(&context, &reply);
  int written = 0;
  while (writer->Write(Bytes(1000)) && written < 100000) ++written;
  EXPECT_LT(written, 100000);
  EXPECT_OK(writer->Finish());
  EXPECT_EQ(reply.text(), "enough");
}

TEST_P(StreamTest, MessageThatIsTooLarge) {
  Start([](ServerBuilder* builder) { builder->set_max_receive_message_size(100000); });
  ClientContext context;
  Text reply;
  const auto writer = stub_->Collect(&context, &reply);
  writer->Write(Bytes(200000));
  const absl::Status status = writer->Finish();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_EQ(ReasonOf(status), ErrorInfo::MESSAGE_TOO_LARGE) << status;
  ClientContext next;
  const auto stream = stub_->Talk(&next);
  Text text;
  EXPECT_TRUE(stream->Write(Number(1)));
  EXPECT_TRUE(stream->Read(&text)) << "the session goes on";
}

TEST_P(StreamTest, CompressedStreams) {
  std::atomic<int> compressed{0};
  service_.talk = [&](ServerContext* context, ReaderWriter* stream) {
    context->set_compression(Compression::kZstd);
    Text text;
    while (stream->Read(&text)) {
      compressed += context->request_was_compressed();
      WriteOptions options;
      if (text.number() == 2) options.set_no_compression();
      stream->Write(text, options);
    }
    return absl::OkStatus();
  };
  Start();
  ClientContext context;
  context.set_compression(Compression::kZstd);
  const auto stream = stub_->Talk(&context);
  Text text;
  for (int i = 0; i < 4; ++i) {
    Text message = Bytes(300000);
    message.set_number(i);
    WriteOptions options;
    if (i == 1) options.set_no_compression();
    ASSERT_TRUE(stream->Write(message, options));
    ASSERT_TRUE(stream->Read(&text));
    EXPECT_EQ(text.SerializeAsString(), message.SerializeAsString());
    EXPECT_EQ(context.reply_was_compressed(), i != 2);
  }
  EXPECT_OK(stream->Finish());
  EXPECT_EQ(compressed, 3);
}

TEST_P(StreamTest, CompressedUnaryCall) {
  Start([](ServerBuilder* builder) { builder->set_compression(Compression::kZstd); });
  ClientContext context;
  context.set_compression(Compression::kZstd);
  Text reply;
  const Text request = Bytes(size_t{1} << 20);
  ASSERT_OK(stub_->Plain(&context, request, &reply));
  EXPECT_EQ(reply.data(), request.data());
  EXPECT_TRUE(context.reply_was_compressed());
  // What does not become smaller is sent as it is.
  ClientContext small;
  small.set_compression(Compression::kZstd);
  ASSERT_OK(stub_->Plain(&small, Number(1), &reply));
  EXPECT_FALSE(small.reply_was_compressed());
}

// A few compressed bytes that claim to be more than the server accepts.
TEST_P(StreamTest, CompressedMessageThatIsTooLarge) {
  Start([](ServerBuilder* builder) { builder->set_max_receive_message_size(100000); });
  ClientContext context;
  context.set_compression(Compression::kZstd);
  Text reply;
  const auto writer = stub_->Collect(&context, &reply);
  writer->Write(Bytes(size_t{5} << 20));
  const absl::Status status = writer->Finish();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
}

TEST_P(StreamTest, HandlerThatThrows) {
  service_.expand = [&](ServerContext*, const Text*, Writer* writer) -> absl::Status {
    writer->Write(Number(1));
    throw std::out_of_range("no more");
  };
  Start();
  ClientContext context;
  const auto reader = stub_->Expand(&context, Number(0));
  Text text;
  EXPECT_TRUE(reader->Read(&text));
  EXPECT_FALSE(reader->Read(&text));
  const absl::Status status = reader->Finish();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnknown);
  EXPECT_NE(status.message().find("no more"), std::string::npos);
}

TEST_P(StreamTest, ManyStreamsAtOnce) {
  Start();
  InThreads(16, [&](int thread) {
    for (int round = 0; round < 5; ++round) {
      ClientContext context;
      const auto stream = stub_->Talk(&context);
      Text text;
      for (int i = 0; i < 50; ++i) {
        ASSERT_TRUE(stream->Write(Number(thread * 1000 + i)));
        ASSERT_TRUE(stream->Read(&text));
        ASSERT_EQ(text.number(), thread * 1000 + i);
      }
      ASSERT_TRUE(stream->WritesDone());
      ASSERT_OK(stream->Finish());
    }
  });
}

TEST_P(StreamTest, NoServer) {
  channel_ = Connect();
  stub_ = Streams::NewStub(channel_);
  ClientContext context;
  context.set_ack_timeout(absl::Milliseconds(100));
  const auto stream = stub_->Talk(&context);
  Text text;
  EXPECT_FALSE(stream->Write(text));
  EXPECT_FALSE(stream->Read(&text));
  const absl::Status status = stream->Finish();
  EXPECT_EQ(ReasonOf(status), ErrorInfo::NO_SERVER) << status;
}

TEST_P(StreamTest, ServersOfOtherServices) {
  ProbeService probe;
  const auto server = Serve(&probe);
  channel_ = Connect();
  stub_ = Streams::NewStub(channel_);
  // Unary and blocking, streaming, and unary with a callback: each finds out in its own way.
  ClientContext unary;
  unary.set_ack_timeout(absl::Milliseconds(300));
  Text text;
  absl::Status status = stub_->Plain(&unary, Number(1), &text);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented) << status;
  EXPECT_EQ(ReasonOf(status), ErrorInfo::NO_SERVER) << status;
  ClientContext streaming;
  streaming.set_ack_timeout(absl::Milliseconds(300));
  status = stub_->Talk(&streaming)->Finish();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented) << status;
  ClientContext context;
  context.set_ack_timeout(absl::Milliseconds(300));
  absl::Notification done;
  const Text request;
  stub_->async()->Plain(&context, &request, &text, [&](absl::Status s) {
    status = std::move(s);
    done.Notify();
  });
  done.WaitForNotification();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented) << status;
  // A service that is there, and the deadline, are as ever.
  ClientContext deadline;
  deadline.set_timeout(absl::Milliseconds(100));
  EXPECT_EQ(stub_->Plain(&deadline, Number(1), &text).code(), absl::StatusCode::kDeadlineExceeded);
  ClientContext probing;
  EXPECT_OK(Probe::NewStub(channel_)->Echo(&probing, Number(1), &text));
}

// What a call that blocks was begun with may change, or go, while the call goes on.
TEST_P(StreamTest, RequestIsKeptForAnotherServer) {
  Gate gate;
  service_.collect = [&](ServerContext*, Reader*, Text*) {
    gate.Pass();
    return absl::OkStatus();
  };
  Start([](ServerBuilder* builder) { builder->set_workers(1); });  // for streams, too
  std::thread other([&] {
    ClientContext context;
    Text reply;
    EXPECT_OK(stub_->Collect(&context, &reply)->Finish());
  });
  ASSERT_TRUE(gate.AwaitArrived(1));
  ClientContext context;
  Text request = Number(3);
  const auto reader = stub_->Expand(&context, request);
  request = Number(1);
  StreamsService second;
  const auto server = Serve(&second);
  std::thread drain([&] { server_->Shutdown(); });
  Text text;
  int count = 0;
  while (reader->Read(&text)) ++count;
  EXPECT_OK(reader->Finish());
  EXPECT_EQ(count, 3);
  gate.Open();
  other.join();
  drain.join();
}

// A server that drains lets its streams end.
TEST_P(StreamTest, DrainWaitsForStreams) {
  Start();
  ClientContext context;
  const auto stream = stub_->Talk(&context);
  Text text;
  EXPECT_TRUE(stream->Write(Number(1)));
  EXPECT_TRUE(stream->Read(&text));
  std::thread drain([&] { server_->Shutdown(); });
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(stream->Write(Number(i)));
    EXPECT_TRUE(stream->Read(&text));
  }
  EXPECT_TRUE(stream->WritesDone());
  EXPECT_OK(stream->Finish());
  drain.join();
}

TEST_P(StreamTest, ShutdownsDeadlineCancelsStreams) {
  std::atomic<bool> cancelled{false};
  service_.talk = [&](ServerContext* context, ReaderWriter* stream) {
    Text text;
    while (stream->Read(&text)) stream->Write(text);
    cancelled = context->IsCancelled();
    return absl::CancelledError("the server goes");
  };
  Start();
  ClientContext context;
  const auto stream = stub_->Talk(&context);
  Text text;
  EXPECT_TRUE(stream->Write(Number(1)));
  EXPECT_TRUE(stream->Read(&text));
  server_->Shutdown(absl::Now());
  EXPECT_FALSE(stream->Read(&text));
  // It may outlive its session.
  EXPECT_TRUE(Eventually([&] { return std::filesystem::is_empty(spool() + "/sessions"); }));
  EXPECT_EQ(stream->Finish().code(), absl::StatusCode::kCancelled);
  EXPECT_TRUE(cancelled);
}

SPOOLRPC_BOTH_TRANSPORTS(StreamTest);

}  // namespace
}  // namespace spoolrpc::e2e
