// Runs generated code: stubs against channels that a test makes, service classes through their
// handlers. No server and no spool.
#include "spoolrpc/generated_code.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "tests/compiler_plugin/loopback_channel.h"
#include "tests/compiler_plugin/protos/annotated.spoolrpc.pb.h"
#include "tests/compiler_plugin/protos/comments_mock.spoolrpc.pb.h"
#include "tests/compiler_plugin/protos/deep_package_mock.spoolrpc.pb.h"
#include "tests/compiler_plugin/protos/empty_mock.spoolrpc.pb.h"
#include "tests/compiler_plugin/protos/generic_services_mock.spoolrpc.pb.h"
#include "tests/compiler_plugin/protos/greeter_mock.spoolrpc.pb.h"
#include "tests/compiler_plugin/protos/imports_mock.spoolrpc.pb.h"
#include "tests/compiler_plugin/protos/lite_mock.spoolrpc.pb.h"
#include "tests/compiler_plugin/protos/names_mock.spoolrpc.pb.h"
#include "tests/compiler_plugin/protos/no_package_mock.spoolrpc.pb.h"
#include "tests/compiler_plugin/protos/no_service_mock.spoolrpc.pb.h"
#include "tests/compiler_plugin/protos/proto2_mock.spoolrpc.pb.h"
#include "tests/compiler_plugin/protos/recursive_mock.spoolrpc.pb.h"
#include "tests/compiler_plugin/protos/several_mock.spoolrpc.pb.h"
#include "tests/compiler_plugin/protos/std_package.spoolrpc.pb.h"
#include "tests/compiler_plugin/protos/streaming_mock.spoolrpc.pb.h"

