// Why a spool or a session cannot be used, on its way to the caller's ErrorInfo.
#ifndef SPOOLRPC_SPOOL_REASON_H_
#define SPOOLRPC_SPOOL_REASON_H_

#include "absl/status/status.h"
#include "spoolrpc/errors.pb.h"

namespace spoolrpc::spool {

// `status` with that reason; it stays within this process.
absl::Status WithReason(absl::Status status, ErrorInfo::Reason reason);

// The reason that WithReason() gave, or `otherwise`.
ErrorInfo::Reason ReasonOf(const absl::Status& status, ErrorInfo::Reason otherwise);

}  // namespace spoolrpc::spool

#endif  // SPOOLRPC_SPOOL_REASON_H_
