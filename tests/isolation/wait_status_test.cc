#include "spoolrpc/isolation/wait_status.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gtest/gtest.h"

namespace spoolrpc::isolation {
namespace {

std::string End(int signal, int status) {
  const pid_t pid = fork();
  if (pid == 0) {
    if (signal == 0) _exit(status);
    raise(signal);
  }
  int wait_status = 0;
  waitpid(pid, &wait_status, 0);
  return DescribeWaitStatus(wait_status);
}

TEST(WaitStatusTest, SignalsAndExits) {
  EXPECT_EQ(End(SIGKILL, 0), "was killed by signal 9 (SIGKILL, Killed)");
  EXPECT_EQ(End(SIGTERM, 0), "was killed by signal 15 (SIGTERM, Terminated)");
  EXPECT_EQ(End(SIGUSR1, 0), "was killed by signal 10 (User defined signal 1)");
  EXPECT_EQ(End(0, 3), "ended with exit status 3");
}

}  // namespace
}  // namespace spoolrpc::isolation
