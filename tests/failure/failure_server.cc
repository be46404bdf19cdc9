// A server of failure.proto for tests that kill it, stop it, and take its disk away. Prints "ready"
// when it serves. SIGTERM drains it. Ends with the process that started it.

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "spoolrpc/spoolrpc.h"
#include "tests/failure/end_at.h"
#include "tests/failure/failure_service.h"
#include "tests/failure/other_host.h"
#include "tests/testing/faulty_system_calls.h"

ABSL_FLAG(std::string, spool, "", "the spool to serve");
ABSL_FLAG(std::string, executions, "", "where handlers record what they execute");
ABSL_FLAG(bool, network, false, "as on a network file system");
ABSL_FLAG(bool, other_host, false, "as if alone on this host");
ABSL_FLAG(absl::Duration, lease_term, absl::Seconds(10), "the server's lease");
ABSL_FLAG(int, workers, 0, "handlers at once; 0: the usual number");
ABSL_FLAG(std::string, stop_if, "",
          "while this file exists, the next write to a response log removes "
          "it and stops the process (SIGSTOP) before it writes");
ABSL_FLAG(absl::Duration, slow_sessions, absl::ZeroDuration(),
          "so long the file system takes for the directory of each session");
ABSL_FLAG(std::string, die_at, "", "where it is killed (end_at.h)");
ABSL_FLAG(std::string, stop_at, "", "where it stops itself (end_at.h)");
ABSL_FLAG(std::string, exclusive, "", "refuse or force: whether it shares its spool");
ABSL_FLAG(absl::Duration, grace, absl::Seconds(10), "with --exclusive=force: what others get");
ABSL_FLAG(bool, quiet, true, "log warnings only");

namespace {

using spoolrpc::testing::Call;

int RunServer() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  static spoolrpc::failure::OtherHost other_host;
  static spoolrpc::testing::FaultySystemCalls calls;
  spoolrpc::failure::FailureService service(absl::GetFlag(FLAGS_executions));
  spoolrpc::os::Environment environment;
  if (absl::GetFlag(FLAGS_other_host)) environment.host = &other_host;
  if (const std::string stop_if = absl::GetFlag(FLAGS_stop_if); !stop_if.empty()) {
    calls.Run({Call::kPwrite, "/responses"}, [stop_if] {
      if (unlink(stop_if.c_str()) == 0) raise(SIGSTOP);
    });
    environment.calls = &calls;
  }
  if (const absl::Duration slow = absl::GetFlag(FLAGS_slow_sessions); slow > absl::ZeroDuration()) {
    calls.Run({Call::kMkdir, "/sessions/"}, [slow] { absl::SleepFor(slow); });
    environment.calls = &calls;
  }
  for (const auto& [where, signal] : {std::make_pair(absl::GetFlag(FLAGS_die_at), SIGKILL),
                                      std::make_pair(absl::GetFlag(FLAGS_stop_at), SIGSTOP)}) {
    if (where.empty()) continue;
    spoolrpc::failure::SignalAt(&calls, where, signal);
    environment.calls = &calls;
  }
  spoolrpc::ServerBuilder builder;
  builder.AddSpool(absl::GetFlag(FLAGS_spool));
  builder.RegisterService(&service);
  builder.set_lease_term(absl::GetFlag(FLAGS_lease_term));
  if (absl::GetFlag(FLAGS_workers) > 0) builder.set_workers(absl::GetFlag(FLAGS_workers));
  if (absl::GetFlag(FLAGS_network)) builder.set_transport(spoolrpc::spool::Transport::kNetwork);
  if (absl::GetFlag(FLAGS_quiet)) builder.set_log_level(spoolrpc::LogLevel::kWarning);
  if (const std::string exclusive = absl::GetFlag(FLAGS_exclusive); !exclusive.empty()) {
    builder.set_exclusive(exclusive == "force" ? spoolrpc::spool::ExclusiveMode::kForce
                                               : spoolrpc::spool::ExclusiveMode::kRefuse,
                          absl::GetFlag(FLAGS_grace));
  }
  builder.set_environment(environment);
  absl::StatusOr<std::unique_ptr<spoolrpc::Server>> server = builder.BuildAndStart();
  if (!server.ok()) {
    printf("failed %s\n", server.status().ToString().c_str());
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
  printf("ended %s\n", ended.ToString().c_str());
  return ended.ok() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  absl::ParseCommandLine(argc, argv);
  return RunServer();
}
