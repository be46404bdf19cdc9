// One run of `spoolrpc doctor`: the checks one after the other on a thread of their own, and
// another thread that sees which one is at work, how long it has been, and can end the run. A file
// system that hangs holds the first thread for as long as it likes; never the second.
#ifndef SPOOLRPC_CLI_DOCTOR_EXAMINATION_H_
#define SPOOLRPC_CLI_DOCTOR_EXAMINATION_H_

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "cli/doctor/finding.h"
#include "spoolrpc/os/environment.h"

namespace spoolrpc::cli::doctor {

// How much is measured, and how long is waited. Tests want less of both.
struct Limits {
  // A check that lasts longer hangs.
  absl::Duration check = absl::Minutes(2);
  // How long the other node may take to answer.
  absl::Duration answer = absl::Seconds(60);
  // Bytes that were flushed and that nobody has seen for so long are not seen at all.
  absl::Duration unseen = absl::Seconds(15);
  // The same of names.
  absl::Duration unlisted = absl::Seconds(35);
  // How long ways of looking that the protocol does not use may lag behind before nobody waits for
  // them any more.
  absl::Duration curious = absl::Seconds(4);
  // How long an effect of a removal is waited for.
  absl::Duration removal = absl::Seconds(3);

  // A held descriptor that shows nothing new for so long is opened anew.
  absl::Duration blind = absl::Seconds(3);

  int writes = 50;                             // flushed writes, and readings, on one node
  int round_trips = 400;                       // between two nodes, or two processes
  absl::Duration ringing = absl::Seconds(10);  // for all of them
  int samples = 40;                            // of what is written until it is seen
  absl::Duration sample_gap = absl::Milliseconds(100);
  int names = 8;
  absl::Duration name_gap = absl::Milliseconds(250);
  int races = 50;  // for one name each
};

// Thread-safe.
class Examination {
 public:
  Examination(const os::Environment& env, const Limits& limits) : env_(env), limits_(limits) {}

  const os::Environment& env() const { return env_; }
  const Limits& limits() const { return limits_; }
  os::Nanos Now() const { return env_.clock->Now(); }

  // --- For the thread of the checks.

  // Runs one check, unless the run was ended. An error that it returns is a failure of what it
  // looked at.
  void Run(absl::string_view name, absl::FunctionRef<absl::Status(Finding*)> check);
  // Runs what adds its findings itself. An error says that nothing more can be found out, as when
  // the other node is gone: it ends the run.
  void Step(absl::string_view name, absl::FunctionRef<absl::Status()> step);
  // The same for what may take `longer` than a check.
  void LongStep(absl::string_view name, absl::Duration longer,
                absl::FunctionRef<absl::Status()> step);
  // Runs it even when the run has ended.
  void Tidy(absl::FunctionRef<void()> step);
  void Add(Finding finding);
  // Blocks for that long; CANCELLED if the run was ended meanwhile.
  absl::Status Pause(absl::Duration duration);
  bool stopped() const;

  // --- For the thread that watches.

  // Ends the run from outside: checks return as soon as they notice, and hang if that takes some
  // seconds.
  void Cancel();
  // The name of a check that hangs.
  std::optional<std::string> Overdue() const;

  // So far.
  std::vector<Finding> findings() const;
  // Why the run ended early; OK if it did not.
  absl::Status ending() const;

 private:
  // False: the run has ended.
  bool Begin(absl::string_view name, absl::Duration limit);

  const os::Environment env_;
  const Limits limits_;
  mutable absl::Mutex mu_;
  std::vector<Finding> findings_ ABSL_GUARDED_BY(mu_);
  std::string current_ ABSL_GUARDED_BY(mu_);     // empty: none
  os::Nanos deadline_ ABSL_GUARDED_BY(mu_) = 0;  // of it
  bool cancelled_ ABSL_GUARDED_BY(mu_) = false;
  absl::Status ending_ ABSL_GUARDED_BY(mu_);
};

}  // namespace spoolrpc::cli::doctor

#endif  // SPOOLRPC_CLI_DOCTOR_EXAMINATION_H_
