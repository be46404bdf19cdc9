// A reference to a bulk buffer, and a RELEASE: any bytes.
#include "spoolrpc/link/bulk_checksum.h"
#include "spoolrpc/link/bulk_reference.h"
#include "spoolrpc/spool/layout.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace link = spoolrpc::link;
  const absl::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (const auto reference = link::DecodeBulkReference(bytes)) {
    // What it says is within what a reader can take, and is all that the bytes said.
    FUZZ_CHECK(reference->buffer >= 1 && reference->buffer <= spoolrpc::spool::kMaxNumber);
    FUZZ_CHECK(reference->length >= 1 && reference->length <= link::kMaxBulkLength);
    FUZZ_CHECK(reference->offset <= link::kMaxBulkBuffer);
    FUZZ_CHECK(reference->offset + reference->length <= link::kMaxBulkBuffer);
    FUZZ_CHECK(link::EncodeBulkReference(*reference) == bytes);
  }
  if (const auto release = link::DecodeBulkRelease(bytes)) {
    FUZZ_CHECK(link::EncodeBulkRelease(*release) == bytes);
  }
  // A checksum is of the bytes and of nothing behind them, wherever they are copied.
  std::string copy(size + 1, '\x55');
  const uint64_t checksum = link::BulkChecksum(bytes, size);
  FUZZ_CHECK(link::CopyWithBulkChecksum(bytes, size, copy.data()) == checksum);
  FUZZ_CHECK(copy.back() == '\x55' && absl::string_view(copy).substr(0, size) == bytes);
  return 0;
}
