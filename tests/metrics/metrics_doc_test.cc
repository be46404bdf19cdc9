// docs/metrics.md lists every metric that there is, with its type and its labels, and no other.
#include <stdlib.h>

#include <fstream>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "spoolrpc/metrics/registry.h"
#include "spoolrpc/os/system_calls.h"
#include "tests/metrics/open_metrics_parser.h"
#include "tests/testing/status_matchers.h"

namespace spoolrpc::metrics {
namespace {

// Name -> type and labels.
using Listed = std::map<std::string, std::pair<std::string, std::set<std::string>>>;

std::string Plain(absl::string_view cell) {
  cell = absl::StripAsciiWhitespace(cell);
  absl::ConsumePrefix(&cell, "`");
  absl::ConsumeSuffix(&cell, "`");
  return std::string(cell);
}

Listed InTheDocument() {
  Listed listed;
  // Bazel's runfiles.
  const char* const runfiles = getenv("TEST_SRCDIR");
  const char* const workspace = getenv("TEST_WORKSPACE");
  std::ifstream in(absl::StrCat(runfiles == nullptr ? "." : runfiles, "/",
                                workspace == nullptr ? "" : workspace, "/docs/metrics.md"));
  std::string line;
  while (std::getline(in, line)) {
    if (!absl::StartsWith(line, "| `spoolrpc_")) continue;
    const std::vector<absl::string_view> cells = absl::StrSplit(line, '|');
    EXPECT_EQ(cells.size(), 6) << line;
    if (cells.size() != 6) continue;
    std::set<std::string> labels;
    for (const absl::string_view label : absl::StrSplit(cells[3], ',')) labels.insert(Plain(label));
    EXPECT_FALSE(absl::StripAsciiWhitespace(cells[4]).empty()) << line;
    const bool first =
        listed.emplace(Plain(cells[1]), std::make_pair(Plain(cells[2]), labels)).second;
    EXPECT_TRUE(first) << line;
  }
  return listed;
}

// Of a registry that has everything.
Listed InTheText() {
  Registry registry(Role::kServer);
  CallMetrics* const metrics = registry.ForMethod("/p.S/M");
  metrics->OnStart();
  metrics->OnBatch(1);
  metrics->OnEnd(absl::StatusCode::kOk, 1000);
  registry.QueueLength("default");
  registry.CountFileOperations(os::SystemCalls::Real())->Unlink("/nonexistent/name");
  Listed there;
  const auto parsed = testing::ParseOpenMetrics(registry.OpenMetricsText());
  EXPECT_OK(parsed);
  if (!parsed.ok()) return there;
  for (const auto& [name, family] : *parsed) {
    std::set<std::string> labels;
    for (const auto& sample : family.samples) {
      for (const auto& [label, value] : sample.labels) {
        if (label != "role" && label != "le") labels.insert(label);
      }
    }
    there[family.type == "counter" ? absl::StrCat(name, "_total") : name] = {family.type, labels};
  }
  return there;
}

TEST(MetricsDocTest, ListsWhatThereIs) {
  const Listed there = InTheText();
  EXPECT_GE(there.size(), 12);
  EXPECT_EQ(InTheDocument(), there);
}

}  // namespace
}  // namespace spoolrpc::metrics
