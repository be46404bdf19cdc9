// One call of a client, from its beginning to its end.
#ifndef SPOOLRPC_TESTS_SOAK_CALL_H_
#define SPOOLRPC_TESTS_SOAK_CALL_H_

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "spoolrpc/exec/timer_queue.h"
#include "spoolrpc/spoolrpc.h"
#include "tests/soak/open_calls.h"
#include "tests/soak/plan.h"
#include "tests/soak/soak.pb.h"

namespace spoolrpc::soak {

// Kept by whatever of the call still goes on. Begin(), Take() and End() are for one thread at a
// time; the others for any.
class Call : public std::enable_shared_from_this<Call> {
 public:
  Call(const Plan& plan, OpenCalls* open, exec::TimerQueue* timers);

  const Plan& plan() const { return plan_; }
  // The `index`th request.
  Job Request(uint32_t index) const;

  // Says of `context` (usually context()) what the plan does, and begins to count the time. Cancels
  // the call as planned, if that is before its beginning or the context is this object's.
  void Begin(ClientContext* context);
  // Looks at the next answer.
  void Take(const Answer& answer);
  uint32_t taken() const { return ending_.answers; }
  // `call_context` is the one that Begin() had. Not all answers need have been read if
  // `read_to_end` is false.
  void End(const ClientContext& call_context, const absl::Status& status, bool read_to_end = true);
  // The caller knows no more of it.
  void Drop();

  // Cancels context()'s call.
  void Cancel();
  // The call is about to be cancelled by other means.
  void SetCancelled() { cancelled_.store(true); }

  // Does `work` on a thread of the timers, after a while.
  void After(absl::Duration pause, std::function<void()> work);
  // Blocks for the plan's pause between two messages.
  void Pause() const;

  ClientContext* context() { return &context_; }
  Answer* answer() { return &answer_; }

 private:
  const Plan plan_;
  OpenCalls* const open_;
  exec::TimerQueue* const timers_;
  ClientContext context_;
  Answer answer_;
  std::atomic<bool> cancelled_{false};
  Ending ending_;
};

}  // namespace spoolrpc::soak

#endif  // SPOOLRPC_TESTS_SOAK_CALL_H_
