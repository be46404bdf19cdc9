// DecodeRecord() of how long durable calls stay. Input: record_fuzz.h.
#include "tests/spool/fuzz/record_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace spoolrpc;  // NOLINT: a file of one function
  return fuzz::FuzzRecord<spool::RetentionRecord>(spool::RecordKind::kRetention, data, size);
}
