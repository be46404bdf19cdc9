// The calls of a storm's client: drawn from a seed, made one after the other, noted in the history.
#ifndef SPOOLRPC_TESTS_STORM_STORM_CALLS_H_
#define SPOOLRPC_TESTS_STORM_STORM_CALLS_H_

#include <atomic>
#include <cstdint>
#include <random>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "spoolrpc/spoolrpc.h"
#include "tests/storm/history.h"
#include "tests/storm/storm.spoolrpc.pb.h"

namespace spoolrpc::storm {

// Makes calls for several threads at once, each with its own `random`. Notes
//   begin TIME ID KIND HASH TIMEOUT ACK_TIMEOUT HANDLER REPLIES   a call begins
//   end TIME ID CODE REASON MAY EXECUTION HASH MESSAGES TEXT      it has ended
//   submit TIME ID KIND HASH HANDLER                              a durable call begins
//   ticket TIME ID TICKET                                         its ticket was returned
//   unsubmitted TIME ID CODE REASON MAY TEXT                      or an error was
// KIND is a method's name, with "durable" in front of a durable call's; the times are in
// milliseconds and 0 for none; REASON is that of an ErrorInfo, 0 for a status without one; MAY is 1
// if that says may_have_executed; EXECUTION and HASH are the reply's, or of all MESSAGES together.
class StormCalls {
 public:
  // `name` is the process's own; tickets are appended to the file `tickets`. `history` must
  // outlive it.
  StormCalls(std::string name, const std::string& tickets, const History* history);
  ~StormCalls();
  StormCalls(const StormCalls&) = delete;
  StormCalls& operator=(const StormCalls&) = delete;

  // Makes one, and blocks until it has ended.
  void MakeOne(Storm::StubInterface* stub, std::mt19937_64* random);
  // Leaves a durable one.
  void SubmitOne(Storm::StubInterface* stub, std::mt19937_64* random);

 private:
  std::string NewId() { return absl::StrCat(name_, ".", calls_.fetch_add(1)); }

  const std::string name_;
  const History* const history_;
  int tickets_ = -1;
  std::atomic<uint64_t> calls_{0};
};

// Collects with `ticket`, and notes
//   collect TIME TICKET                                             that begins
//   collected TIME TICKET CODE REASON MAY ID EXECUTION HASH TEXT    what came of it
// True if the call has ended.
bool CollectOne(Storm::StubInterface* stub, const Ticket& ticket, absl::Duration wait,
                const History& history);
// Notes
//   delete TIME TICKET
//   deleted TIME TICKET CODE REASON
void DeleteOne(Storm::StubInterface* stub, const Ticket& ticket, const History& history);

}  // namespace spoolrpc::storm

#endif  // SPOOLRPC_TESTS_STORM_STORM_CALLS_H_
