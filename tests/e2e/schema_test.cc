// Two sides that were built from different .proto files: what is compatible is called, with one
// warning; what is not ends at once and says why, unless another server has the method as it is
// called.
#include <atomic>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "spoolrpc/spool/record_file.h"
#include "tests/e2e/schema_fixture.h"

namespace spoolrpc::e2e {
namespace {

using ::testing::AllOf;
using testing::HasCode;
using ::testing::HasSubstr;
using testing::StatusIs;

class SchemaTest : public SchemaFixture {};
SPOOLRPC_BOTH_TRANSPORTS(SchemaTest);

// The fingerprint of the method as this program has it.
std::string FingerprintOf(const std::string& method) {
  const Store::Service service;
  for (size_t i = 0; i < service.info().method_count; ++i) {
    const MethodInfo& info = service.info().methods[i];
    if (info.full_name == absl::StrCat("/schema.Store/", method)) {
      return absl::StrFormat("fingerprint 0x%016x", info.fingerprint);
    }
  }
  return "no such method";
}

TEST_P(SchemaTest, NothingIsSaidOfEqualSchemas) {
  StoreService service;
  const auto server = Serve(&service);
  const auto stub = NewStore();
  EXPECT_OK(CallStore(stub.get(), &Store::Stub::Equal));
  EXPECT_OK(CallStore(stub.get(), &Store::Stub::Extended));
  EXPECT_OK(CallStore(stub.get(), &Store::Stub::OtherRequest));
  ClientContext context;
  const auto stream = stub->Talk(&context);
  EXPECT_TRUE(stream->WritesDone());
  EXPECT_OK(stream->Finish());
  EXPECT_EQ(warnings().Text(), "");
}

TEST_P(SchemaTest, ADifferentSchemaIsWarnedOfOnceAndCalled) {
  // Over several calls and threads, several servers, and sessions that come and go.
  auto first = ServeOther();
  const auto second = ServeOther();
  const auto stub = NewStore();
  std::set<std::string> peers;
  const auto await_peers = [&](size_t count) {
    return Eventually([&] {
      std::string peer;
      EXPECT_OK(CallStore(stub.get(), &Store::Stub::Extended, &peer));
      peers.insert(peer);
      return peers.size() == count;
    });
  };
  EXPECT_TRUE(await_peers(2));
  InThreads(4, [&](int) {
    for (int i = 0; i < 10; ++i) EXPECT_OK(CallStore(stub.get(), &Store::Stub::Extended));
  });
  // (A call that met the end of the first one would have been lost with it.)
  first.reset();
  const auto third = ServeOther();
  peers.clear();
  EXPECT_TRUE(Eventually([&] {
    std::string peer;
    if (CallStore(stub.get(), &Store::Stub::Extended, &peer).ok()) peers.insert(peer);
    return peers.size() == 2;
  }));
  EXPECT_EQ(warnings().Count(LogLevel::kWarning), 1) << warnings().Text();
  EXPECT_THAT(warnings().Text(),
              AllOf(HasSubstr("/schema.Store/Extended: the schemas differ"),
                    HasSubstr("rpc (schema.Grows) returns (schema.Grows)"),
                    HasSubstr(FingerprintOf("Extended")), HasSubstr("this program (spoolrpc 0."),
                    HasSubstr(absl::StrCat(spool(), "/servers/")), HasSubstr(".proto")));
  // A method that is equal in both is not warned of, whatever else its service has.
  EXPECT_OK(CallStore(stub.get(), &Store::Stub::Equal));
  EXPECT_EQ(warnings().Count(LogLevel::kWarning), 1);
  // Another channel is another program's, perhaps.
  const auto other = NewStore();
  EXPECT_OK(CallStore(other.get(), &Store::Stub::Extended));
  EXPECT_EQ(warnings().Count(LogLevel::kWarning), 2);
}

// However the first call finds its session, the warning comes before it ends.
TEST_P(SchemaTest, TheWarningComesWithTheFirstCall) {
  const auto server = ServeOther();
  Grows request;
  request.set_text("text");
  {
    // Waits for a session without blocking.
    const auto stub = NewStore();
    EXPECT_OK(stub->future()->Extended(request).Get());
    EXPECT_EQ(warnings().Count(LogLevel::kWarning), 1);
    EXPECT_OK(stub->future()->Extended(request).Get());
    EXPECT_EQ(warnings().Count(LogLevel::kWarning), 1);
  }
  {
    // On a session that is there.
    const auto stub = NewStore();
    EXPECT_OK(CallStore(stub.get(), &Store::Stub::Equal));
    EXPECT_EQ(warnings().Count(LogLevel::kWarning), 1);
    EXPECT_OK(CallStore(stub.get(), &Store::Stub::Extended));
    EXPECT_EQ(warnings().Count(LogLevel::kWarning), 2);
  }
}

TEST_P(SchemaTest, WithoutASinkWarningsGoToStderr) {
  const auto server = ServeOther();
  const auto stub = NewStore([](ChannelOptions* options) { options->log_sink = nullptr; });
  ::testing::internal::CaptureStderr();
  EXPECT_OK(CallStore(stub.get(), &Store::Stub::Extended));
  const std::string text = ::testing::internal::GetCapturedStderr();
  // As a server's log has it.
  EXPECT_THAT(text, ::testing::ContainsRegex("^20[0-9-]* [0-9:.]*[+-][0-9:]* WARNING "
                                             "/schema.Store/Extended: .*\n$"));
}

TEST_P(SchemaTest, AnotherTypeIsAMismatch) {
  const auto server = ServeOther();
  const auto stub = NewStore();
  const absl::Time began = absl::Now();
  const absl::Status request = CallStore(stub.get(), &Store::Stub::OtherRequest);
  ExpectMismatch(request, began, "OtherRequest");
  EXPECT_THAT(std::string(request.message()),
              AllOf(HasSubstr("this program (spoolrpc 0."),
                    HasSubstr("rpc (schema.Same) returns (schema.Same)"),
                    HasSubstr(FingerprintOf("OtherRequest")),
                    HasSubstr(absl::StrCat(":", server->pid(), ", spoolrpc 0.")),
                    HasSubstr("rpc (schema.Another) returns (schema.Same), fingerprint 0x"),
                    HasSubstr("build both from the same .proto file")));
  const absl::Status reply = CallStore(stub.get(), &Store::Stub::OtherReply);
  ExpectMismatch(reply, began, "OtherReply");
  EXPECT_THAT(std::string(reply.message()),
              HasSubstr("rpc (schema.Same) returns (schema.Another), fingerprint 0x"));
  // Again, without waiting, and without a thread that waits.
  ClientContext context;
  context.set_wait_for_ready(false);
  Same message;
  ExpectMismatch(stub->OtherReply(&context, message, &message), began, "OtherReply");
  ExpectMismatch(stub->future()->OtherRequest(message).Get().status(), began, "OtherRequest");
  // The server goes on, and has seen nothing of these calls.
  EXPECT_OK(CallStore(stub.get(), &Store::Stub::Equal));
  EXPECT_EQ(server->Lines(), std::vector<std::string>{"Equal"});
  EXPECT_EQ(warnings().Text(), "");
}

TEST_P(SchemaTest, AnotherKindIsAMismatch) {
  const auto server = ServeOther();
  const auto stub = NewStore();
  const absl::Time began = absl::Now();
  Same message;
  const auto expect = [&](const absl::Status& status, const std::string& method,
                          const std::string& ours, const std::string& theirs) {
    ExpectMismatch(status, began, method);
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr(absl::StrCat("was built with rpc ", ours, ", fingerprint 0x")),
                      HasSubstr(absl::StrCat(") with rpc ", theirs, ", fingerprint 0x"))));
  };
  expect(CallStore(stub.get(), &Store::Stub::Single), "Single",
         "(schema.Same) returns (schema.Same)", "(schema.Same) returns (stream schema.Same)");
  {
    ClientContext context;
    const auto stream = stub->Upload(&context, &message);
    EXPECT_FALSE(stream->Write(message));
    expect(stream->Finish(), "Upload", "(stream schema.Same) returns (schema.Same)",
           "(schema.Same) returns (schema.Same)");
  }
  {
    ClientContext context;
    const auto stream = stub->Download(&context, message);
    EXPECT_FALSE(stream->Read(&message));
    expect(stream->Finish(), "Download", "(schema.Same) returns (stream schema.Same)",
           "(stream schema.Same) returns (stream schema.Same)");
  }
  {
    ClientContext context;
    const auto stream = stub->Talk(&context);
    EXPECT_FALSE(stream->Read(&message));
    expect(stream->Finish(), "Talk", "(stream schema.Same) returns (stream schema.Same)",
           "(stream schema.Same) returns (schema.Same)");
  }
  {
    class Reactor final : public ClientBidiReactor<Same, Same> {
     public:
      void OnDone(const absl::Status& s) override {
        status = s;
        done.Notify();
      }
      absl::Status status;
      absl::Notification done;
    } reactor;
    ClientContext context;
    stub->async()->Talk(&context, &reactor);
    reactor.StartCall();
    reactor.done.WaitForNotification();
    expect(reactor.status, "Talk", "(stream schema.Same) returns (stream schema.Same)",
           "(stream schema.Same) returns (schema.Same)");
  }
  EXPECT_OK(CallStore(stub.get(), &Store::Stub::Equal));
  EXPECT_EQ(server->Lines(), std::vector<std::string>{"Equal"});
}

