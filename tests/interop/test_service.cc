#include "tests/interop/test_service.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"

namespace spoolrpc::interop {
namespace {

constexpr char kEchoInitial[] = "x-grpc-test-echo-initial";
constexpr char kEchoTrailing[] = "x-grpc-test-echo-trailing-bin";

void EchoMetadata(ServerContext* context) {
  const Metadata& sent = context->client_metadata();
  for (auto [it, end] = sent.equal_range(kEchoInitial); it != end; ++it) {
    context->AddInitialMetadata(it->first, it->second);
  }
  for (auto [it, end] = sent.equal_range(kEchoTrailing); it != end; ++it) {
    context->AddTrailingMetadata(it->first, it->second);
  }
}

absl::Status ToStatus(const grpc::testing::EchoStatus& status) {
  return absl::Status(static_cast<absl::StatusCode>(status.code()), status.message());
}

absl::Status FillPayload(grpc::testing::PayloadType type, int32_t size,
                         grpc::testing::Payload* payload) {
  if (type != grpc::testing::COMPRESSABLE) {
    return absl::InvalidArgumentError(absl::StrCat("there is no payload of type ", type));
  }
  if (size < 0) return absl::InvalidArgumentError(absl::StrCat("a payload of ", size, " bytes"));
  payload->set_type(type);
  payload->mutable_body()->assign(size, '\0');
  return absl::OkStatus();
}

// False: nobody waits for the call any more.
bool Pause(ServerContext* context, absl::Duration duration) {
  if (duration <= absl::ZeroDuration()) return !context->IsCancelled();
  const auto cancelled = std::make_shared<absl::Notification>();
  context->NotifyOnCancel([cancelled] { cancelled->Notify(); });
  const bool told = cancelled->WaitForNotificationWithTimeout(duration);
  context->NotifyOnCancel([] {});
  return !told && !context->IsCancelled();
}

// INVALID_ARGUMENT unless the message came as its sender says it should have. `request` is of a
// type that has expect_compressed.
template <class Request>
absl::Status CheckCompression(const ServerContext& context, const Request& request) {
  if (!request.has_expect_compressed() ||
      request.expect_compressed().value() == context.request_was_compressed()) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(context.request_was_compressed()
                                        ? "the request came compressed"
                                        : "the request came as it is, not compressed");
}

// Whether a message is to be compressed; if nothing is said of it: no.
bool Compresses(const grpc::testing::BoolValue& wanted) { return wanted.value(); }

// Sends what one request asks for; the end of the call that it asks for, if any, is `*ended`.
template <class Stream>
absl::Status Answer(ServerContext* context, const StreamingOutputCallRequest& request,
                    Stream* stream, bool* ended) {
  *ended = true;
  if (request.has_response_status()) return ToStatus(request.response_status());
  StreamingOutputCallResponse response;
  context->set_compression(Compression::kZstd);
  for (const grpc::testing::ResponseParameters& parameters : request.response_parameters()) {
    if (absl::Status filled =
            FillPayload(request.response_type(), parameters.size(), response.mutable_payload());
        !filled.ok()) {
      return filled;
    }
    WriteOptions options;
    if (!Compresses(parameters.compressed())) options.set_no_compression();
    if (!Pause(context, absl::Microseconds(parameters.interval_us())) ||
        !stream->Write(response, options)) {
      return absl::CancelledError("nobody reads any more");
    }
  }
  *ended = false;
  return absl::OkStatus();
}

}  // namespace

absl::Status TestServiceImpl::EmptyCall(ServerContext*, const Empty*, Empty*) {
  return absl::OkStatus();
}

absl::Status TestServiceImpl::UnaryCall(ServerContext* context, const SimpleRequest* request,
                                        SimpleResponse* reply) {
  EchoMetadata(context);
  if (absl::Status as_expected = CheckCompression(*context, *request); !as_expected.ok()) {
    return as_expected;
  }
  if (request->has_response_status()) return ToStatus(request->response_status());
  context->set_compression(Compresses(request->response_compressed()) ? Compression::kZstd
                                                                      : Compression::kNone);
  return FillPayload(request->response_type(), request->response_size(), reply->mutable_payload());
}

absl::Status TestServiceImpl::StreamingOutputCall(
    ServerContext* context, const StreamingOutputCallRequest* request,
    ServerWriter<StreamingOutputCallResponse>* writer) {
  EchoMetadata(context);
  bool ended = false;
  return Answer(context, *request, writer, &ended);
}

absl::Status TestServiceImpl::StreamingInputCall(ServerContext* context,
                                                 ServerReader<StreamingInputCallRequest>* reader,
                                                 StreamingInputCallResponse* reply) {
  EchoMetadata(context);
  StreamingInputCallRequest request;
  int64_t sum = 0;
  while (reader->Read(&request)) {
    if (absl::Status as_expected = CheckCompression(*context, request); !as_expected.ok()) {
      return as_expected;
    }
    sum += static_cast<int64_t>(request.payload().body().size());
  }
  reply->set_aggregated_payload_size(static_cast<int32_t>(sum));
  return absl::OkStatus();
}

absl::Status TestServiceImpl::FullDuplexCall(
    ServerContext* context,
    ServerReaderWriter<StreamingOutputCallResponse, StreamingOutputCallRequest>* stream) {
  EchoMetadata(context);
  StreamingOutputCallRequest request;
  bool ended = false;
  while (stream->Read(&request)) {
    const absl::Status status = Answer(context, request, stream, &ended);
    if (ended) return status;
  }
  return absl::OkStatus();
}

absl::Status TestServiceImpl::HalfDuplexCall(
    ServerContext* context,
    ServerReaderWriter<StreamingOutputCallResponse, StreamingOutputCallRequest>* stream) {
  EchoMetadata(context);
  std::vector<StreamingOutputCallRequest> requests;
  StreamingOutputCallRequest request;
  while (stream->Read(&request)) requests.push_back(request);
  bool ended = false;
  for (const StreamingOutputCallRequest& next : requests) {
    const absl::Status status = Answer(context, next, stream, &ended);
    if (ended) return status;
  }
  return absl::OkStatus();
}

}  // namespace spoolrpc::interop
