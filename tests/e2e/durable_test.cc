// Durable calls over real spools, server and callers in one process.
#include <atomic>
#include <map>
#include <stdexcept>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "spoolrpc/os/file.h"
#include "tests/e2e/fixture.h"
#include "tests/testing/faulty_system_calls.h"

namespace spoolrpc::e2e {
namespace {

using ::e2e::Timed;
using testing::Call;
using testing::HasCode;
using ::testing::HasSubstr;
using testing::StatusIs;

class DurableTest : public BothTransports {
 protected:
  std::unique_ptr<Probe::Stub> Stub() { return Probe::NewStub(Connect()); }
  std::string PathOf(const Ticket& ticket) const {
    return absl::StrCat(spool(), "/durable/", ticket.ToString());
  }

  ProbeService service_;
};
SPOOLRPC_BOTH_TRANSPORTS(DurableTest);

TEST_P(DurableTest, ServedByAServerThatComesLaterAndCollectedByAnotherChannel) {
  std::string printed;
  {
    ASSERT_OK_AND_ASSIGN(const Ticket ticket, Stub()->durable()->Echo(Say("later")));
    printed = ticket.ToString();
  }
  ASSERT_OK_AND_ASSIGN(const Ticket ticket, Ticket::Parse(printed));
  const auto stub = Stub();
  EXPECT_EQ(ReasonOf(stub->durable()->Collect<Text>(ticket).status()), ErrorInfo::NOT_FINISHED);
  const auto server = Serve(&service_);
  ASSERT_OK_AND_ASSIGN(const Text reply, stub->durable()->Collect<Text>(ticket, kLong));
  EXPECT_EQ(reply.text(), "later");
  // Once more, by somebody else; then it is deleted, and nobody has it.
  Text again;
  EXPECT_OK(Stub()->durable()->Collect(ticket, &again));
  EXPECT_EQ(again.text(), "later");
  EXPECT_OK(stub->durable()->Delete(ticket));
  const absl::Status gone = stub->durable()->Collect(ticket, &again);
  EXPECT_THAT(gone, StatusIs(absl::StatusCode::kNotFound, HasSubstr(printed)));
  EXPECT_EQ(ReasonOf(gone), ErrorInfo::NO_SUCH_TICKET);
  EXPECT_THAT(stub->durable()->Delete(ticket), HasCode(absl::StatusCode::kNotFound));
  EXPECT_THAT(os::StatPath(os::SystemCalls::Real(), PathOf(ticket)).status(),
              HasCode(absl::StatusCode::kNotFound));
}

TEST_P(DurableTest, ARunningServerTakesItAtOnce) {
  const auto server = Serve(&service_);
  const auto stub = Stub();
  for (int i = 0; i < 20; ++i) {
    ASSERT_OK_AND_ASSIGN(const Ticket ticket, stub->durable()->Echo(Say(absl::StrCat(i))));
    ASSERT_OK_AND_ASSIGN(const Text reply, stub->durable()->Collect<Text>(ticket, kLong));
    EXPECT_EQ(reply.text(), absl::StrCat(i));
  }
}

TEST_P(DurableTest, StatusDetailsMetadataAndPeerAreThoseOfAnyCall) {
  service_.handler = [](ServerContext* context, const Text* request, Text*) {
    EXPECT_EQ(context->client_metadata().find("question")->second, "why");
    EXPECT_TRUE(absl::StrContains(context->peer(), "durable/"));
    context->AddInitialMetadata("first", "1");
    context->AddTrailingMetadata("last", "2");
    absl::Status status = absl::FailedPreconditionError(request->text());
    AddDetail(&status, Say("a detail"));
    return status;
  };
  const auto server = Serve(&service_);
  const auto stub = Stub();
  ASSERT_OK_AND_ASSIGN(const Ticket ticket,
                       stub->durable()->Run(Say("no"), [](ClientContext* context) {
                         context->AddMetadata("question", "why");
                       }));
  Text reply;
  ClientContext context;
  const absl::Status status = stub->durable()->Collect(ticket, &reply, kLong, &context);
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kFailedPrecondition, "no"));
  EXPECT_FALSE(IsTransportError(status));
  ASSERT_EQ(GetDetails<Text>(status).size(), 1);
  EXPECT_EQ(GetDetails<Text>(status)[0].text(), "a detail");
  EXPECT_EQ(context.GetServerInitialMetadata().find("first")->second, "1");
  EXPECT_EQ(context.GetServerTrailingMetadata().find("last")->second, "2");
  EXPECT_THAT(context.peer(), HasSubstr(spool()));
}

