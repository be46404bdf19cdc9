// Who reads a session's responses: a caller that waits for its reply, for all others too, or a
// thread of the session's own, which also runs callbacks.
#include <algorithm>
#include <iterator>
#include <utility>

#include "spoolrpc/client/client_session.h"
#include "spoolrpc/exec/thread_pool.h"

namespace spoolrpc::client {
namespace {

// Who waits while another one reads looks up at least so often.
constexpr os::Nanos kLookUp = 10000000;
// How long callbacks run elsewhere after one that took long.
constexpr os::Nanos kSlowFor = 1000000000;

thread_local bool in_callback = false;

}  // namespace

bool ClientSession::InCallback() { return in_callback; }

void ClientSession::Wait(ClientCall* call, uint32_t seen) {
  link::FlushScope::FlushAll();
  while (!call->done.load(std::memory_order_acquire) &&
         call->version.load(std::memory_order_acquire) == seen) {
    const os::Nanos now = env_.clock->Now();
    const os::Nanos until = call->acknowledged.load(std::memory_order_acquire)
                                ? call->deadline
                                : std::min(call->deadline, call->ack_deadline);
    if (now >= until || call->context.cancelled()) {
      GiveUp(call, now);
      // (It may have been woken to read for the others.)
      absl::MutexLock lock(&mu_);
      if (!network()) HandOver();
      break;
    }
    if (!network() && link_->TryBeginPoll()) {
      Lead(call, seen);
      link_->EndPoll();
      absl::MutexLock lock(&mu_);
      HandOver();
      continue;
    }
    LetCancelWake(call);
    Sleep(call, seen, until - now);
  }
  if (call->observer == nullptr && call->cancel_wakes) call->context.SetCancelHook(nullptr);
}

void ClientSession::Sleep(ClientCall* call, uint32_t seen, os::Nanos most) {
  Sleeper sleeper(call, seen);
  const uint32_t word = sleeper.waker.word();
  {
    absl::MutexLock lock(&mu_);
    if (call->done.load(std::memory_order_relaxed) || call->context.cancelled() ||
        call->version.load(std::memory_order_relaxed) != seen) {
      return;
    }
    sleeper.listed = true;
    sleeper.place = sleeping_.insert(sleeping_.end(), &sleeper);
    sleeper.next = std::exchange(call->sleepers, &sleeper);
  }
  // Bounded, in case that whoever reads leaves between the look before this and here.
  sleeper.waker.Sleep(word, network() ? most : std::min(most, kLookUp));
  // (Of a call that has ended it is in no list any more, and sees that without the lock.)
  if (call->done.load(std::memory_order_acquire)) return;
  absl::MutexLock lock(&mu_);
  if (sleeper.listed) Unlist(&sleeper);
}

void ClientSession::WakeSleepers(ClientCall* call) {
  for (Sleeper* one = call->sleepers; one != nullptr; one = one->next) one->waker.Wake();
}

void ClientSession::Unlist(Sleeper* sleeper) {
  sleeping_.erase(sleeper->place);
  Sleeper** link = &sleeper->call->sleepers;
  while (*link != sleeper) link = &(*link)->next;
  *link = sleeper->next;
  sleeper->listed = false;
}

void ClientSession::DismissSleepers(ClientCall* call) {
  while (call->sleepers != nullptr) {
    Sleeper* const sleeper = call->sleepers;
    Unlist(sleeper);
    sleeper->waker.Wake();
  }
}

void ClientSession::LetCancelWake(ClientCall* call) {
  // A call with an observer is cancelled at once: it wakes whoever waits as it ends.
  if (call->observer != nullptr || call->cancel_wakes) return;
  call->cancel_wakes = true;
  call->context.SetCancelHook([this, call] {
    absl::MutexLock lock(&mu_);
    WakeSleepers(call);
    own_bell_->Wake();
  });
}

void ClientSession::HandOver() {
  for (Sleeper* const sleeper : sleeping_) {
    // Awake already, and on its way out.
    if (sleeper->call->version.load(std::memory_order_relaxed) != sleeper->seen) continue;
    sleeper->waker.Wake();
    return;
  }
  if (async_open_ > 0) async_changed_.SignalAll();
}

void ClientSession::Lead(ClientCall* call, uint32_t version) {
  bool force = false;
  for (;;) {
    const uint32_t seen = own_bell_->counter();
    if (server_dead_.load(std::memory_order_acquire)) {
      const bool all = ReadLastWords(buffer_.get());
      Lose(ErrorInfo::SERVER_LOST, absl::UnavailableError("the server's process has ended"),
           {std::nullopt, all});
      return;
    }
    const int frames = PollOnce(force, buffer_.get());
    force = false;
    if (call->done.load(std::memory_order_acquire) || call->context.cancelled() ||
        call->version.load(std::memory_order_acquire) != version) {
      return;
    }
    if (frames > 0) continue;
    const os::Nanos now = env_.clock->Now();
    const os::Nanos until = call->acknowledged.load(std::memory_order_acquire)
                                ? call->deadline
                                : std::min(call->deadline, call->ack_deadline);
    if (now >= until) return;
    Doze(call, seen, until);
    // What nobody rang for is found all the same, a little later.
    force = own_bell_->counter() == seen;
  }
}

void ClientSession::StartReader() {
  Reader* const reader = &readers_.emplace_back();
  reader->thread = std::thread([this, reader] { Read(reader); });
}

void ClientSession::JoinFormerReaders() {
  std::list<Reader> done;
  {
    absl::MutexLock lock(&mu_);
    if (stopping_) return;
    for (auto it = readers_.begin(); it != readers_.end();) {
      const auto next = std::next(it);
      if (it->done) done.splice(done.end(), readers_, it);
      it = next;
    }
  }
  for (Reader& reader : done) reader.thread.join();
}

bool ClientSession::AwaitAsyncCalls() {
  absl::MutexLock lock(&mu_);
  while (!stopping_ && (async_open_ == 0 || !usable())) async_changed_.Wait(&mu_);
  return !stopping_;
}

void ClientSession::Read(Reader* reader) {
  JoinFormerReaders();
  exec::OverdueWatch::Work work(exec::OverdueWatch::Shared(), exec::OverdueWatch::Overdue::kStuck,
                                [this, reader] { OnStuck(reader); });
  bool force = false;
  std::vector<std::shared_ptr<CallbackSource>> callbacks;
  for (;;) {
    // Before the look at stopping_, whose setter wakes the bell afterwards.
    const uint32_t seen = own_bell_->counter();
    if (!AwaitAsyncCalls()) return;
    if (!link_->TryBeginPoll()) {
      // A caller reads, and for these calls too. Bounded, in case that he leaves just now.
      absl::MutexLock lock(&mu_);
      if (!stopping_) async_changed_.WaitWithTimeout(&mu_, absl::Nanoseconds(kLookUp));
      continue;
    }
    int frames = 0;
    const bool dead = server_dead_.load(std::memory_order_acquire);
    if (dead) {
      const bool all = ReadLastWords(buffer_.get());
      Lose(ErrorInfo::SERVER_LOST, absl::UnavailableError("the server's process has ended"),
           {std::nullopt, all});
    } else {
      frames = PollOnce(force, buffer_.get(), &callbacks);
      force = false;
    }
    if (frames == 0 && callbacks.empty() && !dead && usable()) {
      Doze(nullptr, seen, os::kNever);
      force = own_bell_->counter() == seen;
    }
    link_->EndPoll();
    {
      absl::MutexLock lock(&mu_);
      if (async_open_ == 0 || (!callbacks.empty() && !sleeping_.empty())) HandOver();
    }
    if (!callbacks.empty() && !RunHere(reader, &work, std::move(callbacks))) return;
    callbacks.clear();
  }
}

bool ClientSession::RunHere(Reader* reader, exec::OverdueWatch::Work* work,
                            std::vector<std::shared_ptr<CallbackSource>> sources) {
  std::shared_ptr<CallbackBatch> batch;
  {
    absl::ReleasableMutexLock lock(&mu_);
    if (slow_until_ != 0 && env_.clock->Now() < slow_until_) {
      lock.Release();
      RunCallbacksSoon(std::move(sources));
      return true;
    }
    batch = std::make_shared<CallbackBatch>(std::move(sources));
    reader->batch = batch;
  }
  in_callbacks_.fetch_add(1, std::memory_order_acq_rel);
  in_callback = true;
  batch->Run(work);
  in_callback = false;
  in_callbacks_.fetch_sub(1, std::memory_order_acq_rel);
  absl::MutexLock lock(&mu_);
  reader->batch.reset();
  reader->done = reader->stuck;
  return !reader->stuck;
}

void ClientSession::OnStuck(Reader* reader) {
  absl::MutexLock lock(&mu_);
  if (reader->batch == nullptr || reader->stuck || stopping_) return;
  reader->stuck = true;
  slow_until_ = env_.clock->Now() + kSlowFor;
  exec::ThreadPool::Shared()->Run([batch = reader->batch] { batch->Run(nullptr); });
  StartReader();
}

void ClientSession::Doze(ClientCall* call, uint32_t seen, os::Nanos until) {
  const auto cancelled = [&] {
    if (call == nullptr) return false;
    LetCancelWake(call);
    return call->context.cancelled();
  };
  os::Nanos now = env_.clock->Now();
  if (!link_->bells_trusted()) {
    if (cancelled()) return;
    const os::Nanos next =
        std::min({until, schedule_.Next(link_->last_look()), link_->next_head_reading()});
    own_bell_->Sleep(seen, next - now);
    return;
  }
  if (spin_.Spin(*env_.clock, now, until, [&] { return own_bell_->counter() != seen; })) return;
  now = env_.clock->Now();
  if (cancelled()) return;
  const os::Nanos next = std::min({until, now + term_ / 4, link_->next_head_reading()});
  own_bell_->Sleep(seen, next - now);
}

void ClientSession::WakeReader() {
  if (!network()) own_bell_->Wake();
}
}  // namespace spoolrpc::client
