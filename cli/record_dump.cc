// Dumps records (docs/format.md, section 2).

#include <string.h>
#include <xxhash.h>

#include <algorithm>
#include <memory>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/file_dumps.h"
#include "cli/text.h"
#include "google/protobuf/empty.pb.h"
#include "spoolrpc/spool.pb.h"
#include "spoolrpc/spool/layout.h"
#include "spoolrpc/spool/record_file.h"

namespace spoolrpc::cli {
namespace {

using spool::kMaxRecordSize;
using spool::kRecordHeaderSize;
using spool::RecordKind;

// Of the header, after the magic.
struct Header {
  uint16_t version;
  uint16_t kind;
  uint32_t length;
  uint64_t checksum;
};

Header ParseHeader(absl::string_view bytes) {
  Header header;
  memcpy(&header.version, bytes.data() + 8, 2);
  memcpy(&header.kind, bytes.data() + 10, 2);
  memcpy(&header.length, bytes.data() + 12, 4);
  memcpy(&header.checksum, bytes.data() + 16, 8);
  return header;
}

absl::string_view KindName(RecordKind kind) {
  switch (kind) {
    case RecordKind::kSpool:
      return "spool record";
    case RecordKind::kServer:
      return "server record";
    case RecordKind::kSession:
      return "session record";
    case RecordKind::kVerdict:
      return "verdict";
    case RecordKind::kDurableCall:
      return "durable call";
    case RecordKind::kDurableClaim:
      return "claim of a durable call";
    case RecordKind::kDurableStarted:
      return "start of a durable call";
    case RecordKind::kDurableReply:
      return "reply of a durable call";
    case RecordKind::kRetention:
      return "retention of durable calls";
    case RecordKind::kStop:
      return "request to stop";
    case RecordKind::kExclusive:
      return "exclusive server";
  }
  return "";
}

// The message of a kind; for an unknown one an empty message, which keeps all fields as unknown.
std::unique_ptr<google::protobuf::Message> NewMessage(RecordKind kind) {
  switch (kind) {
    case RecordKind::kSpool:
      return std::make_unique<spool::SpoolRecord>();
    case RecordKind::kServer:
      return std::make_unique<spool::ServerRecord>();
    case RecordKind::kSession:
      return std::make_unique<spool::SessionRecord>();
    case RecordKind::kVerdict:
      return std::make_unique<spool::VerdictRecord>();
    case RecordKind::kDurableCall:
      return std::make_unique<spool::DurableCallRecord>();
    case RecordKind::kDurableClaim:
      return std::make_unique<spool::DurableClaimRecord>();
    case RecordKind::kDurableStarted:
      return std::make_unique<spool::DurableStartedRecord>();
    case RecordKind::kDurableReply:
      return std::make_unique<spool::DurableReplyRecord>();
    case RecordKind::kRetention:
      return std::make_unique<spool::RetentionRecord>();
    case RecordKind::kStop:
      return std::make_unique<spool::StopRecord>();
    case RecordKind::kExclusive:
      return std::make_unique<spool::ExclusiveRecord>();
  }
  return std::make_unique<google::protobuf::Empty>();
}

std::string Who(const spool::ProcessIdentity& process) {
  return absl::StrCat("pid ", process.pid(), " on ", process.host(), ", uid ", process.uid());
}

// The server that a record of a durable call names, or `nobody` and who wrote it.
std::string Owner(const std::string& server, const spool::ProcessIdentity& process,
                  absl::string_view nobody) {
  return server.empty()
             ? absl::StrCat(nobody, Who(process))
             : absl::StrCat("server ", absl::BytesToHexString(server), ", ", Who(process));
}

// What a record says of the body behind it; null: its kind has none.
const spool::Body* BodyOf(RecordKind kind, const google::protobuf::Message& message) {
  if (kind == RecordKind::kDurableCall) {
    return &static_cast<const spool::DurableCallRecord&>(message).body();
  }
  if (kind == RecordKind::kDurableReply) {
    return &static_cast<const spool::DurableReplyRecord&>(message).body();
  }
  return nullptr;
}

// The id inside, and what the record says in a few words.
std::string Gist(RecordKind kind, const google::protobuf::Message& message, std::string* id) {
  switch (kind) {
    case RecordKind::kSpool: {
      const auto& record = static_cast<const spool::SpoolRecord&>(message);
      return absl::StrCat("format ", record.format_version(), ", made by ", record.created_by());
    }
    case RecordKind::kServer: {
      const auto& record = static_cast<const spool::ServerRecord&>(message);
      *id = record.server_id();
      int methods = 0;
      for (const auto& service : record.services()) methods += service.methods_size();
      return absl::StrCat(Who(record.process()), ", ", Plural(record.services_size(), "service"),
                          " with ", Plural(methods, "method"));
    }
    case RecordKind::kSession: {
      const auto& record = static_cast<const spool::SessionRecord&>(message);
      *id = record.session_id();
      return absl::StrCat("client ", Who(record.process()), ", server ",
                          absl::BytesToHexString(record.server_id()));
    }
    case RecordKind::kVerdict: {
      const auto& record = static_cast<const spool::VerdictRecord&>(message);
      *id = record.session_id();
      return spool::VerdictRecord::Verdict_Name(record.verdict());
    }
    case RecordKind::kDurableCall: {
      const auto& record = static_cast<const spool::DurableCallRecord&>(message);
      *id = record.ticket();
      return absl::StrCat(record.header().method(), ", by ", Who(record.process()));
    }
    case RecordKind::kDurableClaim: {
      const auto& record = static_cast<const spool::DurableClaimRecord&>(message);
      *id = record.ticket();
      return absl::StrCat("number ", record.number(), ", ",
                          Owner(record.server_id(), record.process(), "given back by "));
    }
    case RecordKind::kDurableStarted: {
      const auto& record = static_cast<const spool::DurableStartedRecord&>(message);
      *id = record.ticket();
      return Owner(record.server_id(), record.process(), "cancelled by ");
    }
    case RecordKind::kDurableReply: {
      const auto& record = static_cast<const spool::DurableReplyRecord&>(message);
      *id = record.ticket();
      return absl::StrCat(
          absl::StatusCodeToString(static_cast<absl::StatusCode>(record.header().code())), ", ",
          Owner(record.server_id(), record.process(), "by "));
    }
    case RecordKind::kRetention: {
      const auto& record = static_cast<const spool::RetentionRecord&>(message);
      return absl::StrCat(FormatAge(absl::Nanoseconds(record.max_age_ns())), ", ",
                          record.max_finished(), " finished");
    }
    case RecordKind::kStop: {
      const auto& record = static_cast<const spool::StopRecord&>(message);
      *id = record.server_id();
      return absl::StrCat(record.has_deadline_ns()
                              ? FormatAge(absl::Nanoseconds(record.deadline_ns()))
                              : "no deadline",
                          ", asked by ", Who(record.process()));
    }
    case RecordKind::kExclusive: {
      const auto& record = static_cast<const spool::ExclusiveRecord&>(message);
      *id = record.server_id();
      return absl::StrCat("number ", record.number(), ", ",
                          Owner(record.server_id(), record.process(), "given back by "));
    }
  }
  return "";
}

// Checks the body of a durable call or reply, from `offset` on.
void DumpBody(ByteSource* source, RecordKind kind, const spool::Body& body, uint64_t offset,
              Report* report) {
  report->Detail(absl::StrCat("body of ", FormatSize(body.size())));
  const uint64_t size = source->size() - std::min(source->size(), offset);
  if (size < body.size()) {
    report->ProblemAt(source->size(), absl::StrCat("truncated: the body has ", body.size(),
                                                   " bytes, of which ", size, " are there"));
    return;
  }
  if (size > body.size()) {
    report->ProblemAt(offset + body.size(),
                      absl::StrCat(Plural(size - body.size(), "byte"), " after the body's end"));
    return;
  }
  const std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state(XXH3_createState(),
                                                                              XXH3_freeState);
  XXH3_64bits_reset_withSeed(state.get(), static_cast<uint64_t>(kind));
  for (uint64_t done = 0; done < size;) {
    const absl::string_view piece =
        source->At(offset + done, std::min<uint64_t>(size - done, 65536));
    if (piece.empty()) return;  // said by whoever reads
    XXH3_64bits_update(state.get(), piece.data(), piece.size());
    done += piece.size();
  }
  const uint64_t found = XXH3_64bits_digest(state.get());
  if (found != body.checksum()) {
    report->ProblemAt(offset, absl::StrFormat("wrong checksum of the body: found 0x%016x, expected "
                                              "0x%016x",
                                              body.checksum(), found));
  }
}

}  // namespace

void DumpRecord(ByteSource* source, const PathHint& hint, Report* report) {
  const uint64_t size = source->size();
  // One byte of a record that is too large is one too many; the view has room for the others.
  std::string bytes(source->At(0, 4096));
  while (bytes.size() < std::min<uint64_t>(size, kRecordHeaderSize + kMaxRecordSize)) {
    const absl::string_view more =
        source->At(bytes.size(), kRecordHeaderSize + kMaxRecordSize - bytes.size());
    if (more.empty()) break;
    bytes.append(more.data(), more.size());
  }
  const bool by_path = hint.kind == PathHint::Kind::kRecord;
  RecordKind kind = hint.record;
  const bool has_header = bytes.size() >= kRecordHeaderSize;
  Header header = {};
  if (has_header) {
    header = ParseHeader(bytes);
    // A damaged kind is told by the path.
    if (!by_path || !KindName(static_cast<RecordKind>(header.kind)).empty()) {
      kind = static_cast<RecordKind>(header.kind);
    }
  }
  const bool has_body = kind == RecordKind::kDurableCall || kind == RecordKind::kDurableReply;
  const bool too_large =
      has_body ? header.length > kMaxRecordSize : size > kRecordHeaderSize + kMaxRecordSize;
  const absl::string_view payload =
      absl::string_view(bytes).substr(std::min(bytes.size(), kRecordHeaderSize));
  const absl::string_view body = payload.substr(0, header.length);
  const auto message = NewMessage(kind);
  const bool parsed =
      has_header && message->ParseFromArray(body.data(), static_cast<int>(body.size()));
  std::string id;
  const std::string gist = parsed ? Gist(kind, *message, &id) : "";
  const absl::string_view name = KindName(kind);
  report->Headline(
      absl::StrCat(name.empty() ? absl::StrCat("record of unknown kind ", static_cast<int>(kind))
                                : std::string(name),
                   gist.empty() ? "" : ": ", gist));

  const int before = report->problems();
  CheckMagic(bytes, kRecordMagic, report);
  if (!has_header) {
    report->ProblemAt(bytes.size(),
                      absl::StrCat("truncated: a record's header has ", kRecordHeaderSize,
                                   " bytes, the file has ", bytes.size()));
  } else {
    report->Detail(absl::StrFormat("version %d, kind %d, %d bytes, checksum 0x%016x",
                                   header.version, header.kind, header.length, header.checksum));
    if (header.version != spool::kSpoolFormatVersion) {
      report->ProblemAt(8, absl::StrCat("format version ", header.version, ", this software knows ",
                                        spool::kSpoolFormatVersion));
    }
    if (KindName(static_cast<RecordKind>(header.kind)).empty()) {
      report->ProblemAt(10, absl::StrCat("unknown kind ", header.kind));
    } else if (by_path && kind != hint.record) {
      report->ProblemAt(10, absl::StrCat("kind ", header.kind, ", where a ", KindName(hint.record),
                                         " (", static_cast<int>(hint.record), ") belongs"));
    }
    if (too_large) {
      report->ProblemAt(kRecordHeaderSize, absl::StrCat("the file has ", size,
                                                        " bytes; a record "
                                                        "has at most ",
                                                        kRecordHeaderSize + kMaxRecordSize));
    } else if (payload.size() < header.length) {
      report->ProblemAt(bytes.size(),
                        absl::StrCat("truncated: the message has ", header.length,
                                     " bytes, of which ", payload.size(), " are there"));
    } else if (payload.size() > header.length && !has_body) {
      report->ProblemAt(
          kRecordHeaderSize + header.length,
          absl::StrCat(Plural(payload.size() - header.length, "byte"), " after the message's end"));
    }
    const uint64_t expected = XXH3_64bits_withSeed(body.data(), body.size(), header.kind);
    if (expected != header.checksum) {
      report->ProblemAt(16, absl::StrFormat("wrong checksum: found 0x%016x, expected 0x%016x",
                                            header.checksum, expected));
    }
    if (!parsed) {
      report->ProblemAt(kRecordHeaderSize, absl::StrCat("the message is not a ",
                                                        message->GetDescriptor()->full_name()));
    }
  }
  if (parsed && has_body && report->problems() == before) {
    DumpBody(source, kind, *BodyOf(kind, *message), kRecordHeaderSize + header.length, report);
  }
  if (parsed && !hint.id.empty() && !id.empty() && id != hint.id) {
    report->Problem(absl::StrCat("the record of ", absl::BytesToHexString(id),
                                 ", under the name of ", absl::BytesToHexString(hint.id)));
  }
  const bool doubtful = report->problems() > before;
  // The runtime's decoder has the last word.
  if (!doubtful) {
    absl::string_view rest;
    const absl::Status valid = has_body
                                   ? spool::DecodeRecordFront(bytes, kind, message.get(), &rest)
                                   : spool::DecodeRecord(bytes, kind, message.get());
    if (!valid.ok()) {
      report->Problem(valid.message());
    }
  }
  if (has_header && report->details()) {
    if (doubtful) report->Detail("what stands there all the same, unverified:");
    report->DetailBlock(MessageLines(*message, "  "));
    if (!parsed) report->DetailBlock(HexDump(body, 1024, "  "));
  }
}

}  // namespace spoolrpc::cli
