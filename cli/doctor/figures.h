// Times that were measured, and how they are told.
#ifndef SPOOLRPC_CLI_DOCTOR_FIGURES_H_
#define SPOOLRPC_CLI_DOCTOR_FIGURES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "cli/doctor/finding.h"
#include "spoolrpc/os/clock.h"

namespace spoolrpc::cli::doctor {

// "12 us", "1.3 ms", "2.0 s"
std::string FormatNanos(os::Nanos time);

inline double ToMilliseconds(os::Nanos time) { return static_cast<double>(time) / 1e6; }

// Some times of one kind.
class Times {
 public:
  void Add(os::Nanos time) { times_.push_back(time); }
  size_t size() const { return times_.size(); }
  // 0 if there is none.
  os::Nanos Median() const;
  os::Nanos Worst() const;
  // "median 1.3 ms, worst 7.1 ms"; "none" if there is none.
  std::string Text() const;
  // Adds PREFIXmedian_ms, PREFIXworst_ms and PREFIXcount to the finding's figures.
  void Store(const std::string& prefix, Finding* finding) const;

 private:
  std::vector<os::Nanos> times_;
};

// The lease terms to set where the file system was seen to stall for so long; nothing if the
// default of 10 s bears it. Makes the finding a warning then.
void AdviseLeaseTerm(os::Nanos stall, Finding* finding);

// Of an acknowledgement timeout that bears that a client's announcement is seen after `listed`, and
// the server's answer after `opened`.
void AdviseAckTimeout(os::Nanos listed, os::Nanos opened, Finding* finding);

}  // namespace spoolrpc::cli::doctor

#endif  // SPOOLRPC_CLI_DOCTOR_FIGURES_H_
