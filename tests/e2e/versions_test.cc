// Protocol versions that do not meet: each side finds out by itself, and says both sides' versions.
#include <stdlib.h>

#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "spoolrpc/os/file.h"
#include "spoolrpc/spool/layout.h"
#include "spoolrpc/spool/record_file.h"
#include "tests/e2e/schema_fixture.h"
#include "tests/testing/faulty_system_calls.h"

namespace spoolrpc::e2e {
namespace {

using ::testing::AllOf;
using testing::Call;
using ::testing::HasSubstr;
using testing::StatusIs;

constexpr uint32_t kOurs = spool::kProtocolVersion;

class VersionsTest : public SchemaFixture {
 protected:
  // Says of this process's server that it speaks these versions.
  void SetVersions(uint32_t min, uint32_t max) const {
    ChangeRecord(getpid(), [&](spool::ServerRecord* record) {
      record->set_min_protocol_version(min);
      record->set_protocol_version(max);
      record->set_software_version("77.0");
    });
  }
  int SessionsMade() const {
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(spool() + "/sessions")) {
      static_cast<void>(entry);
      ++count;
    }
    return count;
  }
};
SPOOLRPC_BOTH_TRANSPORTS(VersionsTest);

TEST_P(VersionsTest, AServerThatIsTooNewIsNotAsked) {
  StoreService service;
  const auto server = Serve(&service);
  SetVersions(kOurs + 1, kOurs + 4);
  const auto stub = NewStore();
  const absl::Time began = absl::Now();
  const absl::Status status = CallStore(stub.get(), &Store::Stub::Equal);
  ExpectMismatch(status, began, "Equal");
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr(absl::StrCat("protocol versions ", kOurs + 1, " to ", kOurs + 4)),
                    HasSubstr("spoolrpc 77.0"),
                    HasSubstr(absl::StrCat("this program (spoolrpc ", spool::kSoftwareVersion,
                                           ") speaks ", spool::kMinProtocolVersion, " to ", kOurs)),
                    HasSubstr("build the client with a newer release")));
  Same message;
  ExpectMismatch(stub->future()->Equal(message).Get().status(), began, "Equal");
  EXPECT_EQ(SessionsMade(), 0);
  EXPECT_FALSE(ConnectStore()->WaitForConnected(absl::Now() + absl::Milliseconds(100)));
  EXPECT_EQ(service.calls, 0);
}

TEST_P(VersionsTest, AServerThatIsTooOldIsNotAsked) {
  StoreService service;
  const auto server = Serve(&service);
  SetVersions(0, spool::kMinProtocolVersion - 1);
  const auto stub = NewStore();
  const absl::Time began = absl::Now();
  const absl::Status status = CallStore(stub.get(), &Store::Stub::Equal);
  ExpectMismatch(status, began, "Equal");
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr(absl::StrCat("versions 0 to ", spool::kMinProtocolVersion - 1)),
                    HasSubstr(absl::StrCat("speaks ", spool::kMinProtocolVersion, " to ", kOurs)),
                    HasSubstr("build the server with a newer release")));
  EXPECT_EQ(SessionsMade(), 0);
  EXPECT_EQ(service.calls, 0);
}

TEST_P(VersionsTest, AServerThatSpeaksOursAndNewerOnesIsCalled) {
  StoreService service;
  const auto server = Serve(&service);
  SetVersions(kOurs, kOurs + 4);
  const auto stub = NewStore();
  EXPECT_OK(CallStore(stub.get(), &Store::Stub::Equal));
}

TEST_P(VersionsTest, CallsGoToTheServerThatSpeaksOurs) {
  StoreService service;
  const auto server = Serve(&service);
  SetVersions(kOurs + 1, kOurs + 4);
  const auto other = ServeOther();
  for (int i = 0; i < 5; ++i) {
    const auto stub = NewStore();
    EXPECT_OK(CallStore(stub.get(), &Store::Stub::Equal));
  }
  EXPECT_EQ(service.calls, 0);
  // What that one has otherwise is a mismatch with both.
  const auto stub = NewStore();
  const absl::Time began = absl::Now();
  const absl::Status status = CallStore(stub.get(), &Store::Stub::OtherRequest);
  ExpectMismatch(status, began, "OtherRequest");
  EXPECT_THAT(std::string(status.message()), HasSubstr("and 1 more"));
}

// The server's own check, of a client that does not make its own: its record says other versions
// than it goes by.
class VersionOfClientTest : public VersionsTest {
 protected:
  absl::Status CallAs(uint32_t min, uint32_t max) {
    testing::FaultySystemCalls calls;
    // Before the session gets its name.
    calls.Run({Call::kRename, "/sessions/.tmp-"}, [&] {
      // (A level below on a network file system.)
      std::vector<std::string> records;
      for (const auto& entry :
           std::filesystem::recursive_directory_iterator(spool() + "/sessions")) {
        const std::string path = entry.path().string();
        if (absl::StrContains(path, "/.tmp-") && entry.path().filename() == "record") {
          records.push_back(path);
        }
      }
      for (const std::string& path : records) {
        spool::SessionRecord record;
        EXPECT_OK(
            spool::ReadRecord(os::SystemCalls::Real(), path, spool::RecordKind::kSession, &record));
        record.set_min_protocol_version(min);
        record.set_protocol_version(max);
        record.set_software_version("77.0");
        EXPECT_EQ(unlink(path.c_str()), 0);
        EXPECT_OK(os::WriteNewFile(os::SystemCalls::Real(), path,
                                   spool::EncodeRecord(spool::RecordKind::kSession, record), 0600,
                                   false));
      }
    });
    const auto stub =
        NewStore([&](ChannelOptions* options) { options->environment.calls = &calls; });
    return CallStore(stub.get(), &Store::Stub::Equal);
  }
  void ExpectRefused(uint32_t min, uint32_t max) {
    StoreService service;
    const auto server = Serve(&service);
    const absl::Time began = absl::Now();
    const absl::Status status = CallAs(min, max);
    ExpectMismatch(status, began, "Equal");
    EXPECT_THAT(
        std::string(status.message()),
        AllOf(HasSubstr("refused the session"),
              HasSubstr(absl::StrCat("the client speaks protocol versions ", min, " to ", max,
                                     " (77.0), this server ", spool::kMinProtocolVersion, " to ",
                                     kOurs, " (", spool::kSoftwareVersion, ")"))));
    EXPECT_EQ(service.calls, 0);
  }
};
SPOOLRPC_BOTH_TRANSPORTS(VersionOfClientTest);

TEST_P(VersionOfClientTest, OneThatIsTooNewIsRefused) { ExpectRefused(kOurs + 1, kOurs + 4); }

TEST_P(VersionOfClientTest, OneThatIsTooOldIsRefused) {
  ExpectRefused(0, spool::kMinProtocolVersion - 1);
}

TEST_P(VersionOfClientTest, OneThatSpeaksOursAndNewerOnesIsTaken) {
  StoreService service;
  const auto server = Serve(&service);
  EXPECT_OK(CallAs(kOurs, kOurs + 4));
  EXPECT_EQ(service.calls, 1);
}

}  // namespace
}  // namespace spoolrpc::e2e
