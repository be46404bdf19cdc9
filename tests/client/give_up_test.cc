// Calls that are given up before a byte of them was written leave nothing behind: neither a call
// that is executed, nor a method whose number nobody has explained.
#include <atomic>
#include <thread>

#include "tests/e2e/fixture.h"
#include "tests/testing/faulty_system_calls.h"

namespace spoolrpc::e2e {
namespace {

using testing::Call;
using testing::HasCode;

class GiveUpTest : public BothTransports {};
SPOOLRPC_BOTH_TRANSPORTS(GiveUpTest);

TEST_P(GiveUpTest, CallThatFoundNoRoomIsTakenBackWhole) {
  std::atomic<int> executed{0};
  ProbeService service;
  service.handler = [&](ServerContext*, const Text*, Text*) {
    ++executed;
    return absl::OkStatus();
  };
  testing::FaultySystemCalls faults;
  os::Environment env;
  env.calls = &faults;
  const auto server = Serve(&service, [&](ServerBuilder* b) { b->set_environment(env); });
  ChannelOptions options = Options();
  options.bulk_threshold = size_t{1} << 40;  // large messages go through the log
  const auto stub = Probe::NewStub(Connect(options));
  Text reply;
  ClientContext first;
  ASSERT_OK(stub->Echo(&first, Say(""), &reply));

  // The server reads nothing for a while, and a large request fills the log.
  const auto block = faults.Block({Call::kPread, "/requests"});
  std::thread large([&] {
    Text request;
    request.set_data(std::string(size_t{2} << 20, 'l'));
    ClientContext context;
    Text echoed;
    EXPECT_OK(stub->Echo(&context, request, &echoed));
  });
  ASSERT_TRUE(faults.AwaitBlocked(block));
  // A call that still found room ends differently from one that did not.
  bool taken_back = false;
  for (int i = 0; i < 50 && !taken_back; ++i) {
    ClientContext context;
    context.set_timeout(absl::Milliseconds(100));
    const absl::Status status = stub->Run(&context, Say(""), &reply);
    EXPECT_THAT(status, HasCode(absl::StatusCode::kDeadlineExceeded));
    taken_back = !GetErrorInfo(status)->may_have_executed();
  }
  EXPECT_TRUE(taken_back);
  faults.Remove(block);
  large.join();
  const int before = executed;
  // The session is as whole as before: the method has its number.
  for (int i = 0; i < 3; ++i) {
    ClientContext context;
    EXPECT_OK(stub->Run(&context, Say(""), &reply));
  }
  EXPECT_EQ(executed, before + 3);
}

}  // namespace
}  // namespace spoolrpc::e2e