TEST_P(SchemaTest, AMethodThatTheServerLacksIsUnimplementedAsEver) {
  const auto server = ServeOther();
  const auto stub = NewStore();
  const absl::Status status = CallStore(stub.get(), &Store::Stub::Added);
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("/schema.Store/Added")));
  EXPECT_FALSE(IsTransportError(status));
}

TEST_P(SchemaTest, CallsGoToTheServerThatHasTheMethodAsItIsCalled) {
  const auto other = ServeOther();
  // One at a time, so that the two do not take places from each other.
  for (const int max_servers : {16, 1}) {
    const auto stub =
        NewStore([&](ChannelOptions* options) { options->max_servers = max_servers; });
    const absl::Time began = absl::Now();
    EXPECT_OK(CallStore(stub.get(), &Store::Stub::Equal));
    ExpectMismatch(CallStore(stub.get(), &Store::Stub::OtherRequest), began, "OtherRequest");
    StoreService service;
    const auto server = Serve(&service);
    for (int i = 0; i < 20; ++i) {
      EXPECT_OK(CallStore(stub.get(), &Store::Stub::OtherRequest)) << max_servers;
    }
    EXPECT_EQ(service.calls, 20);
    // What either has goes to both, if both have a place.
    if (max_servers > 1) {
      EXPECT_TRUE(Eventually([&] {
        EXPECT_OK(CallStore(stub.get(), &Store::Stub::Equal));
        return service.calls > 20;
      }));
    }
    // Whichever a new channel meets first.
    for (int i = 0; i < 5; ++i) {
      const auto fresh =
          NewStore([&](ChannelOptions* options) { options->max_servers = max_servers; });
      EXPECT_OK(CallStore(fresh.get(), &Store::Stub::OtherRequest));
      Same request;
      EXPECT_OK(fresh->future()->OtherRequest(request).Get());
    }
  }
  for (const std::string& line : other->Lines()) EXPECT_EQ(line, "Equal");
}

