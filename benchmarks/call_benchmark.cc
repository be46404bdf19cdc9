// What a call costs beside its log: ringing and hearing a doorbell, finding and running a handler,
// handing it over to another thread.
#include <unistd.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "absl/synchronization/mutex.h"
#include "benchmark/benchmark.h"
#include "benchmarks/echo.spoolrpc.pb.h"
#include "spoolrpc/server/executor.h"
#include "spoolrpc/server/method_table.h"
#include "spoolrpc/spoolrpc.h"
#include "spoolrpc/wait/doorbell.h"
#include "tests/testing/scratch_directory.h"

namespace spoolrpc::benchmarks {
namespace {

constexpr os::Nanos kSecond = 1'000'000'000;

// A doorbell in a file, and the same as its peer has it.
struct Bell {
  Bell() {
    const std::string path = scratch / "doorbell";
    owner = *wait::Doorbell::Create(os::SystemCalls::Real(), path, wait::Doorbell::kMaxSlots, 0600);
    peer = *wait::Doorbell::Attach(os::SystemCalls::Real(), path, geteuid());
  }

  testing::ScratchDirectory scratch;
  std::unique_ptr<wait::Doorbell> owner;
  std::unique_ptr<wait::Doorbell> peer;
};

// Rung by one peer of many, heard by an owner that is awake. The argument: how many ring each time.
void RingAndTake(benchmark::State& state) {
  Bell bell;
  const auto rings = static_cast<uint32_t>(state.range(0));
  uint64_t position = 0;
  for (auto _ : state) {
    ++position;
    for (uint32_t i = 0; i < rings; ++i) bell.peer->Ring(i * 61 % bell.owner->slots(), position);
    uint32_t heard = 0;
    bell.owner->TakeRung([&heard](uint32_t) { ++heard; });
    if (heard != rings) {
      state.SkipWithError("not heard");
      return;
    }
  }
  state.SetItemsProcessed(state.iterations() * rings);
}
BENCHMARK(RingAndTake)->Arg(1)->Arg(64);

// A look at a doorbell that nobody has rung.
void TakeNothing(benchmark::State& state) {
  Bell bell;
  for (auto _ : state) {
    bell.owner->TakeRung([](uint32_t) {});
    benchmark::DoNotOptimize(bell.owner->counter());
  }
}
BENCHMARK(TakeNothing);

// Two threads that sleep on a doorbell each and ring the other's: two wake-ups.
void WakeAndBeWoken(benchmark::State& state) {
  Bell there;
  Bell here;
  std::atomic<bool> stop{false};
  std::thread other([&] {
    uint32_t seen = 0;
    while (!stop.load()) {
      there.owner->Sleep(seen, kSecond);
      const uint32_t now = there.owner->counter();
      if (now == seen) continue;
      seen = now;
      here.peer->Wake();
    }
  });
  uint32_t seen = here.owner->counter();
  for (auto _ : state) {
    there.peer->Wake();
    while (here.owner->counter() == seen) here.owner->Sleep(seen, kSecond);
    seen = here.owner->counter();
  }
  stop.store(true);
  there.peer->Wake();
  other.join();
}
BENCHMARK(WakeAndBeWoken)->UseRealTime();

class EchoServiceImpl final : public EchoService::Service {
  absl::Status Echo(ServerContext*, const EchoMessage* request, EchoMessage* reply) override {
    reply->set_payload(request->payload());
    return absl::OkStatus();
  }
};

// From the method's name and the request's bytes to the reply's, without the session.
void FindParseRunSerialize(benchmark::State& state) {
  EchoServiceImpl service;
  server::MethodTable table;
  if (!table.Add(&service).ok()) {
    state.SkipWithError("no table");
    return;
  }
  EchoMessage message;
  message.set_payload(std::string(state.range(0), 'x'));
  const std::string bytes = message.SerializeAsString();
  for (auto _ : state) {
    server::MethodEntry* const method = table.Find("/spoolrpc.benchmarks.EchoService/Echo");
    const auto request = method->handler().NewRequest();
    const auto reply = method->handler().NewReply();
    CallbackServerContext context;
    if (!request->ParseFromString(bytes) ||
        !method->handler().Run(&context, request.get(), reply.get(), nullptr).ok()) {
      state.SkipWithError("not run");
      return;
    }
    std::string answer = reply->SerializeAsString();
    benchmark::DoNotOptimize(answer);
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(FindParseRunSerialize)->Arg(64)->Arg(16384);

// Work handed to an executor's thread, one after another; and so many at once.
void HandOver(benchmark::State& state) {
  server::Executor executor(2, 10000, nullptr);
  const int64_t at_once = state.range(0);
  absl::Mutex mu;
  int64_t left = 0;
  for (auto _ : state) {
    {
      absl::MutexLock lock(&mu);
      left = at_once;
    }
    for (int64_t i = 0; i < at_once; ++i) {
      executor.SubmitTurn([&] {
        absl::MutexLock lock(&mu);
        --left;
      });
    }
    absl::MutexLock lock(&mu);
    mu.Await(absl::Condition(
        +[](int64_t* left) { return *left == 0; }, &left));
  }
  executor.Stop();
  state.SetItemsProcessed(state.iterations() * at_once);
}
BENCHMARK(HandOver)->Arg(1)->Arg(64)->UseRealTime();

}  // namespace
}  // namespace spoolrpc::benchmarks

BENCHMARK_MAIN();
