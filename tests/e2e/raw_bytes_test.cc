// The raw-bytes API: calls and handlers without generated code.
#include <filesystem>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "tests/e2e/fixture.h"

namespace spoolrpc::e2e {
namespace {

using testing::HasCode;
using ::testing::HasSubstr;
using testing::StatusIs;

constexpr size_t kLarge = size_t{1} << 20;
constexpr char kEcho[] = "/e2e.Raw/Echo";

class RawBytesTest : public BothTransports {
 protected:
  std::unique_ptr<Server> ServeRaw(const RawHandler& handler,
                                   const RawMethodOptions& options = {}) {
    ServerBuilder builder;
    builder.AddSpool(spool());
    builder.set_transport(GetParam());
    builder.set_log_sink(&sink_);
    builder.RegisterRawMethod(kEcho, handler, options);
    builder.set_max_receive_message_size(2 * kLarge);
    builder.set_max_send_message_size(2 * kLarge);
    auto server = builder.BuildAndStart();
    EXPECT_OK(server);
    return *std::move(server);
  }
  static absl::Status EchoHandler(ServerContext*, const Bytes& request, Bytes* reply) {
    *reply = request;
    return absl::OkStatus();
  }
  static Bytes Pattern(size_t size, char seed = 1) {
    std::string bytes(size, '\0');
    for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(seed + i * 7 + i / 256);
    return Bytes(std::move(bytes));
  }
  // The buffers that clients, or servers, have made.
  size_t Buffers(const std::string& below) const {
    size_t count = 0;
    std::error_code ignored;
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(spool() + below, ignored)) {
      if (absl::StartsWith(entry.path().filename().string(), "bulk.")) ++count;
    }
    return count;
  }
  // All requests went in one buffer, and their replies in next to none.
  void ExpectReuse() const {
    EXPECT_EQ(Buffers("/sessions"), network() ? 0 : 1);
    // (A reply may be on its way before the last one's memory is let go.)
    EXPECT_LE(Buffers("/servers"), network() ? 0 : 2);
  }
  static absl::Status Call(GenericStub* stub, const Bytes& request, Bytes* reply) {
    ClientContext context;
    return stub->UnaryCall(&context, kEcho, request, reply);
  }

