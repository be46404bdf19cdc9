#include "runtime/spool/staged_directory.h"

#include "spoolrpc/os/file.h"

namespace spoolrpc::spool {
namespace {

constexpr char kNew[] = "new";

std::string StageOf(const std::string& staged) { return staged.substr(0, staged.rfind('/')); }

}  // namespace

absl::StatusOr<std::string> StageDirectory(const Spool& spool, const std::string& parent) {
  const std::string temporary = spool.TemporaryPath(parent);
  if (!spool.network()) return temporary;
  if (absl::Status s = spool.MakeDirectory(temporary); !s.ok()) return s;
  return Join(temporary, kNew);
}

void RemoveStage(const Spool& spool, const std::string& staged) {
  if (spool.network()) os::RemoveDirectory(spool.env().calls, StageOf(staged)).IgnoreError();
}

absl::Status RemoveStaged(const Spool& spool, const std::string& staged) {
  return os::RemoveTree(spool.env().calls, spool.network() ? StageOf(staged) : staged);
}

}  // namespace spoolrpc::spool
