// File operations that fail under calls, on either side: every call ends, with a status that says
// what failed, and what comes after it goes well.
#include <errno.h>

#include <atomic>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/e2e/fixture.h"
#include "tests/testing/faulty_system_calls.h"

namespace spoolrpc::e2e {
namespace {

using ::testing::AnyOf;
using testing::Call;
using testing::HasCode;
using ::testing::HasSubstr;
using testing::StatusIs;

constexpr absl::Duration kTerm = absl::Seconds(2);

const Call kCalls[] = {Call::kOpen,      Call::kClose,  Call::kPread,     Call::kPwrite,
                       Call::kFdatasync, Call::kFsync,  Call::kFallocate, Call::kFstat,
                       Call::kFchmod,    Call::kMap,    Call::kLstat,     Call::kStatfs,
                       Call::kMkdir,     Call::kUnlink, Call::kRename,    Call::kLink,
                       Call::kList,      Call::kOpenAt, Call::kUnlinkAt};

class FaultsTest : public BothTransports {
 protected:
  os::Environment Env() {
    os::Environment env;
    env.calls = &faults_;
    return env;
  }
  ChannelOptions FaultyOptions() {
    ChannelOptions options = Options();
    options.lease_term = kTerm;
    options.ack_timeout = absl::Seconds(5);
    return options;
  }
  // One call without a deadline: it must end all the same.
  static absl::Status CallOnce(Probe::Stub* stub) {
    ClientContext context;
    Text reply;
    const absl::Status status = stub->Echo(&context, Say("x"), &reply);
    if (status.ok()) {
      EXPECT_EQ(reply.text(), "x");
    } else {
      // Whatever ends it is the infrastructure's, and says so.
      EXPECT_TRUE(IsTransportError(status)) << status;
      EXPECT_GT(status.message().size(), 10) << status;
    }
    return status;
  }

