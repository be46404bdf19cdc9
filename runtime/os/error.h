// The one place where errno becomes a status.
#ifndef SPOOLRPC_OS_ERROR_H_
#define SPOOLRPC_OS_ERROR_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace spoolrpc::os {

// A status of the most specific code for `error` (an errno value, not 0), with the message
// "OPERATION PATH: text". The errno value itself can be had back with ErrnoOf().
absl::Status ErrnoToStatus(int error, absl::string_view operation, absl::string_view path);

// The errno value of a status made by ErrnoToStatus(), or 0.
int ErrnoOf(const absl::Status& status);

// True for what an interrupted look at a file on a network file system says when the file was
// replaced or removed meanwhile: close, and open anew.
bool IsStale(const absl::Status& status);

// `status` with "context: " before its message; payloads are kept.
absl::Status Annotate(const absl::Status& status, absl::string_view context);

}  // namespace spoolrpc::os

#endif  // SPOOLRPC_OS_ERROR_H_
