// Several servers, and servers that come and go: calls find one, and none is lost on the way.
#include <errno.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "spoolrpc/log/format.h"
#include "tests/e2e/fixture.h"
#include "tests/testing/faulty_system_calls.h"

namespace spoolrpc::e2e {
namespace {

using testing::HasCode;
using ::testing::HasSubstr;

class ServersTest : public BothTransports {
 protected:
  // Files and directories in the spool, logs left out.
  int FilesLeft() const {
    int count = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(spool())) {
      count += entry.path().string().find("/logs/") == std::string::npos;
    }
    return count;
  }
  // A client has written a frame.
  bool RequestsWritten() const {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(spool() + "/sessions")) {
      if (entry.path().filename() != "requests") continue;
      std::ifstream log(entry.path(), std::ios::binary);
      log.seekg(log::kHeadSize);
      if (log.get() > 0) return true;
    }
    return false;
  }
};
SPOOLRPC_BOTH_TRANSPORTS(ServersTest);

TEST_P(ServersTest, ClientMayComeFirst) {
  const auto stub = Probe::NewStub(Connect());
  absl::Status status;
  Text reply;
  std::thread caller([&] {
    ClientContext context;
    status = stub->Echo(&context, Say("early"), &reply);
  });
  absl::SleepFor(absl::Milliseconds(100));  // it is right whichever is first
  ProbeService service;
  const auto server = Serve(&service);
  caller.join();
  EXPECT_OK(status);
  EXPECT_EQ(reply.text(), "early");
}

TEST_P(ServersTest, AnAcceptedSessionWhoseOtherHalfIsGoneIsNotTheEndOfItsCalls) {
  ProbeService service;
  const auto server = Serve(&service);
  testing::FaultySystemCalls calls;
  std::atomic<int> faults{0};
  calls.Run({testing::Call::kOpen, "/responses", 0, 1}, [&] {
    // For the client, as long as that session lasts.
    for (const auto& entry : std::filesystem::directory_iterator(spool() + "/sessions")) {
      const std::string name = entry.path().filename();
      calls.Fail({testing::Call::kOpen, name + "/responses"}, ENOENT);
      ++faults;
    }
  });
  ChannelOptions options = Options();
  options.ack_timeout = absl::Seconds(6);
  options.environment.calls = &calls;
  const auto stub = Probe::NewStub(Connect(options));
  ClientContext context;
  Text reply;
  EXPECT_OK(stub->Echo(&context, Say("x"), &reply));
  EXPECT_EQ(faults, 1);
}

TEST_P(ServersTest, NobodyCreatesTheSpoolButAServer) {
  ChannelOptions options = Options();
  options.ack_timeout = absl::Milliseconds(100);
  const auto stub = Probe::NewStub(Connect(options));
  ClientContext context;
  Text reply;
  const absl::Status status = stub->Echo(&context, Say(""), &reply);
  EXPECT_EQ(ReasonOf(status), ErrorInfo::NO_SERVER);
  EXPECT_THAT(std::string(status.message()), HasSubstr(spool()));
  EXPECT_FALSE(std::filesystem::exists(spool()));
}

TEST_P(ServersTest, CallThatEndedWithNoServerIsNotExecutedLater) {
  ChannelOptions options = Options();
  options.ack_timeout = absl::Milliseconds(100);
  const auto stub = Probe::NewStub(Connect(options));
  ClientContext context;
  Text reply;
  EXPECT_EQ(ReasonOf(stub->Run(&context, Say("late"), &reply)), ErrorInfo::NO_SERVER);
  std::atomic<bool> late{false};
  ProbeService service;
  service.handler = [&](ServerContext*, const Text* request, Text*) {
    if (request->text() == "late") late = true;
    return absl::OkStatus();
  };
  const auto server = Serve(&service);
  ClientContext next;
  next.set_ack_timeout(kLong);
  EXPECT_OK(stub->Run(&next, Say("next"), &reply));
  EXPECT_FALSE(late);
}

TEST_P(ServersTest, CallsAreSpreadOverAllThatOfferTheService) {
  std::atomic<int> calls[3] = {};
  ProbeService services[3];
  std::vector<std::unique_ptr<Server>> servers;
  for (int i = 0; i < 3; ++i) {
    services[i].handler = [&, i](ServerContext*, const Text*, Text*) {
      ++calls[i];
      return absl::OkStatus();
    };
    servers.push_back(Serve(&services[i]));
  }
  const auto stub = Probe::NewStub(Connect());
  EXPECT_TRUE(Eventually([&] {
    ClientContext context;
    Text reply;
    EXPECT_OK(stub->Run(&context, Say(""), &reply));
    return calls[0] > 0 && calls[1] > 0 && calls[2] > 0;
  }));
  for (std::atomic<int>& count : calls) count = 0;
  std::set<std::string> peers;
  for (int i = 0; i < 30; ++i) {
    ClientContext context;
    Text reply;
    ASSERT_OK(stub->Run(&context, Say(""), &reply));
    peers.insert(context.peer());
  }
  EXPECT_EQ(peers.size(), 3);
  for (const std::atomic<int>& count : calls) EXPECT_EQ(count, 10);
}

