#include "tests/cli/spool_files.h"

#include <string.h>

#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "google/rpc/status.pb.h"
#include "gtest/gtest.h"
#include "spoolrpc/spool.pb.h"
#include "spoolrpc/spool/layout.h"
#include "spoolrpc/wait/doorbell.h"
#include "spoolrpc/wire.pb.h"
#include "tests/cli/programs.h"
#include "tests/testing/scratch_directory.h"

namespace spoolrpc::cli {
namespace {

using log::FrameType;
using log::kFrameHeaderSize;

std::string ServerId() { return std::string(spool::kIdSize, '\x5a'); }

void SetProcess(spool::ProcessIdentity* process) {
  process->set_host("node-7");
  process->set_boot_id("0123-4567");
  process->set_pid(4711);
  process->set_start_time(99);
  process->set_pid_namespace(4026531836);
  process->set_uid(1000);
}

std::string WithHeader(const google::protobuf::Message& header, const std::string& message) {
  const std::string bytes = header.SerializeAsString();
  const uint32_t size = static_cast<uint32_t>(bytes.size());
  return std::string(reinterpret_cast<const char*>(&size), sizeof(size)) + bytes + message;
}

std::string DoorbellBytes() {
  const testing::ScratchDirectory scratch;
  const std::string path = scratch / "doorbell";
  auto bell = wait::Doorbell::Create(os::SystemCalls::Real(), path, 70, 0600);
  EXPECT_TRUE(bell.ok()) << bell.status();
  (*bell)->Ring(1, 4096);
  (*bell)->Ring(69, 512);
  (*bell)->Echo(69);
  (*bell)->RingInbox();
  return ReadFile(path);
}

std::string RequestLog() {
  LogImage log(log::Direction::kRequests);
  for (uint64_t call = 1; call <= 300; ++call) {
    log.AddCall(call, call == 1 ? "/helloworld.Greeter/SayHello" : "", std::string(call * 7, 'x'));
    if (call % 50 == 0) log.Add(FrameType::kCancel, 0, call, "");
    if (call % 60 == 0) {
      log.Add(FrameType::kCall, log::kMore, call, WithHeader(wire::CallHeader(), "first"));
      log.Add(FrameType::kData, log::kMore, call, "middle");
      log.Add(FrameType::kData, 0, call, "last");
    }
    if (call == 280) log.SetFlushed();
  }
  wire::Goodbye goodbye;
  goodbye.set_cause(wire::Goodbye::CLOSED);
  goodbye.set_detail("done");
  log.Add(FrameType::kGoodbye, 0, 0, goodbye.SerializeAsString());
  log.head()->state = log::WriterState::kClosed;
  log.head()->counter = 17;
  return log.Bytes();
}

std::string ResponseLog() {
  LogImage log(log::Direction::kResponses);
  log.Add(FrameType::kAck, 0, 1, "");
  log.AddReply(1, "hello");
  wire::ReplyHeader header;
  header.set_code(5);
  header.set_message("no such greeting");
  google::rpc::Status details;
  details.set_code(5);
  details.add_details()->set_type_url("type.googleapis.com/google.rpc.Nothing");
  header.set_details(details.SerializeAsString());
  wire::Metadata* const metadata = header.add_trailing_metadata();
  metadata->set_key("key-bin");
  metadata->set_value("\x01\x1b[2J");
  log.Add(FrameType::kReply, log::kAcked, 2, WithHeader(header, ""));
  log.Add(FrameType::kData, log::kMore, 3, WithHeader(wire::ReplyHeader(), "begin"));
  log.Add(FrameType::kReply, 0, 3, "end");
  log.Add(FrameType::kConsumed, 0, 0, "", 512);
  log.Add(static_cast<FrameType>(99), log::kSkippable, 0, "from the future", 512);
  log.SetFlushed();
  return log.Bytes();
}

}  // namespace

std::string SessionId() {
  std::string id;
  for (size_t i = 0; i < spool::kIdSize; ++i) id.push_back(static_cast<char>(i));
  return id;
}

std::string SessionName() { return spool::IdName(SessionId()); }

std::vector<SpoolFile> OneOfEach() {
  using spool::EncodeRecord;
  using spool::RecordKind;
  const std::string server = absl::StrCat("servers/", spool::IdName(ServerId()));
  const std::string session = absl::StrCat("sessions/", SessionName());
  spool::SpoolRecord spool_record;
  spool_record.set_format_version(1);
  spool_record.set_spool_id(SessionId());
  spool_record.set_created_by("a test");
  spool::ServerRecord server_record;
  server_record.set_server_id(ServerId());
  SetProcess(server_record.mutable_process());
  spool::ServiceRecord* const service = server_record.add_services();
  service->set_name("helloworld.Greeter");
  service->set_fingerprint(0x037cc3a82a3e5830);
  spool::MethodRecord* const method = service->add_methods();
  method->set_name("SayHello");
  method->set_kind(spool::MethodRecord::UNARY);
  method->set_request_type("helloworld.HelloRequest");
  method->set_response_type("helloworld.HelloReply");
  method->set_fingerprint(0x2fa6f5359f42651c);
  server_record.set_lease_term_ns(10'000'000'000);
  spool::SessionRecord session_record;
  session_record.set_session_id(SessionId());
  session_record.set_server_id(ServerId());
  SetProcess(session_record.mutable_process());
  spool::VerdictRecord verdict;
  verdict.set_verdict(spool::VerdictRecord::ACCEPTED);
  verdict.set_session_id(SessionId());
  const std::string durable = absl::StrCat("durable/", SessionName());
  spool::DurableCallRecord call;
  call.set_ticket(SessionId());
  call.mutable_header()->set_method("/helloworld.Greeter/SayHello");
  SetProcess(call.mutable_process());
  *call.mutable_body() = spool::DescribeBody(RecordKind::kDurableCall, "request");
  spool::DurableClaimRecord claim;
  claim.set_ticket(SessionId());
  claim.set_number(2);
  SetProcess(claim.mutable_process());
  spool::DurableStartedRecord started;
  started.set_ticket(SessionId());
  started.set_server_id(ServerId());
  SetProcess(started.mutable_process());
  spool::DurableReplyRecord reply;
  reply.set_ticket(SessionId());
  reply.set_server_id(ServerId());
  SetProcess(reply.mutable_process());
  *reply.mutable_body() = spool::DescribeBody(RecordKind::kDurableReply, "");
  spool::RetentionRecord retention;
  retention.set_max_finished(10);
  spool::StopRecord stop;
  stop.set_server_id(ServerId());
  stop.set_deadline_ns(1500000000);
  SetProcess(stop.mutable_process());
  spool::ExclusiveRecord exclusive;
  exclusive.set_number(1);
  exclusive.set_server_id(ServerId());
  SetProcess(exclusive.mutable_process());
  log::LogHead lease;
  lease.direction = log::Direction::kLease;
  lease.id = ServerId();
  lease.counter = 3;
  lease.flushed = 12345;
  std::string lease_bytes = EncodeHead(lease);
  lease_bytes.resize(log::kLeaseFileSize, '\0');
  return {
      {"format", EncodeRecord(RecordKind::kSpool, spool_record)},
      {server + "/record", EncodeRecord(RecordKind::kServer, server_record)},
      {session + "/record", EncodeRecord(RecordKind::kSession, session_record)},
      {absl::StrCat(server, "/verdicts/", SessionName()),
       EncodeRecord(RecordKind::kVerdict, verdict)},
      {durable + "/call", EncodeRecord(RecordKind::kDurableCall, call) + "request"},
      {durable + "/claim.2", EncodeRecord(RecordKind::kDurableClaim, claim)},
      {durable + "/started", EncodeRecord(RecordKind::kDurableStarted, started)},
      {durable + "/reply", EncodeRecord(RecordKind::kDurableReply, reply)},
      {"durable/retention", EncodeRecord(RecordKind::kRetention, retention)},
      {server + "/inbox/stop.1", EncodeRecord(RecordKind::kStop, stop)},
      {"servers/exclusive.1", EncodeRecord(RecordKind::kExclusive, exclusive)},
      {server + "/lease", lease_bytes},
      {session + "/requests", RequestLog()},
      {absl::StrCat(server, "/sessions/", SessionName(), "/responses"), ResponseLog()},
      {session + "/doorbell", DoorbellBytes()},
  };
}

LogImage::LogImage(log::Direction direction, uint64_t capacity, uint64_t position,
                   uint64_t sequence)
    : key_(SessionId(), direction),
      ring_(capacity, '\0'),
      position_(position),
      sequence_(sequence) {
  head_.direction = direction;
  head_.id = SessionId();
  head_.capacity = capacity;
  head_.counter = 1;
  head_.term_ns = 10'000'000'000;
}

void LogImage::Put(log::FrameType type, uint8_t flags, uint64_t call, uint64_t consumed,
                   const std::string& payload, size_t length) {
  std::string frame(log::AlignFrame(kFrameHeaderSize + payload.size()), '\0');
  memcpy(frame.data() + kFrameHeaderSize, payload.data(), payload.size());
  log::SealFrame(key_, type, flags, position_, sequence_++, consumed, call, length, frame.data());
  ring_.replace(position_ % head_.capacity, frame.size(), frame);
  positions_.push_back(position_);
  position_ = log::AlignFrame(position_ + length);
}

uint64_t LogImage::Add(log::FrameType type, uint8_t flags, uint64_t call,
                       const std::string& payload, uint64_t consumed) {
  const size_t length = kFrameHeaderSize + payload.size();
  const uint64_t room = head_.capacity - position_ % head_.capacity;
  if (room < kFrameHeaderSize) {
    position_ += room;
  } else if (room < length) {
    // Its payload is not written.
    Put(log::FrameType::kPad, 0, 0, consumed, "", room);
  }
  Put(type, flags, call, consumed, payload, length);
  return positions_.back();
}

uint64_t LogImage::AddCall(uint64_t call, const std::string& method, const std::string& message) {
  wire::CallHeader header;
  header.set_method_id(1);
  header.set_method(method);
  return Add(FrameType::kCall, 0, call, WithHeader(header, message));
}

uint64_t LogImage::AddReply(uint64_t call, const std::string& message) {
  return Add(FrameType::kReply, log::kAcked, call, WithHeader(wire::ReplyHeader(), message));
}

std::vector<uint64_t> LogImage::Present() const {
  std::vector<uint64_t> present;
  for (const uint64_t position : positions_) {
    if (position + head_.capacity >= position_) present.push_back(position);
  }
  return present;
}

std::string LogImage::Bytes() const {
  std::string bytes = EncodeHead(head_);
  bytes.resize(log::kHeadSize, '\0');
  return bytes + ring_;
}

Dumped Dump(const std::string& path, absl::string_view bytes, const DumpOptions& options) {
  StringSource source(bytes);
  std::ostringstream out;
  Report report(&out, Depth::kDetails, "  ");
  DumpFile(&source, path, options, &report);
  return {out.str(), report.problems()};
}

std::vector<uint64_t> PrintedPositions(const std::string& text) {
  std::vector<uint64_t> positions;
  bool frames = false;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
    uint64_t position = 0;
    uint64_t sequence = 0;
    if (absl::StrContains(line, "position    sequence")) frames = true;
    if (frames && words.size() >= 6 && absl::SimpleAtoi(words[0], &position) &&
        absl::SimpleAtoi(words[1], &sequence)) {
      positions.push_back(position);
    }
  }
  return positions;
}

}  // namespace spoolrpc::cli
