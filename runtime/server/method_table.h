// The methods that a server offers, by name, and how long their handlers take.
#ifndef SPOOLRPC_SERVER_METHOD_TABLE_H_
#define SPOOLRPC_SERVER_METHOD_TABLE_H_

#include <atomic>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "spoolrpc/metrics/call_metrics.h"
#include "spoolrpc/os/clock.h"
#include "spoolrpc/server/intercepted_handler.h"
#include "spoolrpc/server/message_shelf.h"
#include "spoolrpc/server/service.h"

namespace spoolrpc::server {

class MethodEntry {
 public:
  MethodEntry(const MethodInfo* info, const MethodHandler* handler)
      : info_(info),
        name_(std::make_shared<const std::string>(info->full_name)),
        handler_(handler),
        concurrency_(info->concurrency),
        batch_(info->batch) {}

  const MethodInfo& info() const { return *info_; }
  // Its full name.
  const std::shared_ptr<const std::string>& name() const { return name_; }
  const MethodHandler& handler() const { return *handler_; }

  // How many workers of its own it has; 0: it uses the server's.
  int concurrency() const { return concurrency_; }
  void set_concurrency(int workers) { concurrency_ = workers; }
  // Its calls are gathered, and handled several at once.
  bool batches() const { return handler_->takes_batches() && batch_.max_size > 0; }
  const BatchSpec& batch() const { return batch_; }
  void set_batch(const BatchSpec& batch) { batch_ = batch; }
  // Its handler runs on the thread that has read the call.
  bool runs_inline() const { return info_->execution == Execution::kInline && concurrency_ == 0; }

  // Messages of calls whose request came in a bulk buffer.
  MessageShelf* requests() { return &requests_; }
  MessageShelf* replies() { return &replies_; }

  // A moving average of how long the handler takes, in nanoseconds; negative before the first run.
  os::Nanos usual_time() const { return usual_time_.load(std::memory_order_relaxed); }
  void OnRun(os::Nanos took) {
    const os::Nanos before = usual_time();
    // One that took much longer than any before it was preempted, most likely. Two were not.
    if (before >= 0 && took > 8 * before + kNoise) {
      if (!outlier_.exchange(true, std::memory_order_relaxed)) return;
    } else if (outlier_.load(std::memory_order_relaxed)) {
      outlier_.store(false, std::memory_order_relaxed);
    }
    usual_time_.store(before < 0 ? took : before + (took - before) / 8, std::memory_order_relaxed);
  }

  // Where its calls are counted; null: nowhere.
  metrics::CallMetrics* metrics() const { return metrics_; }
  void set_metrics(metrics::CallMetrics* metrics) { metrics_ = metrics; }

 private:
  static constexpr os::Nanos kNoise = 10'000;

  const MethodInfo* const info_;
  const std::shared_ptr<const std::string> name_;
  const MethodHandler* const handler_;
  // Constant once the server has started.
  int concurrency_;
  BatchSpec batch_;
  metrics::CallMetrics* metrics_ = nullptr;
  MessageShelf requests_;
  MessageShelf replies_;
  std::atomic<os::Nanos> usual_time_{-1};
  std::atomic<bool> outlier_{false};  // the run before was one
};

// By the handlers that they stand for; must outlive the table.
using HandlerSubstitutes = std::map<const MethodHandler*, const MethodHandler*>;

// Built before the server starts, then constant.
class MethodTable {
 public:
  // `service` must outlive the table. ALREADY_EXISTS if it was added before. Calls pass
  // `interceptors` on their way to it. A handler that is in `substitutes` is replaced.
  absl::Status Add(const Service* service, const InterceptorFactories& interceptors = {},
                   const HandlerSubstitutes& substitutes = {});

  // Null if there is no such method.
  MethodEntry* Find(absl::string_view full_name) const {
    const auto it = methods_.find(full_name);
    return it == methods_.end() ? nullptr : it->second.get();
  }
  std::vector<MethodEntry*> All() const {
    std::vector<MethodEntry*> all;
    for (const auto& [name, entry] : methods_) all.push_back(entry.get());
    return all;
  }
  bool HasService(absl::string_view name) const { return names_.count(std::string(name)) > 0; }
  const std::vector<const Service*>& services() const { return services_; }

 private:
  std::vector<const Service*> services_;
  std::set<std::string> names_;
  std::vector<std::unique_ptr<MethodHandler>> intercepted_;
  absl::flat_hash_map<std::string, std::unique_ptr<MethodEntry>> methods_;
};

}  // namespace spoolrpc::server

#endif  // SPOOLRPC_SERVER_METHOD_TABLE_H_
