#include "spoolrpc/services/open_streams.h"

#include <algorithm>

#include "absl/time/time.h"
#include "spoolrpc/os/clock.h"

namespace spoolrpc::services {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(1);

}  // namespace

OpenStreams::OpenStreams() : timers_(os::Clock::Real()) {}

void OpenStreams::Add(OpenStream* stream) {
  absl::MutexLock lock(&mu_);
  streams_.insert(stream);
}

void OpenStreams::Remove(OpenStream* stream) {
  absl::MutexLock lock(&mu_);
  streams_.erase(stream);
}

void OpenStreams::UpdateAll() {
  absl::MutexLock lock(&mu_);
  for (OpenStream* const stream : streams_) stream->Update();
}

std::vector<std::string> OpenStreams::services() const {
  absl::MutexLock lock(&names_mu_);
  return services_;
}

bool OpenStreams::Serves(absl::string_view service) const {
  absl::MutexLock lock(&names_mu_);
  return std::find(services_.begin(), services_.end(), service) != services_.end();
}

absl::Status OpenStreams::OnStart(const std::vector<std::string>& services) {
  absl::MutexLock lock(&names_mu_);
  if (has_server_) {
    return absl::FailedPreconditionError(
        "ServerBuilder: a service of health or reflection belongs to another server that has not "
        "stopped; give each server its own");
  }
  has_server_ = true;
  services_ = services;
  draining_.store(false, std::memory_order_release);
  return absl::OkStatus();
}

void OpenStreams::OnDrain() {
  overdue_.store(false, std::memory_order_release);
  draining_.store(true, std::memory_order_release);
  UpdateAll();
  timer_ = 0;
  {
    absl::MutexLock lock(&mu_);
    if (streams_.empty()) return;
  }
  timer_ = timers_.At(os::After(os::Clock::Real()->Now(), kPatience), [this] {
    overdue_.store(true, std::memory_order_release);
    UpdateAll();
  });
}

void OpenStreams::OnStopped() {
  if (timer_ != 0) timers_.Cancel(timer_);
  absl::MutexLock lock(&names_mu_);
  has_server_ = false;
}

}  // namespace spoolrpc::services
