// Writes the seed corpus: make_seeds DIRECTORY (tests/link/fuzz/corpus).
#include <stdio.h>

#include <string>

#include "spoolrpc/link/bulk_reference.h"
#include "tests/fuzz/seeds.h"

namespace spoolrpc::link {
namespace {

void SaveAll(const std::string& to) {
  BulkReference reference;
  reference.buffer = 3;
  reference.generation = 7;
  reference.offset = 4096;
  reference.length = 1 << 20;
  reference.checksum = 0x1122334455667788;
  fuzz::Save(to + "/bulk_reference/usual", EncodeBulkReference(reference));
  reference.length = kMaxBulkLength;
  reference.offset = kMaxBulkBuffer - kMaxBulkLength;
  fuzz::Save(to + "/bulk_reference/largest", EncodeBulkReference(reference));
  reference.length = ~uint64_t{0};
  fuzz::Save(to + "/bulk_reference/too_long", EncodeBulkReference(reference));
  fuzz::Save(to + "/bulk_reference/release", EncodeBulkRelease({3, 7}));
  fuzz::Save(to + "/bulk_reference/pieces", std::string(65536 + 10, 'x'));
}

}  // namespace
}  // namespace spoolrpc::link

int main(int argc, char** argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: make_seeds DIRECTORY\n");
    return 2;
  }
  spoolrpc::link::SaveAll(argv[1]);
  return 0;
}
