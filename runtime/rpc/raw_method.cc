#include "spoolrpc/rpc/raw_method.h"

#include <map>
#include <memory>
#include <string>
#include <tuple>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"

namespace spoolrpc::rpc {
namespace {

struct Entry {
  std::string name;
  MethodInfo info;
};

using Key =
    std::tuple<std::string, Idempotency, int64_t, int64_t, bool, int, Execution, Compression>;

struct Methods {
  absl::Mutex mu;
  std::map<Key, std::unique_ptr<Entry>> known ABSL_GUARDED_BY(mu);
};

Methods& AllMethods() {
  static auto* const methods = new Methods;
  return *methods;
}

bool IsMethodName(absl::string_view name) {
  const size_t slash = name.rfind('/');
  return name.size() > 2 && name[0] == '/' && slash > 1 && slash != absl::string_view::npos &&
         slash + 1 < name.size() && name.find('/', 1) == slash;
}

}  // namespace

absl::StatusOr<const MethodInfo*> RawMethod(absl::string_view full_name,
                                            const RawMethodOptions& options) {
  if (!IsMethodName(full_name)) {
    return absl::InvalidArgumentError(
        absl::StrCat("raw method \"", full_name, "\": a name looks like /package.Service/Method"));
  }
  if (options.timeout < absl::ZeroDuration() || options.ack_timeout < absl::ZeroDuration() ||
      options.concurrency < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("raw method ", full_name, ": an option is negative"));
  }
  const int64_t timeout = absl::ToInt64Nanoseconds(options.timeout);
  const int64_t ack_timeout = absl::ToInt64Nanoseconds(options.ack_timeout);
  Key key(full_name, options.idempotency, timeout, ack_timeout, options.ack_before_execution,
          options.concurrency, options.execution, options.compression);
  Methods& methods = AllMethods();
  absl::MutexLock lock(&methods.mu);
  std::unique_ptr<Entry>& entry = methods.known[std::move(key)];
  if (entry == nullptr) {
    entry = std::make_unique<Entry>();
    entry->name = std::string(full_name);
    entry->info.full_name = entry->name.c_str();
    entry->info.idempotency = options.idempotency;
    entry->info.timeout_ns = timeout;
    entry->info.ack_timeout_ns = ack_timeout;
    entry->info.ack_before_execution = options.ack_before_execution;
    entry->info.concurrency = options.concurrency;
    entry->info.execution = options.execution;
    entry->info.compression = options.compression;
  }
  return &entry->info;
}

}  // namespace spoolrpc::rpc
