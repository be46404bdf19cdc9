// Which ends of a call are allowed, after what its client did.
#ifndef SPOOLRPC_TESTS_SOAK_RULES_H_
#define SPOOLRPC_TESTS_SOAK_RULES_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "tests/soak/plan.h"

namespace spoolrpc::soak {

// What the client saw of a call.
struct Ending {
  absl::Status status;
  absl::Duration took;
  // TryCancel() was called before the call had ended.
  bool cancelled = false;
  // The caller dropped the call, and so knows no status.
  bool dropped = false;
  // Answers that came, and what was wrong with them; empty if nothing was.
  uint32_t answers = 0;
  std::string wrong;
  // All answers were read to their end: an OK has all of them.
  bool read_to_end = true;
};

// What rule the ending breaks; empty if none.
std::string BrokenRule(const Plan& plan, const Ending& ending);

// The status says that the call was not and will not be executed.
bool SaysCertainlyNotExecuted(const absl::Status& status);

// For counts: OK, the runtime's reason (with a "?" if the call may have been executed), "told" of a
// handler that was told to fail, or the code of another status of the server's.
std::string Kind(const absl::Status& status);

}  // namespace spoolrpc::soak

#endif  // SPOOLRPC_TESTS_SOAK_RULES_H_
