// What scripts are told by the exit status of spoolrpc. Documented in the help of each command, and
// never changed: scripts depend on them.
#ifndef SPOOLRPC_CLI_EXIT_CODES_H_
#define SPOOLRPC_CLI_EXIT_CODES_H_

namespace spoolrpc::cli {

constexpr int kExitOk = 0;
// The question has a clear answer, and it is no: no live server; a damaged file.
constexpr int kExitNo = 1;
constexpr int kExitUsage = 2;
// No answer can be had: the spool or the file cannot be used or read.
constexpr int kExitUnusable = 3;
// A call was asked for, and ended with an error.
constexpr int kExitFailed = 4;

}  // namespace spoolrpc::cli

#endif  // SPOOLRPC_CLI_EXIT_CODES_H_
