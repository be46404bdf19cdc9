// Payloads of CALL and REPLY: headers, messages, metadata, and messages in pieces.
#include <string.h>

#include "gtest/gtest.h"
#include "spoolrpc/rpc/call_header.h"
#include "spoolrpc/rpc/metadata.h"
#include "spoolrpc/rpc/reassembly.h"
#include "spoolrpc/wire.pb.h"
#include "tests/testing/status_matchers.h"

namespace spoolrpc::rpc {
namespace {

using ::testing::AllOf;
using testing::HasCode;
using ::testing::HasSubstr;
using testing::StatusIs;

std::string Payload(const wire::CallHeader& header, const std::string& message) {
  const std::string bytes = header.SerializeAsString();
  const uint32_t size = bytes.size();
  return std::string(reinterpret_cast<const char*>(&size), 4) + bytes + message;
}

wire::CallHeader Header() {
  wire::CallHeader header;
  header.set_method_id(3);
  header.set_method("/a.B/C");
  return header;
}

TEST(SplitPayloadTest, HeaderThenMessage) {
  const std::string payload = Payload(Header(), "message");
  absl::string_view rest = payload;
  wire::CallHeader header;
  ASSERT_OK(SplitPayload(&rest, &header));
  EXPECT_EQ(header.method(), "/a.B/C");
  EXPECT_EQ(rest, "message");
}

TEST(SplitPayloadTest, EveryTruncationWithinTheHeaderIsDamage) {
  const std::string payload = Payload(Header(), "");
  for (size_t size = 0; size < payload.size(); ++size) {
    // In memory of its own, so that a sanitizer sees a look beyond its end.
    const std::vector<char> part(payload.begin(), payload.begin() + size);
    absl::string_view rest(part.data(), part.size());
    wire::CallHeader header;
    EXPECT_THAT(SplitPayload(&rest, &header), HasCode(absl::StatusCode::kDataLoss)) << size;
  }
}

TEST(SplitPayloadTest, HugeSizesAndRubbishAreDamage) {
  for (const uint32_t size : {0xffffffffu, 0x80000000u, 0x7fffffffu, 1000u}) {
    std::string payload = Payload(Header(), "message");
    memcpy(&payload[0], &size, 4);
    absl::string_view rest = payload;
    wire::CallHeader header;
    EXPECT_THAT(SplitPayload(&rest, &header), HasCode(absl::StatusCode::kDataLoss)) << size;
  }
  std::string payload = Payload(Header(), "");
  payload[4] = '\x07';  // no field, no wire type
  absl::string_view rest = payload;
  wire::CallHeader header;
  EXPECT_THAT(SplitPayload(&rest, &header), HasCode(absl::StatusCode::kDataLoss));
}

TEST(ParseMessageTest, NamesMethodTypeAndCure) {
  wire::CallHeader header;
  EXPECT_OK(ParseMessage(Header().SerializeAsString(), "/a.B/C", &header));
  EXPECT_THAT(ParseMessage("\x07\x07", "/a.B/C", &header),
              StatusIs(absl::StatusCode::kInternal,
                       AllOf(HasSubstr("/a.B/C"), HasSubstr("spoolrpc.wire.CallHeader"),
                             HasSubstr(".proto"))));
}

TEST(MetadataTest, RulesOfKeysAndValues) {
  const auto check = [](const std::string& key, const std::string& value) {
    return CheckMetadata({{key, value}}).code();
  };
  EXPECT_EQ(check("a-b_c.9", " ~"), absl::StatusCode::kOk);
  EXPECT_EQ(check("x-bin", std::string("\0\xff", 2)), absl::StatusCode::kOk);
  EXPECT_EQ(check("", "v"), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(check("A", "v"), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(check("x-bin ", "v"), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(check("x", "\t"), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(check("x", "\x80"), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(check("x", std::string(kMaxMetadataSize, 'v')), absl::StatusCode::kResourceExhausted);
}

TEST(MetadataTest, SizeCountsWhatEachPairCostsOnTheWire) {
  // What passes the check fits into the smallest frame with room to spare.
  Metadata metadata;
  while (CheckMetadata(metadata).ok()) metadata.emplace("k", "");
  metadata.erase(metadata.begin());
  wire::CallHeader header;
  EncodeMetadata(metadata, header.mutable_metadata());
  EXPECT_LE(header.ByteSizeLong(), kMaxMetadataSize);
}

TEST(MetadataTest, OrderOfRepeatedKeysSurvives) {
  Metadata metadata;
  for (const char* value : {"3", "1", "2", "1"}) metadata.emplace("k", value);
  wire::CallHeader header;
  EncodeMetadata(metadata, header.mutable_metadata());
  EXPECT_EQ(DecodeMetadata(header.metadata()), metadata);
}

TEST(MetadataTest, WhatAPeerMayNotSendIsDropped) {
  wire::CallHeader header;
  const auto add = [&](const std::string& key, const std::string& value) {
    wire::Metadata* const pair = header.add_metadata();
    pair->set_key(key);
    pair->set_value(value);
  };
  add("good", "value");
  add("Bad", "value");
  add("bad", "line\nline");
  add("", "");
  add("good-bin", "\n");
  EXPECT_EQ(DecodeMetadata(header.metadata()), (Metadata{{"good", "value"}, {"good-bin", "\n"}}));
}

TEST(ReassemblyTest, KeepsUpToItsLimitAndNoByteMore) {
  Reassembly bytes(10);
  EXPECT_TRUE(bytes.Add("12345"));
  EXPECT_TRUE(bytes.Add(""));
  EXPECT_TRUE(bytes.Add("67890"));
  EXPECT_FALSE(bytes.overflowed());
  EXPECT_EQ(bytes.bytes(), "1234567890");
  EXPECT_FALSE(bytes.Add("x"));
  EXPECT_TRUE(bytes.overflowed());
  EXPECT_TRUE(bytes.bytes().empty());
  EXPECT_FALSE(bytes.Add("more"));
  EXPECT_TRUE(bytes.bytes().empty());
  EXPECT_EQ(bytes.seen(), 15);
}

}  // namespace
}  // namespace spoolrpc::rpc
