// A thread that looks after something while that is active, and sleeps when it is not.
#ifndef SPOOLRPC_EXEC_TICKER_H_
#define SPOOLRPC_EXEC_TICKER_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>

#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace spoolrpc::exec {

// Ticks on a thread of its own. Thread-safe, but for Start() and Stop().
class Ticker {
 public:
  // `tick` says whether there is still anything to look after. It is called every `interval` until
  // there has been nothing, and no activity either, for 20 of them.
  Ticker(absl::Duration interval, std::function<bool()> tick);
  ~Ticker() { Stop(); }
  Ticker(const Ticker&) = delete;
  Ticker& operator=(const Ticker&) = delete;

  // Once.
  void Start();
  // Waits for a tick that is under way. May be called again, and without Start().
  void Stop();

  // There is something to look after, or was: it ticks after the next interval at the latest. Costs
  // an atomic operation where the thread does not sleep.
  void OnActivity() {
    activity_.fetch_add(1, std::memory_order_seq_cst);
    if (asleep_.load(std::memory_order_seq_cst)) Wake();
  }

 private:
  void Run();
  void Wake();

  const absl::Duration interval_;
  const std::function<bool()> tick_;
  std::atomic<uint64_t> activity_{0};
  std::atomic<bool> asleep_{false};
  std::atomic<bool> stopping_{false};
  absl::Mutex mu_;
  absl::CondVar wake_;
  std::thread thread_;
};

}  // namespace spoolrpc::exec

#endif  // SPOOLRPC_EXEC_TICKER_H_
