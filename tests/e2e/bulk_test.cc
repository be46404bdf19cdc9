// Large messages, which go through bulk buffers on a local file system and in frames elsewhere: the
// same calls, streams, limits and errors; and what is left of the buffers.
#include <errno.h>

#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/e2e/fixture.h"
#include "tests/e2e/streams.pb.h"
#include "tests/e2e/streams.spoolrpc.pb.h"
#include "tests/testing/faulty_system_calls.h"

namespace spoolrpc::e2e {
namespace {

using ::e2e::Streams;
using testing::HasCode;
using ::testing::HasSubstr;
using testing::StatusIs;

constexpr size_t kThreshold = size_t{256} << 10;
constexpr size_t kLarge = 3 * kThreshold;

std::string Pattern(size_t size, uint32_t seed) {
  std::string bytes(size, '\0');
  uint32_t state = seed * 2654435761u + 1;
  for (char& byte : bytes) {
    state = state * 1664525u + 1013904223u;
    byte = static_cast<char>(state >> 24);
  }
  return bytes;
}

Text Message(size_t size, uint32_t seed = 1) {
  Text text;
  text.set_data(Pattern(size, seed));
  return text;
}

class BulkTest : public BothTransports {
 protected:
  // Files with such a name anywhere in the spool.
  size_t Buffers() const {
    size_t count = 0;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(spool(), ignored)) {
      if (absl::StartsWith(entry.path().filename().string(), "bulk.")) ++count;
    }
    return count;
  }
  // As many as there are where each side has made `count`; none over a network file system.
  size_t OnEachSide(size_t count) const { return network() ? 0 : 2 * count; }
  static void Echo(Probe::Stub* stub, size_t size, uint32_t seed = 1) {
    const Text request = Message(size, seed);
    ClientContext context;
    Text reply;
    ASSERT_OK(stub->Echo(&context, request, &reply)) << size;
    ASSERT_TRUE(reply.data() == request.data()) << size;
  }
};
SPOOLRPC_BOTH_TRANSPORTS(BulkTest);

TEST_P(BulkTest, MessagesOfAllSizesAroundTheThreshold) {
  ProbeService service;
  const auto server = Serve(&service);
  const auto stub = Probe::NewStub(Connect());
  for (size_t size = kThreshold - 8; size <= kThreshold + 2; ++size) {
    ASSERT_NO_FATAL_FAILURE(Echo(stub.get(), size, size));
  }
  for (const size_t size : {2 * kThreshold, 5 * kThreshold + 1, size_t{9} << 20}) {
    ASSERT_NO_FATAL_FAILURE(Echo(stub.get(), size, size));
  }
}

TEST_P(BulkTest, SixtyFourMebibytesThereAndBackAgainAndAgain) {
  ProbeService service;
  const auto server = Serve(&service, [](ServerBuilder* builder) {
    builder->set_max_receive_message_size(size_t{65} << 20);
    builder->set_max_send_message_size(size_t{65} << 20);
  });
  ChannelOptions options = Options();
  options.max_send_message_size = options.max_receive_message_size = size_t{65} << 20;
  const auto stub = Probe::NewStub(Connect(options));
  for (uint32_t seed = 1; seed <= 3; ++seed) {
    ASSERT_NO_FATAL_FAILURE(Echo(stub.get(), size_t{64} << 20, seed));
    // One after the other needs one buffer on each side.
    EXPECT_EQ(Buffers(), OnEachSide(1));
  }
}

TEST_P(BulkTest, ManyAtOnceShareTheBuffersAndTheLog) {
  ProbeService service;
  const auto server = Serve(&service, [](ServerBuilder* builder) {
    builder->set_max_send_message_size(size_t{4} << 20);
  });
  ChannelOptions options = Options();
  // 72 MiB: some of them do not get a buffer.
  options.max_send_message_size = size_t{4} << 20;
  const auto stub = Probe::NewStub(Connect(options));
  InThreads(8, [&](int thread) {
    for (int i = 0; i < 6; ++i) Echo(stub.get(), size_t{3} << 20, thread * 100 + i);
  });
}

TEST_P(BulkTest, EitherSideMayGoWithoutThem) {
  ProbeService service;
  for (const bool client : {true, false}) {
    const auto server = Serve(&service, [&](ServerBuilder* builder) {
      if (!client) builder->set_bulk_threshold(size_t{1} << 40);
    });
    ChannelOptions options = Options();
    if (client) options.bulk_threshold = size_t{1} << 40;
    const auto stub = Probe::NewStub(Connect(options));
    ASSERT_NO_FATAL_FAILURE(Echo(stub.get(), kLarge));
    EXPECT_EQ(Buffers(), OnEachSide(1) / 2);
  }
}

TEST_P(BulkTest, AFullDiskIsNoErrorForMessages) {
  ProbeService service;
  testing::FaultySystemCalls calls;
  const auto server = Serve(&service);
  ChannelOptions options = Options();
  options.environment.calls = &calls;
  const auto stub = Probe::NewStub(Connect(options));
  calls.Fail({testing::Call::kFallocate, "bulk."}, ENOSPC);
  ASSERT_NO_FATAL_FAILURE(Echo(stub.get(), kLarge));
  calls.Clear();
  ASSERT_NO_FATAL_FAILURE(Echo(stub.get(), kLarge));
  EXPECT_EQ(Buffers(), OnEachSide(1));
}

TEST_P(BulkTest, LimitsAreWhatTheyAlwaysWere) {
  ProbeService service;
  const auto server = Serve(&service, [](ServerBuilder* builder) {
    builder->set_max_receive_message_size(kLarge);
    builder->set_max_send_message_size(kLarge);
  });
  ChannelOptions options = Options();
  options.max_receive_message_size = kLarge - 100;
  const auto stub = Probe::NewStub(Connect(options));
  {
    ClientContext context;
    Text reply;
    const absl::Status status = stub->Echo(&context, Message(kLarge + 1), &reply);
    EXPECT_THAT(status, HasCode(absl::StatusCode::kResourceExhausted));
    EXPECT_EQ(ReasonOf(status), ErrorInfo::MESSAGE_TOO_LARGE);
    EXPECT_FALSE(GetErrorInfo(status)->may_have_executed());
  }
  {
    ClientContext context;
    Text reply;
    const absl::Status status = stub->Echo(&context, Message(kLarge - 50), &reply);
    EXPECT_THAT(status,
                StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("this channel accepts")));
    EXPECT_EQ(ReasonOf(status), ErrorInfo::MESSAGE_TOO_LARGE);
    EXPECT_TRUE(GetErrorInfo(status)->may_have_executed());
  }
  ASSERT_NO_FATAL_FAILURE(Echo(stub.get(), kLarge - 200));
}

