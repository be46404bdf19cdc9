// A server of a soak. Prints "ready" when it serves. SIGTERM drains it. What is wrong with the
// requests that it gets it says on stderr, with "soak:" in front, and by its exit status. Ends with
// the process that started it.

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>

#include <memory>
#include <string>
#include <thread>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/time/time.h"
#include "spoolrpc/exec/timer_queue.h"
#include "spoolrpc/spoolrpc.h"
#include "tests/soak/blocking_service.h"
#include "tests/soak/journal.h"
#include "tests/soak/reactor_service.h"

ABSL_FLAG(std::string, spool, "", "the spool to serve");
ABSL_FLAG(std::string, ledger, "", "the file in which the soak's processes note what they know");
ABSL_FLAG(bool, network, false, "as on a network file system");
ABSL_FLAG(int, workers, 8, "handlers at once");

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
// As soak_client's; it also makes the memory that is in use comparable over time.
extern "C" const char* __asan_default_options() { return "quarantine_size_mb=8"; }
#endif
#endif

namespace {

int RunServer() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  spoolrpc::soak::Journal journal(absl::GetFlag(FLAGS_ledger));
  spoolrpc::exec::TimerQueue timers(spoolrpc::os::Clock::Real());
  spoolrpc::soak::BlockingService blocking(&journal);
  spoolrpc::soak::ReactorService reactors(&journal, &timers);
  spoolrpc::ServerBuilder builder;
  builder.AddSpool(absl::GetFlag(FLAGS_spool));
  builder.RegisterService(&blocking);
  builder.RegisterService(&reactors);
  builder.set_workers(absl::GetFlag(FLAGS_workers));
  builder.set_max_streams(32);
  builder.set_log_level(spoolrpc::LogLevel::kWarning);
  if (absl::GetFlag(FLAGS_network)) builder.set_transport(spoolrpc::spool::Transport::kNetwork);
  absl::StatusOr<std::unique_ptr<spoolrpc::Server>> server = builder.BuildAndStart();
  if (!server.ok()) {
    fprintf(stderr, "soak: %s\n", server.status().ToString().c_str());
    return 1;
  }
  printf("ready\n");
  fflush(stdout);
  std::thread drain([&signals, server = server->get()] {
    int signal = 0;
    sigwait(&signals, &signal);
    server->Shutdown();
  });
  const absl::Status ended = (*server)->Wait();
  if (!ended.ok()) {
    fprintf(stderr, "soak: %s\n", ended.ToString().c_str());
    kill(getpid(), SIGTERM);
  }
  drain.join();
  return ended.ok() && !journal.found_errors() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  absl::ParseCommandLine(argc, argv);
  return RunServer();
}
