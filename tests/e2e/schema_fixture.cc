#include "tests/e2e/schema_fixture.h"

#include <stdio.h>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "spoolrpc/os/file.h"
#include "spoolrpc/spool/record_file.h"

namespace spoolrpc::e2e {

std::unique_ptr<failure::Process> SchemaFixture::ServeOther() const {
  std::vector<std::string> flags = {"--spool=" + spool()};
  if (network()) flags.emplace_back("--network");
  auto server = failure::Process::Start("tests/e2e/schema_other_server", flags);
  EXPECT_EQ(server->NextLine(kLong).value_or("nothing"), "ready");
  return server;
}

std::shared_ptr<Channel> SchemaFixture::ConnectStore(
    const std::function<void(ChannelOptions*)>& change) {
  ChannelOptions options = Options();
  options.log_sink = &warnings_;
  if (change) change(&options);
  return Connect(options);
}

void SchemaFixture::ChangeRecord(int64_t pid,
                                 const std::function<void(spool::ServerRecord*)>& change) const {
  os::SystemCalls* const calls = os::SystemCalls::Real();
  ASSERT_OK_AND_ASSIGN(const SpoolStatus status, QuerySpool(spool()));
  int changed = 0;
  for (const ServerStatus& server : status.servers) {
    if (server.pid != pid) continue;
    const std::string path = server.directory + "/record";
    spool::ServerRecord record;
    ASSERT_OK(spool::ReadRecord(calls, path, spool::RecordKind::kServer, &record));
    change(&record);
    ASSERT_OK(os::WriteNewFile(calls, path + ".new",
                               spool::EncodeRecord(spool::RecordKind::kServer, record), 0600,
                               false));
    ASSERT_EQ(rename((path + ".new").c_str(), path.c_str()), 0);
    ++changed;
  }
  EXPECT_EQ(changed, 1);
}

void SchemaFixture::ExpectMismatch(const absl::Status& status, absl::Time began,
                                   const std::string& method) const {
  EXPECT_LT(absl::Now() - began, kLong / 2) << "the ack timeout is for other things";
  EXPECT_THAT(status, testing::StatusIs(absl::StatusCode::kFailedPrecondition,
                                        ::testing::HasSubstr("/schema.Store/" + method + ": ")));
  const auto info = GetErrorInfo(status);
  ASSERT_TRUE(info.has_value()) << status;
  EXPECT_EQ(info->reason(), ErrorInfo::VERSION_MISMATCH);
  EXPECT_FALSE(info->may_have_executed());
  EXPECT_EQ(info->path(), spool());
  EXPECT_EQ(info->method(), "/schema.Store/" + method);
}

}  // namespace spoolrpc::e2e
