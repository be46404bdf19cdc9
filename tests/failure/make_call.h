// One call of failure.proto, by the name of its method.
#ifndef SPOOLRPC_TESTS_FAILURE_MAKE_CALL_H_
#define SPOOLRPC_TESTS_FAILURE_MAKE_CALL_H_

#include <string>

#include "spoolrpc/spoolrpc.h"
#include "tests/failure/failure.spoolrpc.pb.h"
#include "tests/failure/result.h"

namespace spoolrpc::failure {

// Blocks until the call has ended. An unknown method ends the program.
Result MakeCall(Failure::StubInterface* stub, const std::string& method, ClientContext* context,
                const Work& work);

}  // namespace spoolrpc::failure

#endif  // SPOOLRPC_TESTS_FAILURE_MAKE_CALL_H_
