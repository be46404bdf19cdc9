// A client's handle on a spool.
#ifndef SPOOLRPC_CLIENT_CHANNEL_H_
#define SPOOLRPC_CLIENT_CHANNEL_H_

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "spoolrpc/client/channel_interface.h"
#include "spoolrpc/client/client_context.h"
#include "spoolrpc/client/retry_policy.h"
#include "spoolrpc/os/environment.h"
#include "spoolrpc/rpc/log_sink.h"
#include "spoolrpc/spool/spool.h"
#include "spoolrpc/wait/poll_schedule.h"

namespace spoolrpc {

namespace client {
class CallLimit;
struct CallResources;
class DurableChannel;
class HedgedCall;
class RetryingCall;
struct CallSettings;
class SessionPool;
class StreamCall;
}  // namespace client

namespace exec {
class DeadlineSet;
class TimerQueue;
}  // namespace exec

namespace metrics {
class CallCounter;
class Registry;
}  // namespace metrics

// Which of several servers a call goes to.
enum class Balancing {
  kRoundRobin,     // one after the other
  kLeastInFlight,  // the one with the fewest calls of this channel
  kPickFirst,      // always the same one, while it is there
};

// What happens to a call while max_calls_in_flight are under way.
enum class WhenFull {
  kBlock,  // its caller waits for a place, up to the call's deadline or ack timeout
  kFail,   // it ends with RESOURCE_EXHAUSTED, not executed
};

// What a durable call outlives, once its ticket has been returned (docs/protocol.md, section 10).
enum class Durability {
  kProcess,    // the end of every process
  kPowerLoss,  // also a loss of power: files and directories are flushed first, which takes
               // milliseconds
};

enum class ChannelState {
  kIdle,              // nobody wants a server
  kConnecting,        // looks for one
  kReady,             // there is one
  kTransientFailure,  // there is none, and it goes on looking
};

using client::HedgingPolicy;
using client::RetryPolicy;

struct ChannelOptions {
  // Defaults of this channel's calls; they win over the IDL's, and a ClientContext's win over them.
  std::optional<absl::Duration> timeout;
  std::optional<absl::Duration> ack_timeout;

  // The largest message that is sent, and that is accepted, in bytes.
  size_t max_send_message_size = size_t{64} << 20;
  size_t max_receive_message_size = size_t{64} << 20;
  // Requests of unary calls of at least so many bytes go through bulk buffers, where both sides are
  // on one host and the spool is on a local file system (docs/protocol.md, section 7).
  size_t bulk_threshold = size_t{256} << 10;

  Balancing balancing = Balancing::kRoundRobin;

  // Of all servers together. A call that nobody waits for takes some kilobytes; so many are enough
  // to keep a server busy whose calls take a second, and take some 100 MB.
  int max_calls_in_flight = 10000;
  WhenFull when_full = WhenFull::kBlock;

  // How methods that are idempotent and have no policy of their own (options.proto) are sent again,
  // unary ones. Not both. Whatever the policies say, an attempt that ended because no server was
  // found, or at the deadline, is the last.
  std::optional<RetryPolicy> retry;
  std::optional<HedgingPolicy> hedging;
  // Unary calls of idempotent methods without any policy go to another server when theirs is lost,
  // up to four times.
  bool failover = true;
  // See client::RetryThrottle.
  double retry_max_tokens = 100;
  double retry_token_ratio = 0.1;

  // The error of a future that nobody looked at ends the channel's next call, which is not made.
  bool report_unobserved_errors = false;

  // How messages are sent that become smaller by it. kDefault: as the method says, or else not.
  Compression compression = Compression::kDefault;

  // Of this channel's durable calls.
  Durability durability = Durability::kProcess;

  // How often files are looked at that nobody rings for.
  wait::PollInterval poll_interval;
  // How long a caller spins before it sleeps, where both sides are on one host. Zero: not at all.
  absl::Duration spin = absl::Microseconds(50);
  // kAuto: by the file system.
  spool::Transport transport = spool::Transport::kAuto;
  // The lease that the client keeps while calls are open.
  absl::Duration lease_term = absl::Seconds(10);
  // Of each session's request log, in bytes: a multiple of 4096, at least 64 KiB.
  uint64_t log_capacity = 192 * 1024;
  // How many servers to spread calls over. A method that none of them can take has one more.
  int max_servers = 16;
  // Counts there what docs/metrics.md lists: calls, and file-system operations. A registry of
  // Role::kClient, which must outlive the channel's calls; null: nothing is counted.
  metrics::Registry* metrics = nullptr;
  // Where the channel's warnings go, of schemas that differ for example; null: stderr. Must outlive
  // the channel. Called on threads that make calls.
  LogSink* log_sink = nullptr;
  os::Environment environment;  // for tests
};

// Thread-safe; shared by stubs and threads. Lazy: touches no file before the first call. Its calls
// must have ended when the last reference goes (those that nobody waits for keep one); sessions are
// then closed, for which the destructor may wait some seconds on a slow network file system. After
// a fork() only the parent may use it.
class Channel final : public ChannelInterface, public std::enable_shared_from_this<Channel> {
 public:
  Channel(std::string path, const ChannelOptions& options);
  ~Channel() override;

