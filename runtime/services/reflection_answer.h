// What reflection answers to one request; without the stream that carries it.
#ifndef SPOOLRPC_SERVICES_REFLECTION_ANSWER_H_
#define SPOOLRPC_SERVICES_REFLECTION_ANSWER_H_

#include <string>
#include <vector>

#include "google/protobuf/descriptor.h"
#include "grpc/reflection/v1/reflection.pb.h"

namespace spoolrpc::services {

// The reply to `request` by a server with these services, whose files are in `pool`. What is not
// found is an error_response with NOT_FOUND; a request that asks nothing, one with UNIMPLEMENTED.
// Thread-safe, since `pool` is; does not block.
grpc::reflection::v1::ServerReflectionResponse AnswerReflection(
    const grpc::reflection::v1::ServerReflectionRequest& request,
    const std::vector<std::string>& services, const google::protobuf::DescriptorPool& pool);

}  // namespace spoolrpc::services

#endif  // SPOOLRPC_SERVICES_REFLECTION_ANSWER_H_
