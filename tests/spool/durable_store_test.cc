// Durable calls on disk: each step, a crash at each step, and files that somebody has damaged.
#include "spoolrpc/spool/durable_store.h"

#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "spoolrpc/errors.pb.h"
#include "spoolrpc/os/file.h"
#include "tests/testing/faulty_system_calls.h"
#include "tests/testing/memory_file_system.h"
#include "tests/testing/scratch_directory.h"
#include "tests/testing/status_matchers.h"

namespace spoolrpc::spool {
namespace {

using testing::Call;
using testing::HasCode;
using ::testing::HasSubstr;
using testing::StatusIs;

constexpr size_t kLimit = 1 << 20;
const std::string kServer1(16, '1');
const std::string kServer2(16, '2');

DurableCallRecord CallOf(const std::string& ticket, bool power_loss = false) {
  DurableCallRecord record;
  record.set_ticket(ticket);
  record.mutable_header()->set_method("/p.S/M");
  record.set_reply_type("p.Reply");
  record.set_survives_power_loss(power_loss);
  return record;
}

DurableClaimRecord ClaimOf(const std::string& ticket, uint32_t number, const std::string& server) {
  DurableClaimRecord record;
  record.set_ticket(ticket);
  record.set_number(number);
  record.set_server_id(server);
  return record;
}

DurableStartedRecord StartedOf(const std::string& ticket, const std::string& server) {
  DurableStartedRecord record;
  record.set_ticket(ticket);
  record.set_server_id(server);
  return record;
}

DurableReplyRecord ReplyOf(const std::string& ticket, const std::string& server) {
  DurableReplyRecord record;
  record.set_ticket(ticket);
  record.set_server_id(server);
  return record;
}

class DurableStoreTest : public ::testing::TestWithParam<Transport> {
 protected:
  DurableStoreTest() : store_(Open(&faults_)) {}

  DurableStore Open(os::SystemCalls* calls) {
    os::Environment env;
    env.calls = calls;
    auto spool = DurableStore::OpenSpool(env, scratch_ / "spool", GetParam());
    EXPECT_OK(spool);
    return DurableStore(*spool);
  }
  std::string PathOf(const std::string& ticket, absl::string_view name = "") const {
    return absl::StrCat(scratch_.path(), "/spool/durable/", IdName(ticket), name.empty() ? "" : "/",
                        name);
  }
  std::string Submit(bool power_loss = false) {
    const std::string ticket = store_.NewTicket();
    bool published = false;
    EXPECT_OK(store_.Submit(CallOf(ticket, power_loss), "request", &published));
    EXPECT_TRUE(published);
    return ticket;
  }

