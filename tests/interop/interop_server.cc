// The server of gRPC's interop tests, on a spool. Says "Server listening" when it serves; SIGTERM
// drains it.

#include <signal.h>
#include <stdio.h>

#include <memory>
#include <thread>

#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "spoolrpc/spoolrpc.h"
#include "tests/interop/options.h"
#include "tests/interop/test_service.h"

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("Serves grpc.testing.TestService on a spool until SIGTERM.");
  absl::ParseCommandLine(argc, argv);
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  spoolrpc::interop::TestServiceImpl service;
  spoolrpc::ServerBuilder builder;
  spoolrpc::interop::Configure(&builder);
  builder.RegisterService(&service);
  const auto server = builder.BuildAndStart();
  if (!server.ok()) {
    fprintf(stderr, "interop_server: %s\n", server.status().ToString().c_str());
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
  if (!ended.ok()) fprintf(stderr, "interop_server: %s\n", ended.ToString().c_str());
  return ended.ok() ? 0 : 1;
}