namespace spoolrpc::testing {
namespace {

using ::helloworld::Greeter;
using ::helloworld::HelloReply;
using ::helloworld::HelloRequest;
using ::testing::_;
using ::testing::DoAll;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Return;
using ::testing::SetArgPointee;
using ::testing::SizeIs;

class GreeterImpl final : public Greeter::Service {
 public:
  absl::Status SayHello(ServerContext* context, const HelloRequest* request,
                        HelloReply* response) override {
    EXPECT_EQ(context, kServerContext);
    if (request->name().empty()) return absl::InvalidArgumentError("who?");
    response->set_message(absl::StrCat("Hello ", request->name()));
    return absl::OkStatus();
  }
};

TEST(GeneratedCodeTest, AStubCallsTheMethodOfItsName) {
  GreeterImpl service;
  const std::unique_ptr<Greeter::Stub> stub = StubOf<Greeter>(service);
  HelloRequest request;
  request.set_name("world");
  HelloReply reply;
  EXPECT_EQ(stub->SayHello(kClientContext, request, &reply), absl::OkStatus());
  EXPECT_EQ(reply.message(), "Hello world");
}

TEST(GeneratedCodeTest, StatusesOfHandlersAreHandedThrough) {
  GreeterImpl service;
  HelloReply reply;
  EXPECT_EQ(StubOf<Greeter>(service)->SayHello(kClientContext, HelloRequest(), &reply),
            absl::InvalidArgumentError("who?"));
}

TEST(GeneratedCodeTest, AMethodThatIsNotOverriddenIsUnimplementedAndSaysWhich) {
  GreeterImpl service;
  HelloReply reply;
  const absl::Status status =
      StubOf<Greeter>(service)->SayHelloAgain(kClientContext, HelloRequest(), &reply);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(status.message()), HasSubstr("/helloworld.Greeter/SayHelloAgain"));
}

TEST(GeneratedCodeTest, AStubKeepsItsChannelAlive) {
  GreeterImpl service;
  auto channel = std::make_shared<LoopbackChannel>(&service);
  std::weak_ptr<LoopbackChannel> watch = channel;
  std::unique_ptr<Greeter::StubInterface> stub =
      Greeter::NewStub(std::move(channel), StubOptions());
  EXPECT_FALSE(watch.expired());
  HelloRequest request;
  request.set_name("you");
  HelloReply reply;
  EXPECT_EQ(stub->SayHello(kClientContext, request, &reply), absl::OkStatus());
  stub.reset();
  EXPECT_TRUE(watch.expired());
}

TEST(GeneratedCodeTest, TheFullNameIsAConstant) {
  static_assert(Greeter::service_full_name()[0] == 'h', "not a constant expression");
  EXPECT_STREQ(Greeter::service_full_name(), "helloworld.Greeter");
  EXPECT_STREQ(Greeter::Service().info().full_name, "helloworld.Greeter");
}

TEST(GeneratedCodeTest, MocksStandInForStubs) {
  ::helloworld::MockGreeterStub mock;
  HelloReply prepared;
  prepared.set_message("from the mock");
  EXPECT_CALL(mock, SayHello(kClientContext, _, _))
      .WillOnce(DoAll(SetArgPointee<2>(prepared), Return(absl::OkStatus())));
  Greeter::StubInterface* const stub = &mock;
  HelloReply reply;
  EXPECT_EQ(stub->SayHello(kClientContext, HelloRequest(), &reply), absl::OkStatus());
  EXPECT_EQ(reply.message(), "from the mock");
}

// All mocks of all files can be made: none has lost a pure virtual function.
template <class Mock>
class MockTest : public ::testing::Test {};
using Mocks = ::testing::Types<
    ::MockPingerStub, ::MockstdStub, ::comments::MockCommentedStub, ::generic::MockEchoStub,
    ::helloworld::MockGreeterStub, ::lite::MockAdderStub, ::names::MockKeywordsStub,
    ::names::MockMembersStub, ::names::MockRawsStub, ::names::MockCallbackServiceStub,
    ::names::MockStubStub, ::names::MockTakenStub_, ::names::MockUnderscoresStub,
    ::names::MockregisterStub, ::legacy::MockRecordsStub, ::recursive::MockForestStub,
    ::several::MockLastStub, ::several::MockNothingStub,
    ::shop::spoolrpc::absl::testing::google::protobuf::MockChannelInterfaceStub,
    ::streaming::MockMixedStub, ::streaming::MockOnlyStreamsStub,
    ::warehouse::orders::MockOrdersStub>;
TYPED_TEST_SUITE(MockTest, Mocks);
TYPED_TEST(MockTest, CanBeMade) {
  static_assert(!std::is_abstract_v<TypeParam>, "a function is not mocked");
  TypeParam mock;
}

TEST(AnnotationsTest, MethodsInheritFromTheirServiceAndOverride) {
  const annotated::Classifier::Service service;
  const ServiceInfo& info = service.info();
  ASSERT_EQ(info.method_count, 3);

  EXPECT_STREQ(info.methods[0].full_name, "/annotated.Classifier/Inherit");
  EXPECT_EQ(info.methods[0].kind, MethodKind::kUnary);
  EXPECT_EQ(info.methods[0].idempotency, Idempotency::kUnknown);
  EXPECT_EQ(info.methods[0].timeout_ns, 60'000'000'000);
  EXPECT_EQ(info.methods[0].ack_timeout_ns, 10'000'000'000);
  EXPECT_FALSE(info.methods[0].ack_before_execution);

  EXPECT_EQ(info.methods[1].idempotency, Idempotency::kNoSideEffects);
  EXPECT_EQ(info.methods[1].timeout_ns, 30'000'000'005);
  EXPECT_EQ(info.methods[1].ack_timeout_ns, 10'000'000'000);
  EXPECT_FALSE(info.methods[1].ack_before_execution);

  EXPECT_EQ(info.methods[2].idempotency, Idempotency::kIdempotent);
  EXPECT_EQ(info.methods[2].timeout_ns, 2'500'000'000);
  EXPECT_EQ(info.methods[2].ack_timeout_ns, 1);
  EXPECT_TRUE(info.methods[2].ack_before_execution);
}

TEST(AnnotationsTest, AServiceWithoutAnnotationsHasNone) {
  const annotated::Plain::Service service;
  ASSERT_EQ(service.info().method_count, 1);
  const MethodInfo& method = service.info().methods[0];
  EXPECT_EQ(method.idempotency, Idempotency::kUnknown);
  EXPECT_EQ(method.timeout_ns, 0);
  EXPECT_EQ(method.ack_timeout_ns, 0);
  EXPECT_FALSE(method.ack_before_execution);
}

TEST(AnnotationsTest, HowMethodsAreRunAndRepeated) {
  const annotated::Tuned::Service service;
  ASSERT_EQ(service.info().method_count, 7);
  const MethodInfo* const methods = service.info().methods;
  constexpr StatusCodeBits kUnavailable = 1u << 14;
  constexpr StatusCodeBits kResourceExhausted = 1u << 8;
  constexpr StatusCodeBits kInternal = 1u << 13;

  const MethodInfo& slow = methods[0];
  EXPECT_EQ(slow.concurrency, 4);
  EXPECT_EQ(slow.isolation, Isolation::kProcess);
  EXPECT_EQ(slow.execution, Execution::kWorkers);
  EXPECT_EQ(slow.compression, Compression::kNone);
  EXPECT_EQ(slow.retry.max_attempts, 0);  // not idempotent

  const MethodInfo& fast = methods[1];
  EXPECT_EQ(fast.execution, Execution::kInline);
  EXPECT_EQ(fast.compression, Compression::kZstd);  // the service's
  EXPECT_EQ(fast.concurrency, 0);
  EXPECT_EQ(fast.isolation, Isolation::kNone);

  const MethodInfo& batched = methods[2];
  EXPECT_EQ(batched.batch.max_size, 32);
  EXPECT_EQ(batched.batch.max_delay_ns, 2'000'000);

  const MethodInfo& retried = methods[3];
  EXPECT_EQ(retried.retry.max_attempts, 5);
  EXPECT_EQ(retried.retry.initial_backoff_ns, 6'000'000'000);
  EXPECT_EQ(retried.retry.max_backoff_ns, 6'000'000'000);
  EXPECT_EQ(retried.retry.backoff_multiplier, 1.5);
  EXPECT_EQ(retried.retry.retryable_codes, kUnavailable | kResourceExhausted);
  EXPECT_EQ(retried.hedging.max_attempts, 0);

  const MethodInfo& hedged = methods[4];
  EXPECT_EQ(hedged.retry.max_attempts, 0);  // hedging takes the place of the service's retry
  EXPECT_EQ(hedged.hedging.max_attempts, 2);
  EXPECT_EQ(hedged.hedging.delay_ns, 0);
  EXPECT_EQ(hedged.hedging.non_fatal_codes, kInternal);

  const MethodInfo& inherits = methods[5];
  EXPECT_EQ(inherits.retry.max_attempts, 3);
  EXPECT_EQ(inherits.retry.initial_backoff_ns, 100'000'000);
  EXPECT_EQ(inherits.retry.max_backoff_ns, 5'000'000'000);
  EXPECT_EQ(inherits.retry.backoff_multiplier, 2);
  EXPECT_EQ(inherits.retry.retryable_codes, kUnavailable);

  EXPECT_EQ(methods[6].retry.max_attempts, 0);  // streams
}

TEST(MethodInfoTest, TypesAndFingerprintsStandBesideAnyOptions) {
  const Greeter::Service greeter;
  const MethodInfo& hello = greeter.info().methods[0];
  EXPECT_STREQ(hello.request_type, "helloworld.HelloRequest");
  EXPECT_STREQ(hello.response_type, "helloworld.HelloReply");
  EXPECT_NE(hello.fingerprint, 0);
  EXPECT_NE(hello.fingerprint, greeter.info().methods[1].fingerprint);
  EXPECT_NE(hello.fingerprint, greeter.info().fingerprint);
  // One with options of every kind.
  const annotated::Tuned::Service tuned;
  for (size_t i = 0; i < tuned.info().method_count; ++i) {
    const MethodInfo& method = tuned.info().methods[i];
    EXPECT_STREQ(method.request_type, "annotated.Image") << method.full_name;
    EXPECT_STREQ(method.response_type, "annotated.Label") << method.full_name;
    EXPECT_NE(method.fingerprint, 0) << method.full_name;
  }
  // A message inside another has its name in the .proto language, not in C++.
  const ::legacy::Records::Service records;
  EXPECT_STREQ(records.info().methods[1].response_type, "legacy.Record.Entry");
}

TEST(ServiceInfoTest, EachServiceHasItsFingerprint) {
  const std::set<uint64_t> fingerprints = {
      Greeter::Service().info().fingerprint,
      annotated::Classifier::Service().info().fingerprint,
      several::First::Service().info().fingerprint,
      several::Nothing::Service().info().fingerprint,
      several::Last::Service().info().fingerprint,
      recursive::Forest::Service().info().fingerprint,
  };
  EXPECT_THAT(fingerprints, SizeIs(6));
  EXPECT_EQ(fingerprints.count(0), 0);
}

TEST(ServiceInfoTest, AServiceWithoutMethodsIsAService) {
  const several::Nothing::Service service;
  EXPECT_STREQ(service.info().full_name, "several.Nothing");
  EXPECT_EQ(service.info().method_count, 0);
  EXPECT_THAT(service.methods(), IsEmpty());
  EXPECT_NE(StubOf<several::Nothing>(service), nullptr);
}

class OrdersImpl final : public ::warehouse::orders::Orders::Service {
 public:
  absl::Status FindShelf(ServerContext*, const ::warehouse::parts::Part* request,
                         ::warehouse::Shelf* response) override {
    *response->add_parts() = *request;
    return absl::OkStatus();
  }
  absl::Status Measure(ServerContext*, const ::warehouse::parts::Part_Size_Axis* request,
                       google::protobuf::DoubleValue* response) override {
    response->set_value(request->length());
    return absl::OkStatus();
  }
  absl::Status Charge(ServerContext*, const ::warehouse::orders::Order_Line_Price* request,
                      ::warehouse::orders::Order_Line* response) override {
    *response->mutable_price() = *request;
    return absl::OkStatus();
  }
  absl::Status Wrap(ServerContext*, const ::warehouse::orders::Order* request,
                    google::protobuf::Any* response) override {
    response->PackFrom(*request);
    return absl::OkStatus();
  }
};

TEST(TypesTest, RequestsAndRepliesMayBeOfOtherFilesAndNested) {
  OrdersImpl service;
  const auto stub = StubOf<::warehouse::orders::Orders>(service);

  ::warehouse::parts::Part part;
  part.set_id("bolt");
  ::warehouse::Shelf shelf;
  EXPECT_EQ(stub->FindShelf(kClientContext, part, &shelf), absl::OkStatus());
  EXPECT_EQ(shelf.parts(0).id(), "bolt");

  ::warehouse::parts::Part::Size::Axis axis;
  axis.set_length(2.5);
  google::protobuf::DoubleValue value;
  EXPECT_EQ(stub->Measure(kClientContext, axis, &value), absl::OkStatus());
  EXPECT_EQ(value.value(), 2.5);

  ::warehouse::orders::Order::Line::Price price;
  price.set_cents(99);
  ::warehouse::orders::Order::Line line;
  EXPECT_EQ(stub->Charge(kClientContext, price, &line), absl::OkStatus());
  EXPECT_EQ(line.price().cents(), 99);

  ::warehouse::orders::Order order;
  order.set_note("fragile");
  google::protobuf::Any any;
  EXPECT_EQ(stub->Wrap(kClientContext, order, &any), absl::OkStatus());
  EXPECT_TRUE(any.Is<::warehouse::orders::Order>());
}

class RecordsImpl final : public ::legacy::Records::Service {
 public:
  absl::Status Store(ServerContext*, const ::legacy::Record* request,
                     ::legacy::Record* response) override {
    *response = *request;
    return absl::OkStatus();
  }
  absl::Status First(ServerContext*, const ::legacy::Record* request,
                     ::legacy::Record_Entry* response) override {
    *response = request->entry(0);
    return absl::OkStatus();
  }
};

TEST(TypesTest, Proto2WithGroupsAndExtensions) {
  RecordsImpl service;
  const auto stub = StubOf<::legacy::Records>(service);
  ::legacy::Record record;
  record.set_id(7);
  record.SetExtension(::legacy::remark, "kept");
  record.add_entry()->set_data("first");
  ::legacy::Record stored;
  EXPECT_EQ(stub->Store(kClientContext, record, &stored), absl::OkStatus());
  EXPECT_EQ(stored.GetExtension(::legacy::remark), "kept");
  ::legacy::Record::Entry entry;
  EXPECT_EQ(stub->First(kClientContext, record, &entry), absl::OkStatus());
  EXPECT_EQ(entry.data(), "first");
}

class AdderImpl final : public ::lite::Adder::Service {
 public:
  absl::Status Add(ServerContext*, const ::lite::Small* request, ::lite::Small* response) override {
    response->set_number(request->number() + 1);
    return absl::OkStatus();
  }
};

TEST(TypesTest, MessagesWithoutReflection) {
  AdderImpl service;
  ::lite::Small small;
  small.set_number(41);
  ::lite::Small sum;
  EXPECT_EQ(StubOf<::lite::Adder>(service)->Add(kClientContext, small, &sum), absl::OkStatus());
  EXPECT_EQ(sum.number(), 42);
}

class PingerImpl final : public ::Pinger::Service {
 public:
  absl::Status Send(ServerContext*, const ::Ping* request, ::Ping* response) override {
    *response = *request;
    return absl::OkStatus();
  }
};

TEST(PackagesTest, NoPackage) {
  PingerImpl service;
  EXPECT_STREQ(service.info().methods[0].full_name, "/Pinger/Send");
  ::Ping ping;
  ping.set_text("ping");
  ::Ping pong;
  EXPECT_EQ(StubOf<::Pinger>(service)->Send(kClientContext, ping, &pong), absl::OkStatus());
  EXPECT_EQ(pong.text(), "ping");
  EXPECT_STREQ(::std_::service_full_name(), "std");
  EXPECT_STREQ(::absl_::service_full_name(), "absl");
  EXPECT_STREQ(::testing_::service_full_name(), "testing");
}

TEST(PackagesTest, PackagesNamedLikeTheNamespacesWeUse) {
  namespace deep = ::shop::spoolrpc::absl::testing::google::protobuf;
  const deep::ChannelInterface::Service service;
  // It has a method named info, which hides the function of the base class.
  const Service& base = service;
  EXPECT_STREQ(base.info().methods[0].full_name,
               "/shop.spoolrpc.absl.testing.google.protobuf.ChannelInterface/BlockingUnaryCall");
  deep::Status message;
  EXPECT_EQ(StubOf<deep::ChannelInterface>(service)
                ->BlockingUnaryCall(kClientContext, message, &message)
                .code(),
            ::absl::StatusCode::kUnimplemented);
  EXPECT_STREQ(::shop::std::memory::service_full_name(), "shop.std.memory");
}

class KeywordsImpl final : public ::names::Keywords::Service {
 public:
  absl::Status delete_(ServerContext*, const ::names::class_* request,
                       ::names::class__delete* response) override {
    return absl::OkStatus();
  }
  absl::Status override(ServerContext*, const ::names::Empty* request,
                        ::names::Empty* response) override {
    return absl::OkStatus();
  }
  absl::Status errno_(ServerContext*, const ::names::Empty* request,
                      ::names::Empty* response) override {
    return absl::OkStatus();
  }
};

TEST(NamesTest, KeywordsAndMacrosGetAnUnderscoreInCppOnly) {
  KeywordsImpl service;
  EXPECT_STREQ(service.info().methods[0].full_name, "/names.Keywords/delete");
  const auto stub = StubOf<::names::Keywords>(service);
  ::names::class__delete deleted;
  EXPECT_EQ(stub->delete_(kClientContext, ::names::class_(), &deleted), absl::OkStatus());
  ::names::Empty empty;
  EXPECT_EQ(stub->override(kClientContext, empty, &empty), absl::OkStatus());
  EXPECT_EQ(stub->errno_(kClientContext, empty, &empty), absl::OkStatus());
  EXPECT_EQ(stub->namespace_(kClientContext, empty, &empty).code(),
            absl::StatusCode::kUnimplemented);
}

class MembersImpl final : public ::names::Members::Service {
 public:
  absl::Status Stub_(ServerContext*, const ::names::Empty*, ::names::Empty*) override {
    return absl::OkStatus();
  }
  absl::Status Members(ServerContext*, const ::names::Empty*, ::names::Empty*) override {
    return absl::OkStatus();
  }
};

TEST(NamesTest, MethodsNamedLikeMembersGetAnUnderscore) {
  MembersImpl service;
  const auto stub = StubOf<::names::Members>(service);
  ::names::Empty empty;
  EXPECT_EQ(stub->Stub_(kClientContext, empty, &empty), absl::OkStatus());
  EXPECT_EQ(stub->Members(kClientContext, empty, &empty), absl::OkStatus());
  EXPECT_EQ(stub->Service_(kClientContext, empty, &empty).code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(stub->channel__(kClientContext, empty, &empty).code(),
            absl::StatusCode::kUnimplemented);
}

TEST(NamesTest, MethodsNamedLikeTheFunctionsOfDurableStandBesideThem) {
  ::names::Tickets::Service service;
  const auto stub = StubOf<::names::Tickets>(service);
  ::names::Empty empty;
  const Ticket ticket;
  const auto not_here = absl::StatusCode::kUnimplemented;  // the channel has no durable calls
  EXPECT_EQ(stub->durable()->Collect(empty).status().code(), not_here);
  EXPECT_EQ(stub->durable()->Collect(ticket, &empty).code(), not_here);
  EXPECT_EQ(stub->durable()->Collect<::names::Empty>(ticket).status().code(), not_here);
  EXPECT_EQ(stub->durable()->Delete(empty).status().code(), not_here);
  EXPECT_EQ(stub->durable()->Delete(ticket).code(), not_here);
  EXPECT_EQ(stub->durable()->Cancel(empty, nullptr).status().code(), not_here);
  EXPECT_EQ(stub->durable()->Cancel(ticket).code(), not_here);
  EXPECT_EQ(stub->durable()->SubmitMessage(empty).status().code(), not_here);
  ::names::Tickets::StubInterface* const interface = stub.get();
  EXPECT_EQ(interface->durable()->Delete(ticket).code(), not_here);
}

TEST(NamesTest, TheNameWithTheUnderscoreMayBeTakenToo) {
  const ::names::Underscores::Service service;
  const auto stub = StubOf<::names::Underscores>(service);
  ::names::Empty empty;
  EXPECT_THAT(std::string(stub->delete_(kClientContext, empty, &empty).message()),
              HasSubstr("/delete_ "));
  EXPECT_THAT(std::string(stub->delete__(kClientContext, empty, &empty).message()),
              HasSubstr("/delete__ "));
  EXPECT_THAT(std::string(stub->delete___(kClientContext, empty, &empty).message()),
              HasSubstr("/delete "));
}

TEST(NamesTest, ServicesNamedLikeMembersOrMessagesGetAnUnderscore) {
  EXPECT_STREQ(::names::Stub_::service_full_name(), "names.Stub");
  EXPECT_STREQ(::names::Service_::service_full_name(), "names.Service_");
  EXPECT_STREQ(::names::Service__::service_full_name(), "names.Service");
  EXPECT_STREQ(::names::CallbackService_::service_full_name(), "names.CallbackService");
  EXPECT_STREQ(::names::WithCallbackMethod_Do_::service_full_name(), "names.WithCallbackMethod_Do");
  EXPECT_STREQ(::names::Out_Service_::service_full_name(), "names.Out_Service");
  EXPECT_STREQ(::names::Out_Kind_SMALL_::service_full_name(), "names.Out_Kind_SMALL");
  EXPECT_STREQ(::names::Level_Name_::service_full_name(), "names.Level_Name");
  EXPECT_STREQ(::names::register_::service_full_name(), "names.register");
  EXPECT_STREQ(::names::Method::service_full_name(), "names.Method");
  EXPECT_STREQ(::generic::Echo_::service_full_name(), "generic.Echo");
}

}  // namespace
}  // namespace spoolrpc::testing
