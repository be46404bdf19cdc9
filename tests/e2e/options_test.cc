// Options that make no sense are refused by name; where messages go, and how often files are looked
// at, is the program's choice.
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "tests/e2e/fixture.h"
#include "tests/testing/faulty_system_calls.h"

namespace spoolrpc::e2e {
namespace {

using ::testing::AllOf;
using testing::HasCode;
using ::testing::HasSubstr;
using testing::StatusIs;

class OptionsTest : public BothTransports {
 protected:
  void ExpectRefused(const std::function<void(ServerBuilder*)>& change, const std::string& text) {
    ProbeService service;
    ServerBuilder builder = Builder(&service);
    change(&builder);
    EXPECT_THAT(builder.BuildAndStart(),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(text)));
    EXPECT_FALSE(std::filesystem::exists(spool()));
  }
  std::string LogFile() const {
    std::string text;
    for (const auto& entry : std::filesystem::directory_iterator(spool() + "/logs")) {
      std::ifstream in(entry.path());
      std::stringstream all;
      all << in.rdbuf();
      text += all.str();
    }
    return text;
  }
};
SPOOLRPC_BOTH_TRANSPORTS(OptionsTest);

TEST_P(OptionsTest, ServersOptionsAreChecked) {
  ExpectRefused([](ServerBuilder* b) { b->set_workers(-1); }, "workers");
  ExpectRefused([](ServerBuilder* b) { b->set_workers(20000); }, "workers");
  ExpectRefused([](ServerBuilder* b) { b->set_log_capacity(65535); }, "log_capacity");
  ExpectRefused([](ServerBuilder* b) { b->set_log_capacity(65536 + 100); }, "log_capacity");
  ExpectRefused([](ServerBuilder* b) { b->set_log_capacity(uint64_t{2} << 30); }, "log_capacity");
  ExpectRefused([](ServerBuilder* b) { b->set_lease_term(absl::Milliseconds(99)); }, "lease_term");
  ExpectRefused([](ServerBuilder* b) { b->set_lease_term(absl::InfiniteDuration()); },
                "lease_term");
  ExpectRefused([](ServerBuilder* b) { b->AddSpool("http://x"); }, "spool:/path");
  ExpectRefused([](ServerBuilder* b) { b->RegisterService(nullptr); }, "null service");
  ServerBuilder empty;
  EXPECT_THAT(empty.BuildAndStart(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("RegisterService")));
  ProbeService service;
  empty.RegisterService(&service);
  EXPECT_THAT(empty.BuildAndStart(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("AddSpool")));
}

TEST_P(OptionsTest, ServiceRegisteredTwiceIsNamed) {
  ProbeService service;
  ServerBuilder builder = Builder(&service);
  builder.RegisterService(&service);
  EXPECT_THAT(builder.BuildAndStart(),
              StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("e2e.Probe")));
}

TEST_P(OptionsTest, ChannelsOptionsAreChecked) {
  const auto refused = [&](const std::function<void(ChannelOptions*)>& change) {
    ChannelOptions options = Options();
    change(&options);
    return CreateChannel(spool(), options).status();
  };
  EXPECT_THAT(refused([](ChannelOptions* o) { o->log_capacity = 1; }),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("log_capacity")));
  EXPECT_THAT(refused([](ChannelOptions* o) { o->lease_term = absl::ZeroDuration(); }),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("lease_term")));
  EXPECT_THAT(refused([](ChannelOptions* o) { o->max_servers = 0; }),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("max_servers")));
  EXPECT_THAT(CreateChannel("ftp:/x"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("ftp")));
}

TEST_P(OptionsTest, ChannelIsLazy) {
  const auto channel = Connect();
  EXPECT_EQ(channel->path(), spool());
  EXPECT_FALSE(std::filesystem::exists(spool()));
}

TEST_P(OptionsTest, OneServerMayServeSeveralSpools) {
  ProbeService service;
  const auto server = Serve(&service, [&](ServerBuilder* b) { b->AddSpool(scratch() / "second"); });
  EXPECT_EQ(server->spools(), (std::vector<std::string>{spool(), scratch() / "second"}));
  for (const std::string& path : server->spools()) {
    ASSERT_OK_AND_ASSIGN(const auto channel, CreateChannel(path, Options()));
    const auto stub = Probe::NewStub(channel);
    ClientContext context;
    Text reply;
    EXPECT_OK(stub->Echo(&context, Say(path), &reply));
    EXPECT_EQ(reply.text(), path);
  }
}

