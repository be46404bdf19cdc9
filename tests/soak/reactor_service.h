// The service Reactors of soak.proto: handlers that do not block, and end on other threads than
// they began on.
#ifndef SPOOLRPC_TESTS_SOAK_REACTOR_SERVICE_H_
#define SPOOLRPC_TESTS_SOAK_REACTOR_SERVICE_H_

#include "spoolrpc/exec/timer_queue.h"
#include "spoolrpc/spoolrpc.h"
#include "tests/soak/journal.h"
#include "tests/soak/soak.spoolrpc.pb.h"

namespace spoolrpc::soak {

// Thread-safe.
class ReactorService final : public Reactors::CallbackService {
 public:
  // Both must outlive the server.
  ReactorService(Journal* journal, exec::TimerQueue* timers) : journal_(journal), timers_(timers) {}

  ServerUnaryReactor* Unary(CallbackServerContext* context, const Job* job,
                            Answer* answer) override;
  ServerReadReactor<Job>* Collect(CallbackServerContext* context, Answer* answer) override;
  ServerWriteReactor<Answer>* Expand(CallbackServerContext* context, const Job* job) override;
  ServerBidiReactor<Job, Answer>* Talk(CallbackServerContext* context) override;

 private:
  Journal* const journal_;
  exec::TimerQueue* const timers_;
};

}  // namespace spoolrpc::soak

#endif  // SPOOLRPC_TESTS_SOAK_REACTOR_SERVICE_H_