TEST_P(ServersTest, AServerThatComesLaterIsFound) {
  std::atomic<int> calls{0};
  ProbeService first;
  ProbeService second;
  second.handler = [&](ServerContext*, const Text*, Text*) {
    ++calls;
    return absl::OkStatus();
  };
  const auto one = Serve(&first);
  const auto stub = Probe::NewStub(Connect());
  ClientContext context;
  Text reply;
  ASSERT_OK(stub->Run(&context, Say(""), &reply));
  const auto two = Serve(&second);
  EXPECT_TRUE(Eventually([&] {
    ClientContext again;
    EXPECT_OK(stub->Run(&again, Say(""), &reply));
    return calls > 0;
  }));
}

TEST_P(ServersTest, DrainSendsQueuedCallsElsewhereAndFinishesRunningOnes) {
  Gate gate;
  std::atomic<int> by_first{0};
  std::atomic<int> by_second{0};
  ProbeService first;
  first.handler = [&](ServerContext*, const Text*, Text*) {
    ++by_first;
    gate.Pass();
    return absl::OkStatus();
  };
  ProbeService second;
  second.handler = [&](ServerContext*, const Text*, Text*) {
    ++by_second;
    return absl::OkStatus();
  };
  auto draining = Serve(&first, [](ServerBuilder* b) { b->set_workers(1); });
  const auto stub = Probe::NewStub(Connect());
  std::atomic<int> acknowledged{0};
  std::atomic<int> well{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 10; ++i) {
    callers.emplace_back([&] {
      ClientContext context;
      context.set_acknowledged_callback([&] { ++acknowledged; });
      Text reply;
      const absl::Status status = stub->Run(&context, Say(""), &reply);
      EXPECT_OK(status);
      if (status.ok()) ++well;
    });
  }
  ASSERT_TRUE(Eventually([&] { return acknowledged == 10; }));
  ASSERT_TRUE(gate.AwaitArrived(1));
  const auto other = Serve(&second);
  std::thread shutdown([&] { draining->Shutdown(); });
  // The nine that waited go to the other one, while the first still runs one.
  EXPECT_TRUE(Eventually([&] { return well == 9; }));
  EXPECT_EQ(by_second, 9);
  gate.Open();
  for (std::thread& caller : callers) caller.join();
  shutdown.join();
  EXPECT_EQ(well, 10);
  EXPECT_EQ(by_first, 1);
  EXPECT_EQ(by_second, 9);
}

TEST_P(ServersTest, SessionThatIsAcceptedAsTheServerBeginsToDrain) {
  testing::FaultySystemCalls faults;
  const auto block = faults.Block({testing::Call::kLink, "/verdicts/"});
  // Its files stay until the caller has seen what they say.
  absl::Notification called;
  for (const auto call :
       {testing::Call::kUnlink, testing::Call::kUnlinkAt, testing::Call::kRmdir}) {
    faults.Run({call, "/sessions/"}, [&] { called.WaitForNotificationWithTimeout(kLong); });
  }
  os::Environment environment;
  environment.calls = &faults;
  ProbeService first;
  const auto draining = Serve(&first, [&](ServerBuilder* b) { b->set_environment(environment); });
  const auto stub = Probe::NewStub(Connect());
  std::thread caller([&] {
    ClientContext context;
    Text reply;
    EXPECT_OK(stub->Run(&context, Say(""), &reply));
    called.Notify();
  });
  ASSERT_TRUE(faults.AwaitBlocked(block));
  std::thread shutdown([&] { draining->Shutdown(); });
  EXPECT_TRUE(log().Await("draining"));
  // (Time to do wrong: a server that does right waits for the session that it accepts.)
  absl::SleepFor(absl::Milliseconds(50));
  faults.Release(block);
  absl::SleepFor(absl::Milliseconds(200));
  ProbeService second;
  const auto server = Serve(&second);
  // The call was taken by nobody, and goes to the other one.
  caller.join();
  shutdown.join();
}