  absl::Status BlockingUnaryCall(const MethodInfo& method, ClientContext* context,
                                 const google::protobuf::MessageLite& request,
                                 google::protobuf::MessageLite* reply) override;
  std::unique_ptr<ClientStream> StartStream(const MethodInfo& method, ClientContext* context,
                                            const google::protobuf::MessageLite* request,
                                            google::protobuf::MessageLite* reply) override;
  void StartUnaryCall(const MethodInfo& method, ClientContext* context,
                      const google::protobuf::MessageLite* request,
                      google::protobuf::MessageLite* reply,
                      std::function<void(absl::Status)> done) override;
  void PrepareCall(const MethodInfo& method, ClientContext* context,
                   const google::protobuf::MessageLite* request,
                   google::protobuf::MessageLite* reply, ClientReactor* reactor) override;
  void OnUnobservedError(const MethodInfo& method, const absl::Status& status) override
      ABSL_LOCKS_EXCLUDED(mu_);

  MutableBytes AllocateRequest(size_t size) override;

  DurableInterface* durable() override;

  // With `try_to_connect` the channel begins to look for a server if it does not yet.
  ChannelState GetState(bool try_to_connect);
  // Looks for a server, whatever it offers; false if there is none by `deadline`. Blocks.
  bool WaitForConnected(absl::Time deadline);

  // The spool's path.
  const std::string& path() const { return path_; }

 private:
  client::CallSettings SettingsOf(const MethodInfo& method, ClientContext* context) const;
  // An error if the call cannot be made as it is; `request` may be null.
  absl::Status CheckCall(const MethodInfo& method, ClientContext* context,
                         const google::protobuf::MessageLite* request, size_t* size) const;
  std::shared_ptr<client::StreamCall> MakeCall(const MethodInfo& method, ClientContext* context,
                                               const google::protobuf::MessageLite* request,
                                               google::protobuf::MessageLite* reply);

  friend class client::RetryingCall;
  friend class client::HedgedCall;

  // A unary call that is not hedged, on this thread.
  absl::Status WaitForUnaryCall(const MethodInfo& method, ClientContext* context,
                                const google::protobuf::MessageLite& request,
                                google::protobuf::MessageLite* reply,
                                const metrics::CallCounter& counter);
  // One attempt of it.
  absl::Status UnaryOnce(const MethodInfo& method, ClientContext* context,
                         const client::CallSettings& settings,
                         const google::protobuf::MessageLite& request, size_t size,
                         google::protobuf::MessageLite* reply);
  absl::Status UnaryWithRetries(const MethodInfo& method, ClientContext* context,
                                client::CallSettings settings, const RetryPolicy& policy,
                                const google::protobuf::MessageLite& request, size_t size,
                                google::protobuf::MessageLite* reply);
  std::optional<RetryPolicy> RetryPolicyOf(const MethodInfo& method) const;
  std::optional<HedgingPolicy> HedgingPolicyOf(const MethodInfo& method) const;
  // Takes a place for a call; an error says why there is none.
  absl::Status TakePlace(const MethodInfo& method, ClientContext* context,
                         const client::CallSettings& settings);
  absl::Status TakeUnobservedError() ABSL_LOCKS_EXCLUDED(mu_);
  // A call of `method` begins.
  metrics::CallCounter CountCall(const MethodInfo& method) const;

  const std::string path_;
  const std::shared_ptr<os::SystemCalls> calls_;  // null: the environment's are not counted
  const ChannelOptions options_;                  // whose environment has them
  const std::unique_ptr<client::RetryThrottle> throttle_;
  const std::unique_ptr<client::CallLimit> limit_;
  const std::unique_ptr<exec::TimerQueue> timers_;
  const std::unique_ptr<exec::DeadlineSet> deadlines_;
  const std::unique_ptr<client::SessionPool> pool_;
  const std::unique_ptr<client::CallResources> resources_;
  const std::unique_ptr<client::DurableChannel> durable_;
  std::atomic<bool> has_unobserved_{false};
  absl::Mutex mu_;
  absl::Status unobserved_ ABSL_GUARDED_BY(mu_);
};

// The channel to the spool at `address`: "spool:/path", a plain path, or empty for $SPOOLRPC_DIR or
// ~/.cache/spoolrpc. The spool need not exist yet. INVALID_ARGUMENT for an address or an option
// that makes no sense.
absl::StatusOr<std::shared_ptr<Channel>> CreateChannel(absl::string_view address,
                                                       const ChannelOptions& options = {});

}  // namespace spoolrpc

#endif  // SPOOLRPC_CLIENT_CHANNEL_H_