TEST_P(DurableTest, AnExceptionIsAStatusWithItsDetails) {
  service_.handler = [](ServerContext*, const Text*, Text*) -> absl::Status {
    throw std::out_of_range("too far");
  };
  const auto server = Serve(&service_);
  const auto stub = Stub();
  ASSERT_OK_AND_ASSIGN(const Ticket ticket, stub->durable()->Run(Say("")));
  const auto reply = stub->durable()->Collect<Text>(ticket, kLong);
  const auto details = GetDetails<ExceptionInfo>(reply.status());
  ASSERT_EQ(details.size(), 1) << reply.status();
  EXPECT_EQ(details[0].text(), "too far");
}

TEST_P(DurableTest, ATicketIsOfItsServiceAndItsReply) {
  const auto server = Serve(&service_);
  ASSERT_OK_AND_ASSIGN(const Ticket ticket, Stub()->durable()->Echo(Say("mine")));
  const auto other = Timed::NewStub(Connect());
  const absl::Status service = other->durable()->Collect<Text>(ticket, kLong).status();
  EXPECT_THAT(service, StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("/e2e.Probe/Echo")));
  EXPECT_EQ(ReasonOf(service), ErrorInfo::BAD_MESSAGE);
  EXPECT_THAT(Stub()->durable()->Collect<::e2e::Nested>(ticket, kLong),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("e2e.Nested")));
  EXPECT_THAT(Ticket::Parse("no ticket"), HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(Stub()->durable()->Collect<Text>(Ticket()),
              HasCode(absl::StatusCode::kInvalidArgument));
}

TEST_P(DurableTest, CancelledWithoutAServerIsNeverExecuted) {
  std::atomic<int> runs{0};
  service_.handler = [&](ServerContext*, const Text*, Text*) {
    ++runs;
    return absl::OkStatus();
  };
  const auto stub = Stub();
  ASSERT_OK_AND_ASSIGN(const Ticket cancelled, stub->durable()->Run(Say("")));
  EXPECT_OK(stub->durable()->Cancel(cancelled));
  EXPECT_OK(stub->durable()->Cancel(cancelled)) << "it is";
  const auto server = Serve(&service_);
  ASSERT_OK_AND_ASSIGN(const Ticket after, stub->durable()->Run(Say("")));
  ASSERT_OK(stub->durable()->Collect<Text>(after, kLong));
  EXPECT_EQ(runs, 1);
  const absl::Status status = stub->durable()->Collect<Text>(cancelled).status();
  EXPECT_THAT(status, HasCode(absl::StatusCode::kCancelled));
  EXPECT_EQ(ReasonOf(status), ErrorInfo::CANCELLED);
  EXPECT_FALSE(GetErrorInfo(status)->may_have_executed());
  EXPECT_THAT(stub->durable()->Cancel(after), HasCode(absl::StatusCode::kFailedPrecondition));
}

