// Files of a spool as bytes, for tests that damage them.
#ifndef SPOOLRPC_TESTS_CLI_SPOOL_FILES_H_
#define SPOOLRPC_TESTS_CLI_SPOOL_FILES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "cli/dump.h"
#include "spoolrpc/log/frame.h"
#include "spoolrpc/log/log_head.h"
#include "spoolrpc/spool/record_file.h"

namespace spoolrpc::cli {

struct SpoolFile {
  // Where it would lie, from the spool on.
  std::string path;
  std::string bytes;
};

// 00 01 ... 0f, and its name in hex.
std::string SessionId();
std::string SessionName();

// One file of each kind that a spool has: records, a lease, a request and a response log with
// frames of all types, a doorbell.
std::vector<SpoolFile> OneOfEach();

// A log in memory, as LogWriter would write it but at any position, so that a ring that has been
// overwritten millions of times can be had at once.
class LogImage {
 public:
  // An empty log of session SessionId(), which goes on at `position` (a multiple of 8) with
  // `sequence`.
  explicit LogImage(log::Direction direction, uint64_t capacity = log::kMinCapacity,
                    uint64_t position = 0, uint64_t sequence = 1);

  // Adds a frame, after a PAD where one is needed. Returns its position.
  uint64_t Add(log::FrameType type, uint8_t flags, uint64_t call, const std::string& payload,
               uint64_t consumed = 0);
  // Adds a CALL with a header that names `method`, or a REPLY that is OK.
  uint64_t AddCall(uint64_t call, const std::string& method, const std::string& message);
  uint64_t AddReply(uint64_t call, const std::string& message);

  // What the head says: everything so far is flushed.
  void SetFlushed() { head_.flushed = position_; }
  log::LogHead* head() { return &head_; }
  // Of all frames added, PADs included, those that nothing has overwritten: their positions.
  std::vector<uint64_t> Present() const;
  uint64_t end() const { return position_; }
  uint64_t OffsetOf(uint64_t position) const { return log::kHeadSize + position % head_.capacity; }
  // The whole file.
  std::string Bytes() const;

 private:
  void Put(log::FrameType type, uint8_t flags, uint64_t call, uint64_t consumed,
           const std::string& payload, size_t length);

  log::LogHead head_;
  log::FrameKey key_;
  std::string ring_;
  uint64_t position_;
  uint64_t sequence_;
  std::vector<uint64_t> positions_;
};

struct Dumped {
  std::string text;
  int problems = 0;
};
// DumpFile() of these bytes, with all details.
Dumped Dump(const std::string& path, absl::string_view bytes, const DumpOptions& options = {});

// The positions of the frames that a dump has printed, in its order.
std::vector<uint64_t> PrintedPositions(const std::string& text);

}  // namespace spoolrpc::cli

#endif  // SPOOLRPC_TESTS_CLI_SPOOL_FILES_H_
