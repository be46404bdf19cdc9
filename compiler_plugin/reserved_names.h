// Names that a method or a service cannot have in C++.
#ifndef SPOOLRPC_COMPILER_PLUGIN_RESERVED_NAMES_H_
#define SPOOLRPC_COMPILER_PLUGIN_RESERVED_NAMES_H_

#include "absl/strings/string_view.h"

namespace spoolrpc::compiler {

// A keyword of any C++ up to C++20, or a macro that a header which generated code includes defines.
bool IsReservedInCpp(absl::string_view name);

// A member of generated classes: Stub, StubInterface, Service, NewStub and so on, also those that
// hold the other ways to call (async, future, durable). docs/generated_code.md lists them.
bool IsGeneratedMember(absl::string_view name);

// A namespace that generated code needs in the global namespace: std, absl and so on.
bool IsNeededNamespace(absl::string_view name);

}  // namespace spoolrpc::compiler

#endif  // SPOOLRPC_COMPILER_PLUGIN_RESERVED_NAMES_H_
