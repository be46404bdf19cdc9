// What is kept of a durable call: enough for any process to collect its reply.
#ifndef SPOOLRPC_CLIENT_TICKET_H_
#define SPOOLRPC_CLIENT_TICKET_H_

#include <ostream>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace spoolrpc {

// A value. It does not say in which spool the call is: keep that, too.
class Ticket {
 public:
  // Of no call.
  Ticket() = default;
  // From what ToString() printed. INVALID_ARGUMENT for anything else.
  static absl::StatusOr<Ticket> Parse(absl::string_view text);
  // For the runtime: 16 bytes.
  static Ticket FromBytes(std::string bytes) { return Ticket(std::move(bytes)); }

  // 32 lower-case hex digits; empty for no call.
  std::string ToString() const;
  const std::string& bytes() const { return bytes_; }

  friend bool operator==(const Ticket& a, const Ticket& b) { return a.bytes_ == b.bytes_; }
  friend bool operator!=(const Ticket& a, const Ticket& b) { return a.bytes_ != b.bytes_; }
  // Roughly in the order of submission.
  friend bool operator<(const Ticket& a, const Ticket& b) { return a.bytes_ < b.bytes_; }
  friend std::ostream& operator<<(std::ostream& out, const Ticket& ticket) {
    return out << ticket.ToString();
  }

 private:
  explicit Ticket(std::string bytes) : bytes_(std::move(bytes)) {}

  std::string bytes_;
};

}  // namespace spoolrpc

#endif  // SPOOLRPC_CLIENT_TICKET_H_
