// The `call` of a durable call: its record, and the request behind it. Input: durable_fuzz.h.
#include "tests/spool/fuzz/durable_fuzz.h"

using namespace spoolrpc;        // NOLINT: a file of one function
using namespace spoolrpc::fuzz;  // NOLINT

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzInput input(data, size);
  const DurableInput taken = TakeDurable<spool::DurableCallRecord>(
      &input, spool::RecordKind::kDurableCall,
      [](auto* message, const spool::Body& body) { *message->mutable_body() = body; });
  DurableFiles* const files = DurableFiles::Get();
  files->Put("call", taken.content);
  const auto call = files->store().ReadCall(files->ticket());
  const auto request = files->store().ReadRequest(files->ticket(), taken.limit);
  if (!call.ok()) {
    CheckDurableRefusal(call.status(), "call");
    FUZZ_CHECK(!request.ok());
    return 0;
  }
  FUZZ_CHECK(call->ticket() == files->ticket());
  if (!request.ok()) {
    CheckDurableRefusal(request.status(), "call");
    return 0;
  }
  FUZZ_CHECK(request->bytes.size() <= taken.limit && request->bytes.size() == call->body().size());
  FUZZ_CHECK(request->bytes == taken.content.substr(taken.content.size() - request->bytes.size()));
  return 0;
}
