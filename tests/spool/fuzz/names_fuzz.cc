// What is read from names and addresses: where a spool is, ids, numbers. Input: the text, as it is.
#include <stdlib.h>

#include "spoolrpc/spool/address.h"
#include "spoolrpc/spool/layout.h"
#include "tests/fuzz/fuzz_input.h"

using namespace spoolrpc;  // NOLINT: a file of one function

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text = fuzz::FuzzInput(data, size).TakeRest();
  setenv("SPOOLRPC_DIR", "/by/default", 1);
  const auto path = spool::ResolveAddress(text);
  if (path.ok()) {
    FUZZ_CHECK(!path->empty() && path->front() == '/');
    FUZZ_CHECK(path->size() == 1 || path->back() != '/');
    FUZZ_CHECK(path->find('\0') == std::string::npos);
    const auto again = spool::ResolveAddress(*path);
    FUZZ_CHECK(again.ok() && *again == *path);
  } else {
    FUZZ_CHECK(absl::IsInvalidArgument(path.status()) && !path.status().message().empty());
  }
  std::string id;
  if (spool::ParseIdName(text, &id)) {
    FUZZ_CHECK(id.size() == spool::kIdSize && spool::IdName(id) == text);
  }
  for (const char* const prefix : {spool::kClaim, spool::kStop, spool::kExclusive, ""}) {
    const uint32_t number = spool::NumberBehind(prefix, text);
    FUZZ_CHECK(number <= spool::kMaxNumber);
    FUZZ_CHECK(number == 0 || absl::StrCat(prefix, number) == text);
  }
  return 0;
}
