// `spoolrpc status` against real servers and clients.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "google/protobuf/util/json_util.h"
#include "gtest/gtest.h"
#include "spoolrpc/spool.pb.h"
#include "spoolrpc/spool/record_file.h"
#include "spoolrpc/status.pb.h"
#include "tests/cli/programs.h"
#include "tests/testing/scratch_directory.h"

namespace spoolrpc::cli {
namespace {

using ::testing::ContainsRegex;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class StatusTest : public ::testing::Test {
 protected:
  Outcome Status(std::vector<std::string> flags = {}) {
    flags.insert(flags.begin(), {"status", spool_});
    return RunProgram(scratch_.path(), kSpoolrpc, flags);
  }
  // The same with --json; the exit status is `*status`.
  StatusDocument Document(int* status, std::vector<std::string> flags = {}) {
    flags.emplace_back("--json");
    const Outcome outcome = Status(flags);
    *status = outcome.status;
    StatusDocument document;
    // Knows all fields, and each has its type.
    const auto parsed = google::protobuf::util::JsonStringToMessage(outcome.out, &document);
    EXPECT_TRUE(parsed.ok()) << parsed.ToString() << "\n" << outcome.out << outcome.err;
    return document;
  }
  // Asks until `condition` holds of the document; false after a minute.
  template <class Condition>
  bool Await(const Condition& condition) {
    const absl::Time end = absl::Now() + absl::Minutes(1);
    int status = 0;
    while (!condition(Document(&status))) {
      if (absl::Now() >= end) return false;
    }
    return true;
  }

  const testing::ScratchDirectory scratch_;
  const std::string spool_ = scratch_ / "spool";
};

TEST_F(StatusTest, DescribesAServerAndItsSessions) {
  const auto server = StartGreeter(scratch_.path(), spool_);
  Program client(scratch_.path(), kGreeterClient,
                 {absl::StrCat("--spool=", spool_), "--calls=100000000", "--ack_timeout=60s"});
  ASSERT_TRUE(Await([](const StatusDocument& d) {
    return d.servers_size() == 1 && d.servers(0).sessions_size() == 1 &&
           d.servers(0).calls_served() > 0;
  })) << client.err();
  int status = -1;
  const StatusDocument document = Document(&status);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(document.exists());
  EXPECT_TRUE(document.live());
  EXPECT_EQ(document.path(), spool_);
  EXPECT_THAT(document.problems(), IsEmpty());
  ASSERT_EQ(document.servers_size(), 1);
  const ServerDocument& described = document.servers(0);
  EXPECT_EQ(described.state(), "serving");
  EXPECT_EQ(described.pid(), server->pid());
  EXPECT_EQ(described.uid(), geteuid());
  EXPECT_THAT(described.services(), ElementsAre("helloworld.Greeter"));
  EXPECT_GT(described.uptime_seconds(), 0);
  EXPECT_LT(described.uptime_seconds(), 600);
  // This file system is local (the test's own), so that the age is known from the file.
  EXPECT_TRUE(described.has_lease_age_seconds());
  EXPECT_GE(described.lease_age_seconds(), 0);
  EXPECT_LE(described.lease_age_seconds(), described.lease_term_seconds());
  EXPECT_TRUE(std::filesystem::exists(described.log_path()));
  EXPECT_TRUE(std::filesystem::exists(absl::StrCat(spool_, "/servers/", described.id())));
  EXPECT_EQ(described.session_count(), 1);
  ASSERT_EQ(described.sessions_size(), 1);
  EXPECT_EQ(described.sessions(0).client(), "alive");
  EXPECT_EQ(described.sessions(0).client_pid(), client.pid());

  const Outcome text = Status();
  EXPECT_EQ(text.status, 0);
  EXPECT_THAT(text.out, HasSubstr(": 1 server, 1 session\n"));
  EXPECT_THAT(text.out, ContainsRegex(absl::StrCat(described.id().substr(0, 8), " +serving +.* ",
                                                   server->pid(), " .*helloworld.Greeter")));
  EXPECT_THAT(text.out, ContainsRegex(absl::StrCat("alive +.* ", client.pid(), " ")));
  EXPECT_THAT(Status({"--sessions=0"}).out, HasSubstr("and 1 more") /* never silently */);
}

TEST_F(StatusTest, TheJsonIsWhatOtherParsersCallJson) {
  const auto server = StartGreeter(scratch_.path(), spool_);
  WriteFile(scratch_ / "status.json", Status({"--json"}).out);
  const Outcome python =
      RunProgram(scratch_.path(), "tests/cli/parse_json.sh", {scratch_ / "status.json"});
  if (python.status == 77) GTEST_SKIP() << "no python3 here";
  EXPECT_EQ(python.status, 0) << python.err;
  EXPECT_EQ(python.out, "1 serving True\n");
}

TEST_F(StatusTest, WithoutASpoolThereIsNoServer) {
  int status = -1;
  const StatusDocument document = Document(&status);
  EXPECT_EQ(status, 1);
  EXPECT_FALSE(document.exists());
  EXPECT_FALSE(document.live());
  EXPECT_EQ(document.path(), spool_);
  const Outcome text = Status();
  EXPECT_EQ(text.status, 1);
  EXPECT_THAT(text.err, HasSubstr(spool_));
  EXPECT_FALSE(std::filesystem::exists(spool_)) << "asking makes nothing";
}

TEST_F(StatusTest, ASpoolThatCannotBeUsedIsStatusThree) {
  WriteFile(spool_, "a file");
  Outcome outcome = Status();
  EXPECT_EQ(outcome.status, 3);
  EXPECT_THAT(outcome.err, HasSubstr(absl::StrCat(spool_, ": is not a directory")));
  // At once, however long it would wait.
  EXPECT_EQ(Status({"--wait"}).status, 3);

  std::filesystem::remove(spool_);
  std::filesystem::create_directory(spool_);
  EXPECT_EQ(Status().status, 1) << "an empty directory may become one";
  WriteFile(spool_ + "/thesis.tex", "x");
  outcome = Status();
  EXPECT_EQ(outcome.status, 3);
  EXPECT_THAT(outcome.err, HasSubstr("not a spool"));

  spool::SpoolRecord record;
  record.set_format_version(2);
  WriteFile(spool_ + "/format", spool::EncodeRecord(spool::RecordKind::kSpool, record));
  outcome = Status({"--wait"});
  EXPECT_EQ(outcome.status, 3);
  EXPECT_THAT(outcome.err, HasSubstr("format version 2"));

  // The permissions of a spool that anybody may write to are none.
  ASSERT_EQ(chmod(spool_.c_str(), 0777), 0);
  outcome = Status();
  EXPECT_EQ(outcome.status, 3);
  EXPECT_THAT(outcome.err, HasSubstr("chmod"));
  if (geteuid() != 0) {
    ASSERT_EQ(chmod(spool_.c_str(), 0000), 0);
    EXPECT_EQ(Status().status, 3);
    ASSERT_EQ(chmod(spool_.c_str(), 0700), 0);
  }
}

TEST_F(StatusTest, WaitsForAServerThatComesLater) {
  Program waiting(scratch_.path(), kSpoolrpc, {"status", spool_, "--wait=60s"});
  Program for_ever(scratch_.path(), kSpoolrpc,
                   {"status", spool_, "--wait", "--service=helloworld.Greeter", "--json"});
  EXPECT_TRUE(waiting.running());
  const auto server = StartGreeter(scratch_.path(), spool_);
  EXPECT_EQ(waiting.Wait(), 0) << waiting.err();
  EXPECT_THAT(waiting.out(), HasSubstr("serving"));
  EXPECT_EQ(for_ever.Wait(), 0) << for_ever.err();
  EXPECT_THAT(for_ever.out(), HasSubstr("\"live\": true"));
  // And at once where it is there already.
  EXPECT_EQ(Status({"--wait=0s"}).status, 0);
}

TEST_F(StatusTest, WaitsNoLongerThanItIsTold) {
  const absl::Time began = absl::Now();
  Outcome outcome = Status({"--wait=300ms"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_GE(absl::Now() - began, absl::Milliseconds(300));
  const auto server = StartGreeter(scratch_.path(), spool_);
  outcome = Status({"--wait=300ms", "--service=other.Service"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, HasSubstr("no live server on"));
  EXPECT_THAT(outcome.err, HasSubstr("other.Service within 300ms"));
  EXPECT_THAT(outcome.out, HasSubstr("helloworld.Greeter")) << "who is there is shown";
  EXPECT_EQ(Status({"--service=other.Service"}).status, 1);
  EXPECT_EQ(Status({"--service=helloworld.Greeter"}).status, 0);
}

TEST_F(StatusTest, AKilledServerIsDeadAtOnceAndAnotherIsWaitedFor) {
  auto server = StartGreeter(scratch_.path(), spool_);
  server->Send(SIGKILL);
  ASSERT_EQ(server->Wait(), 128 + SIGKILL);
  int status = -1;
  const StatusDocument document = Document(&status);
  EXPECT_EQ(status, 1);
  EXPECT_FALSE(document.live());
  ASSERT_EQ(document.servers_size(), 1);
  EXPECT_EQ(document.servers(0).state(), "dead");
  EXPECT_EQ(Status({"--wait=100ms"}).status, 1);
  Program waiting(scratch_.path(), kSpoolrpc, {"status", spool_, "--wait=60s"});
  server = StartGreeter(scratch_.path(), spool_);
  EXPECT_EQ(waiting.Wait(), 0) << waiting.err();
}

TEST_F(StatusTest, AServerThatDoesNotRenewItsLeaseIsUnresponsive) {
  const auto server = StartGreeter(scratch_.path(), spool_);
  server->Send(SIGSTOP);
  int stopped = 0;
  ASSERT_EQ(waitpid(server->pid(), &stopped, WUNTRACED), server->pid());
  ASSERT_TRUE(WIFSTOPPED(stopped));
  int status = -1;
  const StatusDocument before = Document(&status);
  ASSERT_EQ(before.servers_size(), 1);
  // As if it had been stopped for a minute.
  const std::string lease = absl::StrCat(spool_, "/servers/", before.servers(0).id(), "/lease");
  const timespec times[2] = {{absl::ToTimeT(absl::Now()) - 60, 0},
                             {absl::ToTimeT(absl::Now()) - 60, 0}};
  ASSERT_EQ(utimensat(AT_FDCWD, lease.c_str(), times, 0), 0);
  const StatusDocument document = Document(&status);
  EXPECT_EQ(status, 1);
  ASSERT_EQ(document.servers_size(), 1);
  EXPECT_EQ(document.servers(0).state(), "unresponsive");
  EXPECT_GE(document.servers(0).lease_age_seconds(), 59);
  Program waiting(scratch_.path(), kSpoolrpc, {"status", spool_, "--wait=60s"});
  EXPECT_TRUE(waiting.running());
  server->Send(SIGCONT);
  EXPECT_EQ(waiting.Wait(), 0) << "it has come back: " << waiting.err();
}

TEST_F(StatusTest, ADamagedRecordIsAProblemAndTheOthersAreShown) {
  const auto server = StartGreeter(scratch_.path(), spool_);
  const std::string other = absl::StrCat(spool_, "/servers/", std::string(32, 'a'));
  std::filesystem::create_directory(other);
  WriteFile(other + "/record", "SPOOLREC and then nothing of use");
  const Outcome outcome = Status();
  EXPECT_EQ(outcome.status, 0);
  EXPECT_THAT(outcome.out, HasSubstr("Problems:\n"));
  EXPECT_THAT(outcome.out, HasSubstr(other));
  EXPECT_THAT(outcome.out, HasSubstr("serving"));
}

}  // namespace
}  // namespace spoolrpc::cli
