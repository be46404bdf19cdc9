// `spoolrpc doctor`: examines a directory before anybody relies on it.

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "absl/flags/declare.h"
#include "absl/flags/flag.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "cli/command.h"
#include "cli/command_line.h"
#include "cli/doctor/doctor.h"
#include "cli/doctor_report.h"
#include "cli/exit_codes.h"
#include "cli/status_report.h"
#include "cli/text.h"

ABSL_DECLARE_FLAG(bool, json);
ABSL_FLAG(std::string, pair, "",
          "Examine it together with another node, on which the same command is started with the "
          "same word: up to 40 letters, digits, - and _.");
ABSL_DECLARE_FLAG(spoolrpc::cli::OptionalDuration, timeout);

namespace spoolrpc::cli {
namespace {

constexpr char kDescription[] =
    R"(Examines the file system of a directory for what the protocol relies on, and
prints what it found, a verdict, and the settings that it recommends. It works
in a directory of its own there, .spoolrpc-doctor-..., which it removes again;
a spool in that place, and everything else, it leaves alone.

Alone it finds out what one node can: the mount, modes, space and inodes, what
a flushed write and a reading past the cache cost, whether names have one
winner, doorbells. Whether two nodes understand each other only both can tell:

  node1$ spoolrpc doctor /scratch/me --pair=look
  node2$ spoolrpc doctor /scratch/me --pair=look

Who is first waits, a minute or --timeout. Both then measure how soon each
sees the other's bytes and names, by each way to read; what a round trip costs;
whether a name that both want has one winner; what becomes of removed files;
and, for the curious, how far apart their clocks are. It takes a minute or two.
Run both as one user.

Exit status:
  0  it works, perhaps with the settings that are printed
  1  do not use it: something does not hold that the protocol relies on
  2  wrong usage
  3  no answer: the directory cannot be used, the other node did not come or
     went away, or a check hangs and so does the file system
)";

constexpr size_t kMaxWord = 40;

int Complain(absl::string_view text, int status) {
  fprintf(stderr, "spoolrpc: %s\n", Printable(text).c_str());
  return status;
}

bool IsWord(absl::string_view text) {
  return !text.empty() && text.size() <= kMaxWord &&
         text.find_first_not_of(
             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") ==
             absl::string_view::npos;
}

// Signals that end the program, held back until it has tidied up.
class Interrupts {
 public:
  Interrupts() {
    sigemptyset(&set_);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set_, signal);
    // Threads that are made later inherit it.
    pthread_sigmask(SIG_BLOCK, &set_, nullptr);
  }
  // Whether one has come.
  bool Poll() {
    const timespec now = {};
    if (came_ == 0) {
      const int signal = sigtimedwait(&set_, nullptr, &now);
      if (signal > 0) came_ = signal;
    }
    return came_ != 0;
  }
  // Ends the program by the signal that has come, if one has.
  void Obey() {
    if (came_ == 0) return;
    signal(came_, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, &set_, nullptr);
    raise(came_);
  }

 private:
  sigset_t set_;
  int came_ = 0;
};

int Run(const std::vector<std::string>& arguments) {
  doctor::Options options;
  options.pair = absl::GetFlag(FLAGS_pair);
  if (const OptionalDuration timeout = absl::GetFlag(FLAGS_timeout); timeout.given) {
    options.timeout = timeout.value;
  }
  if (!options.pair.empty() && !IsWord(options.pair)) {
    return Complain(absl::StrCat("--pair=", options.pair,
                                 ": write a word of up to 40 letters, digits, - and _"),
                    kExitUsage);
  }
  char resolved[PATH_MAX];
  if (realpath(arguments[0].c_str(), resolved) == nullptr) {
    return Complain(absl::StrCat(arguments[0], ": give the path of a directory that is there"),
                    kExitUnusable);
  }
  options.directory = resolved;
  Interrupts interrupts;
  const auto partner = doctor::BellPartner::Start();
  options.partner = partner.get();
  options.interrupted = [&] { return interrupts.Poll(); };
  options.progress = [](absl::string_view text) { Complain(text, 0); };
  const doctor::Diagnosis diagnosis = doctor::Diagnose(options);

  const std::string text =
      absl::GetFlag(FLAGS_json) ? ToJson(ToDocument(diagnosis)) : DoctorText(diagnosis);
  if (diagnosis.ending.code() != absl::StatusCode::kCancelled) {
    fwrite(text.data(), 1, text.size(), stdout);
  }
  int status = kExitUnusable;
  if (diagnosis.verdict == doctor::Verdict::kDoNotUse) status = kExitNo;
  if (diagnosis.verdict == doctor::Verdict::kWorks ||
      diagnosis.verdict == doctor::Verdict::kWorksWithSettings) {
    status = kExitOk;
  }
  if (!diagnosis.ending.ok()) Complain(diagnosis.ending.message(), 0);
  if (diagnosis.ending.code() == absl::StatusCode::kDeadlineExceeded) {
    // A thread is still in the file system: destructors would wait for it, or for what it has.
    if (fflush(stdout) != 0) perror("spoolrpc: write to standard output");
    interrupts.Obey();
    _exit(status);
  }
  interrupts.Obey();
  return status;
}

}  // namespace

const Command& DoctorCommand() {
  static const Command* const command =
      new Command{"doctor",
                  "examines a directory for what the protocol relies on",
                  "doctor DIRECTORY [--pair=WORD] [--timeout=DURATION] [--json]",
                  kDescription,
                  {"pair", "timeout", "json"},
                  1,
                  1,
                  Run};
  return *command;
}

}  // namespace spoolrpc::cli
