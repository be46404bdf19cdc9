// What the contenders' echo servers have in common: handlers that do not block, and when they end.
//
// SpoolRPC's generated code has the shape of gRPC's, so these templates are both servers' handlers.
// An Api has the names of one contender: Status, CallbackServerContext, ServerUnaryReactor,
// ServerWriteReactor<Reply>, ServerBidiReactor<Request, Reply>, Ok().
#ifndef SPOOLRPC_BENCHMARKS_SERVER_H_
#define SPOOLRPC_BENCHMARKS_SERVER_H_

#include <memory>
#include <string>

#include "benchmarks/echo.pb.h"

namespace spoolrpc::benchmarks {

// Writes the request again and again until nobody reads any more.
template <class Api>
class DownloadReactor final : public Api::template ServerWriteReactor<EchoMessage> {
 public:
  explicit DownloadReactor(const EchoMessage& request) : message_(request) {
    this->StartWrite(&message_);
  }

 private:
  void OnWriteDone(bool ok) override {
    if (ok) {
      this->StartWrite(&message_);
    } else {
      this->Finish(Api::Ok());
    }
  }
  void OnDone() override { delete this; }

  const EchoMessage message_;
};

// Sends back what comes, one message at a time.
template <class Api>
class TalkReactor final : public Api::template ServerBidiReactor<EchoMessage, EchoMessage> {
 public:
  TalkReactor() { this->StartRead(&message_); }

 private:
  void OnReadDone(bool ok) override {
    if (ok) {
      this->StartWrite(&message_);
    } else {
      this->Finish(Api::Ok());
    }
  }
  void OnWriteDone(bool ok) override {
    if (ok) this->StartRead(&message_);
  }
  void OnDone() override { delete this; }

  EchoMessage message_;
};

// `Base` has generated callback methods for all of EchoService but Echo.
template <class Api, class Base>
class CallbackHandlers : public Base {
 public:
  typename Api::ServerUnaryReactor* CallbackEcho(typename Api::CallbackServerContext* context,
                                                 const EchoMessage* request,
                                                 EchoMessage* reply) override {
    reply->set_payload(request->payload());
    typename Api::ServerUnaryReactor* const reactor = context->DefaultReactor();
    reactor->Finish(Api::Ok());
    return reactor;
  }
  typename Api::template ServerWriteReactor<EchoMessage>* Download(
      typename Api::CallbackServerContext*, const EchoMessage* request) override {
    return new DownloadReactor<Api>(*request);
  }
  typename Api::template ServerBidiReactor<EchoMessage, EchoMessage>* Talk(
      typename Api::CallbackServerContext*) override {
    return new TalkReactor<Api>;
  }
};

// A server's main(). Flags: --address, which `start` gets. `start` returns what keeps the server
// alive. Prints "ready" then, and ends when its standard input does: with whoever started it.
int ServerMain(int argc, char** argv, std::shared_ptr<void> (*start)(const std::string& address));

}  // namespace spoolrpc::benchmarks

#endif  // SPOOLRPC_BENCHMARKS_SERVER_H_
