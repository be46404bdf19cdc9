// What the fuzz targets of the records share: DecodeRecord() over arbitrary bytes.
//
// Input: flags (1: give it magic, version, kind, length and a good checksum), the bytes.
#ifndef SPOOLRPC_TESTS_SPOOL_FUZZ_RECORD_FUZZ_H_
#define SPOOLRPC_TESTS_SPOOL_FUZZ_RECORD_FUZZ_H_

#include <xxhash.h>

#include <string>

#include "spoolrpc/spool.pb.h"
#include "spoolrpc/spool/record_file.h"
#include "tests/fuzz/fuzz_input.h"

namespace spoolrpc::fuzz {

enum RecordFlags : uint8_t { kRepairRecord = 1 };

// Gives the first `front` bytes a header that makes a record of them.
inline void RepairRecord(spool::RecordKind kind, size_t front, std::string* bytes) {
  if (front < spool::kRecordHeaderSize || front > bytes->size()) return;
  const uint16_t kind_number = static_cast<uint16_t>(kind);
  const uint32_t length = front - spool::kRecordHeaderSize;
  const uint64_t checksum =
      XXH3_64bits_withSeed(bytes->data() + spool::kRecordHeaderSize, length, kind_number);
  memcpy(bytes->data(), "SPOOLREC\1\0", 10);
  memcpy(bytes->data() + 10, &kind_number, sizeof(kind_number));
  memcpy(bytes->data() + 12, &length, sizeof(length));
  memcpy(bytes->data() + 16, &checksum, sizeof(checksum));
}

// What anything that was refused must say.
inline void CheckRefusal(const absl::Status& status) {
  FUZZ_CHECK(absl::IsDataLoss(status) || absl::IsFailedPrecondition(status));
  FUZZ_CHECK(!status.message().empty());
  FUZZ_CHECK(status.message().size() < 2000);  // whatever names the record is full of
}

template <class Message>
int FuzzRecord(spool::RecordKind kind, const uint8_t* data, size_t size) {
  FuzzInput input(data, size);
  const uint8_t flags = input.Take<uint8_t>();
  std::string bytes = input.TakeRest();
  if (flags & kRepairRecord) RepairRecord(kind, bytes.size(), &bytes);

  Message message;
  const absl::Status status = spool::DecodeRecord(bytes, kind, &message);
  Message front_message;
  absl::string_view rest;
  const absl::Status front = spool::DecodeRecordFront(bytes, kind, &front_message, &rest);
  if (!status.ok()) {
    CheckRefusal(status);
    FUZZ_CHECK(!front.ok() || !rest.empty());
    return 0;
  }
  FUZZ_CHECK(front.ok() && rest.empty());
  FUZZ_CHECK(spool::PeekRecordKind(bytes).ok() && *spool::PeekRecordKind(bytes) == kind);
  // Nothing is lost: what was decoded, encoded again, is the same to any reader.
  const std::string again = spool::EncodeRecord(kind, message);
  Message second;
  FUZZ_CHECK(spool::DecodeRecord(again, kind, &second).ok());
  FUZZ_CHECK(spool::EncodeRecord(kind, second) == again);
  // It is a record of no other kind.
  for (int other = 1; other <= 11; ++other) {
    if (other == static_cast<int>(kind)) continue;
    Message wrong;
    FUZZ_CHECK(!spool::DecodeRecord(bytes, static_cast<spool::RecordKind>(other), &wrong).ok());
  }
  return 0;
}

}  // namespace spoolrpc::fuzz

#endif  // SPOOLRPC_TESTS_SPOOL_FUZZ_RECORD_FUZZ_H_
