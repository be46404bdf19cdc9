// Statuses on the wire: unchanged there and back, and nothing that a peer may not say.
#include "spoolrpc/rpc/status_codec.h"

#include "google/rpc/status.pb.h"
#include "gtest/gtest.h"
#include "spoolrpc/rpc/error.h"
#include "tests/testing/status_matchers.h"

namespace spoolrpc::rpc {
namespace {

using testing::HasCode;
using ::testing::HasSubstr;

absl::Status ThereAndBack(const absl::Status& status) {
  wire::ReplyHeader header;
  EncodeStatus(status, &header);
  wire::ReplyHeader arrived;
  EXPECT_TRUE(arrived.ParseFromString(header.SerializeAsString()));
  return DecodeStatus(arrived);
}

ExceptionInfo Info(const std::string& text) {
  ExceptionInfo info;
  info.set_text(text);
  return info;
}

TEST(StatusCodecTest, OkIsNothing) {
  wire::ReplyHeader header;
  EncodeStatus(absl::OkStatus(), &header);
  EXPECT_EQ(header.ByteSizeLong(), 0);
  EXPECT_OK(DecodeStatus(header));
}

TEST(StatusCodecTest, PlainStatusesCarryNoDetails) {
  wire::ReplyHeader header;
  EncodeStatus(absl::AbortedError("x"), &header);
  EXPECT_TRUE(header.details().empty());
  for (int code = 1; code <= 16; ++code) {
    const absl::Status status(static_cast<absl::StatusCode>(code), "m");
    EXPECT_EQ(ThereAndBack(status), status);
  }
}

TEST(StatusCodecTest, CodesThatDoNotExistAreUnknown) {
  for (const int code : {17, 1000, -1, -2147483647}) {
    wire::ReplyHeader header;
    header.set_code(code);
    header.set_message("odd");
    EXPECT_EQ(DecodeStatus(header), absl::UnknownError("odd")) << code;
  }
}

TEST(StatusCodecTest, DetailsInOrderThenOtherPayloads) {
  absl::Status status = absl::InternalError("m");
  AddDetail(&status, Info("b"));
  AddDetail(&status, Info("a"));
  status.SetPayload("example.com/other", absl::Cord("bytes"));
  const absl::Status back = ThereAndBack(status);
  const auto infos = GetDetails<ExceptionInfo>(back);
  ASSERT_EQ(infos.size(), 2);
  EXPECT_EQ(infos[0].text(), "b");
  EXPECT_EQ(infos[1].text(), "a");
  EXPECT_EQ(back.GetPayload("example.com/other"), absl::Cord("bytes"));
  EXPECT_EQ(ThereAndBack(back), back);
}

TEST(StatusCodecTest, ErrorInfoDoesNotTravel) {
  const absl::Status ours = TransportError(absl::StatusCode::kUnavailable, ErrorInfo::NO_SERVER,
                                           "m", false, "/a.B/C", "/path");
  ASSERT_TRUE(IsTransportError(ours));
  EXPECT_EQ(GetErrorInfo(ours)->method(), "/a.B/C");
  EXPECT_EQ(GetErrorInfo(ours)->path(), "/path");
  EXPECT_FALSE(IsTransportError(ThereAndBack(ours)));
  // Nor does one that a peer puts onto the wire by itself.
  google::rpc::Status whole;
  for (const char* prefix : {"type.googleapis.com", "example.com", ""}) {
    auto* const any = whole.add_details();
    any->set_type_url(std::string(prefix) + "/spoolrpc.ErrorInfo");
    ErrorInfo forged;
    forged.set_reason(ErrorInfo::NO_SERVER);
    any->set_value(forged.SerializeAsString());
  }
  whole.add_details()->PackFrom(Info("kept"));
  wire::ReplyHeader header;
  header.set_code(14);
  header.set_details(whole.SerializeAsString());
  const absl::Status back = DecodeStatus(header);
  EXPECT_FALSE(IsTransportError(back)) << back;
  EXPECT_EQ(ToRpcStatus(back).details_size(), 1);
}

TEST(StatusCodecTest, DetailsThatDoNotParseAreLeftOut) {
  wire::ReplyHeader header;
  header.set_code(5);
  header.set_message("m");
  header.set_details("\xff\xff rubbish");
  EXPECT_EQ(DecodeStatus(header), absl::NotFoundError("m"));
}

TEST(StatusCodecTest, CodeAndMessageOfTheHeaderCount) {
  google::rpc::Status whole;
  whole.set_code(3);
  whole.set_message("another");
  whole.add_details()->PackFrom(Info("kept"));
  wire::ReplyHeader header;
  header.set_code(5);
  header.set_message("m");
  header.set_details(whole.SerializeAsString());
  const google::rpc::Status back = ToRpcStatus(DecodeStatus(header));
  EXPECT_EQ(back.code(), 5);
  EXPECT_EQ(back.message(), "m");
}

TEST(StatusCodecTest, MessagesOfAnyBytesKeepTheirDetails) {
  absl::Status status = absl::InternalError("caf\xe9 \xff");
  AddDetail(&status, Info("kept"));
  AddDetail(&status, Info("too"));
  EXPECT_EQ(GetDetails<ExceptionInfo>(status).size(), 2);
  const absl::Status back = ThereAndBack(status);
  EXPECT_EQ(back.message(), "caf\xe9 \xff");
  EXPECT_EQ(GetDetails<ExceptionInfo>(back).size(), 2);
  EXPECT_EQ(back, status);
}

TEST(ErrorTest, PathsOfAnyBytesAreStillTransportErrors) {
  const absl::Status status = TransportError(absl::StatusCode::kUnavailable, ErrorInfo::NO_SERVER,
                                             "m", false, "/a.B/C", "/caf\xe9");
  ASSERT_TRUE(IsTransportError(status));
  EXPECT_EQ(GetErrorInfo(status)->path(), "/caf?");
}

TEST(ErrorTest, WhatMayHaveBeenExecutedDidNotEndWithNoServer) {
  absl::Status status = TransportError(absl::StatusCode::kUnavailable, ErrorInfo::NO_SERVER, "m",
                                       false, "/a.B/C", "/path");
  MarkMayHaveExecuted(&status);
  EXPECT_TRUE(GetErrorInfo(status)->may_have_executed());
  EXPECT_EQ(GetErrorInfo(status)->reason(), ErrorInfo::ACK_TIMEOUT);
  EXPECT_EQ(GetErrorInfo(status)->path(), "/path");
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
}

TEST(ErrorTest, ToUtf8ReplacesWhatIsNone) {
  for (const char* valid : {"", "ascii", "gr\xc3\xbc\xc3\x9f", "\xe2\x82\xac", "\xf0\x9f\x98\x80",
                            "\xed\x9f\xbf", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_EQ(ToUtf8(valid), valid);
  }
  EXPECT_EQ(ToUtf8("\x80"), "?");
  EXPECT_EQ(ToUtf8("a\xffz"), "a?z");
  EXPECT_EQ(ToUtf8("\xc3"), "?");
  EXPECT_EQ(ToUtf8("\xc3(")[0], '?');
  EXPECT_EQ(ToUtf8("\xc0\xaf"), "??");            // overlong
  EXPECT_EQ(ToUtf8("\xe0\x80\xaf"), "???");       // overlong
  EXPECT_EQ(ToUtf8("\xed\xa0\x80"), "???");       // a surrogate
  EXPECT_EQ(ToUtf8("\xf4\x90\x80\x80"), "????");  // beyond the last
  EXPECT_EQ(ToUtf8("\xf5\x80\x80\x80"), "????");
}

TEST(ErrorTest, DetailsOfOkAreNone) {
  absl::Status ok;
  AddDetail(&ok, Info("x"));
  EXPECT_OK(ok);
  EXPECT_TRUE(GetDetails<ExceptionInfo>(ok).empty());
  EXPECT_FALSE(IsTransportError(ok));
}

TEST(ErrorTest, MessageNamesTheMethodOnce) {
  const absl::Status status =
      TransportError(absl::StatusCode::kUnavailable, ErrorInfo::ACK_TIMEOUT, "why", true, "/a.B/C");
  EXPECT_EQ(status.message(), "/a.B/C: why");
  EXPECT_TRUE(GetErrorInfo(status)->may_have_executed());
  EXPECT_EQ(TransportErrorFrom(absl::InternalError("x"), ErrorInfo::BAD_MESSAGE, false).code(),
            absl::StatusCode::kInternal);
}

}  // namespace
}  // namespace spoolrpc::rpc
