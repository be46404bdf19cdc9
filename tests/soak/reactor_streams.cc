// Streaming calls with reactors. One that is abandoned half-way is cancelled.
#include <utility>

#include "tests/soak/make_calls.h"

namespace spoolrpc::soak {
namespace {

// What the three have in common. Deletes itself when its call has ended.
template <class Base>
class StreamReactor : public Base {
 public:
  void OnDone(const absl::Status& status) final {
    if (status.ok() && !call_->plan().server_streams()) call_->Take(*call_->answer());
    call_->End(*call_->context(), status);
    delete this;
  }

 protected:
  explicit StreamReactor(std::shared_ptr<Call> call) : call_(std::move(call)) {}

  Call* call() const { return call_.get(); }
  const Plan& plan() const { return call_->plan(); }

  // Starts the next operation after the plan's pause, from another thread if there is one.
  template <class Operation>
  void Pause(const Operation& operation) {
    if (plan().pause <= absl::ZeroDuration()) return operation();
    this->AddHold();
    call_->After(plan().pause, [this, operation] {
      operation();
      this->RemoveHold();
    });
  }
  void AbandonAt(uint32_t messages) {
    if (plan().abandon_after.has_value() && messages == *plan().abandon_after) call_->Cancel();
  }

 private:
  const std::shared_ptr<Call> call_;
};

class CollectReactor final : public StreamReactor<ClientWriteReactor<Job>> {
 public:
  explicit CollectReactor(std::shared_ptr<Call> call) : StreamReactor(std::move(call)) {}

  void Begin(Callee* callee) {
    callee->Collect(call()->context(), call()->answer(), this);
    Next();
    StartCall();
  }
  void OnWriteDone(bool ok) override {
    if (!ok) return;
    ++written_;
    AbandonAt(written_);
    Pause([this] { Next(); });
  }

 private:
  void Next() {
    if (written_ == plan().messages) return StartWritesDone();
    request_ = call()->Request(written_);
    StartWrite(&request_);
  }

  uint32_t written_ = 0;
  Job request_;
};

class ExpandReactor final : public StreamReactor<ClientReadReactor<Answer>> {
 public:
  explicit ExpandReactor(std::shared_ptr<Call> call)
      : StreamReactor(std::move(call)), request_(this->call()->Request(0)) {}

  void Begin(Callee* callee) {
    callee->Expand(call()->context(), &request_, this);
    StartRead(&answer_);
    StartCall();
  }
  void OnReadDone(bool ok) override {
    if (!ok) return;
    call()->Take(answer_);
    AbandonAt(call()->taken());
    Pause([this] { StartRead(&answer_); });
  }

 private:
  const Job request_;
  Answer answer_;
};

class TalkReactor final : public StreamReactor<ClientBidiReactor<Job, Answer>> {
 public:
  explicit TalkReactor(std::shared_ptr<Call> call) : StreamReactor(std::move(call)) {}

  void Begin(Callee* callee) {
    callee->Talk(call()->context(), this);
    StartRead(&answer_);
    Next();
    StartCall();
  }
  void OnReadDone(bool ok) override {
    if (!ok) return;
    call()->Take(answer_);
    AbandonAt(call()->taken());
    StartRead(&answer_);
  }
  void OnWriteDone(bool ok) override {
    if (!ok) return;
    ++written_;
    if (!half_closed_) Pause([this] { Next(); });
  }

 private:
  void Next() {
    if (written_ == plan().messages) return StartWritesDone();
    request_ = call()->Request(written_);
    half_closed_ = written_ + 1 == plan().messages && plan().call % 3 == 0;
    if (half_closed_) {
      StartWriteLast(&request_, WriteOptions());
    } else {
      StartWrite(&request_);
    }
  }

  uint32_t written_ = 0;
  bool half_closed_ = false;
  Job request_;
  Answer answer_;
};

}  // namespace

void MakeReactorStream(const std::shared_ptr<Call>& call, std::unique_ptr<Callee> callee) {
  call->Begin(call->context());
  if (call->plan().method == Method::kCollect) {
    (new CollectReactor(call))->Begin(callee.get());
  } else if (call->plan().method == Method::kExpand) {
    (new ExpandReactor(call))->Begin(callee.get());
  } else {
    (new TalkReactor(call))->Begin(callee.get());
  }
}

}  // namespace spoolrpc::soak
