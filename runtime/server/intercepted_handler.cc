#include "spoolrpc/server/intercepted_handler.h"

#include <exception>
#include <utility>

#include "absl/strings/str_cat.h"
#include "spoolrpc/server/batch.h"

namespace spoolrpc::server {
namespace {

using google::protobuf::MessageLite;

// The interceptors of one call.
class Chain {
 public:
  Chain(const InterceptorFactories& factories, const MethodInfo& method, ServerContext* context)
      : context_(context) {
    for (const auto& factory : factories) {
      auto interceptor = factory->CreateServerInterceptor(method);
      if (interceptor == nullptr) continue;
      interceptors_.push_back(std::move(interceptor));
      status_ = interceptors_.back()->OnStart(method, context);
      if (!status_.ok()) break;
    }
  }
  // Also when the handler throws.
  ~Chain() { Finish(absl::UnknownError("the handler threw an exception")).IgnoreError(); }
  Chain(const Chain&) = delete;
  Chain& operator=(const Chain&) = delete;

  const absl::Status& status() const { return status_; }
  void Receive(MessageLite* message) {
    for (const auto& interceptor : interceptors_) interceptor->OnReceiveMessage(message);
  }
  void Send(const MessageLite& message) {
    for (auto it = interceptors_.rbegin(); it != interceptors_.rend(); ++it) {
      (*it)->OnSendMessage(message);
    }
  }
  absl::Status Finish(absl::Status status) {
    if (finished_) return status;
    finished_ = true;
    for (auto it = interceptors_.rbegin(); it != interceptors_.rend(); ++it) {
      (*it)->OnFinish(&status, context_);
    }
    return status;
  }

 private:
  ServerContext* const context_;
  std::vector<std::unique_ptr<ServerInterceptor>> interceptors_;
  absl::Status status_;
  bool finished_ = false;
};

class InterceptedStream final : public ServerStream {
 public:
  InterceptedStream(Chain* chain, ServerStream* inner) : chain_(chain), inner_(inner) {}

  void SendInitialMetadata() override { inner_->SendInitialMetadata(); }
  bool Read(MessageLite* message) override {
    if (!inner_->Read(message)) return false;
    chain_->Receive(message);
    return true;
  }
  bool Write(const MessageLite& message, WriteOptions options) override {
    chain_->Send(message);
    return inner_->Write(message, options);
  }
  void StopReading() override { inner_->StopReading(); }

 private:
  Chain* const chain_;
  ServerStream* const inner_;
};

// Ends its call at once.
class FailedReactor final : public ServerReactor {
 public:
  explicit FailedReactor(absl::Status status) {
    Do([status = std::move(status)](AsyncServerCall* call) { call->Finish(status); });
  }
  void OnDone() override { delete this; }
};

// Stands between the service's reactor and its call: a reactor to the call, a call to the reactor.
// Lives until OnDone().
class ReactorBridge final : public ServerReactor,
                            public AsyncServerCall,
                            public std::enable_shared_from_this<ReactorBridge> {
 public:
  ReactorBridge(std::unique_ptr<Chain> chain, ServerReactor* reactor, const MessageLite* reply)
      : chain_(std::move(chain)), reactor_(reactor), reply_(reply) {}

  void Bind() {
    self_ = shared_from_this();
    reactor_->BindCall(self_);
  }

  // --- The call.
  void StartSendInitialMetadata() override {
    Do([](AsyncServerCall* call) { call->StartSendInitialMetadata(); });
  }
  void StartRead(MessageLite* message) override {
    reading_ = message;
    Do([message](AsyncServerCall* call) { call->StartRead(message); });
  }
  void StartWrite(const MessageLite* message, WriteOptions options) override {
    chain_->Send(*message);
    Do([=](AsyncServerCall* call) { call->StartWrite(message, options); });
  }
  void WriteAndFinish(const MessageLite* message, WriteOptions options,
                      absl::Status status) override {
    chain_->Send(*message);
    Do([=, status = chain_->Finish(std::move(status))](AsyncServerCall* call) {
      call->WriteAndFinish(message, options, status);
    });
  }
  void Finish(absl::Status status) override {
    if (status.ok() && reply_ != nullptr) chain_->Send(*reply_);
    Do([status = chain_->Finish(std::move(status))](AsyncServerCall* call) {
      call->Finish(status);
    });
  }

  // --- The reactor.
  void OnCancel() override { reactor_->OnCancel(); }
  void OnSendInitialMetadataDone(bool ok) override { reactor_->OnSendInitialMetadataDone(ok); }
  void OnReadDone(bool ok) override {
    if (ok) chain_->Receive(reading_);
    reactor_->OnReadDone(ok);
  }
  void OnWriteDone(bool ok) override { reactor_->OnWriteDone(ok); }
  void OnDone() override {
    const auto self = std::move(self_);
    reactor_->UnbindCall();
    reactor_->OnDone();
  }

 private:
  const std::unique_ptr<Chain> chain_;
  ServerReactor* const reactor_;
  const MessageLite* const reply_;  // null if replies stream
  MessageLite* reading_ = nullptr;
  std::shared_ptr<ReactorBridge> self_;
};

// What interceptors see of a batch is its calls, each for itself.
class InterceptedBatch final : public BatchContext {
 public:
  InterceptedBatch(BatchContext* inner, const InterceptorFactories& factories,
                   const MethodInfo& method)
      : inner_(inner), statuses_(inner->size()) {
    for (int i = 0; i < inner->size(); ++i) {
      chains_.push_back(std::make_unique<Chain>(factories, method, inner->context(i)));
    }
  }