TEST_P(DurableTest, AHandlerSeesThatItsCallIsCancelledOrDeleted) {
  std::atomic<int> saw{0};
  Gate gate;
  service_.handler = [&](ServerContext* context, const Text*, Text*) {
    gate.Open();
    EXPECT_TRUE(Eventually([&] { return context->IsCancelled(); }));
    ++saw;
    return absl::OkStatus();
  };
  const auto server = Serve(&service_);
  const auto stub = Stub();
  ASSERT_OK_AND_ASSIGN(const Ticket cancelled, stub->durable()->Run(Say("")));
  gate.Pass();
  EXPECT_OK(stub->durable()->Cancel(cancelled));
  const absl::Status status = stub->durable()->Collect<Text>(cancelled, kLong).status();
  EXPECT_THAT(status, HasCode(absl::StatusCode::kCancelled));
  EXPECT_TRUE(GetErrorInfo(status)->may_have_executed());
  EXPECT_TRUE(Eventually([&] { return saw == 1; }));
  ASSERT_OK_AND_ASSIGN(const Ticket deleted, stub->durable()->Run(Say("")));
  EXPECT_TRUE(Eventually(
      [&] { return os::StatPath(os::SystemCalls::Real(), PathOf(deleted) + "/started").ok(); }));
  EXPECT_OK(stub->durable()->Delete(deleted));
  EXPECT_TRUE(Eventually([&] { return saw == 2; }));
  // Nothing of it comes back.
  EXPECT_TRUE(Eventually([&] {
    return absl::IsNotFound(os::StatPath(os::SystemCalls::Real(), PathOf(deleted)).status());
  }));
}

// A deletion that a file of its own stops, or a reply that comes into it.
TEST_P(DurableTest, WhatADeletionLeavesIsRemovedByServers) {
  const auto server = Serve(
      &service_, [](ServerBuilder* builder) { builder->set_lease_term(absl::Milliseconds(200)); });
  const auto stub = Stub();
  ASSERT_OK_AND_ASSIGN(const Ticket ticket, stub->durable()->Echo(Say("")));
  ASSERT_OK(stub->durable()->Collect<Text>(ticket, kLong));
  ASSERT_OK(os::RemoveFile(os::SystemCalls::Real(), PathOf(ticket) + "/call"));
  EXPECT_EQ(ReasonOf(stub->durable()->Collect<Text>(ticket).status()), ErrorInfo::NO_SUCH_TICKET);
  EXPECT_TRUE(Eventually([&] {
    return absl::IsNotFound(os::StatPath(os::SystemCalls::Real(), PathOf(ticket)).status());
  }));
}

TEST_P(DurableTest, ADeadlineOfTheCallRunsFromItsSubmission) {
  std::atomic<int> runs{0};
  service_.handler = [&](ServerContext*, const Text*, Text*) {
    ++runs;
    return absl::OkStatus();
  };
  const auto stub = Stub();
  ASSERT_OK_AND_ASSIGN(const Ticket ticket,
                       stub->durable()->Run(Say(""), [](ClientContext* context) {
                         context->set_timeout(absl::Milliseconds(1));
                       }));
  // By the file system's clock, whose ticks are milliseconds apart.
  absl::SleepFor(absl::Milliseconds(50));
  const auto server = Serve(&service_);
  const absl::Status status = stub->durable()->Collect<Text>(ticket, kLong).status();
  EXPECT_THAT(status, HasCode(absl::StatusCode::kDeadlineExceeded));
  EXPECT_EQ(ReasonOf(status), ErrorInfo::DEADLINE);
  EXPECT_FALSE(GetErrorInfo(status)->may_have_executed());
  EXPECT_EQ(runs, 0);
}

class TimedService final : public Timed::Service {
 public:
  absl::Status ByMethod(ServerContext* context, const Text*, Text*) override {
    EXPECT_TRUE(Eventually([&] { return context->IsCancelled(); }));
    return absl::OkStatus();
  }
};

TEST_P(DurableTest, ATimeoutOfTheMethodIsForItsHandler) {
  TimedService service;
  const auto stub = Timed::NewStub(Connect());
  ASSERT_OK_AND_ASSIGN(const Ticket ticket, stub->durable()->ByMethod(Say("")));
  absl::SleepFor(absl::Milliseconds(500));  // longer than that timeout, which does not count yet
  const auto server = Serve(&service);
  const absl::Status status = stub->durable()->Collect<Text>(ticket, kLong).status();
  EXPECT_THAT(status, HasCode(absl::StatusCode::kDeadlineExceeded));
  EXPECT_TRUE(GetErrorInfo(status)->may_have_executed()) << "it was started";
}

