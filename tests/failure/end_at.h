// Ends or stops a process of a test at a certain system call.
#ifndef SPOOLRPC_TESTS_FAILURE_END_AT_H_
#define SPOOLRPC_TESTS_FAILURE_END_AT_H_

#include <string>

#include "tests/testing/faulty_system_calls.h"

namespace spoolrpc::failure {

// Raises `signal` right before the first call that `where` names: "link:NAME", "unlink:NAME" or
// "rename:NAME" on a path that contains NAME; "unlink:after NAME": the first one on any path below
// durable/ once a link to NAME has been made. Anything else ends the program.
void SignalAt(testing::FaultySystemCalls* calls, const std::string& where, int signal);

}  // namespace spoolrpc::failure

#endif  // SPOOLRPC_TESTS_FAILURE_END_AT_H_