// It was accepted, and goes down before it has read anything of what the client sent.
TEST_P(ServersTest, ServerThatReadNothingHasTakenNothing) {
  testing::FaultySystemCalls faults;
  std::atomic<testing::FaultySystemCalls::Fault> block{0};
  // The server looks at the request log once more when its verdict stands, and then reads no more.
  faults.Run({testing::Call::kLink, "/verdicts/"}, [&] {
    block = faults.Block({testing::Call::kPread, "/requests", /*skip=*/1});
  });
  os::Environment environment;
  environment.calls = &faults;
  ProbeService first;
  const auto draining = Serve(&first, [&](ServerBuilder* b) { b->set_environment(environment); });
  const auto stub = Probe::NewStub(Connect());
  std::thread caller([&] {
    ClientContext context;
    Text reply;
    EXPECT_OK(stub->Run(&context, Say(""), &reply));
  });
  ASSERT_TRUE(Eventually([&] { return block != 0; }));
  ASSERT_TRUE(faults.AwaitBlocked(block));
  std::atomic<int> by_second{0};
  ProbeService second;
  second.handler = [&](ServerContext*, const Text*, Text*) {
    ++by_second;
    return absl::OkStatus();
  };
  // The call is in the log of the first one: it has written nothing else there.
  ASSERT_TRUE(Eventually([&] { return RequestsWritten(); }));
  const auto server = Serve(&second);
  std::thread shutdown([&] { draining->Shutdown(); });
  caller.join();
  EXPECT_EQ(by_second, 1);
  faults.Clear();
  shutdown.join();
}

TEST_P(ServersTest, CallThatNobodyWaitsForGoesToTheNextServer) {
  Gate gate;
  ProbeService first;
  first.handler = [&](ServerContext*, const Text*, Text*) {
    gate.Pass();
    return absl::OkStatus();
  };
  const auto draining = Serve(&first, [](ServerBuilder* b) { b->set_workers(1); });
  const auto stub = Probe::NewStub(Connect());
  std::thread caller([&] {
    ClientContext context;
    Text reply;
    EXPECT_OK(stub->Run(&context, Say("first"), &reply));
  });
  ASSERT_TRUE(gate.AwaitArrived(1));
  ClientContext context;
  const Text request = Say("second");
  Text reply;
  absl::Notification ended;
  stub->async()->Run(&context, &request, &reply, [&](absl::Status status) {
    EXPECT_OK(status);
    ended.Notify();
  });
  ASSERT_TRUE(Eventually([&] { return context.acknowledged(); }));
  std::thread shutdown([&] { draining->Shutdown(); });
  gate.Open();
  caller.join();
  shutdown.join();
  // The session with the first server has gone, but for what the call still holds of it.
  ASSERT_TRUE(Eventually([&] { return std::filesystem::is_empty(spool() + "/sessions"); }));
  ProbeService second;
  const auto server = Serve(&second);
  ASSERT_TRUE(ended.WaitForNotificationWithTimeout(kLong));
}

TEST_P(ServersTest, DrainDeliversLargeRepliesWhole) {
  ProbeService service;
  std::atomic<int> started{0};
  service.handler = [&](ServerContext*, const Text*, Text* reply) {
    ++started;
    reply->set_data(std::string(size_t{20} << 20, 'l'));
    return absl::OkStatus();
  };
  for (int round = 0; round < 3; ++round) {
    auto server = Serve(&service);
    const auto stub = Probe::NewStub(Connect());
    std::thread caller([&] {
      ClientContext context;
      Text reply;
      EXPECT_OK(stub->Run(&context, Say(""), &reply));
      EXPECT_EQ(reply.data().size(), size_t{20} << 20);
    });
    // (A call that has not been started would be returned.)
    EXPECT_TRUE(Eventually([&] { return started == round + 1; }));
    server->Shutdown();
    caller.join();
  }
}

TEST_P(ServersTest, ServersThatComeAndGoLoseNoCall) {
  // Every call is executed exactly once, whatever server it meets.
  absl::Mutex mu;
  std::multiset<std::string> executed;
  ProbeService service;
  service.handler = [&](ServerContext*, const Text* request, Text* reply) {
    {
      absl::MutexLock lock(&mu);
      executed.insert(request->text());
    }
    *reply = *request;
    return absl::OkStatus();
  };
  std::unique_ptr<Server> server = Serve(&service);
  const auto stub = Probe::NewStub(Connect());
  std::atomic<bool> stop{false};
  std::atomic<int> calls{0};
  std::vector<std::thread> callers;
  for (int thread = 0; thread < 8; ++thread) {
    callers.emplace_back([&, thread] {
      for (int i = 0; !stop; ++i) {
        ClientContext context;
        Text reply;
        const std::string text = absl::StrCat(thread, "/", i);
        EXPECT_OK(stub->Run(&context, Say(text), &reply));
        EXPECT_EQ(reply.text(), text);
        ++calls;
      }
    });
  }
  for (int round = 0; round < 8; ++round) {
    const int before = calls;
    EXPECT_TRUE(Eventually([&] { return calls > before + 20; }));
    auto next = Serve(&service);
    server->Shutdown();
    server = std::move(next);
  }
  stop = true;
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(executed.size(), calls);
  for (const std::string& text : executed) EXPECT_EQ(executed.count(text), 1) << text;
}

