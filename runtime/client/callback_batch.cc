#include "spoolrpc/client/callback_batch.h"

#include <utility>

#include "spoolrpc/exec/thread_pool.h"
#include "spoolrpc/link/flush_scope.h"

namespace spoolrpc::client {
namespace {

// The watch is told of one source in so many: callbacks are short.
constexpr int kSourcesPerWatch = 16;

thread_local CallbackCollector* collector = nullptr;

void RunOnPool(const std::shared_ptr<CallbackBatch>& batch) {
  exec::ThreadPool::Shared()->Run([batch] {
    exec::OverdueWatch::Work work(
        exec::OverdueWatch::Shared(), exec::OverdueWatch::Overdue::kStuck,
        [batch] { exec::ThreadPool::Shared()->Run([batch] { batch->Run(nullptr); }); });
    batch->Run(&work);
  });
}

}  // namespace

void CallbackBatch::Run(exec::OverdueWatch::Work* work) {
  const link::FlushScope flush_together;
  for (int count = 0;; ++count) {
    if (work != nullptr && count % kSourcesPerWatch == 0) work->Begin();
    const std::shared_ptr<CallbackSource> source = Next();
    if (source == nullptr) break;
    source->RunCallbacks();
    link::FlushScope::FlushIfDue();
  }
  if (work != nullptr) work->End();
}

std::shared_ptr<CallbackSource> CallbackBatch::Next() {
  absl::MutexLock lock(&mu_);
  if (next_ == sources_.size()) return nullptr;
  return std::move(sources_[next_++]);
}

CallbackCollector::CallbackCollector() : outer_(std::exchange(collector, this)) {}

CallbackCollector::~CallbackCollector() { collector = outer_; }

void RunCallbacksSoon(std::shared_ptr<CallbackSource> source) {
  if (collector != nullptr) {
    collector->sources_.push_back(std::move(source));
    return;
  }
  exec::ThreadPool::Shared()->Run([source = std::move(source)] { source->RunCallbacks(); });
}

void RunCallbacksSoon(std::vector<std::shared_ptr<CallbackSource>> sources) {
  if (sources.empty()) return;
  if (sources.size() == 1) {
    exec::ThreadPool::Shared()->Run([source = std::move(sources[0])] { source->RunCallbacks(); });
    return;
  }
  RunOnPool(std::make_shared<CallbackBatch>(std::move(sources)));
}

}  // namespace spoolrpc::client
