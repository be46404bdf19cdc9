// The cases of many calls in a row. Flags have gRPC's names and meanings, with fewer iterations by
// default.

#include <stdio.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tests/interop/interop_fixture.h"

ABSL_FLAG(int, soak_iterations, 100, "calls to make");
ABSL_FLAG(int, soak_max_failures, 0, "calls that may fail");
ABSL_FLAG(int, soak_per_iteration_max_acceptable_latency_ms, 1000,
          "a call that takes longer counts as failed");
ABSL_FLAG(int, soak_min_time_ms_between_rpcs, 0, "from the begin of a call to that of the next");
ABSL_FLAG(int, soak_overall_timeout_seconds, 0,
          "calls that were not made by then count as failed; 0: as many times the acceptable "
          "latency as there are iterations");
ABSL_FLAG(int, soak_request_size, ::spoolrpc::interop::kLargeRequest, "of the payload, in bytes");
ABSL_FLAG(int, soak_response_size, ::spoolrpc::interop::kLargeResponse, "of the payload, in bytes");

namespace spoolrpc::interop {
namespace {

using StubOfIteration = std::function<TestService::Stub*()>;

// One iteration; how long the call took, and whether it went well.
bool SoakOnce(int iteration, TestService::Stub* stub, absl::Duration acceptable,
              absl::Duration* took) {
  const int response_size = absl::GetFlag(FLAGS_soak_response_size);
  const SimpleRequest request =
      MakeSimpleRequest(absl::GetFlag(FLAGS_soak_request_size), response_size);
  ClientContext context;
  SimpleResponse reply;
  const absl::Time begin = absl::Now();
  const absl::Status status = stub->UnaryCall(&context, request, &reply);
  *took = absl::Now() - begin;
  const char* result = "succeeded";
  if (!status.ok()) {
    result = "failed";
  } else if (!HasZeros(reply.payload(), response_size)) {
    result = "failed: a wrong reply";
  } else if (*took > acceptable) {
    result = "failed: too slow";
  }
  printf("soak iteration: %d elapsed_ms: %.3f peer: %s %s%s%s\n", iteration,
         absl::ToDoubleMilliseconds(*took), context.peer().c_str(), result, status.ok() ? "" : ": ",
         status.ok() ? "" : status.ToString().c_str());
  return result == std::string("succeeded");
}

void Soak(const StubOfIteration& stub_of_iteration) {
  const int iterations = absl::GetFlag(FLAGS_soak_iterations);
  ASSERT_GT(iterations, 0);
  const auto acceptable =
      absl::Milliseconds(absl::GetFlag(FLAGS_soak_per_iteration_max_acceptable_latency_ms));
  const auto between = absl::Milliseconds(absl::GetFlag(FLAGS_soak_min_time_ms_between_rpcs));
  const int seconds = absl::GetFlag(FLAGS_soak_overall_timeout_seconds);
  const absl::Time end =
      absl::Now() + (seconds > 0 ? absl::Seconds(seconds) : acceptable * iterations);
  std::vector<absl::Duration> times;
  int failures = 0;
  for (int i = 0; i < iterations && absl::Now() < end; ++i) {
    const absl::Time next = absl::Now() + between;
    absl::Duration took;
    if (!SoakOnce(i, stub_of_iteration(), acceptable, &took)) ++failures;
    times.push_back(took);
    absl::SleepFor(next - absl::Now());
  }
  const int not_made = iterations - static_cast<int>(times.size());
  std::sort(times.begin(), times.end());
  printf("soak: %d of %d made, %d failed; elapsed_ms: median %.3f p90 %.3f max %.3f\n",
         static_cast<int>(times.size()), iterations, failures,
         absl::ToDoubleMilliseconds(times[times.size() / 2]),
         absl::ToDoubleMilliseconds(times[times.size() * 9 / 10]),
         absl::ToDoubleMilliseconds(times.back()));
  EXPECT_EQ(not_made, 0) << "when the time was up";
  EXPECT_LE(failures + not_made, absl::GetFlag(FLAGS_soak_max_failures));
}

TEST_F(InteropTest, rpc_soak) {
  Soak([this] { return stub(); });
}

TEST_F(InteropTest, channel_soak) {
  std::shared_ptr<Channel> channel;
  std::unique_ptr<TestService::Stub> stub;
  Soak([&] {
    // The one before is torn down first.
    stub.reset();
    channel.reset();
    channel = Connect();
    stub = TestService::NewStub(channel);
    return stub.get();
  });
}

}  // namespace
}  // namespace spoolrpc::interop
