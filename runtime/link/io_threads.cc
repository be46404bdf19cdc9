#include "spoolrpc/link/io_threads.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"

namespace spoolrpc::link {
namespace {

// A frame and the block that it begins in.
constexpr size_t kBufferSize = 2 * 65536;
constexpr os::Nanos kLongestSleep = os::Nanos{4} * 1000000000;

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

void PollerThreads::Stop() {
  for (const auto& shard : shards_) {
    {
      absl::MutexLock lock(&shard->mu);
      shard->stopping = true;
    }
    shard->bell->Wake();
  }
  for (const auto& shard : shards_) {
    if (shard->thread.joinable()) shard->thread.join();
    // (Whose destructors may take locks.)
    std::vector<Entry> entries;
    absl::MutexLock lock(&shard->mu);
    entries.swap(shard->entries);
  }
}

void PollerThreads::Add(std::shared_ptr<Pollable> pollable) {
  Shard* const shard = shards_[next_.fetch_add(1) % shards_.size()].get();
  {
    absl::MutexLock lock(&shard->mu);
    shard->entries.push_back({std::move(pollable), /*due=*/0, /*woken=*/false});
  }
  shard->bell->Wake();
}

void PollerThreads::Wake(Pollable* pollable) {
  WakeWhere([pollable](Pollable* one) { return one == pollable; });
}

void PollerThreads::Wake(const std::vector<Pollable*>& pollables) {
  const absl::flat_hash_set<Pollable*> wanted(pollables.begin(), pollables.end());
  WakeWhere([&wanted](Pollable* one) { return wanted.contains(one); });
}

void PollerThreads::WakeWhere(absl::FunctionRef<bool(Pollable*)> wanted) {
  for (const auto& shard : shards_) {
    bool found = false;
    {
      absl::MutexLock lock(&shard->mu);
      for (Entry& entry : shard->entries) {
        if (wanted(entry.pollable.get())) {
          entry.woken = true;
          found = true;
        }
      }
    }
    if (found) shard->bell->Wake();
  }
}

void PollerThreads::Run(Shard* shard) {
  log::AlignedBuffer buffer(kBufferSize);
  struct Due {
    size_t entry;
    std::shared_ptr<Pollable> pollable;
  };
  std::vector<Due> due;
  os::Nanos now = clock_->Now();
  for (;;) {
    const uint32_t seen = shard->bell->counter();
    os::Nanos next = os::kNever;
    {
      absl::MutexLock lock(&shard->mu);
      if (shard->stopping) return;
      for (size_t i = 0; i < shard->entries.size(); ++i) {
        Entry& entry = shard->entries[i];
        if (entry.woken || entry.due <= now) {
          entry.woken = false;
          due.push_back({i, entry.pollable});
        } else {
          next = std::min(next, entry.due);
        }
      }
    }
    bool forget = false;
    for (const Due& one : due) {
      const os::Nanos when = one.pollable->Look(&buffer);
      absl::MutexLock lock(&shard->mu);
      shard->entries[one.entry].due = when;
      if (when < 0) {
        forget = true;
      } else {
        next = std::min(next, when);
      }
    }
    if (forget) {
      absl::MutexLock lock(&shard->mu);
      const auto forgotten = [](const Entry& entry) { return entry.due < 0; };
      shard->entries.erase(std::remove_if(shard->entries.begin(), shard->entries.end(), forgotten),
                           shard->entries.end());
    }
    due.clear();
    now = clock_->Now();
    if (next > now) {
      shard->bell->Sleep(seen, std::min(next - now, kLongestSleep));
      now = clock_->Now();
    }
  }
}

}  // namespace spoolrpc::link
