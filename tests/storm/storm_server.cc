// A server of a storm. Prints "ready" when it serves. SIGTERM drains it. Ends with the process that
// started it.

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>

#include <memory>
#include <string>
#include <thread>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/time/time.h"
#include "spoolrpc/spoolrpc.h"
#include "tests/failure/other_host.h"
#include "tests/storm/history.h"
#include "tests/storm/storm_service.h"

ABSL_FLAG(std::string, spool, "", "the spool to serve");
ABSL_FLAG(std::string, name, "", "the process's own in the storm");
ABSL_FLAG(std::string, history, "", "the file of its history");
ABSL_FLAG(absl::Duration, lease_term, absl::Seconds(1), "the server's lease");
ABSL_FLAG(bool, network, false, "as on a network file system");
ABSL_FLAG(bool, other_host, false, "as if alone on this host");

namespace {

int RunServer() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  static spoolrpc::failure::OtherHost other_host;
  const spoolrpc::storm::History history(absl::GetFlag(FLAGS_history));
  spoolrpc::storm::StormService service(absl::GetFlag(FLAGS_name), &history);
  spoolrpc::ServerBuilder builder;
  builder.AddSpool(absl::GetFlag(FLAGS_spool));
  builder.RegisterService(&service);
  builder.set_lease_term(absl::GetFlag(FLAGS_lease_term));
  builder.set_workers(16);
  if (absl::GetFlag(FLAGS_network)) builder.set_transport(spoolrpc::spool::Transport::kNetwork);
  if (absl::GetFlag(FLAGS_other_host)) {
    spoolrpc::os::Environment environment;
    environment.host = &other_host;
    builder.set_environment(environment);
  }
  const auto server = builder.BuildAndStart();
  if (!server.ok()) {
    fprintf(stderr, "storm_server: %s\n", server.status().ToString().c_str());
    return 1;
  }
  printf("ready\n");
  fflush(stdout);
  std::thread([&signals, server = server->get()] {
    int signal = 0;
    sigwait(&signals, &signal);
    server->Shutdown();
  }).detach();
  const absl::Status ended = (*server)->Wait();
  if (!ended.ok()) fprintf(stderr, "storm_server: %s\n", ended.ToString().c_str());
  return ended.ok() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  absl::ParseCommandLine(argc, argv);
  return RunServer();
}
