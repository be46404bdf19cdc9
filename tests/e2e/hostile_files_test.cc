// Files that are something else, that shrink, and that are someone else's: each session of them is
// refused or ends, with the path, and the others are served.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <functional>
#include <thread>

#include "tests/e2e/hostile_fixture.h"
#include "tests/testing/seed.h"

namespace spoolrpc::e2e {
namespace {

using log::FrameType;
using ::testing::AnyOf;
using ::testing::HasSubstr;

constexpr off_t kTebibyte = off_t{1} << 40;

class HostileFilesTest : public HostileTest {
 protected:
  spool::VerdictRecord VerdictOf(const std::function<void(const std::string& directory)>& spoil) {
    RawSession session(spool(), GetParam());
    spoil(session.directory());
    session.Publish();
    return session.AwaitVerdict();
  }
  static void Remove(const std::string& path) {
    EXPECT_OK(os::RemoveTree(os::SystemCalls::Real(), path));
  }
};
SPOOLRPC_BOTH_TRANSPORTS(HostileFilesTest);

TEST_P(HostileFilesTest, NothingButAFileIsReadAsOne) {
  const std::string elsewhere = scratch() / "elsewhere";
  ASSERT_OK(os::MakeDirectory(os::SystemCalls::Real(), elsewhere, 0700));
  struct Kind {
    const char* name;
    std::function<bool(const std::string&)> make;
  };
  const Kind kinds[] = {
      {"symbolic link to a device",
       [](const std::string& path) { return symlink("/dev/zero", path.c_str()) == 0; }},
      {"symbolic link to nothing",
       [](const std::string& path) { return symlink("/nothing/there", path.c_str()) == 0; }},
      {"symbolic link to a directory",
       [&](const std::string& path) { return symlink(elsewhere.c_str(), path.c_str()) == 0; }},
      {"FIFO", [](const std::string& path) { return mkfifo(path.c_str(), 0600) == 0; }},
      {"directory", [](const std::string& path) { return mkdir(path.c_str(), 0700) == 0; }},
      // (For root, where the sandbox lets it.)
      {"endless device",
       [](const std::string& path) {
         return mknod(path.c_str(), S_IFCHR | 0600, makedev(1, 5)) == 0;
       }},
  };
  int devices = 0;
  for (const Kind& kind : kinds) {
    for (const char* const file : {"record", "requests", "doorbell"}) {
      SCOPED_TRACE(absl::StrCat(kind.name, " as ", file));
      bool made = false;
      const spool::VerdictRecord verdict = VerdictOf([&](const std::string& directory) {
        const std::string path = directory + "/" + file;
        Remove(path);
        made = kind.make(path);
      });
      if (std::string(kind.name) == "endless device") {
        devices += made;
        if (!made) continue;
      }
      ASSERT_TRUE(made);
      if (std::string(file) == "doorbell") {
        // It is a hint: without it the session is polled.
        EXPECT_EQ(verdict.verdict(), spool::VerdictRecord::ACCEPTED);
        EXPECT_FALSE(verdict.doorbell_mapped());
      } else {
        EXPECT_EQ(verdict.verdict(), spool::VerdictRecord::REFUSED);
        EXPECT_THAT(verdict.detail(), HasSubstr(absl::StrCat("/", file)));
      }
    }
  }
  if (devices == 0) std::cout << "no device nodes: this user may not make any" << std::endl;
  EXPECT_TRUE(log().Await("session refused"));
}

TEST_P(HostileFilesTest, NothingButADirectoryIsASession) {
  // The announced name itself is something else.
  const std::string names[] = {std::string(32, 'a'), std::string(32, 'b'), std::string(32, 'c')};
  ASSERT_EQ(mkfifo((spool() + "/sessions/" + names[0]).c_str(), 0600), 0);
  RawSession real(spool(), GetParam());
  ASSERT_EQ(symlink(real.directory().c_str(), (spool() + "/sessions/" + names[1]).c_str()), 0);
  ASSERT_OK(os::WriteNewFile(os::SystemCalls::Real(), spool() + "/sessions/" + names[2], "x", 0600,
                             false));
  for (const std::string& name : names) {
    Announce(name);
    EXPECT_TRUE(log().Await(absl::StrCat(name, ": not a directory"))) << log().Text();
  }
  for (const std::string& name : names) Remove(spool() + "/sessions/" + name);
}

TEST_P(HostileFilesTest, SparseGiantsCostNothing) {
  const size_t before = Memory();
  spool::VerdictRecord verdict = VerdictOf([](const std::string& directory) {
    ASSERT_EQ(truncate((directory + "/record").c_str(), kTebibyte), 0);
  });
  EXPECT_EQ(verdict.verdict(), spool::VerdictRecord::REFUSED);
  EXPECT_THAT(verdict.detail(), HasSubstr("/record"));
  // Of a log counts what its head says, whatever comes behind it.
  RawSession session(spool(), GetParam());
  ASSERT_EQ(truncate((session.directory() + "/requests").c_str(), kTebibyte), 0);
  session.Publish();
  ASSERT_EQ(session.AwaitVerdict().verdict(), spool::VerdictRecord::ACCEPTED);
  session.Write(FrameType::kCall, 0, 1, RawSession::CallPayload(Header("/e2e.Probe/Run"), ""));
  session.ReadUntil(FrameType::kReply);
  // A head that says a tebibyte is refused.
  verdict = VerdictOf([](const std::string& directory) {
    log::LogHead head;
    const std::string path = directory + "/requests";
    const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
    std::string bytes(log::kEncodedHeadSize, '\0');
    ASSERT_EQ(pread(fd, bytes.data(), bytes.size(), 0), bytes.size());
    ASSERT_OK_AND_ASSIGN(head, log::DecodeHead(bytes));
    head.capacity = kTebibyte;
    bytes = log::EncodeHead(head);
    ASSERT_EQ(pwrite(fd, bytes.data(), bytes.size(), 0), bytes.size());
    ASSERT_EQ(ftruncate(fd, 2 * kTebibyte), 0);
    close(fd);
  });
  EXPECT_EQ(verdict.verdict(), spool::VerdictRecord::REFUSED);
  EXPECT_THAT(verdict.detail(), HasSubstr("/requests"));
  EXPECT_LT(Memory(), before + (64 << 20));
}

TEST_P(HostileFilesTest, LogThatShrinksWhileItIsReadIsReadNoFurther) {
  for (const off_t size : {0, 60, 4096, 4096 + 24}) {
    SCOPED_TRACE(size);
    const auto session = Accepted();
    // A call that stays open: while there is one the server watches the client.
    session->Write(FrameType::kCall, log::kMore, 1,
                   RawSession::CallPayload(Header("/e2e.Probe/Run"), "begin"));
    session->Renew();
    ASSERT_EQ(truncate(session->requests().c_str(), size), 0);
    ExpectOthersAreServed();
  }
  EXPECT_EQ(executed_, 0);
}

TEST_P(HostileFilesTest, LogThatShrinksAndGrowsAllTheTimeHarmsNobody) {
  const size_t descriptors = Descriptors();
  const auto session = Accepted();
  for (int i = 0; i < 500; ++i) {
    session->Write(FrameType::kData, 0, 1, "of no call");
    ASSERT_EQ(truncate(session->requests().c_str(), i % 3 * 3000), 0);
    ASSERT_EQ(truncate(session->requests().c_str(), 4096 + log::kMinCapacity), 0);
    if (i % 100 == 0) ExpectOthersAreServed();
  }
  EXPECT_LT(Descriptors(), descriptors + 20);
}

TEST_P(HostileFilesTest, DoorbellsThatShrinkKillNobody) {
  if (network()) GTEST_SKIP() << "there are no doorbells between hosts";
  Gate gate;
  service_.handler = [&](ServerContext*, const Text*, Text*) {
    gate.Pass();
    return absl::OkStatus();
  };
  std::thread waits([&] {
    ClientContext context;
    Text reply;
    EXPECT_OK(stub_->Run(&context, Say(""), &reply));
  });
  ASSERT_TRUE(gate.AwaitArrived(1));
  // Everybody's, while both sides have them mapped and the client sleeps on his.
  const std::string servers = server_directory() + "/doorbell";
  ASSERT_EQ(truncate(servers.c_str(), 0), 0);
  int clients = 0;
  for (const auto& entry : std::filesystem::directory_iterator(spool() + "/sessions")) {
    clients += truncate((entry.path() / "doorbell").c_str(), 0) == 0;
  }
  EXPECT_GE(clients, 1);
  gate.Open();
  waits.join();
  ExpectOthersAreServed();
  EXPECT_TRUE(log().Await(absl::StrCat("doorbell ", servers, ": it was truncated")));
  // And as they are made anew: a mapping that was lost is nobody's.
  ASSERT_EQ(truncate(servers.c_str(), 1 << 20), 0);
  ExpectOthersAreServed();
}

TEST_P(HostileFilesTest, ServersLogThatShrinksKillsNoClientAndItsCallEnds) {
  Gate gate;
  service_.handler = [&](ServerContext*, const Text*, Text*) {
    gate.Pass();
    return absl::OkStatus();
  };
  absl::Status status;
  std::thread calls([&] {
    ClientContext context;
    Text reply;
    status = stub_->Run(&context, Say(""), &reply);
  });
  ASSERT_TRUE(gate.AwaitArrived(1));
  int logs = 0;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(server_directory() + "/sessions")) {
    if (entry.path().filename() != "responses") continue;
    ASSERT_EQ(truncate(entry.path().c_str(), 100), 0);
    ++logs;
  }
  EXPECT_GE(logs, 1);
  gate.Open();
  calls.join();
  // What the server writes now makes the file grow again: either nothing is missing that the client
  // had not read, or it says what.
  if (!status.ok()) {
    EXPECT_THAT(status.ToString(), HasSubstr("/responses"));
    stub_ = Probe::NewStub(Connect());
  }
}

TEST_P(HostileFilesTest, RenamedSessionIsNobodys) {
  const auto victim = Accepted();
  victim->Write(FrameType::kCall, 0, 1, RawSession::CallPayload(Header("/e2e.Probe/Run"), ""));
  victim->ReadUntil(FrameType::kReply);
  EXPECT_EQ(executed_, 1);
  // Under another name, its calls would be executed again.
  const std::string own = victim->requests().substr(0, victim->requests().rfind('/'));
  const std::string name(32, 'd');
  const std::string other = spool() + "/sessions/" + name;
  ASSERT_EQ(rename(own.c_str(), other.c_str()), 0);
  Announce(name);
  EXPECT_TRUE(log().Await(absl::StrCat(name, ": its record is of another session")));
  ExpectOthersAreServed();
  // The same with a record that says so: the log does not.
  const std::string copied(32, 'e');
  const std::string copy = spool() + "/sessions/" + copied;
  std::filesystem::copy(other, copy, std::filesystem::copy_options::recursive);
  spool::SessionRecord record;
  ASSERT_OK(spool::ReadRecord(os::SystemCalls::Real(), copy + "/record",
                              spool::RecordKind::kSession, &record));
  ASSERT_TRUE(spool::ParseIdName(copied, record.mutable_session_id()));
  Remove(copy + "/record");
  ASSERT_OK(os::WriteNewFile(os::SystemCalls::Real(), copy + "/record",
                             spool::EncodeRecord(spool::RecordKind::kSession, record), 0600,
                             false));
  Announce(copied);
  EXPECT_TRUE(log().Await(absl::StrCat(copy, "/requests")));
  // And with a head that says so: no frame behind it counts, since each is sealed for its session.
  const std::string third_name(32, 'f');
  const std::string third = spool() + "/sessions/" + third_name;
  std::filesystem::copy(copy, third, std::filesystem::copy_options::recursive);
  ASSERT_TRUE(spool::ParseIdName(third_name, record.mutable_session_id()));
  Remove(third + "/record");
  ASSERT_OK(os::WriteNewFile(os::SystemCalls::Real(), third + "/record",
                             spool::EncodeRecord(spool::RecordKind::kSession, record), 0600,
                             false));
  const int fd = open((third + "/requests").c_str(), O_RDWR | O_CLOEXEC);
  std::string bytes(log::kEncodedHeadSize, '\0');
  ASSERT_EQ(pread(fd, bytes.data(), bytes.size(), 0), bytes.size());
  ASSERT_OK_AND_ASSIGN(log::LogHead head, log::DecodeHead(bytes));
  head.id = record.session_id();
  bytes = log::EncodeHead(head);
  ASSERT_EQ(pwrite(fd, bytes.data(), bytes.size(), 0), bytes.size());
  close(fd);
  Announce(third_name);
  ASSERT_TRUE(Eventually(
      [&] { return access((server_directory() + "/verdicts/" + third_name).c_str(), F_OK) == 0; }));
  // An announcement that comes again is no second session.
  const size_t slash = own.rfind('/');
  ASSERT_EQ(rename(other.c_str(), own.c_str()), 0);
  Announce(own.substr(slash + 1));
  for (int i = 0; i < 3; ++i) ExpectOthersAreServed();
  EXPECT_EQ(executed_, 1);
  Remove(copy);
  Remove(third);
}

TEST_P(HostileFilesTest, NoByteChangesAfterItWasVerified) {
  // Somebody writes all over the log while the server reads it. A request that is executed is one
  // that was written whole.
  std::atomic<int> torn{0};
  std::atomic<int> whole{0};
  service_.handler = [&](ServerContext*, const Text* request, Text*) {
    const std::string& data = request->data();
    const bool same = data.find_first_not_of(data[0]) == std::string::npos;
    ++(same && data.size() == 8000 ? whole : torn);
    return absl::OkStatus();
  };
  std::mt19937_64 random(testing::TestSeed());
  for (int round = 0; round < 10; ++round) {
    const auto session = Accepted();
    const auto send = [&](int call) {
      Text request;
      request.set_data(std::string(8000, static_cast<char>('a' + call)));
      session->Write(
          FrameType::kCall, 0, call,
          RawSession::CallPayload(Header("/e2e.Probe/Run"), request.SerializeAsString()));
    };
    // Such a request is executed as long as nobody spoils it.
    send(1);
    ASSERT_TRUE(Eventually([&] { return whole > round; }));
    const int fd = open(session->requests().c_str(), O_RDWR | O_CLOEXEC);
    ASSERT_GE(fd, 0);
    std::atomic<bool> stop{false};
    std::thread spoils([&, seed = random()] {
      std::mt19937_64 own(seed);
      while (!stop) {
        const off_t at = 4096 + own() % 40000;
        char byte = 0;
        if (pread(fd, &byte, 1, at) != 1) continue;
        const char other = static_cast<char>(byte ^ (1 << own() % 8));
        EXPECT_EQ(pwrite(fd, &other, 1, at), 1);
        if (own() % 4 != 0) {
          EXPECT_EQ(pwrite(fd, &byte, 1, at), 1);
        }
      }
    });
    for (int call = 2; call <= 6; ++call) send(call);
    ExpectOthersAreServed();
    stop = true;
    spoils.join();
    close(fd);
  }
  EXPECT_EQ(torn, 0);
}

}  // namespace
}  // namespace spoolrpc::e2e
