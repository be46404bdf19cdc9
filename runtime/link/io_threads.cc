#include "spoolrpc/link/io_threads.h"

#include <algorithm>
#include <utility>

namespace spoolrpc::link {
namespace {

// A frame and the block that it begins in.
constexpr size_t kBufferSize = 2 * 65536;
constexpr os::Nanos kLongestSleep = os::Nanos{1} * 1000000000;

}  // namespace

FlusherThreads::FlusherThreads(int threads) {
  for (int i = 0; i < std::max(1, threads); ++i) threads_.emplace_back([this] { Run(); });
}

FlusherThreads::~FlusherThreads() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  for (std::thread& thread : threads_) thread.join();
}

void FlusherThreads::Schedule(std::shared_ptr<SessionLink> link) {
  absl::MutexLock lock(&mu_);
  if (queued_.insert(link.get()).second) queue_.push_back(std::move(link));
}

void FlusherThreads::Run() {
  for (;;) {
    std::shared_ptr<SessionLink> link;
    {
      absl::MutexLock lock(&mu_);
      const auto ready = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) {
        return stopping_ || !queue_.empty();
      };
      mu_.Await(absl::Condition(&ready));
      if (queue_.empty()) return;
      link = std::move(queue_.front());
      queue_.pop_front();
      // Before the writing: what is sent from here on may need another turn.
      queued_.erase(link.get());
    }
    link->WriteOut();
  }
}

PollerThreads::PollerThreads(const os::Clock* clock, int threads) : clock_(clock) {
  for (int i = 0; i < std::max(1, threads); ++i) {
    shards_.push_back(std::make_unique<Shard>());
    Shard* const shard = shards_.back().get();
    shard->thread = std::thread([this, shard] { Run(shard); });
  }
}

PollerThreads::~PollerThreads() {
  for (const auto& shard : shards_) {
    {
      absl::MutexLock lock(&shard->mu);
      shard->stopping = true;
    }
    shard->bell->Wake();
  }
  for (const auto& shard : shards_) shard->thread.join();
}

void PollerThreads::Add(std::shared_ptr<Pollable> pollable) {
  Shard* const shard = shards_[next_.fetch_add(1) % shards_.size()].get();
  auto entry = std::make_shared<Entry>();
  entry->pollable = std::move(pollable);
  entry->due = 0;
  {
    absl::MutexLock lock(&shard->mu);
    shard->entries.push_back(std::move(entry));
  }
  shard->bell->Wake();
}

void PollerThreads::Wake(Pollable* pollable) {
  for (const auto& shard : shards_) {
    bool found = false;
    {
      absl::MutexLock lock(&shard->mu);
      for (const auto& entry : shard->entries) {
        if (entry->pollable.get() == pollable) {
          entry->woken = true;
          found = true;
        }
      }
    }
    if (found) shard->bell->Wake();
  }
}

void PollerThreads::Run(Shard* shard) {
  log::AlignedBuffer buffer(kBufferSize);
  std::vector<std::shared_ptr<Entry>> due;
  os::Nanos now = clock_->Now();
  for (;;) {
    const uint32_t seen = shard->bell->counter();
    os::Nanos next = os::kNever;
    due.clear();
    {
      absl::MutexLock lock(&shard->mu);
      if (shard->stopping) return;
      for (const auto& entry : shard->entries) {
        if (entry->woken || entry->due <= now) {
          entry->woken = false;
          due.push_back(entry);
        } else {
          next = std::min(next, entry->due);
        }
      }
    }
    for (const auto& entry : due) {
      const os::Nanos when = entry->pollable->Look(&buffer);
      absl::MutexLock lock(&shard->mu);
      entry->due = when;
      if (when < 0) {
        shard->entries.erase(std::remove(shard->entries.begin(), shard->entries.end(), entry),
                             shard->entries.end());
      } else {
        next = std::min(next, when);
      }
    }
    now = clock_->Now();
    if (next > now) {
      shard->bell->Sleep(seen, std::min(next - now, kLongestSleep));
      now = clock_->Now();
    }
  }
}

}  // namespace spoolrpc::link
