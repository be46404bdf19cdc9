// How a process ended, in words.
#ifndef SPOOLRPC_ISOLATION_WAIT_STATUS_H_
#define SPOOLRPC_ISOLATION_WAIT_STATUS_H_

#include <string>

namespace spoolrpc::isolation {

// "was killed by signal 11 (SIGSEGV, Segmentation fault)" or "ended with exit status 3", of what
// waitpid() tells.
std::string DescribeWaitStatus(int wait_status);

}  // namespace spoolrpc::isolation

#endif  // SPOOLRPC_ISOLATION_WAIT_STATUS_H_
