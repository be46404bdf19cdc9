// The fingerprints by which two processes recognize that they were built from the same schema: of a
// whole service, and of each of its methods.
#ifndef SPOOLRPC_COMPILER_PLUGIN_FINGERPRINT_H_
#define SPOOLRPC_COMPILER_PLUGIN_FINGERPRINT_H_

#include <google/protobuf/descriptor.h>

#include <cstdint>
#include <string>

#include "compiler_plugin/annotations.h"

namespace spoolrpc::compiler {

// What a service's fingerprint covers, as text: the service's name and, for each method in the
// order of declaration, name, kind, types and options, then the shape of each message and enum that
// a call can carry, each once, in the order in which they are met (fields by number). Comments,
// files, imports, extensions (which files of one protoc run may or may not have) and the order of
// declarations inside messages do not count. The grammar is in docs/generated_code.md.
std::string CanonicalDescription(const google::protobuf::ServiceDescriptor& service,
                                 const Annotations& annotations);
// The same of one method alone, with the shapes that it reaches. The service's name is not in it.
std::string CanonicalDescription(const google::protobuf::MethodDescriptor& method,
                                 const Annotations& annotations);

// XXH3-64 of CanonicalDescription().
uint64_t Fingerprint(const google::protobuf::ServiceDescriptor& service,
                     const Annotations& annotations);
uint64_t Fingerprint(const google::protobuf::MethodDescriptor& method,
                     const Annotations& annotations);

}  // namespace spoolrpc::compiler

#endif  // SPOOLRPC_COMPILER_PLUGIN_FINGERPRINT_H_
