// A claim on a durable call, and what says that one was started: records without a body. Input:
// durable_fuzz.h; an odd limit: `started`.
#include "tests/spool/fuzz/durable_fuzz.h"

using namespace spoolrpc;        // NOLINT: a file of one idea
using namespace spoolrpc::fuzz;  // NOLINT

namespace {

template <class Record, class Read>
void Fuzz(FuzzInput* input, spool::RecordKind kind, const std::string& name, Read read) {
  const DurableInput taken = TakeDurable<Record>(input, kind, [](Record*, const spool::Body&) {});
  DurableFiles* const files = DurableFiles::Get();
  files->Put(name, taken.content);
  const absl::StatusOr<Record> record = read(files->store(), files->ticket());
  if (!record.ok()) return CheckDurableRefusal(record.status(), name);
  FUZZ_CHECK(record->ticket() == files->ticket());
  Record same;
  FUZZ_CHECK(spool::DecodeRecord(taken.content, kind, &same).ok());
  FUZZ_CHECK(same.SerializeAsString() == record->SerializeAsString());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzInput input(data, size);
  const bool started = size > 3 && (data[3] & 1);
  if (started) {
    Fuzz<spool::DurableStartedRecord>(
        &input, spool::RecordKind::kDurableStarted, "started",
        [](const auto& store, const auto& ticket) { return store.ReadStarted(ticket); });
  } else {
    Fuzz<spool::DurableClaimRecord>(
        &input, spool::RecordKind::kDurableClaim, "claim.1",
        [](const auto& store, const auto& ticket) { return store.ReadClaim(ticket, 1); });
  }
  return 0;
}
