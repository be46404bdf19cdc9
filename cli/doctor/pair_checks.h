// What only two nodes can find out together. Both call the same functions in the same order, since
// they go through the same steps of the link.
#ifndef SPOOLRPC_CLI_DOCTOR_PAIR_CHECKS_H_
#define SPOOLRPC_CLI_DOCTOR_PAIR_CHECKS_H_

#include "cli/doctor/examination.h"
#include "cli/doctor/mount.h"
#include "cli/doctor/pair_link.h"
#include "cli/doctor/workspace.h"

namespace spoolrpc::cli::doctor {

// What the checks work with.
struct Pair {
  Examination* examination;
  Workspace* own;
  PairLink* link;
  const Mount* mount;
};

// Who the other is, and whether both share memory.
void CheckPeer(const Pair& pair);
// The floor of a call, torn records, and the difference of the clocks, which those below need.
void CheckRoundTrips(const Pair& pair);
// How soon flushed bytes are seen, by each way to read, and whether a flush means what it should.
void CheckReading(const Pair& pair);
// How soon names are seen, by each way to look.
void CheckNames(const Pair& pair);
// Whether exactly one of two wins a name.
void CheckRaces(const Pair& pair);
// What becomes of files that the other side removes.
void CheckRemoval(const Pair& pair);
// What the other side has found. The last.
void CheckSummary(const Pair& pair);

}  // namespace spoolrpc::cli::doctor

#endif  // SPOOLRPC_CLI_DOCTOR_PAIR_CHECKS_H_
