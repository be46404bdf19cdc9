// How a server is put together.
#ifndef SPOOLRPC_SERVER_SERVER_BUILDER_H_
#define SPOOLRPC_SERVER_SERVER_BUILDER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "spoolrpc/os/environment.h"
#include "spoolrpc/rpc/log_sink.h"
#include "spoolrpc/rpc/raw_method.h"
#include "spoolrpc/server/auth_policy.h"
#include "spoolrpc/server/raw_service.h"
#include "spoolrpc/server/server.h"
#include "spoolrpc/server/server_interceptor.h"
#include "spoolrpc/server/service.h"
#include "spoolrpc/spool/exclusive.h"
#include "spoolrpc/spool/spool.h"
#include "spoolrpc/wait/poll_schedule.h"

namespace spoolrpc {

namespace metrics {
class Registry;
}  // namespace metrics

// Not thread-safe. Setters return the builder; what makes no sense is reported by BuildAndStart().
class ServerBuilder {
 public:
  // Serves the spool at `address` ("spool:/path", a plain path, or empty for $SPOOLRPC_DIR or
  // ~/.cache/spoolrpc), which is created if it is missing. May be called for several spools.
  ServerBuilder& AddSpool(absl::string_view address);
  // Whether the server shares its spools with others. kShared, the default: with any, but no
  // server that wants them for itself. kRefuse: BuildAndStart() returns ALREADY_EXISTS, with host
  // and pid, if another server is there. kForce: others are asked to stop, as `spoolrpc stop` does
  // it; what they still run after `grace` is cancelled; DEADLINE_EXCEEDED if one is there 30 s
  // after that. Of several that start at the same moment on any hosts, at most one is let in. Who
  // is dead, or has a lease that expires while BuildAndStart() watches it (a term, at most), is in
  // nobody's way. A server that has the spool for itself steps down when it finds, after its lease
  // had expired, that another one has taken over.
  ServerBuilder& set_exclusive(spool::ExclusiveMode mode, absl::Duration grace = absl::Seconds(10));
  // `service` must outlive the server.
  ServerBuilder& RegisterService(Service* service);
  // Serves the unary method `full_name`, such as "/package.Service/Method", with bytes: what a
  // generated stub of a service with that method sends is its serialized request, and `*reply` must
  // be a serialized reply. All methods of a service are either raw or in one generated class.
  ServerBuilder& RegisterRawMethod(absl::string_view full_name, RawHandler handler,
                                   const RawMethodOptions& options = {});

  // Shares the spools with a group, given by its name or number: its members may call, and read
  // each other's calls (mode 3770; docs/security.md). The server's user must be a member himself,
  // and the spool's owner; the spool stays shared. Without it a spool is made for its owner alone,
  // and one that is there is served as it is.
  ServerBuilder& set_group(absl::string_view group);
  // Sets on its spools, for clients that open them from then on, which users may serve them beside
  // the owner and root; clients refuse the servers of others. Without it: as it was set last. For
  // the spool's owner, and of use in a group's spool.
  ServerBuilder& set_server_uids(std::vector<uint32_t> uids);
  // Whose calls are taken, of all whom the spool's modes let in. Default: everybody's.
  ServerBuilder& set_auth_policy(AuthPolicy policy);

  // How many handlers may run at once; 1 serializes. Default: the number of CPUs, at least 2.
  ServerBuilder& set_workers(int workers);
  // Gives the method "/package.Service/Method" so many workers of its own, so that it neither
  // delays others nor is delayed by them. Wins over the IDL's `concurrency`; 0: the server's
  // workers.
  ServerBuilder& set_method_concurrency(absl::string_view method, int workers);
  // Calls of "/package.Service/Method" go to its handler in batches of at most `max_size`, the
  // first of which waits for others for at most `max_delay`; zero: a batch is what is there. Wins
  // over the IDL's `batch`, which the method must have.
  ServerBuilder& set_method_batch(absl::string_view method, int max_size, absl::Duration max_delay);
  // How many handlers of streaming methods may run at once; each has a thread (reactors need none).
  ServerBuilder& set_max_streams(int streams);
  // How many calls may wait for a worker; more are answered RESOURCE_EXHAUSTED, not started.
  ServerBuilder& set_max_queued_calls(size_t calls);
  // Answers calls that were issued before this server started with UNAVAILABLE (reason DISCARDED)
  // instead of running them.
  ServerBuilder& set_discard_pending(bool discard);
  ServerBuilder& set_max_receive_message_size(size_t bytes);
  ServerBuilder& set_max_send_message_size(size_t bytes);
  // Replies of unary calls of at least so many bytes go through bulk buffers, where client and
  // server are on one host and the spool is on a local file system (docs/protocol.md, section 7).
  ServerBuilder& set_bulk_threshold(size_t bytes);