  CapturedLog sink_;
};
SPOOLRPC_BOTH_TRANSPORTS(RawBytesTest);

TEST_P(RawBytesTest, EchoesBytesOfAllSizes) {
  const auto server = ServeRaw(EchoHandler);
  GenericStub stub(Connect());
  for (const size_t size : {size_t{0}, size_t{1}, size_t{1000}, size_t{100000}, size_t{256} << 10,
                            kLarge, kLarge + 1}) {
    const Bytes request = Pattern(size);
    Bytes reply;
    ASSERT_OK(Call(&stub, request, &reply)) << size;
    EXPECT_TRUE(reply.view() == request.view()) << size;
  }
}

TEST_P(RawBytesTest, RawAndGeneratedSidesUnderstandEachOther) {
  ProbeService service;
  const auto generated = Serve(&service);
  GenericStub stub(Connect());
  Text request;
  request.set_data(std::string(kLarge, 'd'));
  Bytes reply;
  ClientContext context;
  ASSERT_OK(
      stub.UnaryCall(&context, "/e2e.Probe/Echo", Bytes(request.SerializeAsString()), &reply));
  EXPECT_EQ(reply.view(), request.SerializeAsString());
}

TEST_P(RawBytesTest, AGeneratedStubCallsARawMethod) {
  ServerBuilder builder;
  builder.AddSpool(spool());
  builder.set_transport(GetParam());
  builder.set_log_sink(&sink_);
  builder.RegisterRawMethod("/e2e.Probe/Echo", EchoHandler);
  const auto server = builder.BuildAndStart();
  ASSERT_OK(server);
  const auto stub = Probe::NewStub(Connect());
  for (const size_t size : {size_t{10}, kLarge}) {
    Text request;
    request.set_data(std::string(size, 'd'));
    Text reply;
    ClientContext context;
    ASSERT_OK(stub->Echo(&context, request, &reply));
    EXPECT_TRUE(reply.data() == request.data());
  }
}

TEST_P(RawBytesTest, MemoryOfTheBuffersIsFilledInPlace) {
  const auto server = ServeRaw([](ServerContext* context, const Bytes& request, Bytes* reply) {
    MutableBytes bytes = context->AllocateReply(request.size() + 100);
    memset(bytes.data(), 'r', bytes.size());
    bytes.Truncate(request.size() + 1);
    *reply = std::move(bytes).Freeze();
    return absl::OkStatus();
  });
  GenericStub stub(Connect());
  Bytes reply;
  ASSERT_OK(Call(&stub, Pattern(10), &reply));  // connects
  for (int i = 0; i < 3; ++i) {
    MutableBytes request = stub.Allocate(kLarge);
    ASSERT_EQ(request.size(), kLarge);
    memset(request.data(), 'a' + i, request.size());
    ASSERT_OK(Call(&stub, std::move(request).Freeze(), &reply));
    EXPECT_TRUE(reply.view() == std::string(kLarge + 1, 'r'));
    reply = Bytes();
  }
  ExpectReuse();
}

TEST_P(RawBytesTest, TheSameBytesAreSentAgainWithoutACopy) {
  const auto server = ServeRaw(EchoHandler);
  GenericStub stub(Connect());
  Bytes reply;
  ASSERT_OK(Call(&stub, Pattern(10), &reply));  // connects
  MutableBytes memory = stub.Allocate(kLarge);
  memset(memory.data(), 'x', memory.size());
  const Bytes request = std::move(memory).Freeze();
  for (const Bytes& piece : {request, request, request.Slice(1000, 600000), request.Slice(0, 10)}) {
    reply = Bytes();  // or the server would need another buffer
    ASSERT_OK(Call(&stub, piece, &reply));
    EXPECT_TRUE(reply.view() == piece.view());
  }
  ExpectReuse();
}

TEST_P(RawBytesTest, RepliesMayBeKeptAfterEverythingElseIsGone) {
  auto server = ServeRaw(EchoHandler);
  const int count = network() ? 3 : 100;
  std::vector<Bytes> replies;
  {
    GenericStub stub(Connect());
    // More than the server may have buffers for: the rest comes in frames.
    for (int i = 0; i < count; ++i) {
      replies.emplace_back();
      ASSERT_OK(Call(&stub, Pattern(kLarge, static_cast<char>(i)), &replies.back()));
    }
  }
  server.reset();
  for (int i = 0; i < count; ++i) {
    EXPECT_TRUE(replies[i].view() == Pattern(kLarge, static_cast<char>(i)).view()) << i;
  }
}

TEST_P(RawBytesTest, RequestsMayBeKeptByTheServer) {
  absl::Mutex mu;
  std::vector<Bytes> kept;
  const auto server = ServeRaw([&](ServerContext*, const Bytes& request, Bytes*) {
    absl::MutexLock lock(&mu);
    kept.push_back(request);
    return absl::OkStatus();
  });
  GenericStub stub(Connect());
  for (int i = 0; i < 5; ++i) {
    Bytes reply;
    ASSERT_OK(Call(&stub, Pattern(kLarge, static_cast<char>(i)), &reply));
    EXPECT_TRUE(reply.empty());
  }
  absl::MutexLock lock(&mu);
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(kept[i].view() == Pattern(kLarge, static_cast<char>(i)).view()) << i;
  }
}

TEST_P(RawBytesTest, WithoutBlocking) {
  const auto server = ServeRaw(EchoHandler);
  GenericStub stub(Connect());
  const Bytes request = Pattern(kLarge);
  Bytes reply;
  ClientContext context;
  absl::Notification ended;
  stub.UnaryCall(&context, kEcho, request, &reply, [&](absl::Status status) {
    EXPECT_OK(status);
    ended.Notify();
  });
  ended.WaitForNotification();
  EXPECT_TRUE(reply.view() == request.view());
}

