// Reads OpenMetrics 1.0 text as strictly as the specification's MUSTs, so that what we print is
// known to be read by others.
#ifndef SPOOLRPC_TESTS_METRICS_OPEN_METRICS_PARSER_H_
#define SPOOLRPC_TESTS_METRICS_OPEN_METRICS_PARSER_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace spoolrpc::testing {

struct ParsedSample {
  std::string name;  // with its suffix
  std::map<std::string, std::string> labels;
  double value;
};

struct ParsedFamily {
  std::string type;
  std::string unit;
  std::string help;
  std::vector<ParsedSample> samples;
};

// Families by name. Checks the grammar (without timestamps and exemplars, which are refused), that
// a family's lines are together and its head comes first, which suffixes and labels its type has,
// that no sample occurs twice, that counters are not negative, that histograms are cumulative,
// sorted and agree with their counts, and the end.
absl::StatusOr<std::map<std::string, ParsedFamily>> ParseOpenMetrics(absl::string_view text);

// The value of the sample with this name that has all of these labels (and perhaps others); NaN
// unless there is exactly one.
double SampleValue(const std::map<std::string, ParsedFamily>& families, absl::string_view name,
                   const std::map<std::string, std::string>& labels);

}  // namespace spoolrpc::testing

#endif  // SPOOLRPC_TESTS_METRICS_OPEN_METRICS_PARSER_H_