// While a server that has the method goes, and the next one comes, the incompatible one that is
// there is no reason to give up.
TEST_P(SchemaTest, ARestartOfTheCompatibleServerIsWaitedFor) {
  const auto other = ServeOther();
  Gate gate;
  StoreService service;
  service.before_other_request = [&] { gate.Pass(); };
  auto server = Serve(&service);
  const auto stub = NewStore();
  std::thread running([&] { EXPECT_OK(CallStore(stub.get(), &Store::Stub::OtherRequest)); });
  ASSERT_TRUE(gate.AwaitArrived(1));
  std::thread shutdown([&] { server->Shutdown(); });
  // What comes now is not taken: its lease says so.
  ASSERT_TRUE(Eventually([&] {
    const auto status = QuerySpool(spool());
    if (!status.ok()) return false;
    for (const ServerStatus& each : status->servers) {
      if (each.state == ServerStatus::State::kDraining) return true;
    }
    return false;
  }));
  std::atomic<bool> ended{false};
  std::thread waiting([&] {
    EXPECT_OK(CallStore(stub.get(), &Store::Stub::OtherRequest));
    ended = true;
  });
  // Several looks for servers, of which each would do to end it.
  const auto fresh =
      NewStore([](ChannelOptions* options) { options->ack_timeout = absl::Milliseconds(300); });
  const absl::Status status = CallStore(fresh.get(), &Store::Stub::OtherRequest);
  EXPECT_EQ(ReasonOf(status), ErrorInfo::NO_SERVER);
  EXPECT_THAT(std::string(status.message()), HasSubstr("rpc (schema.Another)"))
      << "what is in the way";
  EXPECT_FALSE(ended);
  StoreService next;
  const auto next_server = Serve(&next);
  waiting.join();
  EXPECT_EQ(next.calls, 1);
  gate.Open();
  running.join();
  shutdown.join();
}

