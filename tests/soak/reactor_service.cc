#include "tests/soak/reactor_service.h"

#include <deque>
#include <functional>
#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "tests/soak/plan.h"

namespace spoolrpc::soak {
namespace {

// What all of them have in common: a reactor that its call, and its timer, hold. It may be
// finished by its own functions, by the timer and by OnCancel(): whoever comes first counts.
template <class Base>
class JobReactor : public Base, public std::enable_shared_from_this<JobReactor<Base>> {
 public:
  JobReactor(Job job, Journal* journal, exec::TimerQueue* timers)
      : job_(std::move(job)), journal_(journal), timers_(timers) {}

  // Goes on with `begin` after the time that the handler is to take.
  void Begin(std::function<void()> begin) ABSL_LOCKS_EXCLUDED(mu_) {
    {
      absl::MutexLock lock(&mu_);
      self_ = this->shared_from_this();
    }
    if (job_.microseconds() == 0) return begin();
    const os::Nanos when =
        os::After(os::Clock::Real()->Now(), absl::Microseconds(job_.microseconds()));
    timers_->At(when, [weak = this->weak_from_this(), begin = std::move(begin)] {
      if (const auto self = weak.lock()) begin();
    });
  }

  void OnCancel() override { End(NobodyWaits()); }
  void OnDone() override {
    std::shared_ptr<JobReactor> self;
    absl::MutexLock lock(&mu_);
    self.swap(self_);
  }

 protected:
  // An operation of an unfinished reactor.
  template <class Operation>
  void Do(const Operation& operation) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    if (!finished_) operation();
  }
  // The last one.
  template <class Operation>
  void DoLast(const Operation& operation) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    if (std::exchange(finished_, true)) return;
    operation();
  }
  void End(const absl::Status& status) {
    DoLast([&] { this->Finish(status); });
  }

  const Job& job() const { return job_; }
  Journal* journal() const { return journal_; }

 private:
  const Job job_;
  Journal* const journal_;
  exec::TimerQueue* const timers_;
  absl::Mutex mu_;
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
  std::shared_ptr<JobReactor> self_ ABSL_GUARDED_BY(mu_);
};

class UnaryReactor final : public JobReactor<ServerUnaryReactor> {
 public:
  using JobReactor::JobReactor;
  void Start(Answer* answer) {
    journal()->Check(job(), job(), 0);
    Begin([this, answer] {
      DoLast([&] {
        FillAnswer(job(), 0, 1, answer);
        Finish(EndOf(job()));
      });
    });
  }
};

class CollectReactor final : public JobReactor<ServerReadReactor<Job>> {
 public:
  using JobReactor::JobReactor;
  void Start(Answer* answer) {
    answer_ = answer;
    Begin([this] { Read(); });
  }
  void OnReadDone(bool ok) override {
    if (!ok) return Answered();
    journal()->Check(job(), request_, messages_++);
    if (job().stop_after() > 0 && messages_ >= job().stop_after()) return Answered();
    Read();
  }

 private:
  void Read() {
    Do([this] { StartRead(&request_); });
  }
  void Answered() {
    DoLast([this] {
      FillAnswer(job(), 0, messages_, answer_);
      Finish(EndOf(job()));
    });
  }

  Answer* answer_ = nullptr;
  uint32_t messages_ = 0;
  Job request_;
};

class ExpandReactor final : public JobReactor<ServerWriteReactor<Answer>> {
 public:
  using JobReactor::JobReactor;
  void Start() {
    journal()->Check(job(), job(), 0);
    if (job().call() % 4 == 0) StartSendInitialMetadata();
    Begin([this] { Write(); });
  }
  void OnWriteDone(bool ok) override {
    if (!ok) return End(NobodyWaits());
    Write();
  }

 private:
  void Write() {
    if (written_ == job().replies()) return End(EndOf(job()));
    FillAnswer(job(), written_++, 1, &answer_);
    if (written_ == job().replies() && job().call() % 3 == 0) {
      DoLast([this] { StartWriteAndFinish(&answer_, WriteOptions(), EndOf(job())); });
    } else {
      Do([this] { StartWrite(&answer_); });
    }
  }

  uint32_t written_ = 0;
  Answer answer_;
};

// Reads on while it writes, up to some answers ahead.
class TalkReactor final : public JobReactor<ServerBidiReactor<Job, Answer>> {
 public:
  using JobReactor::JobReactor;
  void Start() {
    Begin([this] { Read(); });
  }
  void OnReadDone(bool ok) override {
    reading_ = false;
    if (ok) {
      journal()->Check(job(), request_, messages_++);
      answers_.emplace_back();
      FillAnswer(job(), messages_ - 1, messages_, &answers_.back());
      if (answers_.size() == 1) Write();
    }
    read_all_ = read_all_ || !ok || (job().stop_after() > 0 && messages_ >= job().stop_after());
    Next();
  }
  void OnWriteDone(bool ok) override {
    if (!ok) return End(NobodyWaits());
    answers_.pop_front();
    if (!answers_.empty()) Write();
    Next();
  }

 private:
  static constexpr size_t kAhead = 3;

  void Next() {
    if (!read_all_ && !reading_ && answers_.size() < kAhead) {
      Read();
    } else if (read_all_ && answers_.empty()) {
      End(EndOf(job()));
    }
  }
  void Read() {
    reading_ = true;
    Do([this] { StartRead(&request_); });
  }
  void Write() {
    Do([this] { StartWrite(&answers_.front()); });
  }

  bool reading_ = false;
  bool read_all_ = false;
  uint32_t messages_ = 0;
  Job request_;
  std::deque<Answer> answers_;  // the first is being written
};

}  // namespace

ServerUnaryReactor* ReactorService::Unary(CallbackServerContext* context, const Job* job,
                                          Answer* answer) {
  journal_->OnBegin(context, *job);
  const auto reactor = std::make_shared<UnaryReactor>(*job, journal_, timers_);
  reactor->Start(answer);
  return reactor.get();
}

ServerReadReactor<Job>* ReactorService::Collect(CallbackServerContext* context, Answer* answer) {
  const auto reactor =
      std::make_shared<CollectReactor>(journal_->BeginStream(context), journal_, timers_);
  reactor->Start(answer);
  return reactor.get();
}

ServerWriteReactor<Answer>* ReactorService::Expand(CallbackServerContext* context, const Job* job) {
  journal_->OnBegin(context, *job);
  const auto reactor = std::make_shared<ExpandReactor>(*job, journal_, timers_);
  reactor->Start();
  return reactor.get();
}

ServerBidiReactor<Job, Answer>* ReactorService::Talk(CallbackServerContext* context) {
  const auto reactor =
      std::make_shared<TalkReactor>(journal_->BeginStream(context), journal_, timers_);
  reactor->Start();
  return reactor.get();
}

}  // namespace spoolrpc::soak