  int size() const override { return inner_->size(); }
  ServerContext* context(int i) override { return inner_->context(i); }
  void SetStatus(int i, absl::Status status) override { statuses_[i] = std::move(status); }

  Chain* chain(int i) { return chains_[i].get(); }
  void Finish(const absl::Status& all, absl::Span<MessageLite* const> replies) {
    for (int i = 0; i < size(); ++i) {
      absl::Status status = all.ok() ? statuses_[i] : all;
      // (An interceptor's refusal comes too late for the handler, not for the caller.)
      if (!chains_[i]->status().ok()) status = chains_[i]->status();
      if (status.ok()) chains_[i]->Send(*replies[i]);
      inner_->SetStatus(i, chains_[i]->Finish(std::move(status)));
    }
  }

 private:
  BatchContext* const inner_;
  std::vector<absl::Status> statuses_;
  std::vector<std::unique_ptr<Chain>> chains_;
};

class InterceptedHandler final : public MethodHandler {
 public:
  InterceptedHandler(const MethodHandler* inner, const MethodInfo* method,
                     InterceptorFactories factories)
      : inner_(inner), method_(*method), factories_(std::move(factories)) {}

  std::unique_ptr<MessageLite> NewRequest() const override { return inner_->NewRequest(); }
  std::unique_ptr<MessageLite> NewReply() const override { return inner_->NewReply(); }

  absl::Status Run(ServerContext* context, const MessageLite* request, MessageLite* reply,
                   ServerStream* stream) const override {
    Chain chain(factories_, method_, context);
    if (!chain.status().ok()) return chain.Finish(chain.status());
    // (The runtime made it for this call alone.)
    if (request != nullptr) chain.Receive(const_cast<MessageLite*>(request));
    InterceptedStream intercepted(&chain, stream);
    absl::Status status = inner_->Run(context, request, reply, &intercepted);
    if (status.ok() && reply != nullptr) chain.Send(*reply);
    return chain.Finish(std::move(status));
  }

  bool uses_reactor() const override { return inner_->uses_reactor(); }
  ServerReactor* Start(CallbackServerContext* context, const MessageLite* request,
                       MessageLite* reply) const override {
    auto chain = std::make_unique<Chain>(factories_, method_, context);
    if (!chain->status().ok()) return new FailedReactor(chain->Finish(chain->status()));
    const bool one_request =
        method_.kind == MethodKind::kUnary || method_.kind == MethodKind::kServerStreaming;
    if (one_request) chain->Receive(const_cast<MessageLite*>(request));
    ServerReactor* const reactor = inner_->Start(context, request, reply);
    if (reactor == nullptr) {
      return new FailedReactor(chain->Finish(absl::UnimplementedError(
          absl::StrCat(method_.full_name, " is not implemented by this server"))));
    }
    const auto bridge = std::make_shared<ReactorBridge>(std::move(chain), reactor, reply);
    bridge->Bind();
    return bridge.get();
  }

  bool takes_batches() const override { return inner_->takes_batches(); }
  absl::Status RunBatch(BatchContext* batch, absl::Span<const MessageLite* const> requests,
                        absl::Span<MessageLite* const> replies) const override {
    InterceptedBatch intercepted(batch, factories_, method_);
    for (int i = 0; i < batch->size(); ++i) {
      intercepted.chain(i)->Receive(const_cast<MessageLite*>(requests[i]));
    }
    const absl::Status status = inner_->RunBatch(&intercepted, requests, replies);
    intercepted.Finish(status, replies);
    return absl::OkStatus();
  }

 private:
  const MethodHandler* const inner_;
  const MethodInfo& method_;
  const InterceptorFactories factories_;
};

}  // namespace

std::unique_ptr<MethodHandler> Intercept(const MethodHandler* handler, const MethodInfo* method,
                                         InterceptorFactories factories) {
  return std::make_unique<InterceptedHandler>(handler, method, std::move(factories));
}

}  // namespace spoolrpc::server
