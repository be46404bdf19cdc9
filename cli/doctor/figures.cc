#include "cli/doctor/figures.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace spoolrpc::cli::doctor {
namespace {

constexpr os::Nanos kSecond = 1000000000;
// Defaults of the runtime.
constexpr int64_t kLeaseSeconds = 10;
constexpr int64_t kAckSeconds = 20;
// A lease is renewed every quarter of its term.
constexpr int64_t kStallsInATerm = 4;
// A third of the ack timeout is for one server; half of that third is room for luck.
constexpr int64_t kDelaysInAnAckTimeout = 6;

int64_t SecondsAbove(os::Nanos time) { return (time + kSecond - 1) / kSecond; }

}  // namespace

std::string FormatNanos(os::Nanos time) {
  const double seconds = static_cast<double>(time) / kSecond;
  const double size = std::abs(seconds);
  if (size < 1e-3) return absl::StrFormat("%.0f us", seconds * 1e6);
  if (size < 1) return absl::StrFormat("%.1f ms", seconds * 1e3);
  return absl::StrFormat("%.1f s", seconds);
}

os::Nanos Times::Median() const {
  if (times_.empty()) return 0;
  std::vector<os::Nanos> sorted = times_;
  std::nth_element(sorted.begin(), sorted.begin() + sorted.size() / 2, sorted.end());
  return sorted[sorted.size() / 2];
}

os::Nanos Times::Worst() const {
  return times_.empty() ? 0 : *std::max_element(times_.begin(), times_.end());
}

std::string Times::Text() const {
  if (times_.empty()) return "none";
  return absl::StrCat("median ", FormatNanos(Median()), ", worst ", FormatNanos(Worst()));
}

void Times::Store(const std::string& prefix, Finding* finding) const {
  finding->figures[absl::StrCat(prefix, "count")] = static_cast<double>(times_.size());
  if (times_.empty()) return;
  finding->figures[absl::StrCat(prefix, "median_ms")] = ToMilliseconds(Median());
  finding->figures[absl::StrCat(prefix, "worst_ms")] = ToMilliseconds(Worst());
}

void AdviseLeaseTerm(os::Nanos stall, Finding* finding) {
  const int64_t seconds = SecondsAbove(stall * kStallsInATerm);
  if (seconds <= kLeaseSeconds) return;
  finding->Worsen(Result::kWarn);
  const std::string value = absl::StrCat("absl::Seconds(", seconds, ")");
  const std::string why = absl::StrCat("the file system stalled for ", FormatNanos(stall),
                                       "; a stall must not look like a death");
  for (const char* name : {"ServerBuilder::set_lease_term()", "ChannelOptions::lease_term"}) {
    finding->settings.push_back({name, value, why, static_cast<double>(seconds)});
  }
}

void AdviseAckTimeout(os::Nanos listed, os::Nanos opened, Finding* finding) {
  const int64_t seconds = SecondsAbove((listed + opened) * kDelaysInAnAckTimeout);
  if (seconds <= kAckSeconds) return;
  finding->Worsen(Result::kWarn);
  finding->settings.push_back(
      {"ChannelOptions::ack_timeout", absl::StrCat("absl::Seconds(", seconds, ")"),
       absl::StrCat("a name was seen only after ", FormatNanos(std::max(listed, opened)),
                    ", and a session needs two"),
       static_cast<double>(seconds)});
}

}  // namespace spoolrpc::cli::doctor
