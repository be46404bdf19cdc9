// Generated code of calls that do not block: Stub::async, and callback services.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "tests/compiler_plugin/loopback_channel.h"
#include "tests/compiler_plugin/protos/names.spoolrpc.pb.h"
#include "tests/compiler_plugin/protos/streaming.spoolrpc.pb.h"
#include "tests/compiler_plugin/reactor_run.h"

namespace spoolrpc::testing {
namespace {

using google::protobuf::MessageLite;
using ::streaming::Chunk;
using ::streaming::Mixed;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

Chunk ChunkOf(const std::string& data) {
  Chunk chunk;
  chunk.set_data(data);
  return chunk;
}

// Notes what it is given.
class RecordingChannel final : public ChannelInterface {
 public:
  absl::Status BlockingUnaryCall(const MethodInfo&, ClientContext*, const MessageLite&,
                                 MessageLite*) override {
    return absl::InternalError("a callback blocks");
  }
  void PrepareCall(const MethodInfo& method, ClientContext* context, const MessageLite* request,
                   MessageLite* reply, ClientReactor* reactor) override {
    EXPECT_EQ(context, kClientContext);
    this->method = method.full_name;
    this->request = request;
    this->reply = reply;
    this->reactor = reactor;
  }

  std::string method;
  const MessageLite* request = nullptr;
  MessageLite* reply = nullptr;
  ClientReactor* reactor = nullptr;
};

class AsyncStubTest : public ::testing::Test {
 protected:
  void ExpectPrepared(const std::string& method, const MessageLite* request, MessageLite* reply,
                      ClientReactor* reactor) {
    EXPECT_EQ(channel_->method, method);
    EXPECT_EQ(channel_->request, request);
    EXPECT_EQ(channel_->reply, reply);
    EXPECT_EQ(channel_->reactor, reactor);
  }

  const std::shared_ptr<RecordingChannel> channel_ = std::make_shared<RecordingChannel>();
  const std::unique_ptr<Mixed::Stub> stub_ = Mixed::NewStub(channel_);
  Chunk request_;
  Chunk reply_;
};

TEST_F(AsyncStubTest, UnaryReactor) {
  ClientUnaryReactor reactor;
  stub_->async()->Echo(kClientContext, &request_, &reply_, &reactor);
  ExpectPrepared("/streaming.Mixed/Echo", &request_, &reply_, &reactor);
}

TEST_F(AsyncStubTest, WriteReactor) {
  ClientWriteReactor<Chunk> reactor;
  stub_->async()->Upload(kClientContext, &reply_, &reactor);
  ExpectPrepared("/streaming.Mixed/Upload", nullptr, &reply_, &reactor);
}

TEST_F(AsyncStubTest, ReadReactor) {
  ClientReadReactor<Chunk> reactor;
  stub_->async()->Download(kClientContext, &request_, &reactor);
  ExpectPrepared("/streaming.Mixed/Download", &request_, nullptr, &reactor);
}

TEST_F(AsyncStubTest, BidiReactorThroughTheInterfaceAndTheOldName) {
  ClientBidiReactor<Chunk, Chunk> reactor;
  Mixed::StubInterface* const stub = stub_.get();
  Mixed::StubInterface::experimental_async_interface* const async = stub->experimental_async();
  async->Talk(kClientContext, &reactor);
  ExpectPrepared("/streaming.Mixed/Talk", nullptr, nullptr, &reactor);
}

TEST(AsyncCallbackTest, TheFunctionIsCalledWithTheStatus) {
  class Service final : public Mixed::Service {
   public:
    absl::Status Echo(ServerContext*, const Chunk* request, Chunk* response) override {
      *response = *request;
      return absl::DataLossError("but it is there");
    }
  };
  Service service;
  const Chunk request = ChunkOf("text");
  Chunk reply;
  std::vector<absl::Status> statuses;
  StubOf<Mixed>(service)->async()->Echo(kClientContext, &request, &reply, [&](absl::Status status) {
    statuses.push_back(std::move(status));
  });
  EXPECT_THAT(statuses, ElementsAre(absl::DataLossError("but it is there")));
  EXPECT_EQ(reply.data(), "text");
}

// Calls a handler at once, with whatever context.
class ImmediateChannel final : public ChannelInterface {
 public:
  absl::Status BlockingUnaryCall(const MethodInfo&, ClientContext*, const MessageLite&,
                                 MessageLite*) override {
    return absl::InternalError("a future blocks");
  }
  void StartUnaryCall(const MethodInfo& method, ClientContext* context, const MessageLite* request,
                      MessageLite* reply, std::function<void(absl::Status)> done) override {
    EXPECT_STREQ(method.full_name, "/streaming.Mixed/Echo");
    this->context = context;
    EXPECT_TRUE(reply->ParseFromString(request->SerializeAsString()));
    done(absl::OkStatus());
  }

