// The ways in which a client makes a call.
#ifndef SPOOLRPC_TESTS_SOAK_MAKE_CALLS_H_
#define SPOOLRPC_TESTS_SOAK_MAKE_CALLS_H_

#include <memory>
#include <random>

#include "tests/soak/call.h"
#include "tests/soak/callee.h"

namespace spoolrpc::soak {

// A unary call: blocking, with a callback, a reactor or a future, which may be dropped. May return
// before it has ended.
void MakeUnaryCall(const std::shared_ptr<Call>& call, std::unique_ptr<Callee> callee,
                   std::mt19937_64* random);
// A streaming call with readers and writers, from one thread or two. Blocks until it has ended, or
// was abandoned.
void MakeBlockingStream(const std::shared_ptr<Call>& call, std::unique_ptr<Callee> callee,
                        std::mt19937_64* random);
// A streaming call with reactors. Returns at once.
void MakeReactorStream(const std::shared_ptr<Call>& call, std::unique_ptr<Callee> callee);

}  // namespace spoolrpc::soak

#endif  // SPOOLRPC_TESTS_SOAK_MAKE_CALLS_H_