TEST_P(SchemaTest, ARecordWithoutMethodsIsTakenAsItIs) {
  const auto server = ServeOther();
  ChangeRecord(server->pid(), [](spool::ServerRecord* record) {
    for (auto& service : *record->mutable_services()) service.clear_methods();
  });
  const auto stub = NewStore();
  EXPECT_OK(CallStore(stub.get(), &Store::Stub::Equal));
  EXPECT_OK(CallStore(stub.get(), &Store::Stub::Extended));
  // The bytes of its type are those of ours, and nobody knows its name.
  EXPECT_OK(CallStore(stub.get(), &Store::Stub::OtherRequest));
  // The server's own check.
  const absl::Status kind = CallStore(stub.get(), &Store::Stub::Single);
  EXPECT_THAT(kind, StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("SERVER_STREAMING")));
  EXPECT_EQ(server->Lines(), (std::vector<std::string>{"Equal", "Extended", "OtherRequest"}));
  EXPECT_EQ(warnings().Text(), "");
}

TEST_P(SchemaTest, ARecordThatContradictsItselfIsNoServers) {
  const auto server = ServeOther();
  ChangeRecord(server->pid(), [](spool::ServerRecord* record) {
    auto* const methods = record->mutable_services(0)->mutable_methods();
    *methods->Add() = methods->Get(0);
  });
  const auto stub =
      NewStore([](ChannelOptions* options) { options->ack_timeout = absl::Milliseconds(300); });
  const absl::Status status = CallStore(stub.get(), &Store::Stub::Equal);
  EXPECT_EQ(ReasonOf(status), ErrorInfo::NO_SERVER);
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kUnavailable,
                               HasSubstr("the method schema.Store/Equal twice")));
  EXPECT_THAT(server->Lines(), ::testing::IsEmpty());
  const auto query = QuerySpool(spool());
  ASSERT_OK(query);
  EXPECT_THAT(query->problems, ::testing::ElementsAre(HasSubstr("schema.Store/Equal twice")));
}

TEST_P(SchemaTest, ARecordOfWildNamesAndNumbersDoesNoHarm) {
  const auto server = ServeOther();
  ChangeRecord(server->pid(), [](spool::ServerRecord* record) {
    for (auto& method : *record->mutable_services(0)->mutable_methods()) {
      if (method.name() == "Extended") method.set_kind(static_cast<spool::MethodRecord::Kind>(-7));
      if (method.name() == "OtherReply")
        method.set_request_type("\x1b[2J\n" + std::string(9999, 'x'));
    }
    // As long a list as there can be.
    spool::ServiceRecord* const service = record->add_services();
    service->set_name("schema.Huge");
    const size_t room = spool::kMaxRecordSize - record->ByteSizeLong() - 100;
    for (size_t size = 0, i = 0; size < room; size += 12, ++i) {
      service->add_methods()->set_name(absl::StrFormat("%08x", i));
    }
  });
  const auto stub = NewStore();
  const absl::Time began = absl::Now();
  EXPECT_OK(CallStore(stub.get(), &Store::Stub::Equal));
  const absl::Status kind = CallStore(stub.get(), &Store::Stub::Extended);
  ExpectMismatch(kind, began, "Extended");
  EXPECT_THAT(std::string(kind.message()), HasSubstr("unknown kind -7"));
  const absl::Status type = CallStore(stub.get(), &Store::Stub::OtherReply);
  ExpectMismatch(type, began, "OtherReply");
  EXPECT_LT(type.message().size(), 2000);
  EXPECT_EQ(type.message().find('\x1b'), absl::string_view::npos);
}

// A service of more methods than a record holds.
class HugeService final : public Service {
 public:
  explicit HugeService(const ServiceInfo* info) : Service(info) {
    for (size_t i = 0; i < info->method_count; ++i) AddMethod(&info->methods[i], nullptr);
  }
};

TEST_P(SchemaTest, AServerOfTooManyMethodsDoesNotStart) {
  std::vector<std::string> names;
  for (int i = 0; i < 20'000; ++i) {
    names.push_back(absl::StrCat("/schema.Huge/", std::string(100, 'm'), i));
  }
  std::vector<MethodInfo> methods;
  for (const std::string& name : names) methods.push_back({name.c_str()});
  const ServiceInfo info = {"schema.Huge", methods.data(), methods.size(), 1};
  HugeService service(&info);
  EXPECT_THAT(Builder(&service).BuildAndStart(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("20000 methods"), HasSubstr("second server"))));
  EXPECT_THAT(QuerySpool(spool()), HasCode(absl::StatusCode::kNotFound)) << "and makes no spool";
}

}  // namespace
}  // namespace spoolrpc::e2e
