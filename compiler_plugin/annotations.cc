#include "compiler_plugin/annotations.h"

#include <google/protobuf/descriptor.pb.h>

#include <algorithm>
#include <utility>

#include "absl/strings/string_view.h"
#include "compiler_plugin/diagnostics.h"
#include "compiler_plugin/option_value.h"

namespace spoolrpc::compiler {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using google::protobuf::MethodDescriptor;
using google::protobuf::MethodDescriptorProto;
using google::protobuf::MethodOptions;
using google::protobuf::ServiceDescriptor;
using google::protobuf::ServiceDescriptorProto;

constexpr int kInline = 1;   // MethodOptions.Execution
constexpr int kProcess = 1;  // MethodOptions.Isolation
constexpr int kZstd = 2;     // MethodOptions.Compression
constexpr uint32_t kUnavailable = uint32_t{1} << 14;

bool Streams(const MethodDescriptor& method) {
  return method.client_streaming() || method.server_streaming();
}

bool IsIdempotent(const MethodDescriptor& method) {
  return method.options().idempotency_level() != MethodOptions::IDEMPOTENCY_UNKNOWN;
}

BatchAnnotation ReadBatch(const OptionValue& value) {
  BatchAnnotation batch;
  bool has_size = false;
  value.ForEachField([&](const FieldDescriptor& field) {
    if (field.name() == "max_size") {
      has_size = true;
      value.ReadInt(field, 1, &batch.max_size);
    } else if (field.name() == "max_delay") {
      value.ReadDuration(field, /*zero_allowed=*/true, &batch.max_delay_ns);
    } else {
      value.AddNewer(field);
    }
  });
  if (!has_size) value.AddError("max_size", "is 0: write 1 or more");
  return batch;
}

RetryAnnotation ReadRetry(const OptionValue& value) {
  RetryAnnotation retry = {4, 100'000'000, 5'000'000'000, 2, kUnavailable};
  bool has_max_backoff = false;
  value.ForEachField([&](const FieldDescriptor& field) {
    if (field.name() == "max_attempts") {
      value.ReadInt(field, 2, &retry.max_attempts);
    } else if (field.name() == "initial_backoff") {
      value.ReadDuration(field, /*zero_allowed=*/false, &retry.initial_backoff_ns);
    } else if (field.name() == "max_backoff") {
      has_max_backoff = true;
      value.ReadDuration(field, /*zero_allowed=*/false, &retry.max_backoff_ns);
    } else if (field.name() == "backoff_multiplier") {
      value.ReadDouble(field, 1, &retry.backoff_multiplier);
    } else if (field.name() == "retryable_codes") {
      value.ReadCodes(field, &retry.retryable_codes);
    } else {
      value.AddNewer(field);
    }
  });
  if (!has_max_backoff) {
    retry.max_backoff_ns = std::max(retry.max_backoff_ns, retry.initial_backoff_ns);
  } else if (retry.max_backoff_ns < retry.initial_backoff_ns) {
    value.AddError("max_backoff", "is shorter than initial_backoff: write at least as much");
  }
  return retry;
}

HedgingAnnotation ReadHedging(const OptionValue& value) {
  HedgingAnnotation hedging = {2, 500'000'000, kUnavailable};
  value.ForEachField([&](const FieldDescriptor& field) {
    if (field.name() == "max_attempts") {
      value.ReadInt(field, 2, &hedging.max_attempts);
    } else if (field.name() == "delay") {
      value.ReadDuration(field, /*zero_allowed=*/true, &hedging.delay_ns);
    } else if (field.name() == "non_fatal_codes") {
      value.ReadCodes(field, &hedging.non_fatal_codes);
    } else {
      value.AddNewer(field);
    }
  });
  return hedging;
}

// Of a service or a method: what only the other one has is not in its definition.
void ReadAnnotations(const OptionValue& value, MethodAnnotations* annotations) {
  value.ForEachField([&](const FieldDescriptor& field) {
    const absl::string_view name = field.name();
    if (name == "timeout") {
      value.ReadDuration(field, /*zero_allowed=*/false, &annotations->timeout_ns);
    } else if (name == "ack_timeout") {
      value.ReadDuration(field, /*zero_allowed=*/false, &annotations->ack_timeout_ns);
    } else if (name == "ack_before_execution") {
      annotations->ack_before_execution = value.GetBool(field);
    } else if (name == "concurrency") {
      value.ReadInt(field, 1, &annotations->concurrency);
    } else if (name == "execution") {
      value.ReadEnum(field, kInline, &annotations->execution);
    } else if (name == "isolation") {
      value.ReadEnum(field, kProcess, &annotations->isolation);
    } else if (name == "compression") {
      value.ReadEnum(field, kZstd, &annotations->compression);
    } else if (name == "batch") {
      annotations->batch = ReadBatch(value.Get(field));
    } else if (name == "retry") {
      annotations->retry = ReadRetry(value.Get(field));
    } else if (name == "hedging") {
      annotations->hedging = ReadHedging(value.Get(field));
    } else {
      value.AddNewer(field);
    }
  });
}

// What a method cannot have, or not together.
void CheckMethod(const MethodDescriptor& method, const MethodAnnotations& annotations,
                 const OptionValue& value) {
  const bool batches = annotations.batch.max_size > 0;
  if (batches && Streams(method)) {
    value.AddError("batch", "is on a method that streams: only unary calls go in batches");
  }
  for (const auto& [name, given] : {std::pair("retry", annotations.retry.max_attempts > 0),
                                    std::pair("hedging", annotations.hedging.max_attempts > 0)}) {
    if (!given) continue;
    if (!IsIdempotent(method)) {
      value.AddError(name,
                     "would execute a method more than once that does not say it may be: add "
                     "option idempotency_level = IDEMPOTENT or NO_SIDE_EFFECTS");
    }
    if (Streams(method)) {
      value.AddError(name, "is on a method that streams: only unary calls are sent again");
    }
  }
  if (annotations.retry.max_attempts > 0 && annotations.hedging.max_attempts > 0) {
    value.AddError("hedging", "is on a method with retry: write one of the two");
  }
  if (annotations.execution != kInline) return;
  if (Streams(method)) {
    value.AddError("execution",
                   "is INLINE on a method that streams: it would block the I/O thread");
  }
  if (annotations.concurrency > 0) {
    value.AddError("execution", "is INLINE on a method with concurrency: write one of the two");
  }
  if (annotations.isolation == kProcess) {
    value.AddError("execution",
                   "is INLINE on a method with isolation: PROCESS: write one of the two");
  }
  if (batches) {
    value.AddError("execution", "is INLINE on a method with batch: write one of the two");
  }
}

}  // namespace

Annotations::Annotations(const FileDescriptor& file, std::vector<std::string>* errors) {
  for (int i = 0; i < file.service_count(); ++i) {
    const ServiceDescriptor& service = *file.service(i);
    MethodAnnotations defaults;
    std::vector<int> path = PathOf(service);
    path.push_back(ServiceDescriptorProto::kOptionsFieldNumber);
    ReadOption(file, service.options(), "spoolrpc.service", path, errors,
               [&](const OptionValue& value) { ReadAnnotations(value, &defaults); });
    const RetryAnnotation default_retry = std::exchange(defaults.retry, {});
    for (int j = 0; j < service.method_count(); ++j) {
      const MethodDescriptor& method = *service.method(j);
      MethodAnnotations annotations = defaults;
      path = PathOf(method);
      path.push_back(MethodDescriptorProto::kOptionsFieldNumber);
      ReadOption(file, method.options(), "spoolrpc.method", path, errors,
                 [&](const OptionValue& value) {
                   ReadAnnotations(value, &annotations);
                   CheckMethod(method, annotations, value);
                 });
      const bool repeats =
          annotations.retry.max_attempts > 0 || annotations.hedging.max_attempts > 0;
      if (!repeats && IsIdempotent(method) && !Streams(method)) annotations.retry = default_retry;
      methods_[&method] = annotations;
    }
  }
}

}  // namespace spoolrpc::compiler
