// A second process of this host, with which `spoolrpc doctor` finds out whether mapped memory is
// shared, and how long it takes to wake somebody through it.
#ifndef SPOOLRPC_CLI_DOCTOR_BELL_PARTNER_H_
#define SPOOLRPC_CLI_DOCTOR_BELL_PARTNER_H_

#include <sys/types.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace spoolrpc::cli::doctor {

// Not thread-safe.
class BellPartner {
 public:
  // Forks: call it before the process has another thread. Null if that fails.
  static std::unique_ptr<BellPartner> Start();
  // Ends the other process.
  ~BellPartner();
  BellPartner(const BellPartner&) = delete;
  BellPartner& operator=(const BellPartner&) = delete;

  // Has the other process map both doorbells, echo the nonce of `answers` in slot 0, and ring
  // `answers` whenever `questions` is rung. Once. Blocks for some seconds at most.
  absl::Status Engage(const std::string& questions, const std::string& answers);

 private:
  BellPartner(pid_t pid, int socket) : pid_(pid), socket_(socket) {}

  const pid_t pid_;
  const int socket_;
};

}  // namespace spoolrpc::cli::doctor

#endif  // SPOOLRPC_CLI_DOCTOR_BELL_PARTNER_H_
