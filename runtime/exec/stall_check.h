// Tells a thread that is stuck from one that only waits for a processor.
#ifndef SPOOLRPC_EXEC_STALL_CHECK_H_
#define SPOOLRPC_EXEC_STALL_CHECK_H_

#include <sys/types.h>
#include <time.h>

#include <cstdint>

#include "spoolrpc/os/clock.h"

namespace spoolrpc::exec {

// Where more threads want to run than there are processors, each stands still for some milliseconds
// now and then, whatever it does. Who is behind at that moment gains nothing by having another
// thread go on: that has to wait for a processor too. Not thread-safe.
class StallCheck {
 public:
  // Of the calling thread, which must exist as long as Stuck() is called, by whomever.
  StallCheck();

  // To be asked again and again while the thread has been at one piece of work for long; `piece`
  // differs from one to the next. True: it sleeps, or has computed for a millisecond since this was
  // asked of the piece first. Reads a file of /proc; where there is none it is true.
  bool Stuck(int64_t piece);

 private:
  const pid_t thread_;
  clockid_t clock_;
  bool have_clock_;
  int64_t piece_ = 0;
  os::Nanos computed_ = 0;  // by the thread, when this was asked of the piece first
};

}  // namespace spoolrpc::exec

#endif  // SPOOLRPC_EXEC_STALL_CHECK_H_
