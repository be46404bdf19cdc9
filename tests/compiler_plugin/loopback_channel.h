// Calls of generated stubs, answered by the handlers of generated services in this process.
#ifndef SPOOLRPC_TESTS_COMPILER_PLUGIN_LOOPBACK_CHANNEL_H_
#define SPOOLRPC_TESTS_COMPILER_PLUGIN_LOOPBACK_CHANNEL_H_

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "spoolrpc/generated_code.h"

namespace spoolrpc::testing {

// Contexts are only handed through; nothing looks into one of these.
extern ClientContext* const kClientContext;
extern ServerContext* const kServerContext;

// All messages go through serialized bytes. Handlers of streams run on a thread each, all others on
// the caller's.
class LoopbackChannel final : public ChannelInterface {
 public:
  // `service` must outlive the channel.
  explicit LoopbackChannel(const Service* service) : service_(service) {}

  absl::Status BlockingUnaryCall(const MethodInfo& method, ClientContext* context,
                                 const google::protobuf::MessageLite& request,
                                 google::protobuf::MessageLite* reply) override;
  std::unique_ptr<ClientStream> StartStream(const MethodInfo& method, ClientContext* context,
                                            const google::protobuf::MessageLite* request,
                                            google::protobuf::MessageLite* reply) override;
  // Has called `done` when it returns.
  void StartUnaryCall(const MethodInfo& method, ClientContext* context,
                      const google::protobuf::MessageLite* request,
                      google::protobuf::MessageLite* reply,
                      std::function<void(absl::Status)> done) override;

 private:
  const MethodHandler* Find(const MethodInfo& method) const;

  const Service* const service_;
};

// A stub that calls `service`.
template <class ServiceClass>
auto StubOf(const typename ServiceClass::Service& service) {
  return ServiceClass::NewStub(std::make_shared<LoopbackChannel>(&service));
}

}  // namespace spoolrpc::testing

#endif  // SPOOLRPC_TESTS_COMPILER_PLUGIN_LOOPBACK_CHANNEL_H_