TEST_P(ServersTest, ShutdownCancelsWhatRunsAtItsDeadline) {
  std::atomic<bool> cancelled{false};
  Gate arrived;
  arrived.Open();
  ProbeService service;
  service.handler = [&](ServerContext* context, const Text*, Text*) {
    arrived.Pass();
    cancelled = Eventually([&] { return context->IsCancelled(); });
    return absl::OkStatus();
  };
  auto server = Serve(&service);
  const auto stub = Probe::NewStub(Connect());
  std::thread caller([&] {
    ClientContext context;
    Text reply;
    EXPECT_OK(stub->Run(&context, Say(""), &reply));
  });
  ASSERT_TRUE(arrived.AwaitArrived(1));
  server->Shutdown(absl::Now() + absl::Milliseconds(50));
  EXPECT_TRUE(cancelled);
  caller.join();
  EXPECT_OK(server->Wait());
  server->Shutdown();  // does nothing any more
}

TEST_P(ServersTest, CallsIssuedBeforeTheServerStartedMayBeDiscarded) {
  std::atomic<int> calls{0};
  ProbeService service;
  service.handler = [&](ServerContext*, const Text*, Text*) {
    ++calls;
    return absl::OkStatus();
  };
  const auto stub = Probe::NewStub(Connect());
  absl::Status status;
  std::thread caller([&] {
    ClientContext context;
    Text reply;
    status = stub->Run(&context, Say(""), &reply);
  });
  absl::SleepFor(absl::Milliseconds(500));  // the call is old when the server starts
  const auto server = Serve(&service, [](ServerBuilder* b) { b->set_discard_pending(true); });
  caller.join();
  EXPECT_THAT(status, HasCode(absl::StatusCode::kUnavailable));
  EXPECT_EQ(ReasonOf(status), ErrorInfo::DISCARDED);
  EXPECT_FALSE(GetErrorInfo(status)->may_have_executed());
  EXPECT_EQ(calls, 0);
  ClientContext next;
  Text reply;
  EXPECT_OK(stub->Run(&next, Say(""), &reply));
  EXPECT_EQ(calls, 1);
}

TEST_P(ServersTest, NothingIsLeftBehind) {
  ProbeService service;
  int before = 0;
  for (int round = 0; round < 3; ++round) {
    auto server = Serve(&service);
    InThreads(4, [&](int) {
      const auto stub = Probe::NewStub(Connect());
      for (int i = 0; i < 5; ++i) {
        ClientContext context;
        Text reply;
        EXPECT_OK(stub->Echo(&context, Say(""), &reply));
      }
    });
    server->Shutdown();
    if (round == 0) before = FilesLeft();
    EXPECT_EQ(FilesLeft(), before);
  }
  // format, servers, sessions, logs, durable.
  EXPECT_EQ(before, 5);
}

TEST_P(ServersTest, QueryTellsWhatIsThere) {
  ProbeService service;
  auto server = Serve(&service);
  const auto stub = Probe::NewStub(Connect());
  for (int i = 0; i < 5; ++i) {
    ClientContext context;
    Text reply;
    ASSERT_OK(stub->Echo(&context, Say(""), &reply));
  }
  ASSERT_OK_AND_ASSIGN(const SpoolStatus status, QuerySpool(spool()));
  EXPECT_EQ(status.path, spool());
  EXPECT_TRUE(status.problems.empty());
  ASSERT_EQ(status.servers.size(), 1);
  EXPECT_EQ(status.servers[0].state, ServerStatus::State::kServing);
  EXPECT_EQ(status.servers[0].pid, getpid());
  EXPECT_EQ(status.servers[0].services, std::vector<std::string>{"e2e.Probe"});
  ASSERT_EQ(status.servers[0].sessions.size(), 1);
  EXPECT_EQ(status.servers[0].sessions[0].client_pid, getpid());
  server->Shutdown();
  ASSERT_OK_AND_ASSIGN(const SpoolStatus after, QuerySpool(spool()));
  EXPECT_TRUE(after.servers.empty());
}

}  // namespace
}  // namespace spoolrpc::e2e