  const testing::ScratchDirectory scratch_;
  testing::FaultySystemCalls faults_;
  const DurableStore store_;
};
INSTANTIATE_TEST_SUITE_P(Transports, DurableStoreTest,
                         ::testing::Values(Transport::kLocal, Transport::kNetwork),
                         [](const auto& info) {
                           return info.param == Transport::kLocal ? "Local" : "Network";
                         });

TEST_P(DurableStoreTest, FromSubmissionToDeletion) {
  const std::string ticket = Submit();
  ASSERT_OK_AND_ASSIGN(const auto tickets, store_.List());
  EXPECT_EQ(tickets, std::vector<std::string>{ticket});
  ASSERT_OK_AND_ASSIGN(const auto call, store_.ReadCall(ticket));
  EXPECT_EQ(call.header().method(), "/p.S/M");
  EXPECT_EQ(call.process().pid(), getpid());
  ASSERT_OK_AND_ASSIGN(const auto request, store_.ReadRequest(ticket, kLimit));
  EXPECT_EQ(request.bytes, "request");
  EXPECT_THAT(store_.ReadRequest(ticket, 3), HasCode(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(store_.Collect(ticket, kLimit, nullptr), HasCode(absl::StatusCode::kUnavailable));

  ASSERT_OK_AND_ASSIGN(const bool claimed, store_.Claim(ClaimOf(ticket, 1, kServer1)));
  EXPECT_TRUE(claimed);
  ASSERT_OK_AND_ASSIGN(const bool started, store_.Start(StartedOf(ticket, kServer1), false));
  EXPECT_TRUE(started);
  ASSERT_OK_AND_ASSIGN(auto state, store_.Look(ticket));
  EXPECT_TRUE(state.call && state.started && !state.reply);
  EXPECT_EQ(state.claims, 1);
  ASSERT_OK_AND_ASSIGN(const bool replied, store_.Reply(ReplyOf(ticket, kServer1), "reply", false));
  EXPECT_TRUE(replied);
  std::string body;
  ASSERT_OK_AND_ASSIGN(const auto reply, store_.Collect(ticket, kLimit, &body));
  EXPECT_EQ(body, "reply");
  EXPECT_EQ(reply.server_id(), kServer1);

  ASSERT_OK(store_.Delete(ticket));
  EXPECT_THAT(store_.Look(ticket), HasCode(absl::StatusCode::kNotFound));
  EXPECT_THAT(store_.Collect(ticket, kLimit, &body),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr(PathOf(ticket))));
  EXPECT_THAT(store_.Delete(ticket), HasCode(absl::StatusCode::kNotFound));
  EXPECT_THAT(store_.Claim(ClaimOf(ticket, 2, kServer2)), HasCode(absl::StatusCode::kNotFound));
}

TEST_P(DurableStoreTest, TicketsAreInTheOrderOfSubmission) {
  std::vector<std::string> submitted;
  for (int i = 0; i < 5; ++i) submitted.push_back(Submit());
  ASSERT_OK_AND_ASSIGN(const auto tickets, store_.List());
  EXPECT_EQ(tickets, submitted);
}

TEST_P(DurableStoreTest, EachNameIsTheFirstOnes) {
  const std::string ticket = Submit();
  EXPECT_TRUE(*store_.Claim(ClaimOf(ticket, 1, kServer1)));
  EXPECT_FALSE(*store_.Claim(ClaimOf(ticket, 1, kServer2)));
  EXPECT_TRUE(*store_.Claim(ClaimOf(ticket, 2, kServer2)));
  EXPECT_TRUE(*store_.Start(StartedOf(ticket, kServer2), false));
  EXPECT_FALSE(*store_.Start(StartedOf(ticket, kServer1), false));
  EXPECT_TRUE(*store_.Start(StartedOf(ticket, kServer2), false)) << "its own already";
  EXPECT_TRUE(*store_.Reply(ReplyOf(ticket, kServer2), "first", false));
  EXPECT_FALSE(*store_.Reply(ReplyOf(ticket, kServer1), "second", false));
  std::string body;
  ASSERT_OK(store_.Collect(ticket, kLimit, &body));
  EXPECT_EQ(body, "first");
}

TEST_P(DurableStoreTest, RacedByThreadsOneWins) {
  const int kRounds = GetParam() == Transport::kLocal ? 300 : 100;
  for (int round = 0; round < kRounds; ++round) {
    const std::string ticket = Submit();
    std::atomic<int> winners{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
      threads.emplace_back([&, i] {
        const auto won = store_.Start(StartedOf(ticket, std::string(16, 'a' + i)), false);
        EXPECT_OK(won);
        if (won.ok() && *won) ++winners;
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(winners, 1);
    ASSERT_OK(store_.Delete(ticket));
  }
}

// A retried NFS request reports an error for its own success.
TEST_P(DurableStoreTest, ALinkThatSucceededAndReportsAnErrorIsAWin) {
  const std::string ticket = Submit();
  std::string temporary;
  faults_.Run({Call::kLink, "/started", 0, 1}, [&] {
    const auto names = os::ListDirectory(os::SystemCalls::Real(), PathOf(ticket));
    for (const std::string& name : *names) {
      if (name[0] == '.') temporary = PathOf(ticket, name);
    }
    ASSERT_EQ(link(temporary.c_str(), PathOf(ticket, "started").c_str()), 0);
  });
  ASSERT_OK_AND_ASSIGN(const bool won, store_.Start(StartedOf(ticket, kServer1), false));
  EXPECT_TRUE(won);
  EXPECT_NE(temporary, "");
}

TEST_P(DurableStoreTest, ARenameThatSucceededAndReportsAnErrorIsASubmission) {
  const std::string ticket = store_.NewTicket();
  bool renamed = false;
  faults_.Run({Call::kRename, "/durable/", 0, 1}, [&] {
    const auto names = os::ListDirectory(os::SystemCalls::Real(), scratch_ / "spool/durable");
    for (const std::string& name : *names) {
      if (name[0] != '.') continue;
      const std::string staged = GetParam() == Transport::kNetwork ? name + "/new" : name;
      renamed =
          rename((scratch_ / ("spool/durable/" + staged)).c_str(), PathOf(ticket).c_str()) == 0;
    }
  });
  bool published = false;
  EXPECT_OK(store_.Submit(CallOf(ticket), "request", &published));
  EXPECT_TRUE(renamed);
  EXPECT_TRUE(published);
  EXPECT_OK(store_.ReadRequest(ticket, kLimit));
}

// ---------------------------------------------------------------- crashes

constexpr Call kChanging[] = {Call::kOpen,   Call::kPwrite, Call::kFsync,    Call::kMkdir,
                              Call::kRename, Call::kLink,   Call::kUnlink,   Call::kRmdir,
                              Call::kOpenAt, Call::kList,   Call::kUnlinkAt, Call::kListAt,
                              Call::kLstat};

// Runs `steps` as a process that dies at its `step`-th system call: nothing of what it does later
// has any effect. False: it has come to its end before.
template <class Steps>
bool DiesAt(int step, testing::FaultySystemCalls* faults, const Steps& steps) {
  int left = step;
  bool died = false;
  for (const Call call : kChanging) {
    faults->Run({call}, [&] {
      if (left-- != 0) return;
      died = true;
      for (const Call every : kChanging) faults->Fail({every}, EIO);
    });
  }
  steps();
  faults->Clear();
  return died;
}

TEST_P(DurableStoreTest, ACrashAtEveryStepOfASubmissionLeavesAWholeCallOrNone) {
  for (const bool power_loss : {false, true}) {
    int without = 0;
    int with = 0;
    bool lived = false;
    for (int step = 0; !lived; ++step) {
      ASSERT_LT(step, 1000);
      const std::string ticket = store_.NewTicket();
      bool published = false;
      absl::Status status;
      lived = !DiesAt(step, &faults_, [&] {
        status = store_.Submit(CallOf(ticket, power_loss), "request", &published);
      });
      ASSERT_OK_AND_ASSIGN(const auto tickets, store_.List());
      const bool there = std::find(tickets.begin(), tickets.end(), ticket) != tickets.end();
      EXPECT_EQ(there && !published, false) << step << ": said to be certainly not there";
      EXPECT_TRUE(there || !status.ok()) << step;
      if (there) {
        ++with;
        ASSERT_OK_AND_ASSIGN(const auto request, store_.ReadRequest(ticket, kLimit));
        EXPECT_EQ(request.bytes, "request");
      } else {
        ++without;
      }
    }
    EXPECT_GT(without, 2) << "some crashes come before the rename";
    EXPECT_GT(with, 0);
  }
}

TEST_P(DurableStoreTest, ACrashAtEveryStepOfAServerLeavesWholeNames) {
  bool lived = false;
  for (int step = 0; !lived; ++step) {
    ASSERT_LT(step, 1000);
    const std::string ticket = Submit(/*power_loss=*/true);
    lived = !DiesAt(step, &faults_, [&] {
      const auto claimed = store_.Claim(ClaimOf(ticket, 1, kServer1));
      if (claimed.ok() && *claimed) {
        const auto started = store_.Start(StartedOf(ticket, kServer1), true);
        if (started.ok() && *started) {
          store_.Reply(ReplyOf(ticket, kServer1), "reply", true).status().IgnoreError();
        }
      }
    });
    // Whoever comes next finds complete files, in their order, or none.
    ASSERT_OK_AND_ASSIGN(const auto state, store_.Look(ticket));
    EXPECT_TRUE(state.call);
    if (state.reply) {
      EXPECT_TRUE(state.started);
      EXPECT_OK(store_.Collect(ticket, kLimit, nullptr));
    }
    if (state.started) {
      EXPECT_EQ(state.claims, 1);
      ASSERT_OK_AND_ASSIGN(const auto started, store_.ReadStarted(ticket));
      EXPECT_EQ(started.server_id(), kServer1);
      EXPECT_FALSE(*store_.Start(StartedOf(ticket, kServer2), true));
    } else {
      EXPECT_TRUE(*store_.Start(StartedOf(ticket, kServer2), true));
    }
    if (state.claims == 1) {
      EXPECT_OK(store_.ReadClaim(ticket, 1));
    }
    EXPECT_OK(store_.Delete(ticket)) << "with what the dead one has left";
    EXPECT_THAT(os::StatPath(os::SystemCalls::Real(), PathOf(ticket)).status(),
                HasCode(absl::StatusCode::kNotFound));
  }
}

TEST_P(DurableStoreTest, ACrashAtEveryStepOfADeletionLeavesAWholeCallOrNone) {
  bool lived = false;
  for (int step = 0; !lived; ++step) {
    ASSERT_LT(step, 1000);
    const std::string ticket = Submit(/*power_loss=*/true);
    EXPECT_TRUE(*store_.Claim(ClaimOf(ticket, 1, kServer1)));
    EXPECT_TRUE(*store_.Start(StartedOf(ticket, kServer1), true));
    EXPECT_TRUE(*store_.Reply(ReplyOf(ticket, kServer1), "reply", true));
    lived = !DiesAt(step, &faults_, [&] { store_.Delete(ticket).IgnoreError(); });
    const auto state = store_.Look(ticket);
    if (state.ok() && state->call) {
      EXPECT_TRUE(state->claims == 1 && state->started && state->reply) << "call goes first";
      EXPECT_OK(store_.Collect(ticket, kLimit, nullptr));
    } else {
      EXPECT_THAT(store_.Collect(ticket, kLimit, nullptr), HasCode(absl::StatusCode::kNotFound));
      EXPECT_OK(store_.RemoveRest(ticket));
    }
  }
}

// ---------------------------------------------------------------- cancelling

TEST_P(DurableStoreTest, ACallThatIsCancelledFirstIsNobodysToStart) {
  const std::string ticket = Submit();
  ASSERT_OK_AND_ASSIGN(const auto reply, store_.Cancel(ticket));
  EXPECT_EQ(reply.header().reason(), ErrorInfo::CANCELLED);
  EXPECT_FALSE(reply.may_have_executed());
  EXPECT_FALSE(*store_.Start(StartedOf(ticket, kServer1), false));
}

TEST_P(DurableStoreTest, ACallThatWasStartedMayHaveBeenExecuted) {
  const std::string ticket = Submit();
  EXPECT_TRUE(*store_.Start(StartedOf(ticket, kServer1), false));
  ASSERT_OK_AND_ASSIGN(const auto reply, store_.Cancel(ticket));
  EXPECT_TRUE(reply.may_have_executed());
  EXPECT_FALSE(*store_.Reply(ReplyOf(ticket, kServer1), "too late", false));
}

TEST_P(DurableStoreTest, CancellingAFinishedCallGivesItsReply) {
  const std::string ticket = Submit();
  EXPECT_TRUE(*store_.Reply(ReplyOf(ticket, kServer1), "done", false));
  ASSERT_OK_AND_ASSIGN(const auto reply, store_.Cancel(ticket));
  EXPECT_EQ(reply.server_id(), kServer1);
}

// ---------------------------------------------------------------- damage

std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

void WriteAll(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

class DurableDamageTest : public DurableStoreTest {
 protected:
  DurableDamageTest() : ticket_(Submit()) {
    EXPECT_TRUE(*store_.Claim(ClaimOf(ticket_, 1, kServer1)));
    EXPECT_TRUE(*store_.Start(StartedOf(ticket_, kServer1), false));
    EXPECT_TRUE(*store_.Reply(ReplyOf(ticket_, kServer1), "reply", false));
  }
  absl::Status Read(const std::string& name) const {
    std::string body;
    if (name == "call") return store_.ReadRequest(ticket_, kLimit).status();
    if (name == "claim.1") return store_.ReadClaim(ticket_, 1).status();
    if (name == "started") return store_.ReadStarted(ticket_).status();
    return store_.Collect(ticket_, kLimit, &body).status();
  }
  void ExpectRefused(const std::string& name, const std::string& what) {
    const absl::Status status = Read(name);
    EXPECT_TRUE(absl::IsDataLoss(status) || absl::IsFailedPrecondition(status))
        << name << ", " << what << ": " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(PathOf(ticket_, name)));
  }

  const std::string ticket_;
  const std::vector<std::string> names_ = {"call", "claim.1", "started", "reply"};
};
INSTANTIATE_TEST_SUITE_P(Local, DurableDamageTest, ::testing::Values(Transport::kLocal));

TEST_P(DurableDamageTest, EveryFlippedBitIsFound) {
  for (const std::string& name : names_) {
    const std::string whole = ReadAll(PathOf(ticket_, name));
    for (size_t i = 0; i < whole.size(); ++i) {
      for (const int bit : {0, 3, 7}) {
        std::string damaged = whole;
        damaged[i] = static_cast<char>(damaged[i] ^ 1 << bit);
        WriteAll(PathOf(ticket_, name), damaged);
        ExpectRefused(name, absl::StrCat("byte ", i, " bit ", bit));
      }
    }
    WriteAll(PathOf(ticket_, name), whole);
    EXPECT_OK(Read(name));
  }
}

TEST_P(DurableDamageTest, EveryTruncationAndExtensionIsFound) {
  for (const std::string& name : names_) {
    const std::string whole = ReadAll(PathOf(ticket_, name));
    for (size_t size = 0; size < whole.size(); ++size) {
      WriteAll(PathOf(ticket_, name), whole.substr(0, size));
      ExpectRefused(name, absl::StrCat("cut to ", size));
    }
    WriteAll(PathOf(ticket_, name), whole + '\0');
    ExpectRefused(name, "a byte more");
    WriteAll(PathOf(ticket_, name), whole);
  }
}

TEST_P(DurableDamageTest, WhatIsNoFileOfItsOwnIsNotRead) {
  for (const std::string& name : names_) {
    const std::string path = PathOf(ticket_, name);
    const std::string whole = ReadAll(path);
    ASSERT_EQ(unlink(path.c_str()), 0);
    ASSERT_EQ(mkdir(path.c_str(), 0700), 0);
    ExpectRefused(name, "a directory");
    ASSERT_EQ(rmdir(path.c_str()), 0);
    ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
    ExpectRefused(name, "a FIFO");
    ASSERT_EQ(unlink(path.c_str()), 0);
    WriteAll(scratch_ / "elsewhere", whole);
    ASSERT_EQ(symlink((scratch_ / "elsewhere").c_str(), path.c_str()), 0);
    ExpectRefused(name, "a symbolic link");
    ASSERT_EQ(unlink(path.c_str()), 0);
    WriteAll(path, whole);
    EXPECT_OK(Read(name));
  }
}

TEST_P(DurableDamageTest, FilesOfAnotherTicketAreNotBelieved) {
  const std::string other = Submit();
  for (const std::string& name : names_) {
    const std::string whole = ReadAll(PathOf(ticket_, name));
    WriteAll(PathOf(other, name), whole);
  }
  EXPECT_THAT(store_.ReadCall(other), HasCode(absl::StatusCode::kDataLoss));
  EXPECT_THAT(store_.ReadClaim(other, 1), HasCode(absl::StatusCode::kDataLoss));
  EXPECT_THAT(store_.ReadStarted(other), HasCode(absl::StatusCode::kDataLoss));
  EXPECT_THAT(store_.ReadReply(other), HasCode(absl::StatusCode::kDataLoss));
}

TEST_P(DurableDamageTest, ADamagedCallCanStillBeDeleted) {
  const std::string path = PathOf(ticket_, "call");
  ASSERT_EQ(unlink(path.c_str()), 0);
  ASSERT_EQ(mkdir(path.c_str(), 0700), 0);
  EXPECT_OK(store_.Delete(ticket_));
  EXPECT_THAT(store_.Look(ticket_), HasCode(absl::StatusCode::kNotFound));
}

// ---------------------------------------------------------------- two hosts

TEST(DurableStoreNetworkTest, AnotherHostSeesWhatWasPublished) {
  testing::MemoryFileSystem system;
  testing::MemoryClientOptions network;
  network.network = true;
  network.uid = geteuid();
  const auto here = system.NewClient(network);
  const auto there = system.NewClient(network);
  os::Environment env;
  env.calls = here.get();
  ASSERT_OK_AND_ASSIGN(const auto spool, DurableStore::OpenSpool(env, "/spool", Transport::kAuto));
  EXPECT_TRUE(spool->network());
  env.calls = there.get();
  ASSERT_OK_AND_ASSIGN(const auto same, Spool::Open(env, "/spool", Transport::kAuto));
  const DurableStore caller(spool);
  const DurableStore server(same);
  const std::string ticket = caller.NewTicket();
  EXPECT_THAT(server.Look(ticket), HasCode(absl::StatusCode::kNotFound)) << "looked too early";
  bool published = false;
  ASSERT_OK(caller.Submit(CallOf(ticket), "request", &published));
  ASSERT_OK_AND_ASSIGN(const auto tickets, server.List());
  ASSERT_EQ(tickets.size(), 1);
  // What this host had not flushed would be gone.
  here->Crash();
  ASSERT_OK_AND_ASSIGN(const auto request, server.ReadRequest(ticket, kLimit));
  EXPECT_EQ(request.bytes, "request");
  EXPECT_THAT(caller.Collect(ticket, kLimit, nullptr), HasCode(absl::StatusCode::kUnavailable));
  ASSERT_TRUE(*server.Claim(ClaimOf(ticket, 1, kServer1)));
  ASSERT_TRUE(*server.Start(StartedOf(ticket, kServer1), false));
  ASSERT_TRUE(*server.Reply(ReplyOf(ticket, kServer1), "reply", false));
  there->Crash();
  std::string body;
  ASSERT_OK(caller.Collect(ticket, kLimit, &body));
  EXPECT_EQ(body, "reply");
  ASSERT_OK(caller.Delete(ticket));
  EXPECT_THAT(server.Look(ticket), HasCode(absl::StatusCode::kNotFound));
}

}  // namespace
}  // namespace spoolrpc::spool
