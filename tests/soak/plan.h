// What a client is about to do in one call, drawn at random.
#ifndef SPOOLRPC_TESTS_SOAK_PLAN_H_
#define SPOOLRPC_TESTS_SOAK_PLAN_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "tests/soak/soak.pb.h"

namespace spoolrpc::soak {

// The largest payload, in bytes.
constexpr size_t kLargestPayload = size_t{1} << 20;
// Metadata: the job of calls whose requests stream, and the call's name, which the server returns.
constexpr char kJobKey[] = "job-bin";
constexpr char kCallKey[] = "call";

enum class Method {
  kUnary,
  kAckFirst,
  kAgain,
  kHedged,
  kInline,
  kGathered,
  kCollect,
  kExpand,
  kTalk,
};

struct Plan {
  uint64_t call = 0;
  Method method = Method::kUnary;
  bool reactors = false;  // the service of that name, not Blocking
  size_t request_size = 0;
  size_t reply_size = 0;
  uint32_t messages = 1;    // requests; 1 if they do not stream
  uint32_t replies = 1;     // what Expand is asked for
  uint32_t stop_after = 0;  // see Job
  absl::Duration handler;   // how long it takes
  absl::Duration timeout = absl::InfiniteDuration();
  absl::Duration ack_timeout = absl::Seconds(20);
  std::optional<bool> wait_for_ready;
  // Zero: before the call begins.
  std::optional<absl::Duration> cancel_after;
  // A stream is dropped, or cancelled, when so many messages have come or gone.
  std::optional<uint32_t> abandon_after;
  absl::StatusCode code = absl::StatusCode::kOk;  // with which the handler ends
  bool compress_request = false;
  bool compress_reply = false;
  absl::Duration pause;  // between the messages of a stream

  bool client_streams() const { return method == Method::kCollect || method == Method::kTalk; }
  bool server_streams() const { return method == Method::kExpand || method == Method::kTalk; }
  bool streams() const { return client_streams() || server_streams(); }
  bool idempotent() const { return method == Method::kAgain || method == Method::kHedged; }
  // How many requests a handler reads, and how many answers it gives, if nothing comes between.
  uint32_t requests_read() const;
  uint32_t answers() const;
};

// `client` is the number of the process, `number` that of its call.
Plan DrawPlan(std::mt19937_64* random, uint64_t client, uint32_t number);

// Everything that a Job says but its payload.
Job MakeJob(const Plan& plan);

// By when the call must have ended, from its beginning, on a machine that is infinitely fast.
absl::Duration BoundOf(const Plan& plan);

// For people.
std::string Describe(const Plan& plan);

// How handlers end that were told to fail: the message, and what it begins with.
constexpr char kToldToFail[] = "told to fail: ";
std::string ToldToFail(uint64_t call);
// How handlers end that notice that nobody waits.
absl::Status NobodyWaits();

}  // namespace spoolrpc::soak

#endif  // SPOOLRPC_TESTS_SOAK_PLAN_H_
