#include "spoolrpc/metrics/registry.h"

#include <functional>

#include "spoolrpc/metrics/open_metrics.h"

namespace spoolrpc::metrics {
namespace {

template <class T>
T* FindOrMake(std::map<std::string, std::unique_ptr<T>, std::less<>>* map, absl::string_view name) {
  auto found = map->find(name);
  if (found == map->end()) found = map->emplace(name, std::make_unique<T>()).first;
  return found->second.get();
}

}  // namespace

Registry::Registry(Role role, Labels labels) : role_(role), labels_(std::move(labels)) {}

Registry::~Registry() = default;

CallMetrics* Registry::ForMethod(absl::string_view full_name) {
  absl::MutexLock lock(&mu_);
  return FindOrMake(&methods_, full_name);
}

Gauge* Registry::QueueLength(absl::string_view queue) {
  absl::MutexLock lock(&mu_);
  return FindOrMake(&queues_, queue);
}

std::shared_ptr<os::SystemCalls> Registry::CountFileOperations(os::SystemCalls* below) {
  absl::MutexLock lock(&mu_);
  std::shared_ptr<CountingSystemCalls>& calls = file_operations_[below];
  if (calls == nullptr) calls = std::make_shared<CountingSystemCalls>(below);
  return calls;
}

std::vector<MethodSummary> Registry::Summaries() const {
  std::vector<MethodSummary> summaries;
  absl::MutexLock lock(&mu_);
  summaries.reserve(methods_.size());
  for (const auto& [name, metrics] : methods_) {
    summaries.push_back(metrics->Summary());
    summaries.back().method = name;
  }
  return summaries;
}

std::map<std::string, int64_t> Registry::QueueLengths() const {
  std::map<std::string, int64_t> lengths;
  absl::MutexLock lock(&mu_);
  for (const auto& [name, gauge] : queues_) lengths.emplace(name, gauge->value());
  return lengths;
}

FileOperationCounts Registry::FileOperations() const {
  FileOperationCounts sum = {};
  absl::MutexLock lock(&mu_);
  for (const auto& [below, calls] : file_operations_) {
    const FileOperationCounts counts = calls->Counts();
    for (int i = 0; i < kFileOperations; ++i) sum[i] += counts[i];
  }
  return sum;
}

std::string Registry::OpenMetricsText() const { return metrics::OpenMetricsText({this}); }

absl::Status Registry::WriteTextfile(const std::string& path, os::SystemCalls* calls) const {
  return metrics::WriteTextfile(path, OpenMetricsText(), calls);
}

}  // namespace spoolrpc::metrics
