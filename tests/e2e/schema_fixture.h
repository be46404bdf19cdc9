// What the tests of schemas and versions share: schema.proto's service in this process, servers of
// schema_other.proto in processes of their own, and records that are changed under a server.
#ifndef SPOOLRPC_TESTS_E2E_SCHEMA_FIXTURE_H_
#define SPOOLRPC_TESTS_E2E_SCHEMA_FIXTURE_H_

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "spoolrpc/spool.pb.h"
#include "spoolrpc/spoolrpc.h"
#include "tests/e2e/fixture.h"
#include "tests/e2e/schema.spoolrpc.pb.h"
#include "tests/failure/process.h"

namespace spoolrpc::e2e {

using ::schema::Grows;
using ::schema::Same;
using ::schema::Store;

// Answers with what it is given.
class StoreService final : public Store::Service {
 public:
  absl::Status Equal(ServerContext*, const Same* request, Same* reply) override {
    return Answer(*request, reply);
  }
  absl::Status Extended(ServerContext*, const Grows* request, Grows* reply) override {
    return Answer(*request, reply);
  }
  absl::Status OtherRequest(ServerContext*, const Same* request, Same* reply) override {
    if (before_other_request) before_other_request();
    return Answer(*request, reply);
  }
  absl::Status Talk(ServerContext*, ServerReaderWriter<Same, Same>* stream) override {
    Same message;
    while (stream->Read(&message)) stream->Write(message);
    return absl::OkStatus();
  }

  std::atomic<int> calls{0};
  std::function<void()> before_other_request;  // set before the server starts

 private:
  template <class Message>
  absl::Status Answer(const Message& request, Message* reply) {
    ++calls;
    *reply = request;
    return absl::OkStatus();
  }
};

class SchemaFixture : public BothTransports {
 protected:
  // A server of schema_other.proto, once it serves.
  std::unique_ptr<failure::Process> ServeOther() const;
  // A channel whose warnings go to warnings(), and a stub on it.
  std::shared_ptr<Channel> ConnectStore(const std::function<void(ChannelOptions*)>& change = {});
  std::unique_ptr<Store::Stub> NewStore(const std::function<void(ChannelOptions*)>& change = {}) {
    return Store::NewStub(ConnectStore(change));
  }
  const CapturedLog& warnings() const { return warnings_; }

  // Gives the server with this pid another record, for channels that come from now on.
  void ChangeRecord(int64_t pid, const std::function<void(spool::ServerRecord*)>& change) const;

  // The call ended as one of an incompatible method does, and well before its ack timeout.
  void ExpectMismatch(const absl::Status& status, absl::Time began,
                      const std::string& method) const;

 private:
  CapturedLog warnings_;
};

// A call of a unary method of Store, on a context of its own.
template <class Message>
absl::Status CallStore(Store::Stub* stub,
                       absl::Status (Store::Stub::*method)(ClientContext*, const Message&,
                                                           Message*),
                       std::string* peer = nullptr) {
  ClientContext context;
  Message request;
  request.set_text("text");
  Message reply;
  absl::Status status = (stub->*method)(&context, request, &reply);
  EXPECT_EQ(reply.text(), status.ok() ? "text" : reply.text());
  if (peer != nullptr) *peer = context.peer();
  return status;
}

}  // namespace spoolrpc::e2e

#endif  // SPOOLRPC_TESTS_E2E_SCHEMA_FIXTURE_H_
