#include "tests/soak/callee.h"

#include <utility>

namespace spoolrpc::soak {
namespace {

// The unary method of one of a stub's three kinds of functions.
template <class Stub, class... Arguments>
auto Call(const Blocking::Stub*, Method method, Stub* stub, Arguments&&... arguments) {
  switch (method) {
    case Method::kAckFirst:
      return stub->AckFirst(std::forward<Arguments>(arguments)...);
    case Method::kAgain:
      return stub->Again(std::forward<Arguments>(arguments)...);
    case Method::kHedged:
      return stub->Hedged(std::forward<Arguments>(arguments)...);
    case Method::kInline:
      return stub->Inline(std::forward<Arguments>(arguments)...);
    case Method::kGathered:
      return stub->Gathered(std::forward<Arguments>(arguments)...);
    default:
      return stub->Unary(std::forward<Arguments>(arguments)...);
  }
}

template <class Stub, class... Arguments>
auto Call(const Reactors::Stub*, Method, Stub* stub, Arguments&&... arguments) {
  return stub->Unary(std::forward<Arguments>(arguments)...);
}

template <class Stub>
class CalleeOf final : public Callee {
 public:
  explicit CalleeOf(std::unique_ptr<Stub> stub) : stub_(std::move(stub)) {}

  absl::Status Unary(Method method, ClientContext* context, const Job& job,
                     Answer* answer) override {
    return Call(stub_.get(), method, stub_.get(), context, job, answer);
  }
  void Unary(Method method, ClientContext* context, const Job* job, Answer* answer,
             std::function<void(absl::Status)> done) override {
    Call(stub_.get(), method, stub_->async(), context, job, answer, std::move(done));
  }
  void Unary(Method method, ClientContext* context, const Job* job, Answer* answer,
             ClientUnaryReactor* reactor) override {
    Call(stub_.get(), method, stub_->async(), context, job, answer, reactor);
  }
  Future<Answer> Unary(Method method, const Job& job,
                       const std::function<void(ClientContext*)>& setup) override {
    return Call(stub_.get(), method, stub_->future(), job, setup);
  }
  std::unique_ptr<ClientWriter<Job>> Collect(ClientContext* context, Answer* answer) override {
    return stub_->Collect(context, answer);
  }
  std::unique_ptr<ClientReader<Answer>> Expand(ClientContext* context, const Job& job) override {
    return stub_->Expand(context, job);
  }
  std::unique_ptr<ClientReaderWriter<Job, Answer>> Talk(ClientContext* context) override {
    return stub_->Talk(context);
  }
  void Collect(ClientContext* context, Answer* answer, ClientWriteReactor<Job>* reactor) override {
    stub_->async()->Collect(context, answer, reactor);
  }
  void Expand(ClientContext* context, const Job* job, ClientReadReactor<Answer>* reactor) override {
    stub_->async()->Expand(context, job, reactor);
  }
  void Talk(ClientContext* context, ClientBidiReactor<Job, Answer>* reactor) override {
    stub_->async()->Talk(context, reactor);
  }

 private:
  const std::unique_ptr<Stub> stub_;
};

}  // namespace

std::unique_ptr<Callee> MakeCallee(bool reactors, const std::shared_ptr<Channel>& channel) {
  if (reactors) {
    return std::make_unique<CalleeOf<Reactors::Stub>>(Reactors::NewStub(channel));
  }
  return std::make_unique<CalleeOf<Blocking::Stub>>(Blocking::NewStub(channel));
}

}  // namespace spoolrpc::soak
