// A server that greets: gRPC's hello world over a spool.

#include <signal.h>
#include <stdio.h>

#include <memory>
#include <string>
#include <thread>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "examples/greeter/helloworld.spoolrpc.pb.h"
#include "spoolrpc/spoolrpc.h"

ABSL_FLAG(std::string, spool, "",
          "the spool to serve: spool:/path or a plain path; empty: "
          "$SPOOLRPC_DIR, or ~/.cache/spoolrpc");

namespace {

using helloworld::Greeter;
using helloworld::HelloReply;
using helloworld::HelloRequest;

class GreeterServiceImpl final : public Greeter::Service {
  absl::Status SayHello(spoolrpc::ServerContext* context, const HelloRequest* request,
                        HelloReply* reply) override {
    reply->set_message("Hello " + request->name());
    return absl::OkStatus();
  }
};

int RunServer() {
  // SIGTERM and SIGINT are taken by a thread that drains the server.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  GreeterServiceImpl service;
  spoolrpc::ServerBuilder builder;
  builder.AddSpool(absl::GetFlag(FLAGS_spool));
  builder.RegisterService(&service);
  absl::StatusOr<std::unique_ptr<spoolrpc::Server>> server = builder.BuildAndStart();
  if (!server.ok()) {
    fprintf(stderr, "greeter_server: %s\n", server.status().ToString().c_str());
    return 1;
  }
  printf("Server listening on spool:%s\n", (*server)->spools()[0].c_str());
  fflush(stdout);

  std::thread([&signals, server = server->get()] {
    int signal = 0;
    sigwait(&signals, &signal);
    server->Shutdown();
  }).detach();
  const absl::Status ended = (*server)->Wait();
  if (!ended.ok()) fprintf(stderr, "greeter_server: %s\n", ended.ToString().c_str());
  return ended.ok() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("Serves helloworld.Greeter on a spool until SIGTERM.");
  absl::ParseCommandLine(argc, argv);
  return RunServer();
}
