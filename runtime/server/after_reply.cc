#include "spoolrpc/server/after_reply.h"

#include <utility>

#include "spoolrpc/server/handler_guard.h"

namespace spoolrpc::server {

AfterReply::~AfterReply() {
  std::thread thread;
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
    changed_.SignalAll();
    thread.swap(thread_);
  }
  if (thread.joinable()) thread.join();
}

std::shared_ptr<AfterReply::Place> AfterReply::Take(Work work) {
  auto place = std::make_shared<Place>();
  place->work = std::move(work);
  absl::MutexLock lock(&mu_);
  places_.push_back(place);
  if (!thread_.joinable()) thread_ = std::thread([this] { Run(); });
  return place;
}

void AfterReply::SetReady(const std::shared_ptr<Place>& place) {
  absl::MutexLock lock(&mu_);
  place->ready = true;
  changed_.Signal();
}

void AfterReply::Run() {
  absl::MutexLock lock(&mu_);
  for (;;) {
    while (places_.empty() ? !stopping_ : !places_.front()->ready) changed_.Wait(&mu_);
    if (places_.empty()) return;
    const std::shared_ptr<Place> place = std::move(places_.front());
    places_.pop_front();
    mu_.Unlock();
    for (auto& work : place->work) {
      const absl::Status done = RunGuarded("work after a reply", [&] {
        work();
        return absl::OkStatus();
      });
      if (!done.ok()) on_failure_(done);
    }
    place->work.clear();
    mu_.Lock();
  }
}

}  // namespace spoolrpc::server
