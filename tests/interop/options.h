// How both programs are told of the spool, and by which rules to use it.
#ifndef SPOOLRPC_TESTS_INTEROP_OPTIONS_H_
#define SPOOLRPC_TESTS_INTEROP_OPTIONS_H_

#include <string>

#include "spoolrpc/spoolrpc.h"

namespace spoolrpc::interop {

// What the flags --spool and --transport say. --transport is `auto`, `local`, or `network`: as
// between two hosts of a network file system, though both processes may be on one; nothing is then
// known of the other but what its files say. Anything else ends the program.
std::string SpoolAddress();
ChannelOptions OptionsOfChannel();
void Configure(ServerBuilder* builder);

}  // namespace spoolrpc::interop

#endif  // SPOOLRPC_TESTS_INTEROP_OPTIONS_H_
