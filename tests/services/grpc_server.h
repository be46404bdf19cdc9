// A server of gRPC's own, to compare our services with.
#ifndef SPOOLRPC_TESTS_SERVICES_GRPC_SERVER_H_
#define SPOOLRPC_TESTS_SERVICES_GRPC_SERVER_H_

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/proto_utils.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/testing/scratch_directory.h"

namespace spoolrpc::services_test {

// With the services that gRPC brings. Lives in this process, on a socket of its own.
class GrpcServer {
 public:
  GrpcServer() : address_(absl::StrCat("unix:", scratch_ / "socket")) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(address_, grpc::InsecureServerCredentials());
    // Its builder wants a service beside those that it brings.
    builder.RegisterCallbackGenericService(&generic_);
    server_ = builder.BuildAndStart();
    EXPECT_NE(server_, nullptr) << address_;
    channel_ = grpc::CreateChannel(address_, grpc::InsecureChannelCredentials());
  }

  grpc::Server* server() const { return server_.get(); }
  grpc::Channel* channel() const { return channel_.get(); }

 private:
  const testing::ScratchDirectory scratch_{"/tmp"};
  const std::string address_;
  grpc::CallbackGenericService generic_;
  std::unique_ptr<grpc::Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace spoolrpc::services_test

#endif  // SPOOLRPC_TESTS_SERVICES_GRPC_SERVER_H_
