#include "spoolrpc/isolation/wait_status.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "absl/strings/str_cat.h"

namespace spoolrpc::isolation {
namespace {

// (glibc has sigabbrev_np() only since 2.32.)
const char* Abbreviation(int signal) {
  switch (signal) {
    case SIGABRT:
      return "SIGABRT, ";
    case SIGBUS:
      return "SIGBUS, ";
    case SIGFPE:
      return "SIGFPE, ";
    case SIGHUP:
      return "SIGHUP, ";
    case SIGILL:
      return "SIGILL, ";
    case SIGINT:
      return "SIGINT, ";
    case SIGKILL:
      return "SIGKILL, ";
    case SIGPIPE:
      return "SIGPIPE, ";
    case SIGSEGV:
      return "SIGSEGV, ";
    case SIGSYS:
      return "SIGSYS, ";
    case SIGTERM:
      return "SIGTERM, ";
    case SIGXCPU:
      return "SIGXCPU, ";
    case SIGXFSZ:
      return "SIGXFSZ, ";
    default:
      return "";
  }
}

}  // namespace

std::string DescribeWaitStatus(int wait_status) {
  if (WIFSIGNALED(wait_status)) {
    const int signal = WTERMSIG(wait_status);
    return absl::StrCat("was killed by signal ", signal, " (", Abbreviation(signal),
                        strsignal(signal), ")");  // NOLINT(concurrency-mt-unsafe)
  }
  return absl::StrCat("ended with exit status ", WEXITSTATUS(wait_status));
}

}  // namespace spoolrpc::isolation