  testing::FaultySystemCalls faults_;
};
SPOOLRPC_BOTH_TRANSPORTS(FaultsTest);

TEST_P(FaultsTest, EachFailingCallOfTheClient) {
  ProbeService service;
  const auto server = Serve(&service, [](ServerBuilder* b) { b->set_lease_term(kTerm); });
  int met = 0;
  for (const Call call : kCalls) {
    for (int skip = 0; skip < 3; ++skip) {
      const auto fault = faults_.Fail({call, spool(), skip, 1}, EIO);
      ChannelOptions options = FaultyOptions();
      options.environment = Env();
      {
        const auto stub = Probe::NewStub(Connect(options));
        for (int i = 0; i < 3; ++i) CallOnce(stub.get()).IgnoreError();
        // One fault is one fault: the channel gets over it.
        EXPECT_TRUE(Eventually([&] { return CallOnce(stub.get()).ok(); }))
            << static_cast<int>(call) << " " << skip;
      }
      met += faults_.Met(fault);
      faults_.Clear();
    }
  }
  EXPECT_GT(met, 20);
}

TEST_P(FaultsTest, EachFailingCallOfTheServer) {
  ProbeService service;
  int met = 0;
  for (const Call call : kCalls) {
    for (int skip = 0; skip < 2; ++skip) {
      const auto server = Serve(&service, [this](ServerBuilder* builder) {
        builder->set_environment(Env());
        builder->set_lease_term(kTerm);
      });
      const auto fault = faults_.Fail({call, spool(), skip, 1}, EIO);
      {
        const auto stub = Probe::NewStub(Connect(FaultyOptions()));
        for (int i = 0; i < 3; ++i) CallOnce(stub.get()).IgnoreError();
        EXPECT_TRUE(Eventually([&] { return CallOnce(stub.get()).ok(); }))
            << static_cast<int>(call) << " " << skip;
      }
      met += faults_.Met(fault);
      faults_.Clear();
    }
  }
  EXPECT_GT(met, 15);
}

TEST_P(FaultsTest, ServerThatCannotStartSaysWhatFailedAndLeavesNothing) {
  ProbeService service;
  for (const Call call : {Call::kMkdir, Call::kOpen, Call::kPwrite, Call::kRename, Call::kLstat}) {
    const auto fault = faults_.Fail({call, spool()}, EACCES);
    ServerBuilder builder = Builder(&service);
    builder.set_environment(Env());
    const auto server = builder.BuildAndStart();
    EXPECT_FALSE(server.ok()) << static_cast<int>(call);
    EXPECT_THAT(std::string(server.status().message()), HasSubstr(spool()));
    EXPECT_GT(faults_.Met(fault), 0);
    faults_.Clear();
  }
  const auto server = Serve(&service);
  const auto stub = Probe::NewStub(Connect());
  EXPECT_OK(CallOnce(stub.get()));
}

TEST_P(FaultsTest, FullDiskIsSaidAndAnEmptiedOneIsUsed) {
  ProbeService service;
  const auto server = Serve(&service);
  faults_.LimitSpace(10'000);
  ChannelOptions options = FaultyOptions();
  options.environment = Env();
  const auto stub = Probe::NewStub(Connect(options));
  const absl::Status status = CallOnce(stub.get());
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr(spool())));
  EXPECT_FALSE(GetErrorInfo(status)->may_have_executed());
  faults_.Clear();
  EXPECT_OK(CallOnce(stub.get()));
}

// On either side, and whichever way the file system says that there is no room.
TEST_P(FaultsTest, NoRoomForASessionIsSaidWithThePathAndTheNextCallGoesOn) {
  ProbeService service;
  for (const int error : {ENOSPC, EDQUOT}) {
    for (const bool of_server : {false, true}) {
      SCOPED_TRACE(absl::StrCat("errno ", error, of_server ? ", the server's" : ", the client's"));
      const auto server = Serve(&service, [&](ServerBuilder* builder) {
        if (of_server) builder->set_environment(Env());
        builder->set_lease_term(kTerm);
      });
      ChannelOptions options = FaultyOptions();
      if (!of_server) options.environment = Env();
      const std::string file = of_server ? "/responses" : "/requests";
      const auto full = faults_.Fail({Call::kPwrite, file}, error);
      const auto reserved = faults_.Fail({Call::kFallocate, file}, error);
      const auto stub = Probe::NewStub(Connect(options));
      const absl::Status status = CallOnce(stub.get());
      EXPECT_GT(faults_.Met(full) + faults_.Met(reserved), 0);
      EXPECT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr(file)));
      EXPECT_THAT(std::string(status.message()), HasSubstr(spool()));
      EXPECT_FALSE(GetErrorInfo(status)->may_have_executed());
      faults_.Clear();
      EXPECT_TRUE(Eventually([&] { return CallOnce(stub.get()).ok(); }));
    }
  }
}

TEST_P(FaultsTest, LostWriteOfTheClientEndsTheSessionWithDataLossAndTheNextCallGoesOn) {
  ProbeService service;
  const auto server = Serve(&service, [](ServerBuilder* b) { b->set_lease_term(kTerm); });
  ChannelOptions options = FaultyOptions();
  options.ack_timeout = kLong;
  options.environment = Env();
  const auto stub = Probe::NewStub(Connect(options));
  ASSERT_OK(CallOnce(stub.get()));
  const auto lost = faults_.LoseWrites({Call::kPwrite, "/requests", 0, 1});
  const absl::Status status = CallOnce(stub.get());
  EXPECT_EQ(faults_.Met(lost), 1);
  if (!status.ok()) {
    EXPECT_THAT(status.code(), AnyOf(absl::StatusCode::kDataLoss, absl::StatusCode::kUnavailable))
        << status;
  }
  EXPECT_TRUE(Eventually([&] { return CallOnce(stub.get()).ok(); }));
}