  ClientContext* context = nullptr;
};

TEST(FutureStubTest, CallsTheMethodAndHandsTheContextToTheSetup) {
  const auto channel = std::make_shared<ImmediateChannel>();
  const std::unique_ptr<Mixed::Stub> stub = Mixed::NewStub(channel);
  ClientContext* context = nullptr;
  Future<Chunk> future =
      stub->future()->Echo(ChunkOf("later"), [&](ClientContext* given) { context = given; });
  ASSERT_TRUE(future.ready());
  EXPECT_EQ(future.Get()->data(), "later");
  EXPECT_NE(context, nullptr);
  EXPECT_EQ(context, channel->context);
  EXPECT_EQ(context, &future.context());
}

TEST(FutureStubTest, WithoutSetupAndThroughTheInterface) {
  const std::unique_ptr<Mixed::StubInterface> stub =
      Mixed::NewStub(std::make_shared<ImmediateChannel>());
  EXPECT_EQ(stub->future()->Echo(ChunkOf("now")).Get()->data(), "now");
}

// Callback methods of each kind, all at once.
class CallbackImpl final : public Mixed::CallbackService {
 public:
  ServerUnaryReactor* Echo(CallbackServerContext* context, const Chunk* request,
                           Chunk* response) override {
    *response = *request;
    ServerUnaryReactor* const reactor = context->DefaultReactor();
    reactor->Finish(absl::OkStatus());
    return reactor;
  }

  ServerReadReactor<Chunk>* Upload(CallbackServerContext*, Chunk* response) override {
    class Reader final : public ServerReadReactor<Chunk> {
     public:
      explicit Reader(Chunk* response) : response_(response) { StartRead(&chunk_); }
      void OnReadDone(bool ok) override {
        if (!ok) return Finish(absl::OkStatus());
        response_->mutable_data()->append(chunk_.data());
        StartRead(&chunk_);
      }
      void OnDone() override { delete this; }

     private:
      Chunk* const response_;
      Chunk chunk_;
    };
    return new Reader(response);
  }

  ServerWriteReactor<Chunk>* Download(CallbackServerContext*, const Chunk* request) override {
    class Writer final : public ServerWriteReactor<Chunk> {
     public:
      explicit Writer(const Chunk* request) : request_(request) { WriteNext(); }
      void OnWriteDone(bool) override { WriteNext(); }
      void OnDone() override { delete this; }

     private:
      void WriteNext() {
        if (written_ == request_->data().size()) return Finish(absl::OutOfRangeError("no more"));
        chunk_.set_data(request_->data().substr(written_++, 1));
        StartWrite(&chunk_);
      }

      const Chunk* const request_;
      size_t written_ = 0;
      Chunk chunk_;
    };
    return new Writer(request);
  }

