// What the handlers of a soak's server have in common: they check their requests, note what they
// execute, and make the answers that they are told to.
#ifndef SPOOLRPC_TESTS_SOAK_JOURNAL_H_
#define SPOOLRPC_TESTS_SOAK_JOURNAL_H_

#include <atomic>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "spoolrpc/spoolrpc.h"
#include "tests/soak/ledger.h"
#include "tests/soak/soak.pb.h"

namespace spoolrpc::soak {

// Thread-safe.
class Journal {
 public:
  explicit Journal(const std::string& ledger) : ledger_(ledger) {}

  // A handler begins; adds what its client expects beside the answer. The job of a call whose
  // requests stream comes with its metadata.
  void OnBegin(ServerContext* context, const Job& job);
  Job BeginStream(ServerContext* context);
  // The `index`th request of the call that `job` describes. Says on stderr what is wrong with it.
  void Check(const Job& job, const Job& request, uint32_t index);

  bool found_errors() const { return errors_.load() > 0; }

 private:
  void Report(const Job& job, const std::string& wrong);

  Ledger ledger_;
  std::atomic<int> errors_{0};
};

// Fills in the `index`th answer, given after so many `messages`.
void FillAnswer(const Job& job, uint32_t index, uint32_t messages, Answer* answer);
// How the job tells its handler to end.
absl::Status EndOf(const Job& job);

}  // namespace spoolrpc::soak

#endif  // SPOOLRPC_TESTS_SOAK_JOURNAL_H_
