// Messages in bulk buffers, from one link to the other.
#include <errno.h>

#include <memory>
#include <string>

#include "spoolrpc/link/raw_message.h"
#include "tests/link/link_pair.h"
#include "tests/testing/faulty_system_calls.h"
#include "tests/testing/scratch_directory.h"

namespace spoolrpc::link {
namespace {

using log::FrameType;
using testing::HasCode;

constexpr size_t kLarge = 300 * 1024;

class BulkLinkTest : public ::testing::Test {
 protected:
  BulkLinkTest() {
    PairOptions options;
    options.client.calls = &calls_;
    options.directory = scratch_.path();
    options.bulk_threshold = 1024;
    pair_ = MakePair(options);
    client_ = &pair_->client;
    server_ = &pair_->server;
  }
  // Sends a CALL with these bytes, and writes it out.
  void Call(uint64_t call, const std::string& bytes) {
    wire::CallHeader header;
    auto loan = client_->link->PrepareBulk(RawMessage(Bytes(bytes)), bytes.size());
    ASSERT_NE(loan, nullptr);
    client_->link->SendBulk(FrameType::kCall, 0, call, &header, std::move(loan));
    ASSERT_OK(client_->link->Flush());
  }
  // What the last frame that the server has received refers to.
  std::shared_ptr<IncomingBulk> Taken() {
    EXPECT_EQ(server_->frames.back().flags, log::kBulk);
    const std::string& payload = server_->frames.back().payload;
    auto bulk = server_->link->TakeBulk(payload.substr(payload.size() - kBulkReferenceSize));
    EXPECT_OK(bulk);
    return *std::move(bulk);
  }
  size_t lent() const { return client_->link->bulk_pool()->count().lent; }