TEST_P(DurableTest, ManyCallsAreExecutedOnceEach) {
  absl::Mutex mu;
  std::map<std::string, int> runs;
  service_.handler = [&](ServerContext*, const Text* request, Text* reply) {
    absl::MutexLock lock(&mu);
    ++runs[request->text()];
    *reply = *request;
    return absl::OkStatus();
  };
  const auto first = Serve(&service_, [](ServerBuilder* builder) { builder->set_workers(2); });
  const auto second = Serve(&service_, [](ServerBuilder* builder) { builder->set_workers(2); });
  const auto stub = Stub();
  std::map<std::string, Ticket> tickets;
  for (int i = 0; i < 60; ++i) {
    ASSERT_OK_AND_ASSIGN(tickets[absl::StrCat(i)], stub->durable()->Run(Say(absl::StrCat(i))));
  }
  for (const auto& [text, ticket] : tickets) {
    ASSERT_OK_AND_ASSIGN(const Text reply, stub->durable()->Collect<Text>(ticket, kLong));
    EXPECT_EQ(reply.text(), text);
  }
  absl::MutexLock lock(&mu);
  EXPECT_EQ(runs.size(), 60);
  for (const auto& [text, count] : runs) EXPECT_EQ(count, 1) << text;
}

TEST_P(DurableTest, AServerThatDrainsGivesBackWhatItHasNotStarted) {
  Gate gate;
  service_.handler = [&](ServerContext*, const Text* request, Text* reply) {
    if (request->text() == "first") gate.Pass();
    *reply = *request;
    return absl::OkStatus();
  };
  // So long nobody would wait for it.
  const auto long_lease = [](ServerBuilder* builder) {
    builder->set_workers(1).set_lease_term(absl::Hours(1));
  };
  auto leaving = Serve(&service_, long_lease);
  const auto stub = Stub();
  ASSERT_OK_AND_ASSIGN(const Ticket first, stub->durable()->Run(Say("first")));
  ASSERT_TRUE(gate.AwaitArrived(1));
  ASSERT_OK_AND_ASSIGN(const Ticket second, stub->durable()->Run(Say("second")));
  EXPECT_TRUE(Eventually(
      [&] { return os::StatPath(os::SystemCalls::Real(), PathOf(second) + "/claim.1").ok(); }));
  const auto staying = Serve(&service_, long_lease);
  std::thread shutdown([&] { leaving->Shutdown(); });
  EXPECT_OK(stub->durable()->Collect<Text>(second, kLong));
  gate.Open();
  shutdown.join();
  EXPECT_OK(stub->durable()->Collect<Text>(first, kLong)) << "what has started is finished";
}

TEST_P(DurableTest, AMessageThatIsTooLargeSaysSo) {
  const auto server = Serve(&service_, [](ServerBuilder* builder) {
    builder->set_max_receive_message_size(1000).set_max_send_message_size(500);
  });
  const auto stub = Stub();
  ASSERT_OK_AND_ASSIGN(const Ticket request, stub->durable()->Echo(Say(std::string(2000, 'x'))));
  absl::Status status = stub->durable()->Collect<Text>(request, kLong).status();
  EXPECT_THAT(status, HasCode(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(ReasonOf(status), ErrorInfo::MESSAGE_TOO_LARGE);
  EXPECT_FALSE(GetErrorInfo(status)->may_have_executed());
  ASSERT_OK_AND_ASSIGN(const Ticket reply, stub->durable()->Echo(Say(std::string(800, 'x'))));
  status = stub->durable()->Collect<Text>(reply, kLong).status();
  EXPECT_EQ(ReasonOf(status), ErrorInfo::MESSAGE_TOO_LARGE);
  ChannelOptions options = Options();
  options.max_send_message_size = 100;
  EXPECT_EQ(
      ReasonOf(
          Probe::NewStub(Connect(options))->durable()->Echo(Say(std::string(800, 'x'))).status()),
      ErrorInfo::MESSAGE_TOO_LARGE);
}

TEST_P(DurableTest, AReplyThatCannotBeWrittenIsKeptUntilItCan) {
  testing::FaultySystemCalls calls;
  os::Environment environment;
  environment.calls = &calls;
  const auto fault = calls.Fail({Call::kLink, "/reply"}, ENOSPC);
  const auto server =
      Serve(&service_, [&](ServerBuilder* builder) { builder->set_environment(environment); });
  const auto stub = Stub();
  ASSERT_OK_AND_ASSIGN(const Ticket ticket, stub->durable()->Echo(Say("kept")));
  EXPECT_TRUE(Eventually([&] { return calls.Met(fault) >= 2; }));
  EXPECT_EQ(ReasonOf(stub->durable()->Collect<Text>(ticket).status()), ErrorInfo::NOT_FINISHED);
  calls.Remove(fault);
  ASSERT_OK_AND_ASSIGN(const Text reply, stub->durable()->Collect<Text>(ticket, kLong));
  EXPECT_EQ(reply.text(), "kept");
}

TEST_P(DurableTest, AFullDiskAtSubmissionIsResourceExhaustedWithThePath) {
  testing::FaultySystemCalls calls;
  ChannelOptions options = Options();
  options.environment.calls = &calls;
  const auto channel = Connect(options);
  const auto stub = Probe::NewStub(channel);
  ASSERT_OK(stub->durable()->Echo(Say("before")));
  calls.LimitSpace(10);
  const absl::Status status = stub->durable()->Echo(Say("after")).status();
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted,
                               HasSubstr(absl::StrCat(spool(), "/durable"))));
  EXPECT_EQ(ReasonOf(status), ErrorInfo::FILE_SYSTEM);
  EXPECT_FALSE(GetErrorInfo(status)->may_have_executed());
  calls.Clear();
  ASSERT_OK_AND_ASSIGN(const auto names,
                       os::ListDirectory(os::SystemCalls::Real(), spool() + "/durable"));
  EXPECT_EQ(names.size(), 1) << "nothing is left of it";
}

