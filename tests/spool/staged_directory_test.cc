// Directories are not renamed from where everybody lists, on a network file system: a GlusterFS
// server that lists the parent meanwhile takes the old name for the new directory afterwards.
#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "spoolrpc/log/format.h"
#include "spoolrpc/log/log_file.h"
#include "spoolrpc/os/file.h"
#include "spoolrpc/spool/durable_store.h"
#include "spoolrpc/spool/server_directory.h"
#include "spoolrpc/spool/server_list.h"
#include "spoolrpc/spool/session_directory.h"
#include "tests/testing/faulty_system_calls.h"
#include "tests/testing/scratch_directory.h"
#include "tests/testing/status_matchers.h"

namespace spoolrpc::spool {
namespace {

using testing::Call;

class StagedDirectoryTest : public ::testing::TestWithParam<Transport> {
 protected:
  StagedDirectoryTest() {
    os::Environment env;
    env.calls = &calls_;
    auto spool = DurableStore::OpenSpool(env, scratch_ / "spool", GetParam());
    EXPECT_OK(spool);
    spool_ = *std::move(spool);
  }
  // Looks, at the moment of the rename, whether a listing of `parent` shows what is renamed: a
  // directory that has `file`.
  void WatchRename(const std::string& parent, const std::string& file) {
    calls_.Run({Call::kRename, parent}, [this, parent, file] {
      ++renames_;
      const auto names = os::ListDirectory(os::SystemCalls::Real(), parent);
      ASSERT_OK(names);
      for (const std::string& name : *names) {
        if (os::StatPath(os::SystemCalls::Real(), Join(Join(parent, name), file)).ok()) {
          listed_ = true;
        }
      }
    });
  }
  std::unique_ptr<SessionDirectory> NewSession(const ServerDirectory& server) {
    ServerEntry entry;
    entry.id = server.id();
    entry.directory = server.path();
    entry.record = std::make_shared<ServerRecord>(server.record());
    auto session = SessionDirectory::Create(spool_, entry, log::kMinCapacity, 1000000000);
    EXPECT_OK(session);
    return *std::move(session);
  }
  // Exactly the published name is left in `parent`.
  void ExpectOnly(const std::string& parent) {
    ASSERT_OK_AND_ASSIGN(const auto names, os::ListDirectory(os::SystemCalls::Real(), parent));
    EXPECT_EQ(names.size(), 1);
    EXPECT_EQ(renames_, 1);
    EXPECT_EQ(listed_, GetParam() == Transport::kLocal);
  }

  testing::ScratchDirectory scratch_;
  testing::FaultySystemCalls calls_;
  std::shared_ptr<const Spool> spool_;
  int renames_ = 0;
  bool listed_ = false;
};

TEST_P(StagedDirectoryTest, DurableCall) {
  const DurableStore store(spool_);
  WatchRename(spool_->durable(), kCall);
  DurableCallRecord record;
  record.set_ticket(store.NewTicket());
  bool published = false;
  ASSERT_OK(store.Submit(record, "request", &published));
  ExpectOnly(spool_->durable());
}

TEST_P(StagedDirectoryTest, Server) {
  WatchRename(spool_->servers(), kLease);
  EXPECT_OK(ServerDirectory::Publish(spool_, ServerRecord()));
  ExpectOnly(spool_->servers());
}

TEST_P(StagedDirectoryTest, Session) {
  const auto server = ServerDirectory::Publish(spool_, ServerRecord());
  ASSERT_OK(server);
  WatchRename(spool_->sessions(), kRequests);
  const auto session = NewSession(**server);
  ASSERT_OK(session->Publish());
  ExpectOnly(spool_->sessions());
}

TEST_P(StagedDirectoryTest, NothingIsLeftOfWhatIsNotPublished) {
  const auto server = ServerDirectory::Publish(spool_, ServerRecord());
  ASSERT_OK(server);
  EXPECT_TRUE(NewSession(**server)->Remove());
  ASSERT_OK_AND_ASSIGN(const auto names,
                       os::ListDirectory(os::SystemCalls::Real(), spool_->sessions()));
  EXPECT_TRUE(names.empty());
}

INSTANTIATE_TEST_SUITE_P(All, StagedDirectoryTest,
                         ::testing::Values(Transport::kLocal, Transport::kNetwork));

}  // namespace
}  // namespace spoolrpc::spool