  // Sets on its spools, for all their servers from then on, how long durable calls stay that nobody
  // deletes: so long since their reply, or since their submission where there is none and nobody
  // works on them (absl::InfiniteDuration(): for ever), and so many with a reply (0: any number).
  // Without it: what was set last, or 30 days and 100,000 calls.
  ServerBuilder& set_durable_retention(absl::Duration max_age, uint64_t max_finished);

  // How messages are sent that become smaller by it, where neither method nor handler says so.
  ServerBuilder& set_compression(Compression compression);

  // Every call passes the interceptors that `factory` makes, in the order in which they were added.
  ServerBuilder& AddInterceptor(std::shared_ptr<ServerInterceptorFactory> factory);

  ServerBuilder& set_log_level(LogLevel level);
  // Messages go there instead of to the spool's log file and stderr. Must outlive the server.
  ServerBuilder& set_log_sink(LogSink* sink);

  // Counts there, from the server's start on, what docs/metrics.md lists: calls, queues, batches
  // and file-system operations. A registry of Role::kServer, which must outlive the server.
  ServerBuilder& set_metrics(metrics::Registry* registry);
  // Writes the metrics as text to the file `path`, for node_exporter's textfile collector (which
  // looks for names in ".prom"): when the server starts, every `interval` (10 ms to 24 h), and when
  // it has stopped. Those of set_metrics(); without it the server counts in a registry of its own,
  // with the label "spool". By a thread of its own; the directory should be a local one.
  ServerBuilder& set_metrics_file(absl::string_view path,
                                  absl::Duration interval = absl::Seconds(15));

  // How often files are looked at that nobody rings for.
  ServerBuilder& set_poll_interval(const wait::PollInterval& interval);
  // How long the server spins before it sleeps, where clients are on the same host.
  ServerBuilder& set_spin(absl::Duration spin);
  ServerBuilder& set_lease_term(absl::Duration term);
  // Of each session's response log, in bytes: a multiple of 4096, at least 64 KiB.
  ServerBuilder& set_log_capacity(uint64_t bytes);
  ServerBuilder& set_transport(spool::Transport transport);
  ServerBuilder& set_environment(const os::Environment& environment);  // for tests

  // Starts serving. Errors name the option, the service or the path, and what to do.
  absl::StatusOr<std::unique_ptr<Server>> BuildAndStart();

 private:
  // Prepares `server`, which has its methods, for counting. Null: nothing is to be counted.
  absl::StatusOr<metrics::Registry*> StartMetrics(const std::vector<std::string>& spools,
                                                  Server* server) const;

  std::vector<std::string> addresses_;
  std::optional<std::string> group_;
  std::optional<std::vector<uint32_t>> server_uids_;
  AuthPolicy auth_policy_;
  std::vector<Service*> services_;
  struct RawMethod {
    std::string name;
    RawHandler handler;
    RawMethodOptions options;
  };
  // Adds the services of raw_methods_ to `services`, and to `owned`.
  absl::Status AddRawServices(std::vector<Service*>* services,
                              std::vector<std::unique_ptr<Service>>* owned) const;
  std::vector<RawMethod> raw_methods_;
  std::vector<std::shared_ptr<ServerInterceptorFactory>> interceptors_;
  int workers_ = 0;
  size_t max_queued_ = 10000;
  int max_streams_ = 1000;
  std::vector<std::pair<std::string, int>> concurrencies_;
  struct MethodBatch {
    std::string method;
    int max_size;
    absl::Duration max_delay;
  };
  std::vector<MethodBatch> batches_;
  bool discard_pending_ = false;
  spool::ExclusiveMode exclusive_ = spool::ExclusiveMode::kShared;
  absl::Duration grace_;
  struct Retention {
    absl::Duration max_age;
    uint64_t max_finished;
  };
  std::optional<Retention> retention_;
  Compression compression_ = Compression::kDefault;
  size_t max_receive_ = size_t{64} << 20;
  size_t max_send_ = size_t{64} << 20;
  size_t bulk_threshold_ = size_t{256} << 10;
  LogLevel log_level_ = LogLevel::kInfo;
  LogSink* log_sink_ = nullptr;
  metrics::Registry* metrics_ = nullptr;
  std::optional<std::string> metrics_file_;
  absl::Duration metrics_interval_;
  wait::PollInterval poll_interval_;
  absl::Duration spin_ = absl::Microseconds(50);
  absl::Duration lease_term_ = absl::Seconds(10);
  uint64_t log_capacity_ = 192 * 1024;
  spool::Transport transport_ = spool::Transport::kAuto;
  os::Environment environment_;
};

}  // namespace spoolrpc

#endif  // SPOOLRPC_SERVER_SERVER_BUILDER_H_
