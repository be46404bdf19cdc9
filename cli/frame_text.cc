#include "cli/frame_text.h"

#include <string.h>

#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cli/report.h"
#include "cli/text.h"
#include "google/rpc/status.pb.h"
#include "spoolrpc/link/bulk_reference.h"
#include "spoolrpc/rpc/call_header.h"
#include "spoolrpc/spool/layout.h"
#include "spoolrpc/wire.pb.h"

namespace spoolrpc::cli {
namespace {

// Of calls at once; a log that has more is hostile, and its later calls are described less well.
constexpr size_t kMaxOpen = 100000;

// A message, or the reference in its place.
std::string MessageText(absl::string_view message, uint8_t flags, std::string* wrong) {
  const bool more = (flags & log::kMore) != 0;
  if ((flags & log::kBulk) == 0) {
    return absl::StrCat("message ", Plural(message.size(), "byte"), more ? " so far" : "");
  }
  const auto reference = link::DecodeBulkReference(message);
  if (!reference.has_value()) {
    *wrong = "no reference to a bulk buffer where the message would be";
    return Plural(message.size(), "byte");
  }
  return absl::StrCat("message ", Plural(reference->length, "byte"), " in ", spool::kBulk,
                      reference->buffer, " at ", reference->offset, ", generation ",
                      reference->generation);
}

}  // namespace

std::string FrameTypeName(log::FrameType type) {
  switch (type) {
    case log::FrameType::kCall:
      return "CALL";
    case log::FrameType::kAck:
      return "ACK";
    case log::FrameType::kData:
      return "DATA";
    case log::FrameType::kReply:
      return "REPLY";
    case log::FrameType::kCancel:
      return "CANCEL";
    case log::FrameType::kConsumed:
      return "CONSUMED";
    case log::FrameType::kGoodbye:
      return "GOODBYE";
    case log::FrameType::kMessage:
      return "MESSAGE";
    case log::FrameType::kHalfClose:
      return "HALF_CLOSE";
    case log::FrameType::kInitial:
      return "INITIAL";
    case log::FrameType::kCredit:
      return "CREDIT";
    case log::FrameType::kRelease:
      return "RELEASE";
    case log::FrameType::kPad:
      return "PAD";
  }
  return absl::StrCat("type ", static_cast<int>(type));
}

std::string FrameFlags(uint8_t flags) {
  std::vector<std::string> names;
  if ((flags & log::kMore) != 0) names.emplace_back("MORE");
  if ((flags & log::kAcked) != 0) names.emplace_back("ACKED");
  if ((flags & log::kCompressed) != 0) names.emplace_back("COMPRESSED");
  if ((flags & log::kBulk) != 0) names.emplace_back("BULK");
  if ((flags & log::kSkippable) != 0) names.emplace_back("SKIPPABLE");
  const int rest =
      flags & ~(log::kMore | log::kAcked | log::kCompressed | log::kBulk | log::kSkippable);
  if (rest != 0) names.push_back(absl::StrFormat("0x%02x", rest));
  return absl::StrJoin(names, " ");
}

void PayloadText::OnMissing() {
  missing_ = true;
  open_.clear();
}

std::string PayloadText::DescribeReply(absl::string_view payload, uint8_t flags,
                                       std::string* wrong) {
  const bool more = (flags & log::kMore) != 0;
  wire::ReplyHeader header;
  if (const absl::Status split = rpc::SplitPayload(&payload, &header); !split.ok()) {
    // A large ReplyHeader may go on in the next frame; and it may lie in frames that are gone.
    if (!more && !missing_) *wrong = std::string(split.message());
    return missing_ ? absl::StrCat(Plural(payload.size(), "byte"),
                                   " of a reply, whose beginning is "
                                   "not there")
                    : absl::StrCat("begins with ", Plural(payload.size(), "byte"));
  }
  std::string text = absl::StatusCodeToString(static_cast<absl::StatusCode>(header.code()));
  // Printed in full below, since it is a message of its own.
  google::rpc::Status details;
  const bool has_details = !header.details().empty() && details.ParseFromString(header.details());
  if (has_details) header.clear_details();
  if (!header.message().empty()) {
    absl::StrAppend(&text, " \"", Printable(header.message()), "\"");
  }
  header.clear_code();
  header.clear_message();
  if (const std::string rest = MessageLine(header); !rest.empty()) {
    absl::StrAppend(&text, " {", rest, "}");
  }
  if (has_details) absl::StrAppend(&text, " details {", MessageLine(details), "}");
  return absl::StrCat(text, ", ", MessageText(payload, flags, wrong));
}

std::string PayloadText::Describe(const log::Frame& frame, std::string* wrong) {
  const bool more = (frame.flags & log::kMore) != 0;
  const bool goes_on = open_.count(frame.call) > 0;
  const bool message = frame.type == log::FrameType::kCall || frame.type == log::FrameType::kData ||
                       frame.type == log::FrameType::kReply ||
                       frame.type == log::FrameType::kMessage ||
                       frame.type == log::FrameType::kInitial;
  if (message && !more) {
    open_.erase(frame.call);
  } else if (message && open_.size() < kMaxOpen) {
    open_.insert(frame.call);
  }
  absl::string_view payload = frame.payload;
  switch (frame.type) {
    case log::FrameType::kCall: {
      wire::CallHeader header;
      if (const absl::Status split = rpc::SplitPayload(&payload, &header); !split.ok()) {
        *wrong = std::string(split.message());
        return Plural(frame.payload.size(), "byte");
      }
      return absl::StrCat("{", MessageLine(header), "}, ",
                          MessageText(payload, frame.flags, wrong));
    }
    case log::FrameType::kReply:
      if (goes_on) return absl::StrCat("the last ", Plural(payload.size(), "byte"));
      return DescribeReply(payload, frame.flags, wrong);
    case log::FrameType::kData:
      if (direction_ == log::Direction::kResponses && !goes_on) {
        return DescribeReply(payload, frame.flags, wrong);
      }
      return absl::StrCat(more ? "the next " : "the last ", Plural(payload.size(), "byte"));
    case log::FrameType::kMessage:
      return MessageText(payload, frame.flags, wrong);
    case log::FrameType::kInitial: {
      wire::InitialMetadata initial;
      if (more) return Plural(payload.size(), "byte");
      if (!initial.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
        *wrong = "a payload that is not a spoolrpc.wire.InitialMetadata";
        return Plural(payload.size(), "byte");
      }
      return absl::StrCat("{", MessageLine(initial), "}");
    }
    case log::FrameType::kCredit: {
      uint64_t total = 0;
      if (payload.size() != sizeof(total)) {
        *wrong = "a payload that is not 8 bytes";
        return Plural(payload.size(), "byte");
      }
      memcpy(&total, payload.data(), sizeof(total));
      return absl::StrCat("up to ", total);
    }
    case log::FrameType::kRelease: {
      const auto release = link::DecodeBulkRelease(payload);
      if (!release.has_value()) {
        *wrong = "a payload that is no RELEASE";
        return Plural(payload.size(), "byte");
      }
      return absl::StrCat(spool::kBulk, release->buffer, ", generation ", release->generation);
    }
    case log::FrameType::kGoodbye: {
      wire::Goodbye goodbye;
      if (!goodbye.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
        *wrong = "a payload that is not a spoolrpc.wire.Goodbye";
        return Plural(payload.size(), "byte");
      }
      return absl::StrCat("{", MessageLine(goodbye), "}");
    }
    default:
      return payload.empty() ? "" : Plural(payload.size(), "byte");
  }
}

}  // namespace spoolrpc::cli
