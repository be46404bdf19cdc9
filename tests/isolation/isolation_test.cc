// Isolated methods end to end: a server process, its children, and what becomes of calls whose
// child crashes, hangs or is killed.
#include <errno.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/mutex.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "spoolrpc/spoolrpc.h"
#include "tests/failure/process.h"
#include "tests/isolation/isolated.spoolrpc.pb.h"
#include "tests/testing/scratch_directory.h"
#include "tests/testing/status_matchers.h"

namespace spoolrpc {
namespace {

using ::isolated::Isolated;
using ::isolated::Text;
using ::spoolrpc::failure::Await;
using ::spoolrpc::failure::Process;
using ::spoolrpc::testing::HasCode;
using ::spoolrpc::testing::IsOk;
using ::spoolrpc::testing::StatusIs;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr absl::Duration kLong = absl::Seconds(60);

std::vector<std::string> Lines(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

bool Alive(int64_t pid) {
  if (kill(static_cast<pid_t>(pid), 0) != 0) return false;
  // (One that nobody waits for stays as a zombie where the sandbox's first process reaps none.)
  std::ifstream stat(absl::StrCat("/proc/", pid, "/stat"));
  std::string line;
  std::getline(stat, line);
  return !absl::StrContains(line, ") Z ");
}

class IsolationTest : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override { Start({}); }

  void Start(std::vector<std::string> flags) {
    flags.push_back("--spool=" + spool());
    if (GetParam()) flags.push_back("--network");
    server_ = Process::Start("tests/isolation/isolated_server", flags);
    ASSERT_EQ(server_->NextLine(kLong).value_or("nothing"), "ready");
    ChannelOptions options;
    if (GetParam()) options.transport = spool::Transport::kNetwork;
    auto channel = CreateChannel(spool(), options);
    ASSERT_THAT(channel, IsOk());
    stub_ = Isolated::NewStub(*channel);
  }
  std::string spool() const { return scratch_ / "spool"; }

  absl::Status Do(const std::string& what, Text* reply = nullptr,
                  absl::Duration timeout = absl::InfiniteDuration()) {
    ClientContext context;
    if (timeout != absl::InfiniteDuration()) context.set_timeout(timeout);
    Text request;
    request.set_text(what);
    Text unused;
    return stub_->Do(&context, request, reply == nullptr ? &unused : reply);
  }
  std::string Check() {
    ClientContext context;
    Text reply;
    EXPECT_THAT(stub_->Check(&context, Text(), &reply), IsOk());
    return reply.text();
  }
  int64_t ServerPid() {
    ClientContext context;
    Text reply;
    EXPECT_THAT(stub_->Here(&context, Text(), &reply), IsOk());
    return reply.number();
  }

  testing::ScratchDirectory scratch_;
  std::unique_ptr<Process> server_;
  std::unique_ptr<Isolated::Stub> stub_;
};

INSTANTIATE_TEST_SUITE_P(Transports, IsolationTest, ::testing::Bool(),
                         [](const ::testing::TestParamInfo<bool>& info) {
                           return info.param ? "Network" : "Local";
                         });

TEST_P(IsolationTest, HandlersRunInAnotherProcessThatIsKept) {
  Text first;
  Text second;
  ASSERT_THAT(Do("echo", &first), IsOk());
  ASSERT_THAT(Do("echo", &second), IsOk());
  EXPECT_NE(first.number(), ServerPid());
  EXPECT_EQ(first.number(), second.number());
}

TEST_P(IsolationTest, RequestMetadataPeerAndReplyPass) {
  ClientContext context;
  context.AddMetadata("key", "value");
  context.AddMetadata("key-bin", std::string("\0\xff", 2));
  Text request;
  request.set_text("echo");
  request.set_payload(std::string(3 << 20, 'x'));  // more than a socket's buffer
  Text reply;
  ASSERT_THAT(stub_->Do(&context, request, &reply), IsOk());
  EXPECT_EQ(reply.payload(), request.payload());
  EXPECT_THAT(reply.text(), HasSubstr(absl::StrCat(":", getpid(), " uid ", getuid(), " files of ",
                                                   getuid(), " ", getgid())));
  EXPECT_EQ(context.GetServerInitialMetadata().find("initial-key")->second, "value");
  EXPECT_EQ(context.GetServerTrailingMetadata().find("trailing-key-bin")->second,
            std::string("\0\xff", 2));
}

TEST_P(IsolationTest, StatusesAndExceptionsPass) {
  EXPECT_THAT(Do("fail"), StatusIs(absl::StatusCode::kNotFound, "nothing there"));
  EXPECT_EQ(Check(), "OK");
  const absl::Status thrown = Do("throw");
  EXPECT_THAT(thrown, HasCode(absl::StatusCode::kUnknown));
  const auto details = GetDetails<ExceptionInfo>(thrown);
  ASSERT_EQ(details.size(), 1);
  EXPECT_EQ(details[0].type(), "std::out_of_range");
  EXPECT_EQ(details[0].text(), "beyond");
  EXPECT_THAT(Check(), HasSubstr("std::out_of_range: beyond"));
  EXPECT_EQ(Check(), "OK") << "told once";
  EXPECT_THAT(Do("bad metadata"), StatusIs(absl::StatusCode::kInternal, HasSubstr("bad metadata")));
}

TEST_P(IsolationTest, CrashCostsOneCallAndNamesTheSignal) {
  Text before;
  ASSERT_THAT(Do("echo", &before), IsOk());
  EXPECT_THAT(Do("segv"), StatusIs(absl::StatusCode::kInternal,
                                   AllOf(HasSubstr("/isolated.Isolated/Do"),
                                         HasSubstr("killed by signal 11 (SIGSEGV"))));
  EXPECT_THAT(Do("abort"), StatusIs(absl::StatusCode::kInternal, HasSubstr("SIGABRT")));
  EXPECT_THAT(Do("exit 3"), StatusIs(absl::StatusCode::kInternal, HasSubstr("exit status 3")));
  EXPECT_THAT(Check(), AllOf(HasSubstr("first of 3 failures"), HasSubstr("SIGSEGV")));
  Text after;
  ASSERT_THAT(Do("echo", &after), IsOk()) << "the child was replaced";
  EXPECT_NE(after.number(), before.number());
  EXPECT_FALSE(server_->Ended());
}

TEST_P(IsolationTest, ManyCrashesAmongManyCalls) {
  std::vector<std::thread> threads;
  std::atomic<int> ok{0};
  std::atomic<int> crashed{0};
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) {
        const bool crash = (i + t) % 5 == 0;
        const absl::Status status = Do(crash ? "abort" : "fail");
        ok += !crash && absl::IsNotFound(status);
        crashed += crash && absl::IsInternal(status);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(ok, 128);
  EXPECT_EQ(crashed, 32);
}

TEST_P(IsolationTest, DeadlineKillsWhatDoesNotListen) {
  const std::string pids = scratch_ / "pids";
  EXPECT_THAT(Do("spin " + pids, nullptr, absl::Milliseconds(300)),
              HasCode(absl::StatusCode::kDeadlineExceeded));
  // Both the handler's process and the one that it had started.
  ASSERT_TRUE(Await(kLong, [&] {
    const auto lines = Lines(pids);
    return lines.size() == 2 && std::none_of(lines.begin(), lines.end(), [](const auto& line) {
             int64_t pid = 0;
             return absl::SimpleAtoi(line, &pid) && Alive(pid);
           });
  }));
  EXPECT_THAT(Do("fail"), HasCode(absl::StatusCode::kNotFound));
}

TEST_P(IsolationTest, CancellationKills) {
  const std::string pids = scratch_ / "pids";
  ClientContext context;
  Text request;
  request.set_text("spin " + pids);
  Text reply;
  absl::Status status;
  std::thread call([&] { status = stub_->Do(&context, request, &reply); });
  EXPECT_TRUE(Await(kLong, [&] { return Lines(pids).size() == 2; }));
  context.TryCancel();
  call.join();
  EXPECT_THAT(status, HasCode(absl::StatusCode::kCancelled));
  EXPECT_TRUE(Await(kLong, [&] {
    int64_t pid = 0;
    return absl::SimpleAtoi(Lines(pids)[0], &pid) && !Alive(pid);
  }));
}

TEST_P(IsolationTest, HandlerCancelsItsOwnCall) {
  EXPECT_THAT(Do("cancel"), HasCode(absl::StatusCode::kCancelled));
  EXPECT_THAT(Do("fail"), HasCode(absl::StatusCode::kNotFound));
}

TEST_P(IsolationTest, DeadlinePasses) {
  Text reply;
  ASSERT_THAT(Do("deadline", &reply, kLong), IsOk());
  EXPECT_GT(reply.number(), 0);
  EXPECT_LE(reply.number(), absl::ToInt64Milliseconds(kLong));
}

TEST_P(IsolationTest, SlowMethodDelaysNoOther) {
  const std::string go = scratch_ / "go";
  std::vector<std::thread> calls;
  for (int i = 0; i < 4; ++i) {
    calls.emplace_back([&] { EXPECT_THAT(Do("wait " + go), IsOk()); });
  }
  // Two run, two wait; the server's own methods go on, and other isolated ones.
  for (int i = 0; i < 10; ++i) EXPECT_NE(ServerPid(), 0);
  ClientContext context;
  Text sum;
  const auto writer = stub_->Collect(&context, &sum);
  writer->WritesDone();
  EXPECT_THAT(writer->Finish(), IsOk());
  std::ofstream(go) << "go";
  for (std::thread& call : calls) call.join();
}

TEST_P(IsolationTest, CallsThatWaitForAProcessEndAtTheirDeadline) {
  const std::string go = scratch_ / "go";
  std::vector<std::thread> calls;
  for (int i = 0; i < 2; ++i) {
    calls.emplace_back([&] { EXPECT_THAT(Do("wait " + go), IsOk()); });
  }
  EXPECT_THAT(Do("wait " + go, nullptr, absl::Milliseconds(300)),
              HasCode(absl::StatusCode::kDeadlineExceeded));
  std::ofstream(go) << "go";
  for (std::thread& call : calls) call.join();
}

TEST_P(IsolationTest, WorkAfterTheReplyIsDoneInOrderInTheChild) {
  const std::string path = scratch_ / "later";
  Text reply;
  ASSERT_THAT(Do("later " + path, &reply), IsOk());
  ASSERT_TRUE(Await(kLong, [&] { return Lines(path).size() == 2; }));
  EXPECT_THAT(Lines(path), ElementsAre(absl::StrCat("first ", reply.number()),
                                       absl::StrCat("second ", reply.number())));
  EXPECT_THAT(Do("later segv"), IsOk()) << "its reply had gone";
  EXPECT_TRUE(Await(kLong, [&] { return absl::StrContains(Check(), "SIGSEGV"); }));
  EXPECT_THAT(Do("fail"), HasCode(absl::StatusCode::kNotFound));
}

TEST_P(IsolationTest, ClientStream) {
  ClientContext context;
  Text sum;
  const auto writer = stub_->Collect(&context, &sum);
  Text text;
  text.set_payload(std::string(10000, 'x'));
  for (int i = 1; i <= 100; ++i) {
    text.set_number(i);
    ASSERT_TRUE(writer->Write(text));
  }
  writer->WritesDone();
  ASSERT_THAT(writer->Finish(), IsOk());
  EXPECT_EQ(sum.number(), 5050);
}

TEST_P(IsolationTest, HandlerThatDoesNotReadToTheEnd) {
  for (int i = 0; i < 3; ++i) {
    ClientContext context;
    Text sum;
    const auto writer = stub_->Collect(&context, &sum);
    Text text;
    text.set_number(7);
    writer->Write(text);
    text.set_text("stop");
    writer->Write(text);
    EXPECT_THAT(writer->Finish(), IsOk());
    EXPECT_EQ(sum.number(), 7);
  }
}

TEST_P(IsolationTest, BidiStreamWithCrashInTheMiddle) {
  for (const bool crash : {false, true, false}) {
    ClientContext context;
    const auto stream = stub_->Talk(&context);
    Text text;
    ASSERT_TRUE(stream->Read(&text));
    EXPECT_EQ(text.text(), "hello");
    EXPECT_EQ(context.GetServerInitialMetadata().find("said")->second, "first");
    for (int i = 0; i < 20; ++i) {
      text.set_text(absl::StrCat(i));
      ASSERT_TRUE(stream->Write(text));
      ASSERT_TRUE(stream->Read(&text));
      EXPECT_EQ(text.text(), absl::StrCat("you said ", i));
    }
    if (crash) {
      text.set_text("abort");
      stream->Write(text);
      EXPECT_FALSE(stream->Read(&text));
      EXPECT_THAT(stream->Finish(), StatusIs(absl::StatusCode::kInternal, HasSubstr("SIGABRT")));
      continue;
    }
    stream->WritesDone();
    EXPECT_FALSE(stream->Read(&text));
    EXPECT_THAT(stream->Finish(), IsOk());
    EXPECT_EQ(context.GetServerTrailingMetadata().find("said")->second, "last");
  }
}

TEST_P(IsolationTest, KilledWhileItWaitsForAMessage) {
  ClientContext context;
  Text sum;
  const auto writer = stub_->Collect(&context, &sum);
  Text text;
  text.set_number(1);
  ASSERT_TRUE(writer->Write(text));
  // The child is found as the kernel shows it: a grandchild of the server.
  int64_t child = 0;
  ASSERT_TRUE(Await(kLong, [&] {
    std::ifstream nurseries(
        absl::StrCat("/proc/", server_->pid(), "/task/", server_->pid(), "/children"));
    int64_t nursery = 0;
    nurseries >> nursery;
    std::ifstream children(absl::StrCat("/proc/", nursery, "/task/", nursery, "/children"));
    return static_cast<bool>(children >> child);
  }));
  kill(static_cast<pid_t>(child), SIGKILL);
  EXPECT_THAT(writer->Finish(), StatusIs(absl::StatusCode::kInternal, HasSubstr("SIGKILL")));
}

TEST_P(IsolationTest, Batches) {
  const auto run = [&](const std::vector<std::string>& texts) {
    std::vector<absl::Status> statuses(texts.size());
    std::vector<Text> replies(texts.size());
    std::vector<std::thread> calls;
    for (size_t i = 0; i < texts.size(); ++i) {
      calls.emplace_back([&, i] {
        ClientContext context;
        Text request;
        request.set_text(texts[i]);
        statuses[i] = stub_->Gather(&context, request, &replies[i]);
        if (statuses[i].ok()) {
          EXPECT_EQ(context.GetServerTrailingMetadata().count("index"), 1);
        }
      });
    }
    for (std::thread& call : calls) call.join();
    for (size_t i = 0; i < texts.size(); ++i) {
      if (!statuses[i].ok()) continue;
      EXPECT_EQ(replies[i].text(), "did " + texts[i]);
      EXPECT_EQ(replies[i].number(), 3);
    }
    return statuses;
  };
  EXPECT_THAT(run({"a", "fail", "b"}),
              ElementsAre(IsOk(), HasCode(absl::StatusCode::kNotFound), IsOk()));
  EXPECT_THAT(run({"abort", "abort", "abort"}), ElementsAre(HasCode(absl::StatusCode::kInternal),
                                                            HasCode(absl::StatusCode::kInternal),
                                                            HasCode(absl::StatusCode::kInternal)));
  EXPECT_THAT(run({"throw", "throw", "throw"}),
              ElementsAre(HasCode(absl::StatusCode::kUnknown), HasCode(absl::StatusCode::kUnknown),
                          HasCode(absl::StatusCode::kUnknown)));
  EXPECT_THAT(run({"a", "b", "c"}), ElementsAre(IsOk(), IsOk(), IsOk()));
}

TEST_P(IsolationTest, NoProcessIsLeftBehind) {
  const std::string pids = scratch_ / "pids";
  std::thread call([&] { Do("spin " + pids).IgnoreError(); });
  EXPECT_TRUE(Await(kLong, [&] { return Lines(pids).size() == 2; }));
  server_->Kill();
  call.join();
  EXPECT_TRUE(Await(kLong, [&] {
    int64_t pid = 0;
    for (const std::string& line : Lines(pids)) {
      if (absl::SimpleAtoi(line, &pid) && Alive(pid)) return false;
    }
    return true;
  }));
}

TEST_P(IsolationTest, StoppedNurseryDoesNotHoldUpTheEnd) {
  ASSERT_THAT(Do("echo"), IsOk());
  int64_t nursery = 0;
  std::ifstream(absl::StrCat("/proc/", server_->pid(), "/task/", server_->pid(), "/children")) >>
      nursery;
  ASSERT_GT(nursery, 0);
  kill(static_cast<pid_t>(nursery), SIGSTOP);
  server_->Send(SIGTERM);
  EXPECT_EQ(server_->AwaitExit(kLong).value_or(-1), 0);
  EXPECT_TRUE(Await(kLong, [&] { return !Alive(nursery); }));
}

TEST_P(IsolationTest, DrainLetsHandlersFinish) {
  const std::string go = scratch_ / "go";
  std::thread call([&] { EXPECT_THAT(Do("wait " + go), IsOk()); });
  Text reply;
  ASSERT_THAT(Do("echo", &reply), IsOk());
  // As a batch system does it: the signal goes to all processes.
  kill(static_cast<pid_t>(reply.number()), SIGTERM);
  server_->Send(SIGTERM);
  std::ofstream(go) << "go";
  call.join();
  EXPECT_EQ(server_->AwaitExit(kLong).value_or(-1), 0);
}

TEST_P(IsolationTest, CheckTellsOfOrdinaryHandlersToo) {
  ClientContext context;
  Text request;
  request.set_text("throw");
  Text reply;
  EXPECT_THAT(stub_->Here(&context, request, &reply), HasCode(absl::StatusCode::kUnknown));
  EXPECT_THAT(Check(), HasSubstr("std::out_of_range: here"));
  EXPECT_EQ(Check(), "OK");
}

std::string FirstLine(const std::vector<std::string>& flags) {
  const auto server = Process::Start("tests/isolation/isolated_server", flags);
  return server->NextLine(kLong).value_or("nothing");
}

TEST(IsolationRefusalsTest, ProcessWithThreads) {
  const testing::ScratchDirectory scratch;
  EXPECT_THAT(FirstLine({"--spool=" + (scratch / "spool"), "--with_thread"}),
              AllOf(HasSubstr("failed FAILED_PRECONDITION"), HasSubstr("/isolated.Isolated/"),
                    HasSubstr("has 2; build this server first")));
}

TEST(IsolationRefusalsTest, Reactors) {
  const testing::ScratchDirectory scratch;
  EXPECT_THAT(FirstLine({"--spool=" + (scratch / "spool"), "--callback"}),
              AllOf(HasSubstr("failed INVALID_ARGUMENT"), HasSubstr("/isolated.Isolated/Do"),
                    HasSubstr("callback handler")));
}

}  // namespace
}  // namespace spoolrpc
