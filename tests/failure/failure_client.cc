// A client of failure.proto for tests that kill it, or its server. Makes its calls from several
// threads over one channel, and prints a line for each that ends (result.h). Ends with the process
// that started it.

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "spoolrpc/spoolrpc.h"
#include "tests/failure/end_at.h"
#include "tests/failure/failure.spoolrpc.pb.h"
#include "tests/failure/make_call.h"
#include "tests/failure/other_host.h"
#include "tests/failure/result.h"

ABSL_FLAG(std::string, spool, "", "the spool");
ABSL_FLAG(std::string, method, "CountedAppend", "Echo, CountedAppend, AckFirst, IdempotentAppend");
ABSL_FLAG(std::string, id, "call", "ids of calls begin with this");
ABSL_FLAG(int, calls, 1, "how many in all; negative: without end");
ABSL_FLAG(int, threads, 1, "how many at once");
ABSL_FLAG(int64_t, microseconds, 0, "how long each handler takes");
ABSL_FLAG(std::string, hold_until, "", "handlers last until this file exists");
ABSL_FLAG(std::string, until, "", "no more calls are begun once this file exists");
ABSL_FLAG(absl::Duration, ack_timeout, absl::Seconds(20), "of each call");
ABSL_FLAG(absl::Duration, timeout, absl::InfiniteDuration(), "of each call");
ABSL_FLAG(absl::Duration, lease_term, absl::Seconds(10), "the client's lease");
ABSL_FLAG(bool, durable, false,
          "leave durable calls of CountedAppend, and print their tickets instead of results");
ABSL_FLAG(std::string, die_at, "", "where it is killed (end_at.h)");
ABSL_FLAG(bool, network, false, "as on a network file system");
ABSL_FLAG(bool, other_host, false, "as if alone on this host");

namespace {

using spoolrpc::failure::Failure;

void CallAgainAndAgain(Failure::StubInterface* stub, std::atomic<int>* next) {
  const int calls = absl::GetFlag(FLAGS_calls);
  const std::string until = absl::GetFlag(FLAGS_until);
  for (;;) {
    const int number = next->fetch_add(1);
    if (calls >= 0 && number >= calls) return;
    if (!until.empty() && access(until.c_str(), F_OK) == 0) return;
    spoolrpc::failure::Work work;
    work.set_id(absl::StrCat(absl::GetFlag(FLAGS_id), ".", number));
    work.set_microseconds(absl::GetFlag(FLAGS_microseconds));
    work.set_hold_until(absl::GetFlag(FLAGS_hold_until));
    spoolrpc::ClientContext context;
    context.set_ack_timeout(absl::GetFlag(FLAGS_ack_timeout));
    context.set_timeout(absl::GetFlag(FLAGS_timeout));
    const std::string line = spoolrpc::failure::FormatResult(
        spoolrpc::failure::MakeCall(stub, absl::GetFlag(FLAGS_method), &context, work));
    // One write, so that lines stay whole.
    if (write(STDOUT_FILENO, line.data(), line.size()) < 0) return;
  }
}

int LeaveDurableCalls(Failure::StubInterface* stub) {
  for (int i = 0; i < absl::GetFlag(FLAGS_calls); ++i) {
    spoolrpc::failure::Work work;
    work.set_id(absl::StrCat(absl::GetFlag(FLAGS_id), ".", i));
    work.set_microseconds(absl::GetFlag(FLAGS_microseconds));
    const auto ticket = stub->durable()->CountedAppend(work);
    if (!ticket.ok()) {
      fprintf(stderr, "failure_client: %s\n", ticket.status().ToString().c_str());
      return 1;
    }
    printf("%s\n", ticket->ToString().c_str());
    fflush(stdout);
  }
  return 0;
}

int RunClient() {
  static spoolrpc::failure::OtherHost other_host;
  static spoolrpc::testing::FaultySystemCalls calls;
  spoolrpc::ChannelOptions options;
  options.lease_term = absl::GetFlag(FLAGS_lease_term);
  if (absl::GetFlag(FLAGS_network)) options.transport = spoolrpc::spool::Transport::kNetwork;
  if (absl::GetFlag(FLAGS_other_host)) options.environment.host = &other_host;
  if (const std::string die_at = absl::GetFlag(FLAGS_die_at); !die_at.empty()) {
    spoolrpc::failure::SignalAt(&calls, die_at, SIGKILL);
    options.environment.calls = &calls;
  }
  const auto channel = spoolrpc::CreateChannel(absl::GetFlag(FLAGS_spool), options);
  if (!channel.ok()) {
    fprintf(stderr, "failure_client: %s\n", channel.status().ToString().c_str());
    return 1;
  }
  const auto stub = Failure::NewStub(*channel);
  if (absl::GetFlag(FLAGS_durable)) return LeaveDurableCalls(stub.get());
  std::atomic<int> next{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < absl::GetFlag(FLAGS_threads); ++i) {
    threads.emplace_back([&] { CallAgainAndAgain(stub.get(), &next); });
  }
  for (std::thread& thread : threads) thread.join();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  absl::ParseCommandLine(argc, argv);
  return RunClient();
}
