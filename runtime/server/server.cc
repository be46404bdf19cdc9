#include "spoolrpc/server/server.h"

#include "spoolrpc/metrics/registry.h"
#include "spoolrpc/metrics/textfile_writer.h"
#include "spoolrpc/server/failure_log.h"
#include "spoolrpc/server/isolated_methods.h"
#include "spoolrpc/server/method_table.h"
#include "spoolrpc/server/server_log.h"
#include "spoolrpc/server/spool_server.h"
#include "spoolrpc/server/stop_signal.h"

namespace spoolrpc {

Server::Server()
    : failures_(std::make_unique<server::FailureLog>()),
      stop_(std::make_unique<server::StopSignal>()) {}

Server::~Server() {
  Shutdown();
  stop_->Close();
  if (stopper_.joinable()) stopper_.join();
}

void Server::StartStopper() {
  stopper_ = std::thread([this] {
    if (stop_->AwaitAsked()) Shutdown(stop_->deadline());
  });
}

absl::Status Server::StartObservers() {
  std::vector<std::string> names;
  for (const Service* service : methods_->services()) names.emplace_back(service->info().full_name);
  for (const Service* service : methods_->services()) {
    ServerObserver* const observer = service->observer();
    if (observer == nullptr) continue;
    if (absl::Status s = observer->OnStart(names); !s.ok()) return s;
    observers_.push_back(observer);
  }
  return absl::OkStatus();
}

absl::Status Server::Wait() {
  absl::MutexLock lock(&mu_);
  const auto over = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) {
    if (stopped_) return true;
    for (const auto& server : servers_) {
      if (server->stepped_down().HasBeenNotified()) return true;
    }
    return false;
  };
  // A server steps down without this lock, so look now and then.
  while (!mu_.AwaitWithTimeout(absl::Condition(&over), absl::Milliseconds(200))) {
  }
  for (const auto& server : servers_) {
    if (absl::Status s = server->stepped_down_status(); !s.ok()) return s;
  }
  return absl::OkStatus();
}

void Server::Shutdown(absl::Time deadline) {
  stop_->BringForward(deadline);
  absl::MutexLock shutdown(&shutdown_mu_);
  {
    absl::MutexLock lock(&mu_);
    if (stopped_) return;
  }
  for (ServerObserver* observer : observers_) observer->OnDrain();
  for (const auto& server : servers_) server->Drain();
  for (ServerObserver* observer : observers_) observer->OnStopped();
  if (metrics_file_ != nullptr) metrics_file_->Stop();
  absl::MutexLock lock(&mu_);
  stopped_ = true;
}

absl::Status Server::Check() {
  for (const auto& server : servers_) {
    if (absl::Status s = server->stepped_down_status(); !s.ok()) return s;
  }
  return failures_->Take();
}

void Server::OnChildFailed(const absl::Status& failure) {
  failures_->Add(failure);
  for (const auto& log : logs_) log->Log(LogLevel::kWarning, failure.ToString());
}

std::vector<std::string> Server::spools() const {
  std::vector<std::string> paths;
  for (const auto& server : servers_) paths.push_back(server->root());
  return paths;
}

}  // namespace spoolrpc
