// The two services of soak.proto as one: their methods have the same types.
#ifndef SPOOLRPC_TESTS_SOAK_CALLEE_H_
#define SPOOLRPC_TESTS_SOAK_CALLEE_H_

#include <functional>
#include <memory>

#include "spoolrpc/spoolrpc.h"
#include "tests/soak/plan.h"
#include "tests/soak/soak.spoolrpc.pb.h"

namespace spoolrpc::soak {

// A stub. Each function is the stub's of that method; `method` is a unary one.
class Callee {
 public:
  virtual ~Callee() = default;
  virtual absl::Status Unary(Method method, ClientContext* context, const Job& job,
                             Answer* answer) = 0;
  virtual void Unary(Method method, ClientContext* context, const Job* job, Answer* answer,
                     std::function<void(absl::Status)> done) = 0;
  virtual void Unary(Method method, ClientContext* context, const Job* job, Answer* answer,
                     ClientUnaryReactor* reactor) = 0;
  virtual Future<Answer> Unary(Method method, const Job& job,
                               const std::function<void(ClientContext*)>& setup) = 0;
  virtual std::unique_ptr<ClientWriter<Job>> Collect(ClientContext* context, Answer* answer) = 0;
  virtual std::unique_ptr<ClientReader<Answer>> Expand(ClientContext* context, const Job& job) = 0;
  virtual std::unique_ptr<ClientReaderWriter<Job, Answer>> Talk(ClientContext* context) = 0;
  virtual void Collect(ClientContext* context, Answer* answer,
                       ClientWriteReactor<Job>* reactor) = 0;
  virtual void Expand(ClientContext* context, const Job* job,
                      ClientReadReactor<Answer>* reactor) = 0;
  virtual void Talk(ClientContext* context, ClientBidiReactor<Job, Answer>* reactor) = 0;
};

// Of the service Reactors, or of Blocking. Holds the channel.
std::unique_ptr<Callee> MakeCallee(bool reactors, const std::shared_ptr<Channel>& channel);

}  // namespace spoolrpc::soak

#endif  // SPOOLRPC_TESTS_SOAK_CALLEE_H_
