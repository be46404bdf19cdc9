// The measurements of fs_probe. Each prints lines of its own; main.cc has the table with what they
// ask.

#ifndef SPOOLRPC_TESTS_NODES_FS_PROBE_PROBES_H_
#define SPOOLRPC_TESTS_NODES_FS_PROBE_PROBES_H_

#include "tests/nodes/fs_probe/probe.h"

namespace fs_probe {

void ProbeLog(const Arguments& arguments);
void ProbeRoundTrip(const Arguments& arguments);
void ProbeNames(const Arguments& arguments);
void ProbeReplace(const Arguments& arguments);
void ProbeHeld(const Arguments& arguments);
void ProbeClaim(const Arguments& arguments);
void ProbeAppend(const Arguments& arguments);
void ProbeLock(const Arguments& arguments);
void ProbeNotify(const Arguments& arguments);
void ProbeStale(const Arguments& arguments);
void ProbeBeat(const Arguments& arguments);

}  // namespace fs_probe

#endif  // SPOOLRPC_TESTS_NODES_FS_PROBE_PROBES_H_
