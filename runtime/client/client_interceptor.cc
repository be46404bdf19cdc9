#include "spoolrpc/client/client_interceptor.h"

#include <functional>
#include <utility>

#include "spoolrpc/exec/thread_pool.h"

namespace spoolrpc {
namespace {

using google::protobuf::MessageLite;
using Factories = std::vector<std::shared_ptr<ClientInterceptorFactory>>;

// The interceptors of one call.
class Chain {
 public:
  Chain(const Factories& factories, const MethodInfo& method, ClientContext* context)
      : context_(context) {
    for (const auto& factory : factories) {
      auto interceptor = factory->CreateClientInterceptor(method);
      if (interceptor == nullptr) continue;
      interceptors_.push_back(std::move(interceptor));
      status_ = interceptors_.back()->OnStart(method, context);
      if (!status_.ok()) break;
    }
  }

  // What OnStart() said; not OK: the call is not to be made.
  const absl::Status& status() const { return status_; }
  void Send(const MessageLite& message) {
    for (const auto& interceptor : interceptors_) interceptor->OnSendMessage(message);
  }
  void Receive(MessageLite* message) {
    for (auto it = interceptors_.rbegin(); it != interceptors_.rend(); ++it) {
      (*it)->OnReceiveMessage(message);
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
  // The end of a call whose reply is one message.
  absl::Status Finish(absl::Status status, MessageLite* reply) {
    if (status.ok() && reply != nullptr) Receive(reply);
    return Finish(std::move(status));
  }

 private:
  ClientContext* const context_;
  std::vector<std::unique_ptr<ClientInterceptor>> interceptors_;
  absl::Status status_;
  bool finished_ = false;
};

class InterceptedStream final : public ClientStream {
 public:
  // `inner` is null if the chain has refused the call.
  InterceptedStream(std::unique_ptr<Chain> chain, MessageLite* reply,
                    std::unique_ptr<ClientStream> inner)
      : chain_(std::move(chain)), reply_(reply), inner_(std::move(inner)) {}
  ~InterceptedStream() override {
    inner_.reset();
    chain_->Finish(absl::CancelledError("the stream was dropped before its end")).IgnoreError();
  }

  void WaitForInitialMetadata() override {
    if (inner_ != nullptr) inner_->WaitForInitialMetadata();
  }
  bool Read(MessageLite* message) override {
    if (inner_ == nullptr || !inner_->Read(message)) return false;
    chain_->Receive(message);
    return true;
  }
  bool Write(const MessageLite& message, WriteOptions options) override {
    if (inner_ == nullptr) return false;
    chain_->Send(message);
    return inner_->Write(message, options);
  }
  bool WritesDone() override { return inner_ != nullptr && inner_->WritesDone(); }
  absl::Status Finish() override {
    if (inner_ == nullptr) return chain_->Finish(chain_->status());
    return chain_->Finish(inner_->Finish(), reply_);
  }

 private:
  const std::unique_ptr<Chain> chain_;
  MessageLite* const reply_;
  std::unique_ptr<ClientStream> inner_;
};

// Stands between a program's reactor and its call: a reactor to the call, a call to the reactor.
class ReactorBridge final : public ClientReactor,
                            public AsyncClientCall,
                            public std::enable_shared_from_this<ReactorBridge> {
 public:
  ReactorBridge(std::unique_ptr<Chain> chain, const MessageLite* request, MessageLite* reply,
                ClientReactor* reactor)
      : chain_(std::move(chain)), request_(request), reply_(reply), reactor_(reactor) {}

  // --- The call.
  void StartCall() override {
    if (!chain_->status().ok()) {
      exec::ThreadPool::Shared()->Run([self = shared_from_this()] {
        self->reactor_->OnDone(self->chain_->Finish(self->chain_->status()));
      });
      return;
    }
    if (request_ != nullptr) chain_->Send(*request_);
    call()->StartCall();
  }
  void StartRead(MessageLite* message) override {
    reading_ = message;
    if (chain_->status().ok()) call()->StartRead(message);
  }
  void StartWrite(const MessageLite* message, WriteOptions options) override {
    if (!chain_->status().ok()) return;
    chain_->Send(*message);
    call()->StartWrite(message, options);
  }
  void StartWritesDone() override {
    if (chain_->status().ok()) call()->StartWritesDone();
  }
  void AddHolds(int holds) override {
    if (chain_->status().ok()) call()->AddHolds(holds);
  }
  void RemoveHold() override {
    if (chain_->status().ok()) call()->RemoveHold();
  }

  // --- The reactor.
  void OnReadInitialMetadataDone(bool ok) override { reactor_->OnReadInitialMetadataDone(ok); }
  void OnReadDone(bool ok) override {
    if (ok) chain_->Receive(reading_);
    reactor_->OnReadDone(ok);
  }
  void OnWriteDone(bool ok) override { reactor_->OnWriteDone(ok); }
  void OnWritesDoneDone(bool ok) override { reactor_->OnWritesDoneDone(ok); }
  void OnDone(const absl::Status& status) override {
    // The program's reactor may delete itself, and with it the last reference to this one.
    const auto keep = shared_from_this();
    reactor_->OnDone(chain_->Finish(status, reply_));
  }

 private:
  const std::unique_ptr<Chain> chain_;
  const MessageLite* const request_;
  MessageLite* const reply_;
  ClientReactor* const reactor_;
  MessageLite* reading_ = nullptr;
};

class InterceptedChannel final : public ChannelInterface {
 public:
  InterceptedChannel(std::shared_ptr<ChannelInterface> channel, Factories factories)
      : channel_(std::move(channel)), factories_(std::move(factories)) {}

  absl::Status BlockingUnaryCall(const MethodInfo& method, ClientContext* context,
                                 const MessageLite& request, MessageLite* reply) override {
    Chain chain(factories_, method, context);
    if (!chain.status().ok()) return chain.Finish(chain.status());
    chain.Send(request);
    return chain.Finish(channel_->BlockingUnaryCall(method, context, request, reply), reply);
  }

  std::unique_ptr<ClientStream> StartStream(const MethodInfo& method, ClientContext* context,
                                            const MessageLite* request,
                                            MessageLite* reply) override {
    auto chain = std::make_unique<Chain>(factories_, method, context);
    std::unique_ptr<ClientStream> inner;
    if (chain->status().ok()) {
      if (request != nullptr) chain->Send(*request);
      inner = channel_->StartStream(method, context, request, reply);
    }
    return std::make_unique<InterceptedStream>(std::move(chain), reply, std::move(inner));
  }

  void StartUnaryCall(const MethodInfo& method, ClientContext* context, const MessageLite* request,
                      MessageLite* reply, std::function<void(absl::Status)> done) override {
    auto chain = std::make_shared<Chain>(factories_, method, context);
    if (!chain->status().ok()) {
      exec::ThreadPool::Shared()->Run(
          [chain, done = std::move(done)] { done(chain->Finish(chain->status())); });
      return;
    }
    chain->Send(*request);
    channel_->StartUnaryCall(method, context, request, reply,
                             [chain, reply, done = std::move(done)](absl::Status status) {
                               done(chain->Finish(std::move(status), reply));
                             });
  }

  void PrepareCall(const MethodInfo& method, ClientContext* context, const MessageLite* request,
                   MessageLite* reply, ClientReactor* reactor) override {
    auto bridge = std::make_shared<ReactorBridge>(
        std::make_unique<Chain>(factories_, method, context), request, reply, reactor);
    channel_->PrepareCall(method, context, request, reply, bridge.get());
    reactor->BindCall(std::move(bridge));
  }

  void OnUnobservedError(const MethodInfo& method, const absl::Status& status) override {
    channel_->OnUnobservedError(method, status);
  }

  MutableBytes AllocateRequest(size_t size) override { return channel_->AllocateRequest(size); }

  // (Their submission and their end may be in different processes: they pass no interceptors.)
  DurableInterface* durable() override { return channel_->durable(); }

 private:
  const std::shared_ptr<ChannelInterface> channel_;
  const Factories factories_;
};

}  // namespace

std::shared_ptr<ChannelInterface> InterceptChannel(std::shared_ptr<ChannelInterface> channel,
                                                   Factories factories) {
  return std::make_shared<InterceptedChannel>(std::move(channel), std::move(factories));
}

}  // namespace spoolrpc
