// A client's half of a session that a test writes by hand, as a broken or hostile client would.
#ifndef SPOOLRPC_TESTS_E2E_RAW_SESSION_H_
#define SPOOLRPC_TESTS_E2E_RAW_SESSION_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "spoolrpc/log/log_reader.h"
#include "spoolrpc/log/log_writer.h"
#include "spoolrpc/spool/session_directory.h"
#include "spoolrpc/spool/spool.h"
#include "spoolrpc/wire.pb.h"

namespace spoolrpc::e2e {

class RawSession {
 public:
  struct Frame {
    log::FrameType type;
    uint64_t call;
    std::string payload;
  };

  // For the one server on the spool `root`. Nothing is published yet.
  RawSession(const std::string& root, spool::Transport transport,
             absl::Duration term = absl::Seconds(10));
  ~RawSession();

  // Where the half is made, until Publish().
  std::string directory() const;
  void Publish();
  // Waits for the verdict.
  spool::VerdictRecord AwaitVerdict();

  // --- After an ACCEPTED.

  // Appends a frame and writes it out.
  void Write(log::FrameType type, uint8_t flags, uint64_t call, const std::string& payload,
             uint64_t consumed = 0);
  // The same, but what is written does not agree with its checksum.
  void WriteDamaged(log::FrameType type, uint64_t call);
  // The payload of a CALL.
  static std::string CallPayload(const wire::CallHeader& header, const std::string& message);
  // Renews the lease, which also says that all was flushed.
  void Renew(log::WriterState state = log::WriterState::kOpen);
  // Reads the server's log until a frame of that type comes; all that came up to then.
  std::vector<Frame> ReadUntil(log::FrameType type);
  // Reads up to the server's GOODBYE.
  wire::Goodbye AwaitGoodbye();
  // The path of the request log, after Publish().
  const std::string& requests() const { return directory_->paths().requests; }

 private:
  std::shared_ptr<const spool::Spool> spool_;
  spool::ServerEntry server_;
  std::unique_ptr<spool::SessionDirectory> directory_;
  std::unique_ptr<log::LogWriter> writer_;
  std::unique_ptr<log::LogReader> reader_;
  log::AlignedBuffer buffer_{2 * 65536};
};

}  // namespace spoolrpc::e2e

#endif  // SPOOLRPC_TESTS_E2E_RAW_SESSION_H_