TEST_P(DurableTest, FinishedCallsThatAreTooManyGo) {
  const auto server = Serve(&service_, [](ServerBuilder* builder) {
    builder->set_lease_term(absl::Milliseconds(200)).set_durable_retention(absl::Hours(1), 2);
  });
  const auto stub = Stub();
  std::vector<Ticket> tickets;
  for (int i = 0; i < 5; ++i) {
    ASSERT_OK_AND_ASSIGN(const Ticket ticket, stub->durable()->Echo(Say("")));
    const absl::Status ended = stub->durable()->Collect<Text>(ticket, kLong).status();
    EXPECT_TRUE(ended.ok() || ReasonOf(ended) == ErrorInfo::NOT_STARTED) << ended;
    tickets.push_back(ticket);
  }
  EXPECT_TRUE(Eventually([&] {
    return os::ListDirectory(os::SystemCalls::Real(), spool() + "/durable")->size() <= 3;
  })) << "two calls, and the retention";
  EXPECT_EQ(ReasonOf(stub->durable()->Collect<Text>(tickets[0]).status()),
            ErrorInfo::NO_SUCH_TICKET);
  // It stays set on the spool.
  EXPECT_OK(os::StatPath(os::SystemCalls::Real(), spool() + "/durable/retention"));
}

TEST_P(DurableTest, PowerLossIsPaidForWithFlushes) {
  testing::FaultySystemCalls calls;
  ChannelOptions options = Options();
  options.environment.calls = &calls;
  options.durability = Durability::kPowerLoss;
  os::Environment environment;
  testing::FaultySystemCalls server_calls;
  environment.calls = &server_calls;
  const auto server =
      Serve(&service_, [&](ServerBuilder* builder) { builder->set_environment(environment); });
  const auto stub = Probe::NewStub(Connect(options));
  ASSERT_OK_AND_ASSIGN(const Ticket ticket, stub->durable()->Echo(Say("safe")));
  // The file, its directory, durable/ and the spool.
  EXPECT_EQ(calls.Count(Call::kFsync, "/durable/.tmp-"), 2);
  EXPECT_GE(calls.Count(Call::kFsync), 4);
  ASSERT_OK(stub->durable()->Collect<Text>(ticket, kLong));
  // `started` and `reply`, each with its name.
  EXPECT_GE(server_calls.Count(Call::kFsync, "/durable/" + ticket.ToString()), 4);
}

}  // namespace
}  // namespace spoolrpc::e2e