  ServerBidiReactor<Chunk, Chunk>* Talk(CallbackServerContext*) override {
    class Talker final : public ServerBidiReactor<Chunk, Chunk> {
     public:
      Talker() { StartRead(&chunk_); }
      void OnReadDone(bool ok) override {
        if (!ok) return Finish(absl::OkStatus());
        chunk_.mutable_data()->append("!");
        StartWrite(&chunk_);
      }
      void OnWriteDone(bool) override { StartRead(&chunk_); }
      void OnDone() override { delete this; }

     private:
      Chunk chunk_;
    };
    return new Talker;
  }
};

class CallbackServiceTest : public ::testing::Test {
 protected:
  // Runs the handler of the `index`th method of `service`. Its messages live as long as the test.
  absl::Status Run(const Service& service, int index, const Chunk& request,
                   const std::vector<std::string>& requests = {}) {
    const MethodHandler& handler = *service.methods()[index].handler;
    EXPECT_TRUE(handler.uses_reactor());
    request_ = handler.NewRequest();
    reply_ = handler.NewReply();
    EXPECT_TRUE(request_->ParseFromString(request.SerializeAsString()));
    std::vector<std::string> serialized;
    for (const std::string& data : requests) {
      serialized.push_back(ChunkOf(data).SerializeAsString());
    }
    ServerReactor* const reactor = handler.Start(&context_, request_.get(), reply_.get());
    if (reactor == nullptr) return absl::UnimplementedError("no reactor");
    const auto call = std::make_shared<ReactorRun>(serialized);
    const absl::Status status = ReactorRun::Run(call, reactor);
    replies_.clear();
    for (const std::string& reply : call->replies()) {
      Chunk chunk;
      EXPECT_TRUE(chunk.ParseFromString(reply));
      replies_.push_back(chunk.data());
    }
    return status;
  }
  std::string Reply() const { return static_cast<const Chunk&>(*reply_).data(); }

  CallbackServerContext context_;
  std::unique_ptr<MessageLite> request_;
  std::unique_ptr<MessageLite> reply_;
  std::vector<std::string> replies_;
};

TEST_F(CallbackServiceTest, EachKindIsServedByTheReactorThatTheMethodMakes) {
  const CallbackImpl service;
  EXPECT_EQ(Run(service, 0, Chunk(), {"a", "b", "c"}), absl::OkStatus());
  EXPECT_EQ(Reply(), "abc");
  EXPECT_EQ(Run(service, 1, ChunkOf("echo")), absl::OkStatus());
  EXPECT_EQ(Reply(), "echo");
  EXPECT_EQ(Run(service, 2, ChunkOf("xy")), absl::OutOfRangeError("no more"));
  EXPECT_THAT(replies_, ElementsAre("x", "y"));
  EXPECT_EQ(Run(service, 3, Chunk(), {"one", "two"}), absl::OkStatus());
  EXPECT_THAT(replies_, ElementsAre("one!", "two!"));
}

TEST_F(CallbackServiceTest, AMethodThatIsNotOverriddenMakesNoReactor) {
  const Mixed::CallbackService service;
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(Run(service, i, Chunk()), absl::UnimplementedError("no reactor")) << i;
  }
}

TEST_F(CallbackServiceTest, OneMethodOfAServiceMayBeACallback) {
  class Service final : public Mixed::WithCallbackMethod_Echo<Mixed::Service> {
   public:
    ServerUnaryReactor* Echo(CallbackServerContext* context, const Chunk*,
                             Chunk* response) override {
      response->set_data("by callback");
      context->DefaultReactor()->Finish(absl::OkStatus());
      return context->DefaultReactor();
    }
    absl::Status Download(ServerContext*, const Chunk*, ServerWriter<Chunk>* writer) override {
      writer->Write(ChunkOf("blocking"));
      return absl::OkStatus();
    }
  };
  Service service;
  EXPECT_EQ(Run(service, 1, Chunk()), absl::OkStatus());
  EXPECT_EQ(Reply(), "by callback");
  EXPECT_FALSE(service.methods()[2].handler->uses_reactor());
  const auto reader = StubOf<Mixed>(service)->Download(kClientContext, Chunk());
  Chunk chunk;
  EXPECT_TRUE(reader->Read(&chunk));
  EXPECT_EQ(chunk.data(), "blocking");
  EXPECT_EQ(reader->Finish(), absl::OkStatus());
}

TEST(CallbackNamesTest, EveryCallbackServiceCanBeMade) {
  EXPECT_EQ(::names::Keywords::CallbackService().methods().size(), 15);
  EXPECT_EQ(::names::Raws::CallbackService().methods().size(), 5);
  EXPECT_EQ(::names::WithCallbackMethod_Do_::CallbackService().methods().size(), 1);
  const ::names::Members::CallbackService members;
  for (const Service::Method& method : members.methods()) {
    EXPECT_TRUE(method.handler->uses_reactor()) << method.info->full_name;
  }
}

}  // namespace
}  // namespace spoolrpc::testing
