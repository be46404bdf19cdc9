// What the contenders' echo servers have in common: handlers that do not block, and when they end.
//
// SpoolRPC's generated code has the shape of gRPC's, so these templates are both servers' handlers.
// An Api has the names of one contender: CallbackServerContext, ServerUnaryReactor,
// ServerWriteReactor<Reply>, WriteOptions, Ok().
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
  // `hinted`: each message may wait for the next one; but the first, with which the call begins.
  DownloadReactor(const EchoMessage& request, bool hinted) : message_(request), hinted_(hinted) {
    this->StartWrite(&message_);
  }

 private:
  void OnWriteDone(bool ok) override {
    if (!ok) return this->Finish(Api::Ok());
    typename Api::WriteOptions options;
    if (hinted_) options.set_buffer_hint();
    this->StartWrite(&message_, options);
  }
  void OnDone() override { delete this; }

  const EchoMessage message_;
  const bool hinted_;
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
    return new DownloadReactor<Api>(*request, /*hinted=*/false);
  }
  typename Api::template ServerWriteReactor<EchoMessage>* DownloadHinted(
      typename Api::CallbackServerContext*, const EchoMessage* request) override {
    return new DownloadReactor<Api>(*request, /*hinted=*/true);
  }
};

// A server's main(). Flags: --address, which `start` gets. `start` returns what keeps the server
// alive. Prints "ready" then, and ends when its standard input does: with whoever started it.
int ServerMain(int argc, char** argv, std::shared_ptr<void> (*start)(const std::string& address));

}  // namespace spoolrpc::benchmarks

#endif  // SPOOLRPC_BENCHMARKS_SERVER_H_
