// What the tests of logs share: a log of a known session, and frames that own their bytes.
#ifndef SPOOLRPC_TESTS_LOG_LOG_TEST_UTIL_H_
#define SPOOLRPC_TESTS_LOG_LOG_TEST_UTIL_H_

#include <string.h>
#include <unistd.h>

#include <cstdint>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "spoolrpc/log/log_reader.h"
#include "spoolrpc/log/log_writer.h"

namespace spoolrpc::log {

// 00 01 02 ... 0f
inline std::string TestId() {
  std::string id;
  for (char byte = 0; byte < 16; ++byte) id.push_back(byte);
  return id;
}

inline LogHead TestHead(uint64_t capacity = kMinCapacity,
                        Direction direction = Direction::kRequests) {
  LogHead head;
  head.id = TestId();
  head.direction = direction;
  head.capacity = capacity;
  head.term_ns = 10'000'000'000;
  return head;
}

struct OwnedFrame {
  FrameType type = FrameType::kCall;
  uint8_t flags = 0;
  uint64_t call = 0;
  uint64_t consumed = 0;
  std::string payload;

  OwnedFrame() = default;
  OwnedFrame(FrameType type, uint64_t call, std::string payload = "")
      : type(type), call(call), payload(std::move(payload)) {}
  explicit OwnedFrame(const Frame& frame)
      : type(frame.type),
        flags(frame.flags),
        call(frame.call),
        consumed(frame.consumed),
        payload(frame.payload) {}

  friend bool operator==(const OwnedFrame& a, const OwnedFrame& b) {
    return a.type == b.type && a.flags == b.flags && a.call == b.call && a.consumed == b.consumed &&
           a.payload == b.payload;
  }
  friend std::ostream& operator<<(std::ostream& out, const OwnedFrame& f) {
    return out << "frame(type " << static_cast<int>(f.type) << ", flags " << int{f.flags}
               << ", call " << f.call << ", consumed " << f.consumed << ", " << f.payload.size()
               << " bytes: " << f.payload.substr(0, 16) << ")";
  }
};

// Creates the log at `path` and opens it.
inline absl::StatusOr<std::unique_ptr<LogWriter>> MakeWriter(os::SystemCalls* calls,
                                                             const std::string& path,
                                                             const LogHead& head,
                                                             const FileAccess& access) {
  if (absl::Status made = CreateLogFile(calls, path, head, access, 0600); !made.ok()) return made;
  auto file = OpenLogForWriting(calls, path, access);
  if (!file.ok()) return file.status();
  return std::make_unique<LogWriter>(*std::move(file), head, access);
}

inline absl::StatusOr<std::unique_ptr<LogReader>> MakeReader(os::SystemCalls* calls,
                                                             const std::string& path,
                                                             const LogHead& head,
                                                             const FileAccess& access,
                                                             uint32_t owner = geteuid()) {
  AlignedBuffer buffer(kHeadSize);
  return LogReader::Open(calls, path, head.id, head.direction, owner, access, &buffer);
}

// Adds a frame if there is room.
inline bool Append(LogWriter* writer, const OwnedFrame& frame, bool control = false) {
  if (!writer->HasRoom(frame.payload.size(), control)) return false;
  char* const payload = writer->BeginFrame(frame.payload.size());
  memcpy(payload, frame.payload.data(), frame.payload.size());
  writer->EndFrame(frame.type, frame.flags, frame.call, frame.consumed);
  return true;
}

// Writes what was added.
inline absl::Status Flush(LogWriter* writer) {
  Batch batch;
  writer->TakeBatch(&batch);
  return writer->Write(batch);
}

// Reads until reading on would not help, `want` bytes at first, and appends what comes to
// `*frames`.
inline absl::Status ReadFrames(LogReader* reader, size_t want, AlignedBuffer* buffer,
                               std::vector<OwnedFrame>* frames) {
  for (int readings = 0; want > 0; ++readings) {
    // More than any ring of a test has frames.
    if (readings > 1000000) return absl::InternalError("it asks to read on without end");
    if (absl::Status read = reader->Read(want, buffer); !read.ok()) return read;
    Frame frame;
    while (reader->Next(&frame) == LogReader::Outcome::kFrame) frames->emplace_back(frame);
    want = reader->wanted();
  }
  return absl::OkStatus();
}

}  // namespace spoolrpc::log

#endif  // SPOOLRPC_TESTS_LOG_LOG_TEST_UTIL_H_