TEST_P(RawBytesTest, ErrorsAreThoseOfAnyCall) {
  const auto server = ServeRaw([](ServerContext*, const Bytes& request, Bytes* reply) {
    *reply = Pattern(request.size() * 3);
    return request.size() == 4 ? absl::NotFoundError("four") : absl::OkStatus();
  });
  GenericStub stub(Connect());
  Bytes reply;
  EXPECT_THAT(Call(&stub, Pattern(4), &reply), HasCode(absl::StatusCode::kNotFound));
  // The request is too large for the server, the reply for it too.
  absl::Status status = Call(&stub, Pattern(2 * kLarge + 1), &reply);
  EXPECT_EQ(ReasonOf(status), ErrorInfo::MESSAGE_TOO_LARGE);
  status = Call(&stub, Pattern(kLarge), &reply);
  EXPECT_EQ(ReasonOf(status), ErrorInfo::MESSAGE_TOO_LARGE);
  ClientContext context;
  EXPECT_THAT(stub.UnaryCall(&context, "/e2e.Raw/Other", Bytes(), &reply),
              HasCode(absl::StatusCode::kUnimplemented));
  for (const char* name : {"", "Echo", "/Echo", "e2e.Raw/Echo", "/e2e.Raw/", "//Echo", "/a/b/c"}) {
    ClientContext unused;
    EXPECT_THAT(stub.UnaryCall(&unused, name, Bytes(), &reply),
                HasCode(absl::StatusCode::kInvalidArgument))
        << name;
  }
}

TEST_P(RawBytesTest, TwoGibibytesAreRefused) {
  const auto server = ServeRaw(EchoHandler);
  ChannelOptions options = Options();
  options.max_send_message_size = ~size_t{0};
  GenericStub stub(Connect(options));
  // (Nobody looks at the bytes, so they need not be there.)
  static const char kByte = 0;
  const Bytes huge(absl::string_view(&kByte, size_t{1} << 31), nullptr);
  Bytes reply;
  EXPECT_THAT(Call(&stub, huge, &reply),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("2 GiB")));
}

TEST_P(RawBytesTest, OptionsCount) {
  Gate gate;
  const auto server = ServeRaw([&](ServerContext*, const Bytes&, Bytes*) {
    gate.Pass();
    return absl::OkStatus();
  });
  GenericStub stub(Connect());
  RawMethodOptions options;
  options.timeout = absl::Milliseconds(50);
  ClientContext context;
  Bytes reply;
  EXPECT_THAT(stub.UnaryCall(&context, kEcho, Bytes(), &reply, options),
              HasCode(absl::StatusCode::kDeadlineExceeded));
  gate.Open();
}

TEST_P(RawBytesTest, RegisteringWhatMakesNoSenseIsRefused) {
  const auto build = [&](const std::function<void(ServerBuilder*)>& change) {
    ServerBuilder builder;
    builder.AddSpool(spool());
    change(&builder);
    return builder.BuildAndStart().status();
  };
  EXPECT_THAT(build([](ServerBuilder* b) { b->RegisterRawMethod("nonsense", EchoHandler); }),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("/package.Service/Method")));
  EXPECT_THAT(build([](ServerBuilder* b) { b->RegisterRawMethod(kEcho, nullptr); }),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("no handler")));
  EXPECT_THAT(build([](ServerBuilder* b) {
                b->RegisterRawMethod(kEcho, EchoHandler);
                b->RegisterRawMethod(kEcho, EchoHandler);
              }),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("before")));
  ProbeService service;
  EXPECT_THAT(build([&](ServerBuilder* b) {
                b->RegisterService(&service);
                b->RegisterRawMethod("/e2e.Probe/Echo", EchoHandler);
              }),
              HasCode(absl::StatusCode::kAlreadyExists));
}

}  // namespace
}  // namespace spoolrpc::e2e
