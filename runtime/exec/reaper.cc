#include "spoolrpc/exec/reaper.h"

#include <utility>

#include "spoolrpc/exec/thread_pool.h"

namespace spoolrpc::exec {
namespace {

thread_local bool on_reaper = false;

}  // namespace

void Reaper::Run(std::function<void()> destroy) {
  static ThreadPool* const thread = new ThreadPool(1);
  thread->Run([destroy = std::move(destroy)] {
    on_reaper = true;
    destroy();
  });
}

bool Reaper::OnThisThread() { return on_reaper; }

}  // namespace spoolrpc::exec
