// The cases of one request and one reply.

#include <atomic>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/time/time.h"
#include "tests/interop/interop_fixture.h"

ABSL_FLAG(int, concurrent_calls, 1000, "calls in flight at once in concurrent_large_unary");
ABSL_FLAG(absl::Duration, concurrent_ack_timeout, absl::Seconds(20), "of each of them");

namespace spoolrpc::interop {
namespace {

TEST_F(InteropTest, empty_unary) {
  ClientContext context;
  Empty reply;
  EXPECT_TRUE(IsOk(stub()->EmptyCall(&context, Empty(), &reply)));
  EXPECT_EQ(reply.ByteSizeLong(), 0u);
}

TEST_F(InteropTest, large_unary) {
  ClientContext context;
  SimpleResponse reply;
  ASSERT_TRUE(
      IsOk(stub()->UnaryCall(&context, MakeSimpleRequest(kLargeRequest, kLargeResponse), &reply)));
  EXPECT_TRUE(HasZeros(reply.payload(), kLargeResponse));
}

// (Described by gRPC in one sentence: so many of large_unary in parallel on the same channel.)
TEST_F(InteropTest, concurrent_large_unary) {
  struct Call {
    ClientContext context;
    SimpleResponse reply;
  };
  const int count = absl::GetFlag(FLAGS_concurrent_calls);
  ASSERT_GT(count, 0);
  const SimpleRequest request = MakeSimpleRequest(kLargeRequest, kLargeResponse);
  std::vector<Call> calls(count);
  std::atomic<int> right{0};
  absl::BlockingCounter running(count);
  for (Call& call : calls) {
    // (On a slow file system the last ones wait long for room in the request log.)
    call.context.set_ack_timeout(absl::GetFlag(FLAGS_concurrent_ack_timeout));
    stub()->async()->UnaryCall(&call.context, &request, &call.reply, [&](absl::Status status) {
      const ::testing::AssertionResult ok = IsOk(status);
      const ::testing::AssertionResult zeros = HasZeros(call.reply.payload(), kLargeResponse);
      EXPECT_TRUE(ok);
      EXPECT_TRUE(!ok || zeros);
      if (ok && zeros) ++right;
      call.reply.Clear();
      running.DecrementCount();
    });
  }
  running.Wait();
  EXPECT_EQ(right, count);
}

}  // namespace
}  // namespace spoolrpc::interop
