#include "spoolrpc/server/server_builder.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "spoolrpc/exec/lock_checks.h"
#include "spoolrpc/log/format.h"
#include "spoolrpc/metrics/registry.h"
#include "spoolrpc/metrics/textfile_writer.h"
#include "spoolrpc/os/error.h"
#include "spoolrpc/os/users.h"
#include "spoolrpc/server/failure_log.h"
#include "spoolrpc/server/isolated_methods.h"
#include "spoolrpc/server/method_table.h"
#include "spoolrpc/server/server_log.h"
#include "spoolrpc/server/spool_server.h"
#include "spoolrpc/server/stop_signal.h"
#include "spoolrpc/spool/address.h"

namespace spoolrpc {

ServerBuilder& ServerBuilder::AddSpool(absl::string_view address) {
  addresses_.emplace_back(address);
  return *this;
}

ServerBuilder& ServerBuilder::set_exclusive(spool::ExclusiveMode mode, absl::Duration grace) {
  exclusive_ = mode;
  grace_ = grace;
  return *this;
}

ServerBuilder& ServerBuilder::RegisterService(Service* service) {
  services_.push_back(service);
  return *this;
}

ServerBuilder& ServerBuilder::RegisterRawMethod(absl::string_view full_name, RawHandler handler,
                                                const RawMethodOptions& options) {
  raw_methods_.push_back({std::string(full_name), std::move(handler), options});
  return *this;
}

absl::Status ServerBuilder::AddRawServices(std::vector<Service*>* services,
                                           std::vector<std::unique_ptr<Service>>* owned) const {
  std::map<std::string, server::RawService*> by_name;
  std::set<std::string> names;
  for (const RawMethod& method : raw_methods_) {
    const auto info = rpc::RawMethod(method.name, method.options);
    if (!info.ok()) return os::Annotate(info.status(), "ServerBuilder");
    if (method.handler == nullptr || !names.insert(method.name).second) {
      return absl::InvalidArgumentError(absl::StrCat(
          "ServerBuilder: RegisterRawMethod(", method.name,
          "): ", method.handler == nullptr ? "no handler" : "it was registered before"));
    }
    const std::string service = method.name.substr(1, method.name.rfind('/') - 1);
    server::RawService*& raw = by_name[service];
    if (raw == nullptr) {
      auto made = server::RawService::Make(service);
      raw = made.get();
      services->push_back(raw);
      owned->push_back(std::move(made));
    }
    raw->Add(*info, method.handler);
  }
  return absl::OkStatus();
}

ServerBuilder& ServerBuilder::set_group(absl::string_view group) {
  group_ = std::string(group);
  return *this;
}

ServerBuilder& ServerBuilder::set_server_uids(std::vector<uint32_t> uids) {
  server_uids_ = std::move(uids);
  return *this;
}

ServerBuilder& ServerBuilder::set_auth_policy(AuthPolicy policy) {
  auth_policy_ = std::move(policy);
  return *this;
}

ServerBuilder& ServerBuilder::set_workers(int workers) {
  workers_ = workers;
  return *this;
}

ServerBuilder& ServerBuilder::set_method_concurrency(absl::string_view method, int workers) {
  concurrencies_.emplace_back(method, workers);
  return *this;
}

ServerBuilder& ServerBuilder::set_method_batch(absl::string_view method, int max_size,
                                               absl::Duration max_delay) {
  batches_.push_back({std::string(method), max_size, max_delay});
  return *this;
}

ServerBuilder& ServerBuilder::set_max_streams(int streams) {
  max_streams_ = streams;
  return *this;
}

ServerBuilder& ServerBuilder::set_max_queued_calls(size_t calls) {
  max_queued_ = calls;
  return *this;
}

ServerBuilder& ServerBuilder::set_discard_pending(bool discard) {
  discard_pending_ = discard;
  return *this;
}

ServerBuilder& ServerBuilder::set_max_receive_message_size(size_t bytes) {
  max_receive_ = bytes;
  return *this;
}

ServerBuilder& ServerBuilder::set_bulk_threshold(size_t bytes) {
  bulk_threshold_ = bytes;
  return *this;
}

ServerBuilder& ServerBuilder::set_max_send_message_size(size_t bytes) {
  max_send_ = bytes;
  return *this;
}

ServerBuilder& ServerBuilder::set_durable_retention(absl::Duration max_age, uint64_t max_finished) {
  retention_ = {max_age, max_finished};
  return *this;
}

ServerBuilder& ServerBuilder::set_compression(Compression compression) {
  compression_ = compression;
  return *this;
}

ServerBuilder& ServerBuilder::AddInterceptor(std::shared_ptr<ServerInterceptorFactory> factory) {
  interceptors_.push_back(std::move(factory));
  return *this;
}

ServerBuilder& ServerBuilder::set_log_level(LogLevel level) {
  log_level_ = level;
  return *this;
}

ServerBuilder& ServerBuilder::set_log_sink(LogSink* sink) {
  log_sink_ = sink;
  return *this;
}

ServerBuilder& ServerBuilder::set_metrics(metrics::Registry* registry) {
  metrics_ = registry;
  return *this;
}

ServerBuilder& ServerBuilder::set_metrics_file(absl::string_view path, absl::Duration interval) {
  metrics_file_ = std::string(path);
  metrics_interval_ = interval;
  return *this;
}

ServerBuilder& ServerBuilder::set_poll_interval(const wait::PollInterval& interval) {
  poll_interval_ = interval;
  return *this;
}

ServerBuilder& ServerBuilder::set_spin(absl::Duration spin) {
  spin_ = spin;
  return *this;
}

ServerBuilder& ServerBuilder::set_lease_term(absl::Duration term) {
  lease_term_ = term;
  return *this;
}

ServerBuilder& ServerBuilder::set_log_capacity(uint64_t bytes) {
  log_capacity_ = bytes;
  return *this;
}

ServerBuilder& ServerBuilder::set_transport(spool::Transport transport) {
  transport_ = transport;
  return *this;
}

ServerBuilder& ServerBuilder::set_environment(const os::Environment& environment) {
  environment_ = environment;
  return *this;
}

absl::StatusOr<metrics::Registry*> ServerBuilder::StartMetrics(
    const std::vector<std::string>& spools, Server* server) const {
  metrics::Registry* registry = metrics_;
  if (registry == nullptr && metrics_file_.has_value()) {
    server->own_metrics_ = std::make_unique<metrics::Registry>(
        metrics::Role::kServer, metrics::Labels{{"spool", absl::StrJoin(spools, ",")}});
    registry = server->own_metrics_.get();
  }
  if (registry == nullptr) return registry;
  server->calls_ = registry->CountFileOperations(environment_.calls);
  for (server::MethodEntry* const method : server->methods_->All()) {
    method->set_metrics(registry->ForMethod(method->info().full_name));
  }
  if (!metrics_file_.has_value()) return registry;
  // (Not counted itself: what is counted is what the calls cost.)
  server->metrics_file_ = std::make_unique<metrics::TextfileWriter>(
      registry, *metrics_file_, metrics_interval_, environment_.calls,
      [server](const absl::Status& status) {
        server->logs_.front()->Log(
            status.ok() ? LogLevel::kInfo : LogLevel::kWarning,
            status.ok() ? "the metrics' file is written again" : status.ToString());
      });
  if (absl::Status s = server->metrics_file_->Write(); !s.ok()) {
    return os::Annotate(s, absl::StrCat("ServerBuilder: set_metrics_file(", *metrics_file_,
                                        "): its directory must be there and writable"));
  }
  return registry;
}

absl::StatusOr<std::unique_ptr<Server>> ServerBuilder::BuildAndStart() {
  exec::LeaveLocksUnchecked();
  if (services_.empty() && raw_methods_.empty()) {
    return absl::InvalidArgumentError("ServerBuilder: no service; call RegisterService() first");
  }
  if (addresses_.empty()) {
    return absl::InvalidArgumentError("ServerBuilder: no spool; call AddSpool() first");
  }
  if (workers_ < 0 || workers_ > 10000) {
    return absl::InvalidArgumentError(
        absl::StrCat("ServerBuilder: workers ", workers_, ": must be from 1 to 10000"));
  }
  if (log_capacity_ < log::kMinCapacity || log_capacity_ > log::kMaxCapacity ||
      log_capacity_ % log::kHeadSize != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("ServerBuilder: log_capacity ", log_capacity_, ": must be a multiple of ",
                     log::kHeadSize, " from ", log::kMinCapacity, " to ", log::kMaxCapacity));
  }
  if (lease_term_ < absl::Milliseconds(100) || lease_term_ > absl::Hours(24)) {
    return absl::InvalidArgumentError("ServerBuilder: lease_term: must be from 100 ms to 24 h");
  }
  if (grace_ < absl::ZeroDuration() || grace_ > absl::Hours(24 * 365)) {
    return absl::InvalidArgumentError(
        "ServerBuilder: set_exclusive: grace must be from 0 to a year");
  }
  if (metrics_ != nullptr && metrics_->role() != metrics::Role::kServer) {
    return absl::InvalidArgumentError(
        "ServerBuilder: set_metrics(): the registry counts for a client; make one of "
        "Role::kServer");
  }
  if (metrics_file_.has_value()) {
    if (metrics_file_->empty()) {
      return absl::InvalidArgumentError("ServerBuilder: set_metrics_file(): the path is empty");
    }
    if (metrics_interval_ < absl::Milliseconds(10) || metrics_interval_ > absl::Hours(24)) {
      return absl::InvalidArgumentError(absl::StrCat("ServerBuilder: set_metrics_file(",
                                                     *metrics_file_,
                                                     "): the interval must be from 10 ms to 24 h"));
    }
  }
  if (retention_.has_value() && retention_->max_age <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError(
        "ServerBuilder: set_durable_retention: max_age must be positive; absl::InfiniteDuration() "
        "is for ever");
  }
  spool::SpoolAccess access;
  if (group_.has_value()) {
    const auto gid = os::ResolveGroup(*group_);
    if (!gid.ok()) return os::Annotate(gid.status(), "ServerBuilder: set_group()");
    access.group = *gid;
  }
  if (server_uids_.has_value()) {
    for (const uint32_t uid : *server_uids_) {
      if (os::IsNobody(uid)) {
        return absl::InvalidArgumentError(
            absl::StrCat("ServerBuilder: set_server_uids(): ", uid, " is nobody's"));
      }
    }
    access.server_uids = server_uids_;
  }
  auto server = std::unique_ptr<Server>(new Server);
  const int workers = workers_ > 0 ? workers_ : std::max(2, environment_.host->Cpus());
  // How many processes an isolated method may have, and how many threads wait for these.
  const auto processes = [&](const MethodInfo& method) {
    int wanted = method.concurrency;
    for (const auto& [name, number] : concurrencies_) {
      if (name == method.full_name) wanted = number;
    }
    return wanted > 0 ? wanted : workers;
  };
  std::vector<Service*> services = services_;
  if (absl::Status s = AddRawServices(&services, &server->raw_services_); !s.ok()) return s;
  // First: it forks, which it must not where there are threads.
  auto isolated = server::IsolatedMethods::Start(
      services, processes,
      [server = server.get()](const absl::Status& failure) { server->OnChildFailed(failure); });
  if (!isolated.ok()) return isolated.status();
  server->isolated_ = *std::move(isolated);
  server->methods_ = std::make_unique<server::MethodTable>();
  for (Service* const service : services) {
    if (absl::Status s =
            server->methods_->Add(service, interceptors_, server->isolated_->substitutes());
        !s.ok()) {
      return s;
    }
  }
  for (const auto& [name, workers] : concurrencies_) {
    server::MethodEntry* const method = server->methods_->Find(name);
    if (method == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat("ServerBuilder: set_method_concurrency(", name,
                                                     "): no registered service has it; a name "
                                                     "looks like /package.Service/Method"));
    }
    if (workers < 0 || workers > 10000) {
      return absl::InvalidArgumentError(absl::StrCat("ServerBuilder: set_method_concurrency(", name,
                                                     "): ", workers, " must be from 0 to 10000"));
    }
    method->set_concurrency(workers);
  }
  for (const MethodBatch& batch : batches_) {
    const auto wrong = [&](absl::string_view why) {
      return absl::InvalidArgumentError(
          absl::StrCat("ServerBuilder: set_method_batch(", batch.method, "): ", why));
    };
    server::MethodEntry* const method = server->methods_->Find(batch.method);
    if (method == nullptr) {
      return wrong("no registered service has it; a name looks like /package.Service/Method");
    }
    if (!method->handler().takes_batches()) {
      return wrong("its handler takes single calls: write the option batch in its .proto file");
    }
    if (batch.max_size < 1) return wrong(absl::StrCat("max_size ", batch.max_size, " is below 1"));
    if (batch.max_delay < absl::ZeroDuration() || batch.max_delay > absl::Hours(24)) {
      return wrong("max_delay must be from 0 to 24 h");
    }
    method->set_batch({batch.max_size, absl::ToInt64Nanoseconds(batch.max_delay)});
  }
  for (server::MethodEntry* const method : server->methods_->All()) {
    if (method->info().isolation == Isolation::kNone) continue;
    method->set_concurrency(processes(method->info()));
  }
  if (max_streams_ < 1 || max_streams_ > 100000) {
    return absl::InvalidArgumentError(
        absl::StrCat("ServerBuilder: max_streams ", max_streams_, ": must be from 1 to 100000"));
  }
  if (absl::Status s = server->StartObservers(); !s.ok()) return s;
  // All of them before the first server starts.
  std::vector<std::string> paths;
  for (const std::string& address : addresses_) {
    auto path = spool::ResolveAddress(address);
    if (!path.ok()) return path.status();
    paths.push_back(*std::move(path));
  }
  const auto metrics = StartMetrics(paths, server.get());
  if (!metrics.ok()) return metrics.status();
  for (const std::string& path : paths) {
    server->logs_.push_back(std::make_unique<server::ServerLog>(log_level_, log_sink_));
    server::SpoolServerOptions options;
    options.env = environment_;
    if (server->calls_ != nullptr) options.env.calls = server->calls_.get();
    options.keep_alive = server->calls_;
    options.metrics = *metrics;
    options.path = path;
    options.access = access;
    options.policy = auth_policy_;
    options.transport = transport_;
    options.methods = server->methods_.get();
    options.log = server->logs_.back().get();
    options.workers = workers;
    options.failures = server->failures_.get();
    options.stop = server->stop_.get();
    options.max_queued = max_queued_;
    options.max_streams = max_streams_;
    options.max_request_size = max_receive_;
    options.max_reply_size = max_send_;
    options.bulk_threshold = bulk_threshold_;
    options.poll_interval = poll_interval_;
    options.spin = absl::ToInt64Nanoseconds(spin_);
    options.term = absl::ToInt64Nanoseconds(lease_term_);
    options.log_capacity = log_capacity_;
    options.discard_pending = discard_pending_;
    options.exclusive = exclusive_;
    options.grace = grace_;
    options.compression = compression_;
    if (retention_.has_value()) {
      options.retention.emplace();
      if (retention_->max_age != absl::InfiniteDuration()) {
        options.retention->set_max_age_ns(absl::ToInt64Nanoseconds(retention_->max_age));
      }
      options.retention->set_max_finished(retention_->max_finished);
    }
    auto started = server::SpoolServer::Start(options);
    if (!started.ok()) return started.status();
    server->servers_.push_back(*std::move(started));
  }
  if (server->metrics_file_ != nullptr) server->metrics_file_->Start();
  server->StartStopper();
  return server;
}

}  // namespace spoolrpc