TEST_P(BulkTest, CompressedMessagesGoThroughThemToo) {
  ProbeService service;
  service.handler = [](ServerContext* context, const Text* request, Text* reply) {
    EXPECT_TRUE(context->request_was_compressed());
    context->set_compression(Compression::kZstd);
    *reply = *request;
    return absl::OkStatus();
  };
  const auto server = Serve(&service);
  ChannelOptions options = Options();
  options.compression = Compression::kZstd;
  const auto stub = Probe::NewStub(Connect(options));
  // Half of it can be compressed.
  Text request;
  request.set_data(Pattern(kLarge, 3) + std::string(kLarge, 'x'));
  ClientContext context;
  Text reply;
  ASSERT_OK(stub->Run(&context, request, &reply));
  EXPECT_TRUE(reply.data() == request.data());
  EXPECT_EQ(Buffers(), OnEachSide(1));
}

TEST_P(BulkTest, ACancelledCallLeavesNoBufferLent) {
  ProbeService service;
  Gate gate;
  service.handler = [&](ServerContext*, const Text* request, Text* reply) {
    gate.Pass();
    *reply = *request;
    return absl::OkStatus();
  };
  const auto server = Serve(&service, [](ServerBuilder* builder) { builder->set_workers(1); });
  const auto stub = Probe::NewStub(Connect());
  // The first one runs, the second waits for its turn.
  std::vector<std::thread> callers;
  std::vector<std::unique_ptr<ClientContext>> contexts;
  for (int i = 0; i < 2; ++i) {
    contexts.push_back(std::make_unique<ClientContext>());
    callers.emplace_back([&stub, context = contexts.back().get(), i] {
      Text reply;
      EXPECT_THAT(stub->Run(context, Message(kLarge, i), &reply),
                  HasCode(absl::StatusCode::kCancelled));
    });
    if (i == 0) {
      EXPECT_TRUE(gate.AwaitArrived(1));
    }
  }
  for (const auto& context : contexts) context->TryCancel();
  for (std::thread& caller : callers) caller.join();
  gate.Open();
  // All of them are free again: no more are made.
  for (int i = 0; i < 10; ++i) ASSERT_NO_FATAL_FAILURE(Echo(stub.get(), kLarge, i));
  EXPECT_LE(Buffers(), OnEachSide(2));
}

