// Writes the seed corpora: make_seeds DIRECTORY (tests/spool/fuzz/corpus).
#include <stdio.h>

#include <string>

#include "spoolrpc/spool/record_file.h"
#include "tests/fuzz/seeds.h"

namespace spoolrpc::spool {
namespace {

using fuzz::Bytes;
using fuzz::Save;

const std::string kServerId(16, 's');
const std::string kTicket(16, 't');

void SetProcess(ProcessIdentity* process) {
  process->set_host("host");
  process->set_boot_id("0b1d5b9e-6c1d-4f9a-8f43-5f1f4f3a1c02");
  process->set_pid(4711);
  process->set_start_time(123456);
  process->set_pid_namespace(4026531836);
  process->set_uid(1000);
}

// As it is on disk, damaged, and one whose header the target is to mend.
void SaveRecord(const std::string& to, RecordKind kind, const google::protobuf::Message& message) {
  const std::string bytes = EncodeRecord(kind, message);
  Save(to + "/whole", Bytes<uint8_t>(0) + bytes);
  Save(to + "/cut", Bytes<uint8_t>(0) + bytes.substr(0, bytes.size() - 1));
  Save(to + "/mended",
       Bytes<uint8_t>(1) + std::string(kRecordHeaderSize, 'h') + bytes.substr(kRecordHeaderSize));
  Save(to + "/empty", Bytes<uint8_t>(1) + std::string(kRecordHeaderSize, '\0'));
}

void SaveRecords(const std::string& to) {
  SpoolRecord format;
  format.set_format_version(1);
  format.set_spool_id(std::string(16, 'f'));
  format.set_created_by("0.1.0");
  format.add_server_uids(1000);
  format.add_server_uids(1001);
  SaveRecord(to + "/format_record", RecordKind::kSpool, format);

  ServerRecord server;
  server.set_server_id(kServerId);
  SetProcess(server.mutable_process());
  server.set_protocol_version(1);
  server.set_min_protocol_version(1);
  server.set_software_version("0.1.0");
  server.set_lease_term_ns(10'000'000'000);
  server.add_message_encodings("zstd");
  for (const std::string name : {"p.One", "p.Two"}) {
    ServiceRecord* const service = server.add_services();
    service->set_name(name);
    service->set_fingerprint(77);
    for (const std::string method : {"A", "B"}) {
      MethodRecord* const one = service->add_methods();
      one->set_name(method);
      one->set_kind(MethodRecord::UNARY);
      one->set_request_type("p.Request");
      one->set_response_type("p.Reply");
      one->set_fingerprint(78);
    }
  }
  SaveRecord(to + "/server_record", RecordKind::kServer, server);
  server.add_services()->set_name("p.One");
  Save(to + "/server_record/twice", Bytes<uint8_t>(1) + EncodeRecord(RecordKind::kServer, server));

  SessionRecord session;
  session.set_session_id(std::string(16, 'i'));
  session.set_server_id(kServerId);
  SetProcess(session.mutable_process());
  session.set_protocol_version(1);
  session.set_min_protocol_version(1);
  session.set_lease_term_ns(10'000'000'000);
  session.set_doorbell_device(5);
  session.set_doorbell_inode(6);
  session.set_doorbell_nonce(7);
  session.set_log_capacity(1 << 20);
  session.add_message_encodings("zstd");
  SaveRecord(to + "/session_record", RecordKind::kSession, session);

  VerdictRecord verdict;
  verdict.set_verdict(VerdictRecord::REFUSED);
  verdict.set_session_id(std::string(16, 'i'));
  verdict.set_doorbell_slot(3);
  verdict.set_detail("no room in \xff/path");
  verdict.set_code(8);
  SaveRecord(to + "/verdict_record", RecordKind::kVerdict, verdict);

  StopRecord stop;
  stop.set_server_id(kServerId);
  stop.set_deadline_ns(1'000'000'000);
  SetProcess(stop.mutable_process());
  SaveRecord(to + "/stop_record", RecordKind::kStop, stop);

  ExclusiveRecord exclusive;
  exclusive.set_number(2);
  exclusive.set_server_id(kServerId);
  exclusive.set_lease_term_ns(10'000'000'000);
  SaveRecord(to + "/exclusive_record", RecordKind::kExclusive, exclusive);

  RetentionRecord retention;
  retention.set_max_age_ns(1'000'000'000);
  retention.set_max_finished(100);
  SaveRecord(to + "/retention_record", RecordKind::kRetention, retention);
}

// As durable_fuzz.h takes it.
std::string Durable(uint8_t flags, const std::string& record, const std::string& body,
                    uint16_t limit = 1000) {
  return Bytes(flags) + Bytes<uint16_t>(record.size()) + Bytes(limit) + record + body;
}

template <class Record>
void SaveDurable(const std::string& to, RecordKind kind, Record record, bool with_body) {
  const std::string body = with_body ? "the body" : "";
  record.set_ticket(kTicket);
  const std::string bytes = EncodeRecord(kind, record);
  Save(to + "/mended", Durable(3, bytes, body));
  Save(to + "/not_mended", Durable(0, bytes, body));
  Save(to + "/front_mended", Durable(1, bytes, body));
  Save(to + "/other_limit", Durable(3, bytes, body, 3));
  record.set_ticket("another");
  Save(to + "/another_ticket", Durable(0, EncodeRecord(kind, record), body));
}

void SaveDurableCalls(const std::string& to) {
  DurableCallRecord call;
  call.mutable_header()->set_method("/p.S/M");
  call.mutable_header()->set_timeout_ns(1'000'000'000);
  call.set_handler_timeout_ns(5);
  call.set_request_type("p.Request");
  call.set_reply_type("p.Reply");
  SetProcess(call.mutable_process());
  *call.mutable_body() = DescribeBody(RecordKind::kDurableCall, "the body");
  SaveDurable(to + "/durable_call", RecordKind::kDurableCall, call, true);

  DurableReplyRecord reply;
  reply.mutable_header()->set_code(5);
  reply.mutable_header()->set_message("there is none");
  reply.set_server_id(kServerId);
  *reply.mutable_body() = DescribeBody(RecordKind::kDurableReply, "the body");
  SaveDurable(to + "/durable_reply", RecordKind::kDurableReply, reply, true);

  DurableClaimRecord claim;
  claim.set_number(1);
  claim.set_server_id(kServerId);
  claim.set_lease_term_ns(10'000'000'000);
  SaveDurable(to + "/durable_claim", RecordKind::kDurableClaim, claim, false);
  DurableStartedRecord started;
  started.set_ticket(kTicket);
  started.set_server_id(kServerId);
  const std::string bytes = EncodeRecord(RecordKind::kDurableStarted, started);
  Save(to + "/durable_claim/started", Durable(3, bytes, "", 1));
  Save(to + "/durable_claim/started_and_more", Durable(0, bytes, "more", 1));
}

void SaveNames(const std::string& to) {
  Save(to + "/names/scheme", "spool:///scratch/me/../spool/");
  Save(to + "/names/one_slash", "spool:/scratch//me");
  Save(to + "/names/relative", "./spool/.");
  Save(to + "/names/other_scheme", "http://host/path");
  Save(to + "/names/colon", "/a:b");
  Save(to + "/names/id", "0123456789abcdef0123456789abcdef");
  Save(to + "/names/claim", "claim.17");
  Save(to + "/names/stop", "stop.1000000");
  Save(to + "/names/exclusive", "exclusive.01");
}

}  // namespace
}  // namespace spoolrpc::spool

int main(int argc, char** argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: make_seeds DIRECTORY\n");
    return 2;
  }
  spoolrpc::spool::SaveRecords(argv[1]);
  spoolrpc::spool::SaveDurableCalls(argv[1]);
  spoolrpc::spool::SaveNames(argv[1]);
  return 0;
}
