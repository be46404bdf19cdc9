// The `reply` of a durable call, collected as its caller does: the record, the status in it, and
// the message behind it. Input: durable_fuzz.h.
#include "spoolrpc/rpc/status_codec.h"
#include "tests/spool/fuzz/durable_fuzz.h"

using namespace spoolrpc;        // NOLINT: a file of one function
using namespace spoolrpc::fuzz;  // NOLINT

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzInput input(data, size);
  const DurableInput taken = TakeDurable<spool::DurableReplyRecord>(
      &input, spool::RecordKind::kDurableReply,
      [](auto* message, const spool::Body& body) { *message->mutable_body() = body; });
  DurableFiles* const files = DurableFiles::Get();
  files->Put("call", "is there");
  files->Put("reply", taken.content);
  std::string body;
  const auto reply = files->store().Collect(files->ticket(), taken.limit, &body);
  if (!reply.ok()) {
    CheckDurableRefusal(reply.status(), "reply");
    return 0;
  }
  FUZZ_CHECK(reply->ticket() == files->ticket());
  FUZZ_CHECK(body.size() <= taken.limit && body.size() == reply->body().size());
  FUZZ_CHECK(body == taken.content.substr(taken.content.size() - body.size()));
  const absl::Status status = rpc::DecodeStatus(reply->header());
  FUZZ_CHECK(status.ok() == (reply->header().code() == 0));
  return 0;
}
