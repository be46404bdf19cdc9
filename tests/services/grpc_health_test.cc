// Our health service beside gRPC's own: the same messages, asked of both, get the same replies.
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/impl/client_unary_call.h>
#include <grpcpp/support/sync_stream.h>

#include "spoolrpc/services/health_service.h"
#include "tests/e2e/fixture.h"
#include "tests/services/grpc_server.h"

namespace spoolrpc::services_test {
namespace {

using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;
using grpc::internal::RpcMethod;

class GrpcHealthTest : public e2e::SpoolTest {
 protected:
  GrpcHealthTest() : SpoolTest(spool::Transport::kLocal) {
    grpc::EnableDefaultHealthCheckService(true);
    theirs_ = std::make_unique<GrpcServer>();
    ours_ = Serve(&health_);
    stub_ = Health::NewStub(Connect());
  }

  // Code and reply, by gRPC's server and by ours.
  std::pair<int, std::string> Theirs(const HealthCheckRequest& request) {
    grpc::ClientContext context;
    HealthCheckResponse response;
    const RpcMethod method("/grpc.health.v1.Health/Check", RpcMethod::NORMAL_RPC);
    const grpc::Status status =
        grpc::internal::BlockingUnaryCall<HealthCheckRequest, HealthCheckResponse>(
            theirs_->channel(), method, &context, request, &response);
    return {status.error_code(), response.SerializeAsString()};
  }
  std::pair<int, std::string> Ours(const HealthCheckRequest& request) {
    ClientContext context;
    HealthCheckResponse response;
    const absl::Status status = stub_->Check(&context, request, &response);
    return {static_cast<int>(status.code()), response.SerializeAsString()};
  }

  // Of what has been set in both.
  void ExpectTheSame(const std::string& when) {
    for (const char* const service : {"", "a.Service", "another.Service", "no.Service"}) {
      HealthCheckRequest request;
      request.set_service(service);
      EXPECT_EQ(Ours(request), Theirs(request)) << when << ": \"" << service << '"';
    }
  }
  void ForBoth(const std::function<void(grpc::HealthCheckServiceInterface*)>& theirs,
               const std::function<void(HealthCheckServiceInterface*)>& ours) {
    theirs(theirs_->server()->GetHealthCheckService());
    ours(&health_);
  }

  HealthService health_;
  std::unique_ptr<GrpcServer> theirs_;
  std::unique_ptr<Server> ours_;
  std::unique_ptr<Health::Stub> stub_;
};

TEST_F(GrpcHealthTest, Check) {
  ASSERT_NE(theirs_->server()->GetHealthCheckService(), nullptr);
  const auto set = [this](const std::string& service, bool serving) {
    const auto body = [&](auto* health) { health->SetServingStatus(service, serving); };
    ForBoth(body, body);
  };
  const auto set_all = [this](bool serving) {
    const auto body = [&](auto* health) { health->SetServingStatus(serving); };
    ForBoth(body, body);
  };
  ExpectTheSame("at first");
  set("a.Service", true);
  ExpectTheSame("with a service");
  set("another.Service", false);
  ExpectTheSame("with another");
  set_all(false);
  ExpectTheSame("none serving");
  set_all(true);
  ExpectTheSame("all serving");
  set("", false);
  ExpectTheSame("the whole server not serving");
  const auto shut_down = [](auto* health) { health->Shutdown(); };
  ForBoth(shut_down, shut_down);
  ExpectTheSame("shut down");
  set_all(true);
  set("a.Service", true);
  set("no.Service", true);
  ExpectTheSame("set after that");
}

TEST_F(GrpcHealthTest, Watch) {
  HealthCheckRequest request;
  request.set_service("a.Service");
  const RpcMethod method("/grpc.health.v1.Health/Watch", RpcMethod::SERVER_STREAMING);
  grpc::ClientContext their_context;
  const std::unique_ptr<grpc::ClientReader<HealthCheckResponse>> theirs(
      grpc::internal::ClientReaderFactory<HealthCheckResponse>::Create<HealthCheckRequest>(
          theirs_->channel(), method, &their_context, request));
  ClientContext our_context;
  const auto ours = stub_->Watch(&our_context, request);
  const auto expect_the_same = [&](const char* what) {
    HealthCheckResponse their_response;
    HealthCheckResponse our_response;
    ASSERT_TRUE(theirs->Read(&their_response)) << what;
    ASSERT_TRUE(ours->Read(&our_response)) << what;
    EXPECT_EQ(our_response.SerializeAsString(), their_response.SerializeAsString()) << what;
  };
  expect_the_same("not known yet");
  for (const bool serving : {true, false, true}) {
    const auto set = [&](auto* health) { health->SetServingStatus("a.Service", serving); };
    ForBoth(set, set);
    expect_the_same(serving ? "serving" : "not serving");
  }
  const auto shut_down = [](auto* health) { health->Shutdown(); };
  ForBoth(shut_down, shut_down);
  expect_the_same("shut down");
  their_context.TryCancel();
  our_context.TryCancel();
  EXPECT_EQ(static_cast<int>(ours->Finish().code()), theirs->Finish().error_code());
}

}  // namespace
}  // namespace spoolrpc::services_test