  const testing::ScratchDirectory scratch_;
  testing::FaultySystemCalls calls_;
  std::unique_ptr<LinkPair> pair_;
  End* client_;
  End* server_;
};

TEST_F(BulkLinkTest, AMessageComesInOneSmallFrameAndItsBufferGoesBack) {
  for (int i = 1; i <= 3; ++i) {
    const std::string bytes(kLarge, static_cast<char>('a' + i));
    ASSERT_NO_FATAL_FAILURE(Call(i, bytes));
    EXPECT_EQ(server_->Poll().frames, 1);
    EXPECT_LT(server_->frames.back().payload.size(), 64);
    auto bulk = Taken();
    ASSERT_OK(bulk->Read());
    EXPECT_TRUE(bulk->bytes() == bytes);
    EXPECT_EQ(lent(), 1);
    bulk.reset();
    EXPECT_EQ(client_->Poll().frames, 1);
    // (The link sees to it; whoever polls does not get the RELEASE.)
    EXPECT_TRUE(client_->frames.empty());
    EXPECT_EQ(lent(), 0);
    EXPECT_EQ(client_->link->bulk_pool()->count().buffers, 1);
  }
}

TEST_F(BulkLinkTest, SmallMessagesAreNotPrepared) {
  EXPECT_EQ(client_->link->PrepareBulk(std::string(1023, 'x')), nullptr);
  EXPECT_NE(client_->link->PrepareBulk(std::string(1024, 'x')), nullptr);
}

TEST_F(BulkLinkTest, ProtobufMessagesAreSerializedIntoTheBuffer) {
  wire::Metadata message;
  message.set_value(std::string(kLarge, 'm'));
  wire::CallHeader header;
  auto loan = client_->link->PrepareBulk(message, message.ByteSizeLong());
  client_->link->SendBulk(FrameType::kCall, 0, 1, &header, std::move(loan));
  ASSERT_OK(client_->link->Flush());
  server_->Poll();
  auto bulk = Taken();
  ASSERT_OK(bulk->Read());
  EXPECT_EQ(bulk->bytes(), message.SerializeAsString());
}

TEST_F(BulkLinkTest, WhatIsTakenBackBeforeItIsWrittenIsNotLent) {
  // The log is full.
  uint64_t call = 1;
  while (!client_->link->backlogged())
    client_->Send(FrameType::kCall, call++, std::string(900, 'x'));
  ASSERT_NO_FATAL_FAILURE(Call(call, std::string(kLarge, 'a')));
  EXPECT_EQ(lent(), 1);
  EXPECT_TRUE(client_->link->TakeBack(call));
  EXPECT_EQ(lent(), 0);
}

TEST_F(BulkLinkTest, WhatWaitedForRoomIsLentAndComes) {
  uint64_t call = 1;
  while (!client_->link->backlogged())
    client_->Send(FrameType::kCall, call++, std::string(900, 'x'));
  ASSERT_NO_FATAL_FAILURE(Call(call, std::string(kLarge, 'a')));
  for (int i = 0; i < 20; ++i) {
    server_->Poll();
    client_->Poll();
  }
  ASSERT_EQ(server_->frames.back().call, call);
  auto bulk = Taken();
  ASSERT_OK(bulk->Read());
  EXPECT_TRUE(bulk->bytes() == std::string(kLarge, 'a'));
  EXPECT_EQ(lent(), 1);
}

TEST_F(BulkLinkTest, WithoutABufferTheMessageGoesInFrames) {
  calls_.Fail({testing::Call::kFallocate, "bulk."}, ENOSPC);
  EXPECT_EQ(client_->link->PrepareBulk(std::string(kLarge, 'x')), nullptr);
}

TEST_F(BulkLinkTest, WhatIsNoReferenceIsDamage) {
  EXPECT_THAT(server_->link->TakeBulk("short"), HasCode(absl::StatusCode::kDataLoss));
  EXPECT_THAT(server_->link->TakeBulk(std::string(kBulkReferenceSize, '\0')),
              HasCode(absl::StatusCode::kDataLoss));
}

TEST_F(BulkLinkTest, ReleasesOfWhatWasNotLentAreIgnored) {
  ASSERT_NO_FATAL_FAILURE(Call(1, std::string(kLarge, 'a')));
  for (const std::string& payload : {std::string(), std::string(kReleaseSize, '\0'),
                                     EncodeBulkRelease({7, 1}), EncodeBulkRelease({1, 9})}) {
    server_->link->SendControl(FrameType::kRelease, 0, 0, payload);
  }
  ASSERT_OK(server_->link->Flush());
  EXPECT_EQ(client_->Poll().frames, 4);
  EXPECT_EQ(lent(), 1);
}

TEST_F(BulkLinkTest, OnlyPeersOfThisHostThatKnowThemGetBuffers) {
  const auto gets = [](uint32_t version, const os::ProcessId& peer) {
    SameHostSides sides;
    sides.peer_bulk_version = version;
    sides.peer = peer;
    LinkOptions link;
    SetUpSameHost(sides, &link);
    EXPECT_EQ(link.bulk_out == nullptr, link.bulk_in == nullptr);
    return link.bulk_out != nullptr;
  };
  const os::ProcessId self = os::Environment{}.host->Self();
  EXPECT_TRUE(gets(1, self));
  EXPECT_TRUE(gets(7, self));   // a later one, which understands the first too
  EXPECT_FALSE(gets(0, self));  // an older one
  os::ProcessId other = self;
  other.boot_id = "another host's";
  EXPECT_FALSE(gets(1, other));
}

TEST_F(BulkLinkTest, BytesOutliveTheLinkThatBroughtThem) {
  ASSERT_NO_FATAL_FAILURE(Call(1, std::string(kLarge, 'a')));
  server_->Poll();
  auto bulk = Taken();
  ASSERT_OK(bulk->Read());
  pair_->server.link.reset();
  pair_->client.link.reset();
  EXPECT_TRUE(bulk->bytes() == std::string(kLarge, 'a'));
}

}  // namespace
}  // namespace spoolrpc::link
