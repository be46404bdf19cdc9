// Unary calls in all the ways there are.
#include <utility>

#include "tests/soak/make_calls.h"

namespace spoolrpc::soak {
namespace {

void EndUnary(Call* call, const ClientContext& context, const absl::Status& status,
              const Answer& answer) {
  if (status.ok()) call->Take(answer);
  call->End(context, status);
}

class UnaryReactor final : public ClientUnaryReactor {
 public:
  explicit UnaryReactor(std::shared_ptr<Call> call)
      : call_(std::move(call)), request_(call_->Request(0)) {}

  void Begin(Callee* callee) {
    call_->Begin(call_->context());
    callee->Unary(call_->plan().method, call_->context(), &request_, call_->answer(), this);
    StartCall();
  }
  void OnDone(const absl::Status& status) override {
    EndUnary(call_.get(), *call_->context(), status, *call_->answer());
    delete this;
  }

 private:
  const std::shared_ptr<Call> call_;
  const Job request_;
};

void WithCallback(const std::shared_ptr<Call>& call, Callee* callee) {
  call->Begin(call->context());
  const auto request = std::make_shared<Job>(call->Request(0));
  callee->Unary(call->plan().method, call->context(), request.get(), call->answer(),
                [call, request](const absl::Status& status) {
                  EndUnary(call.get(), *call->context(), status, *call->answer());
                });
}

// Ends the call when the last of its future is gone.
class Dropped {
 public:
  explicit Dropped(std::shared_ptr<Call> call) : call_(std::move(call)) {}
  ~Dropped() { call_->Drop(); }
  Dropped(const Dropped&) = delete;
  Dropped& operator=(const Dropped&) = delete;

 private:
  const std::shared_ptr<Call> call_;
};

Future<Answer> StartFuture(const std::shared_ptr<Call>& call, Callee* callee) {
  return callee->Unary(call->plan().method, call->Request(0),
                       [call](ClientContext* context) { call->Begin(context); });
}

void DropFuture(const std::shared_ptr<Call>& call, Callee* callee) {
  callee->Unary(call->plan().method, call->Request(0), [call](ClientContext* context) {
    call->Begin(context);
    // The context goes with the future's last holder, and takes this along.
    context->set_acknowledged_callback([dropped = std::make_shared<Dropped>(call)] {});
  });
}

void EndFuture(Call* call, const Future<Answer>& future, const absl::StatusOr<Answer>& answer) {
  EndUnary(call, future.context(), answer.status(), answer.ok() ? *answer : Answer());
}

void GetFuture(const std::shared_ptr<Call>& call, Callee* callee) {
  Future<Answer> future = StartFuture(call, callee);
  const auto cancel_after = call->plan().cancel_after;
  if (cancel_after.has_value() && !future.WaitFor(*cancel_after)) {
    call->SetCancelled();
    future.Cancel();
  }
  EndFuture(call.get(), future, future.Get());
}

void ThenFuture(const std::shared_ptr<Call>& call, Callee* callee) {
  // Its context lives as long as the future, which the callback therefore keeps.
  const auto future = std::make_shared<Future<Answer>>(StartFuture(call, callee));
  if (const auto after = call->plan().cancel_after; after > absl::ZeroDuration()) {
    call->After(*after, [call, future] {
      call->SetCancelled();
      future->Cancel();
    });
  }
  future->Then([call, future](const absl::StatusOr<Answer>& answer) {
    EndFuture(call.get(), *future, answer);
  });
}

}  // namespace

void MakeUnaryCall(const std::shared_ptr<Call>& call, std::unique_ptr<Callee> callee,
                   std::mt19937_64* random) {
  switch ((*random)() % 6) {
    case 0: {
      call->Begin(call->context());
      const absl::Status status =
          callee->Unary(call->plan().method, call->context(), call->Request(0), call->answer());
      EndUnary(call.get(), *call->context(), status, *call->answer());
      return;
    }
    case 1:
      WithCallback(call, callee.get());
      return;
    case 2:
      // Deletes itself.
      (new UnaryReactor(call))->Begin(callee.get());
      return;
    case 3:
      // (Nobody can cancel it later.)
      if (call->plan().cancel_after > absl::ZeroDuration()) {
        ThenFuture(call, callee.get());
      } else {
        DropFuture(call, callee.get());
      }
      return;
    case 4:
      ThenFuture(call, callee.get());
      return;
    default:
      GetFuture(call, callee.get());
      return;
  }
}

}  // namespace spoolrpc::soak