TEST_P(BulkTest, StreamsWithLargeMessages) {
  class Service final : public Streams::Service {
   public:
    absl::Status Talk(ServerContext*, ServerReaderWriter<Text, Text>* stream) override {
      Text text;
      while (stream->Read(&text)) {
        if (!stream->Write(text)) return absl::CancelledError("nobody reads");
      }
      return absl::OkStatus();
    }
    absl::Status Collect(ServerContext*, ServerReader<Text>* reader, Text* reply) override {
      Text text;
      while (reader->Read(&text)) reply->mutable_data()->append(text.data());
      return absl::OkStatus();
    }
  };
  Service service;
  const auto server = Serve(&service);
  const auto stub = Streams::NewStub(Connect());
  {
    ClientContext context;
    const auto stream = stub->Talk(&context);
    for (int i = 0; i < 6; ++i) {
      // Small ones between large ones keep their place.
      const Text sent = Message(i % 2 == 0 ? kLarge + i : 10 + i, i);
      ASSERT_TRUE(stream->Write(sent));
      Text back;
      ASSERT_TRUE(stream->Read(&back));
      ASSERT_TRUE(back.data() == sent.data()) << i;
    }
    ASSERT_TRUE(stream->WritesDone());
    EXPECT_OK(stream->Finish());
    // Streams' messages go in frames, whatever their size.
    EXPECT_EQ(Buffers(), 0);
  }
  {
    ClientContext context;
    Text reply;
    const auto writer = stub->Collect(&context, &reply);
    std::string all;
    for (int i = 0; i < 4; ++i) {
      const Text sent = Message(kLarge, i);
      all += sent.data();
      ASSERT_TRUE(writer->Write(sent));
    }
    ASSERT_TRUE(writer->WritesDone());
    ASSERT_OK(writer->Finish());
    EXPECT_TRUE(reply.data() == all);
  }
}

TEST_P(BulkTest, RepliesOutliveTheirServer) {
  for (int round = 0; round < 8; ++round) {
    ProbeService service;
    Gate gate;
    service.handler = [&](ServerContext*, const Text*, Text* reply) {
      gate.Pass();
      *reply = Message(kLarge);
      return absl::OkStatus();
    };
    auto server = Serve(&service);
    const auto stub = Probe::NewStub(Connect());
    InThreads(2, [&](int thread) {
      if (thread == 0) {
        ClientContext context;
        Text reply;
        EXPECT_OK(stub->Run(&context, Text(), &reply));
        EXPECT_TRUE(reply.data() == Pattern(kLarge, 1));
      } else {
        ASSERT_TRUE(gate.AwaitArrived(1));
        gate.Open();
        server.reset();  // waits for the handler, and no longer than it has to
      }
    });
  }
}

TEST_P(BulkTest, WhatIsNotUsedIsRemovedAndNothingIsLeftInTheEnd) {
  ProbeService service;
  auto server =
      Serve(&service, [](ServerBuilder* builder) { builder->set_lease_term(absl::Seconds(1)); });
  ChannelOptions options = Options();
  options.lease_term = absl::Seconds(1);
  auto channel = Connect(options);
  auto stub = Probe::NewStub(channel);
  ASSERT_NO_FATAL_FAILURE(Echo(stub.get(), kLarge));
  EXPECT_EQ(Buffers(), OnEachSide(1));
  EXPECT_TRUE(Eventually([&] { return Buffers() == 0; }));
  // And made again.
  ASSERT_NO_FATAL_FAILURE(Echo(stub.get(), kLarge));
  EXPECT_EQ(Buffers(), OnEachSide(1));
  stub.reset();
  channel.reset();
  EXPECT_TRUE(Eventually([&] { return Buffers() == 0; }));
  server.reset();
}

}  // namespace
}  // namespace spoolrpc::e2e