TEST_P(FaultsTest, LostWriteOfTheServerIsDataLossThatNamesTheFile) {
  Gate gate;
  ProbeService service;
  service.handler = [&](ServerContext*, const Text* request, Text*) {
    if (request->text() == "wait") {
      gate.Pass();
    } else {
      // The next write to the log is the reply of this call, unless the lease is renewed just now.
      faults_.LoseWrites({Call::kPwrite, "/responses", 0, 1});
    }
    return absl::OkStatus();
  };
  const auto server = Serve(&service, [&](ServerBuilder* builder) {
    builder->set_environment(Env());
    builder->set_lease_term(absl::Seconds(5));
    builder->set_workers(4);
  });
  const auto stub = Probe::NewStub(Connect());
  // A call that stays open keeps the lease going, whose mark shows the hole.
  ClientContext context;
  absl::Notification acknowledged;
  context.set_acknowledged_callback([&] { acknowledged.Notify(); });
  absl::Status waiting;
  std::thread waiter([&] {
    Text reply;
    waiting = stub->Run(&context, Say("wait"), &reply);
  });
  EXPECT_TRUE(acknowledged.WaitForNotificationWithTimeout(kLong));
  absl::Status status;
  for (int i = 0; i < 100 && status.ok(); ++i) {
    ClientContext lost;
    Text reply;
    status = stub->Run(&lost, Say("lose"), &reply);
  }
  waiter.join();
  for (const absl::Status& lost : {status, waiting}) {
    EXPECT_THAT(lost, StatusIs(absl::StatusCode::kDataLoss, HasSubstr("/responses")));
    EXPECT_THAT(std::string(lost.message()), HasSubstr("offset"));
    EXPECT_EQ(ReasonOf(lost), ErrorInfo::SESSION_CORRUPT);
    EXPECT_TRUE(GetErrorInfo(lost)->may_have_executed());
  }
  gate.Open();
  faults_.Clear();
  EXPECT_TRUE(Eventually([&] { return CallOnce(stub.get()).ok(); }));
}

TEST_P(FaultsTest, CallsOutliveAHousekeeperWhoseFilesAreSlow) {
  // The server's directory does not answer for longer than a lease, while the sessions' logs do.
  ProbeService service;
  testing::FaultySystemCalls::Fault block;
  service.handler = [&](ServerContext*, const Text*, Text* reply) {
    block = faults_.Block({Call::kList, "/inbox"});
    EXPECT_TRUE(faults_.AwaitBlocked(block));
    absl::SleepFor(3 * kTerm);
    reply->set_text("whole");
    return absl::OkStatus();
  };
  const auto server = Serve(&service, [this](ServerBuilder* builder) {
    builder->set_lease_term(kTerm);
    builder->set_environment(Env());
  });
  const auto stub = Probe::NewStub(Connect(FaultyOptions()));
  ClientContext context;
  Text reply;
  EXPECT_OK(stub->Run(&context, Say(""), &reply));
  EXPECT_EQ(reply.text(), "whole");
  faults_.Remove(block);
}

TEST_P(FaultsTest, CallerIsNotHeldByAFileSystemThatBlocks) {
  if (!network()) GTEST_SKIP() << "a local file system does not block";
  ProbeService service;
  const auto server = Serve(&service);
  ChannelOptions options = FaultyOptions();
  options.environment = Env();
  const auto stub = Probe::NewStub(Connect(options));
  ASSERT_OK(CallOnce(stub.get()));
  for (const Call call : {Call::kPwrite, Call::kPread}) {
    const auto block = faults_.Block({call, call == Call::kPwrite ? "/requests" : "/responses"});
    ClientContext with_deadline;
    with_deadline.set_timeout(absl::Milliseconds(200));
    Text reply;
    EXPECT_THAT(stub->Echo(&with_deadline, Say(""), &reply),
                HasCode(absl::StatusCode::kDeadlineExceeded));
    ClientContext to_cancel;
    std::thread canceller([&] { to_cancel.TryCancel(); });
    EXPECT_THAT(stub->Echo(&to_cancel, Say(""), &reply), HasCode(absl::StatusCode::kCancelled));
    canceller.join();
    ClientContext unacknowledged;
    unacknowledged.set_ack_timeout(absl::Milliseconds(200));
    EXPECT_EQ(ReasonOf(stub->Echo(&unacknowledged, Say(""), &reply)), ErrorInfo::ACK_TIMEOUT);
    faults_.Remove(block);
    EXPECT_TRUE(Eventually([&] { return CallOnce(stub.get()).ok(); }));
  }
}

}  // namespace
}  // namespace spoolrpc::e2e
