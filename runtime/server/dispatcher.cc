#include "spoolrpc/server/dispatcher.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "spoolrpc/rpc/error.h"
#include "spoolrpc/server/server_batch.h"
#include "spoolrpc/server/server_session.h"

namespace spoolrpc::server {
namespace {

constexpr size_t kBufferSize = 2 * 65536;
constexpr os::Nanos kMicrosecond = 1000;
constexpr os::Nanos kMillisecond = 1000000;

// A handler that usually takes less than this is run by the loop: waking another thread costs as
// much.
constexpr os::Nanos kShortHandler = 20 * kMicrosecond;
// So much of a batch of calls is run by the loop; the rest is shared out to the executor, unless it
// is of handlers that take no longer than handing them over does.
constexpr os::Nanos kLongBatch = 200 * kMicrosecond;
constexpr os::Nanos kTinyHandler = 5 * kMicrosecond;
// Replies of at least so many bytes are flushed at once.
constexpr size_t kLargeReply = 16384;
// A handler on the loop that takes this long costs the loop its place.
constexpr os::Nanos kLoopPatience = kMillisecond;
// Calls without an answer are acknowledged after this long. Where no bell rings a write is a round
// trip to a file server, and nothing runs on a loop that could get stuck: there is time.
constexpr os::Nanos kAckAfter = 2 * kMillisecond;
constexpr os::Nanos kAckAfterWithoutBell = 10 * kMillisecond;
// The monitor's ticks.
constexpr os::Nanos kTick = kMillisecond;
constexpr os::Nanos kTickWithoutBell = 5 * kMillisecond;
// While there is always something to read, the time of a look is taken once in so many.
constexpr int kLooksPerClock = 64;

// Tells when to try again: what a handler usually takes, or a little where that is not known.
absl::Status QueueFull(const MethodEntry& method) {
  absl::Status status = absl::ResourceExhaustedError(
      absl::StrCat(method.info().full_name, ": the server's queue is full; try again later"));
  rpc::AddRetryInfo(&status, std::clamp(absl::Nanoseconds(method.usual_time()) * 10,
                                        absl::Milliseconds(10), absl::Seconds(10)));
  return status;
}

}  // namespace

Dispatcher::Dispatcher(DispatcherOptions options)
    : options_(std::move(options)),
      env_(options_.env),
      spin_(env_.host->Cpus(), options_.spin),
      executor_(NewExecutor(options_.workers, "default")),
      streams_(NewExecutor(options_.max_streams, "streams")),
      reactions_(options_.workers),
      after_reply_(std::make_unique<AfterReply>(options_.on_failure)),
      monitor_(absl::Nanoseconds(options_.bell == nullptr ? kTickWithoutBell : kTick),
               [this] { return Monitor(); }) {
  for (const MethodEntry* const method : options_.methods->All()) {
    if (method->concurrency() == 0) continue;
    pools_.emplace(method, NewExecutor(method->concurrency(), method->info().full_name));
  }
  for (const MethodEntry* const method : options_.methods->All()) {
    if (!method->batches()) continue;
    BatcherOptions batcher;
    batcher.spec = method->batch();
    batcher.max_waiting = options_.max_queued;
    batcher.clock = env_.clock;
    batcher.timers = options_.timers;
    batcher.executor = ExecutorFor(method);
    batcher.run = [this](std::vector<std::shared_ptr<ServerCall>> calls) {
      RunBatch(std::move(calls));
    };
    batchers_.emplace(method, std::make_shared<Batcher>(std::move(batcher)));
  }
}

Dispatcher::~Dispatcher() { Stop(); }

std::unique_ptr<Executor> Dispatcher::NewExecutor(int workers, absl::string_view queue) {
  return std::make_unique<Executor>(
      workers, options_.max_queued,
      [this](const std::shared_ptr<ServerCall>& call) { RunAndFlush(call); },
      options_.metrics == nullptr ? nullptr : options_.metrics->QueueLength(queue));
}

void Dispatcher::Start() {
  monitor_.Start();
  if (options_.bell == nullptr) return;
  inbox_seen_ = options_.bell->inbox();
  absl::MutexLock lock(&mu_);
  loops_.emplace_back([this] { Loop(); });
}

void Dispatcher::Stop() {
  if (stopping_.exchange(true)) return;
  monitor_.Stop();
  std::vector<std::thread> loops;
  {
    absl::MutexLock lock(&mu_);
    standby_.SignalAll();
    loops.swap(loops_);
  }
  if (options_.bell != nullptr) options_.bell->Wake();
  for (const auto& [method, batcher] : batchers_) batcher->Stop();
  for (Executor* const executor : Executors()) executor->Stop();
  for (std::thread& loop : loops) loop.join();
  after_reply_.reset();  // with what it still has to do
}

std::vector<Executor*> Dispatcher::Executors() {
  std::vector<Executor*> all = {executor_.get(), streams_.get()};
  for (const auto& [method, executor] : pools_) all.push_back(executor.get());
  return all;
}

void Dispatcher::RunAndFlush(const std::shared_ptr<ServerCall>& call) {
  {
    const link::FlushScope::Aside handler_runs;
    os::Nanos now = env_.clock->Now();
    if (!RunCall(call, &now)) return;
  }
  FlushReply(call);
}

bool Dispatcher::FlushReply(const std::shared_ptr<ServerCall>& call) {
  // (To destroy a large reply takes long, and one of raw bytes may run the program's code.)
  const bool own_flush = call->reply_size() >= kLargeReply || call->has_raw_reply();
  if (call->has_work_after_reply() || own_flush) {
    call->session()->FlushNow();
    call->OnReplySent();
    return true;
  }
  const link::FlushScope::Unwatched no_handler_runs;
  call->session()->Flush();
  return false;
}

bool Dispatcher::RunCall(const std::shared_ptr<ServerCall>& call, os::Nanos* now) {
  switch (call->session()->BeginCall(call)) {
    case CallSession::Start::kRun:
      break;
    case CallSession::Start::kDropped:
    case CallSession::Start::kAnswered:
    case CallSession::Start::kHeld:
      return false;
  }
  // (The acknowledgement was waited for.)
  if (call->method()->info().ack_before_execution) *now = env_.clock->Now();
  const os::Nanos began = *now;
  if (call->uses_reactor()) {
    // Whoever starts it counts as a worker meanwhile, unless it must run where it was read.
    const bool inlined = call->method()->runs_inline();
    const auto count = [this] {
      absl::MutexLock lock(&mu_);
      ++reactors_;
    };
    const auto done = [this] {
      served_.fetch_add(1, std::memory_order_relaxed);
      absl::MutexLock lock(&mu_);
      if (--reactors_ == 0) reactors_done_.SignalAll();
    };
    if (inlined) count();
    const bool ended = call->StartReactor();
    *now = env_.clock->Now();
    call->method()->OnRun(*now - began);
    if (ended && !inlined) {
      served_.fetch_add(1, std::memory_order_relaxed);
      return false;
    }
    if (!inlined) count();
    if (ended || !call->WhenDone(done)) done();
    if (ended) return false;
    // (One that runs where it was read was in nobody's queue.)
    AcknowledgeSoon(call);
    return false;
  }
  call->RunHandler();
  *now = env_.clock->Now();
  call->method()->OnRun(*now - began);
  call->session()->EndCall(call);
  served_.fetch_add(1, std::memory_order_relaxed);
  return true;
}

void Dispatcher::RunBatch(std::vector<std::shared_ptr<ServerCall>> calls) {
  MethodEntry* const method = calls.front()->method();
  const auto drop_unless_run = [&](const auto& step) {
    calls.erase(std::remove_if(calls.begin(), calls.end(),
                               [&](const std::shared_ptr<ServerCall>& call) {
                                 return step(call) != CallSession::Start::kRun;
                               }),
                calls.end());
  };
  // All flushes of acknowledgements are under way before the first one is waited for.
  if (method->info().ack_before_execution) {
    for (const auto& call : calls) call->session()->Acknowledge(call);
  }
  // Nobody is checked before everybody's waiting is over: a check is good for a while only.
  drop_unless_run([](const auto& call) { return call->session()->PrepareCall(call); });
  drop_unless_run([](const auto& call) { return call->session()->CheckCall(call); });
  if (calls.empty()) return;
  const int size = static_cast<int>(calls.size());
  calls.front()->session()->host()->OnBatch(*method, size);
  const os::Nanos began = env_.clock->Now();
  ServerBatch batch(std::move(calls));
  batch.Run();
  method->OnRun(env_.clock->Now() - began);
  std::vector<std::shared_ptr<CallSession>> sessions;
  for (const auto& call : batch.calls()) {
    call->session()->EndCall(call);
    sessions.push_back(call->session());
  }
  served_.fetch_add(size, std::memory_order_relaxed);
  std::sort(sessions.begin(), sessions.end());
  sessions.erase(std::unique(sessions.begin(), sessions.end()), sessions.end());
  for (const auto& session : sessions) session->FlushNow();
  for (const auto& call : batch.calls()) call->OnReplySent();
}

Batcher* Dispatcher::BatcherFor(const MethodEntry* method) const {
  if (!method->batches()) return nullptr;
  return batchers_.at(method).get();
}

Executor* Dispatcher::ExecutorFor(const MethodEntry* method) {
  if (method->concurrency() > 0) return pools_.at(method).get();
  const bool blocks =
      method->info().kind != MethodKind::kUnary && !method->handler().uses_reactor();
  return blocks && options_.workers > 1 ? streams_.get() : executor_.get();
}

bool Dispatcher::WaitIdle(absl::Time deadline) {
  for (Executor* const executor : Executors()) {
    if (!executor->WaitIdle(deadline)) return false;
  }
  absl::MutexLock lock(&mu_);
  while (reactors_ > 0) {
    if (reactors_done_.WaitWithDeadline(&mu_, deadline)) return reactors_ == 0;
  }
  return true;
}

void Dispatcher::AcknowledgeSoon(const std::shared_ptr<ServerCall>& call) {
  {
    absl::MutexLock lock(&mu_);
    unacknowledged_.emplace_back(env_.clock->Now(), call);
  }
  monitor_.OnActivity();
}

void Dispatcher::Submit(std::shared_ptr<ServerCall> call) {
  if (Batcher* const batcher = BatcherFor(call->method())) {
    Gather(batcher, {std::move(call)});
    return;
  }
  AcknowledgeSoon(call);
  if (ExecutorFor(call->method())->Submit(call)) return;
  call->session()->RejectCall(call, wire::NOT_STARTED_QUEUE_FULL, QueueFull(*call->method()));
}

void Dispatcher::Gather(Batcher* batcher, std::vector<std::shared_ptr<ServerCall>> calls) {
  {
    absl::MutexLock lock(&mu_);
    const os::Nanos now = env_.clock->Now();
    for (const auto& call : calls) unacknowledged_.emplace_back(now, call);
  }
  for (const auto& call : batcher->Add(std::move(calls))) {
    call->session()->RejectCall(call, wire::NOT_STARTED_QUEUE_FULL, QueueFull(*call->method()));
  }
  monitor_.OnActivity();
}

void Dispatcher::Dispatch(std::vector<std::shared_ptr<ServerCall>> calls, bool inline_allowed) {
  if (inline_allowed) {
    absl::MutexLock lock(&mu_);
    for (auto& call : calls) ready_.push_back(std::move(call));
    return;
  }
  for (auto it = calls.begin(); it != calls.end();) {
    MethodEntry* const method = (*it)->method();
    if (method->runs_inline()) {
      RunAndFlush(*it++);
    } else if (Batcher* const batcher = BatcherFor(method)) {
      std::vector<std::shared_ptr<ServerCall>> gathered;
      while (it != calls.end() && (*it)->method() == method) gathered.push_back(std::move(*it++));
      Gather(batcher, std::move(gathered));
    } else {
      Submit(std::move(*it++));
    }
  }
}

std::vector<std::shared_ptr<ServerCall>> Dispatcher::TakeQueued() {
  std::vector<std::shared_ptr<ServerCall>> calls;
  for (const auto& [method, batcher] : batchers_) {
    for (auto& call : batcher->TakeWaiting()) calls.push_back(std::move(call));
  }
  for (Executor* const executor : Executors()) {
    for (auto& call : executor->TakeQueued()) calls.push_back(std::move(call));
  }
  absl::MutexLock lock(&mu_);
  calls.insert(calls.end(), ready_.begin(), ready_.end());
  ready_.clear();
  return calls;
}

// ---------------------------------------------------------------- the loop

void Dispatcher::Loop() {
  log::AlignedBuffer buffer(kBufferSize);
  std::vector<uint32_t> rung;
  exec::StallCheck stall_check;
  for (;;) {
    uint64_t term = 0;
    {
      absl::MutexLock lock(&mu_);
      ++idle_loops_;
      while (!vacant_ && !stopping_) standby_.Wait(&mu_);
      --idle_loops_;
      if (stopping_) {
        if (stall_check_ == &stall_check) stall_check_ = nullptr;
        return;
      }
      vacant_ = false;
      term = ++last_term_;
      stall_check_ = &stall_check;
      leader_.store(term, std::memory_order_release);
    }
    while (Leads(term) && !stopping_.load(std::memory_order_relaxed)) {
      LoopOnce(term, &buffer, &rung);
    }
  }
}

void Dispatcher::LoopOnce(uint64_t term, log::AlignedBuffer* buffer, std::vector<uint32_t>* rung) {
  wait::Doorbell* const bell = options_.bell;
  const uint32_t seen = bell->counter();
  if (const uint64_t inbox = bell->inbox(); inbox != inbox_seen_) {
    inbox_seen_ = inbox;
    options_.on_inbox();
  }
  rung->clear();
  const bool timed = ++looks_ % kLooksPerClock == 0;
  const os::Nanos began = timed ? env_.clock->Now() : 0;
  bell->TakeRung([&](uint32_t slot) { rung->push_back(slot); });
  int frames = 0;
  for (const uint32_t slot : *rung) frames += options_.on_rung(slot, buffer);
  if (timed) bell_looked_at_.store(began, std::memory_order_release);
  if (frames > 0) {
    RunReady(term);
  } else if (rung->empty()) {
    Doze(seen);
  }
}

void Dispatcher::RunReady(uint64_t term) {
  monitor_.OnActivity();
  const link::FlushScope flush_together;
  // The loop counts as one of the executor's workers while it runs handlers that it need not.
  bool works = false;
  std::shared_ptr<ServerCall> call;
  os::Nanos now = env_.clock->Now();
  for (bool first = true;; first = false) {
    // Destroyed without the lock.
    std::shared_ptr<ServerCall> before = std::exchange(call, nullptr);
    Batcher* batcher = nullptr;
    std::vector<std::shared_ptr<ServerCall>> gathered;
    bool here = false;
    {
      absl::MutexLock lock(&mu_);
      if (!first && inline_term_ == term) {
        inline_since_.store(0, std::memory_order_release);
        inline_call_.reset();
      }
      if ((!first && !Leads(term)) || ready_.empty()) break;
      call = std::move(ready_.front());
      ready_.pop_front();
      batcher = BatcherFor(call->method());
      if (batcher != nullptr) {
        // All that came together goes there together: the first one may start the batch.
        gathered.push_back(call);
        while (!ready_.empty() && ready_.front()->method() == call->method()) {
          gathered.push_back(std::move(ready_.front()));
          ready_.pop_front();
        }
      }
      here = RunsOnLoop(*call, ready_.size() + 1, &works);
      if (here) {
        inline_call_ = call;
        inline_term_ = term;
        inline_since_.store(now, std::memory_order_release);
      }
    }
    before.reset();
    if (here) {
      link::FlushScope::Watch();
      const bool flushed = RunCall(call, &now) && FlushReply(call);
      if (link::FlushScope::FlushIfDue() || flushed) now = env_.clock->Now();
      continue;
    }
    if (std::exchange(works, false)) executor_->EndInline();
    if (batcher != nullptr) {
      Gather(batcher, std::move(gathered));
    } else {
      Submit(std::move(call));
    }
    now = env_.clock->Now();
  }
  if (works) executor_->EndInline();
}

bool Dispatcher::RunsOnLoop(const ServerCall& call, size_t waiting, bool* works) {
  MethodEntry* const method = call.method();
  if (method->runs_inline()) return true;
  const os::Nanos usual = method->usual_time();
  if (method->batches() || ExecutorFor(method) != executor_.get() ||
      (method->info().kind != MethodKind::kUnary && !call.uses_reactor()) || usual < 0 ||
      usual >= kShortHandler ||
      (usual >= kTinyHandler && static_cast<os::Nanos>(waiting) * usual >= kLongBatch)) {
    return false;
  }
  if (!*works) *works = executor_->BeginInline();
  return *works;
}

void Dispatcher::Doze(uint32_t seen) {
  wait::Doorbell* const bell = options_.bell;
  const os::Nanos now = env_.clock->Now();
  if (bell->counter() != seen) return;
  // Nobody has rung since before the look that found nothing.
  bell_looked_at_.store(now, std::memory_order_release);
  const auto rung = [bell, seen] { return bell->counter() != seen; };
  if (spin_.Spin(*env_.clock, now, os::kNever, rung)) return;
  bell->Sleep(seen, options_.longest_sleep);
}

// ---------------------------------------------------------------- the monitor

bool Dispatcher::Monitor() {
  Tick(env_.clock->Now());
  if (inline_since_.load(std::memory_order_relaxed) != 0) return true;
  absl::MutexLock lock(&mu_);
  return !unacknowledged_.empty();
}

void Dispatcher::Tick(os::Nanos now) {
  std::vector<std::shared_ptr<ServerCall>> acknowledge;
  std::vector<std::shared_ptr<ServerCall>> submit;
  {
    absl::MutexLock lock(&mu_);
    const os::Nanos ack_after = options_.bell == nullptr ? kAckAfterWithoutBell : kAckAfter;
    while (!unacknowledged_.empty() && now - unacknowledged_.front().first >= ack_after) {
      if (auto call = unacknowledged_.front().second.lock()) acknowledge.push_back(std::move(call));
      unacknowledged_.pop_front();
    }
    const os::Nanos since = inline_since_.load(std::memory_order_acquire);
    if (since != 0 && now - since >= kLoopPatience && inline_call_ != nullptr) {
      acknowledge.push_back(inline_call_);
      // (Not whoever has taken over from the thread in that handler.)
      if (leader_.load(std::memory_order_relaxed) == inline_term_ && stall_check_ != nullptr &&
          stall_check_->Stuck(since)) {
        // Somebody else leads from here on; the thread in the handler notices when it is done.
        leader_.store(0, std::memory_order_release);
        vacant_ = true;
        for (auto& call : ready_) submit.push_back(std::move(call));
        ready_.clear();
        if (idle_loops_ == 0 && !stopping_) {
          loops_.emplace_back([this] { Loop(); });
        } else {
          standby_.Signal();
        }
      }
    }
  }
  for (const auto& call : acknowledge) call->session()->Acknowledge(call);
  for (auto& call : submit) Submit(std::move(call));
}

}  // namespace spoolrpc::server