TEST_P(OptionsTest, TheSameSpoolTwiceIsTwoServers) {
  ProbeService service;
  const auto server = Serve(&service, [&](ServerBuilder* b) { b->AddSpool(spool()); });
  ASSERT_OK_AND_ASSIGN(const SpoolStatus status, QuerySpool(spool()));
  EXPECT_EQ(status.servers.size(), 2);
  const auto stub = Probe::NewStub(Connect());
  for (int i = 0; i < 20; ++i) {
    ClientContext context;
    Text reply;
    EXPECT_OK(stub->Echo(&context, Say(""), &reply));
  }
}

TEST_P(OptionsTest, SinkGetsTheMessagesInsteadOfTheFile) {
  ProbeService service;
  auto server = Serve(&service);
  EXPECT_TRUE(log().Contains("serving e2e.Probe"));
  EXPECT_TRUE(log().Contains(spool()));
  server->Shutdown();
  EXPECT_TRUE(log().Contains("draining"));
  EXPECT_TRUE(log().Contains("stopped"));
  EXPECT_EQ(LogFile(), "");
}

TEST_P(OptionsTest, WithoutASinkTheyGoToAFileOfTheSpool) {
  ProbeService service;
  auto server = Serve(&service, [](ServerBuilder* b) {
    b->set_log_sink(nullptr);
    b->set_log_level(LogLevel::kInfo);
  });
  server->Shutdown();
  const std::string text = LogFile();
  EXPECT_THAT(text, AllOf(HasSubstr("INFO serving e2e.Probe"), HasSubstr("INFO stopped after 0")));
  EXPECT_EQ(text.find("DEBUG"), std::string::npos);
}

TEST_P(OptionsTest, LogLevelLeavesOutWhatIsBelowIt) {
  ProbeService service;
  auto server = Serve(&service, [](ServerBuilder* b) { b->set_log_level(LogLevel::kWarning); });
  const auto stub = Probe::NewStub(Connect());
  ClientContext context;
  Text reply;
  ASSERT_OK(stub->Echo(&context, Say(""), &reply));
  server->Shutdown();
  EXPECT_EQ(log().Text(), "");
}

TEST_P(OptionsTest, PollIntervalBoundsHowOftenFilesAreLookedAt) {
  // Two idle sessions, of which one is looked at as rarely as possible and one as often.
  int64_t reads[2];
  for (int often = 0; often < 2; ++often) {
    const testing::ScratchDirectory scratch;
    testing::FaultySystemCalls counted;
    os::Environment env;
    env.calls = &counted;
    wait::PollInterval interval;
    interval.min = often ? absl::Microseconds(500) : absl::Milliseconds(500);
    interval.max = often ? absl::Microseconds(500) : absl::Milliseconds(500);
    ProbeService service;
    ServerBuilder builder = Builder(&service);
    ServerBuilder own;
    own.AddSpool(scratch / "spool").RegisterService(&service);
    own.set_transport(spool::Transport::kNetwork).set_log_level(LogLevel::kNone);
    own.set_poll_interval(interval).set_environment(env);
    ASSERT_OK_AND_ASSIGN(const auto server, own.BuildAndStart());
    ChannelOptions options = Options();
    options.transport = spool::Transport::kNetwork;
    options.poll_interval = interval;
    ASSERT_OK_AND_ASSIGN(const auto channel, CreateChannel(scratch / "spool", options));
    const auto stub = Probe::NewStub(channel);
    ClientContext context;
    Text reply;
    ASSERT_OK(stub->Echo(&context, Say(""), &reply));
    counted.ResetCounts();
    absl::SleepFor(absl::Seconds(1));
    reads[often] = counted.Count(testing::Call::kPread, "/requests");
  }
  EXPECT_LT(reads[0], 20);
  EXPECT_GT(reads[1], 3 * reads[0]);
}

}  // namespace
}  // namespace spoolrpc::e2e
