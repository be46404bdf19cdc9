// How long durable calls stay that nobody deletes (docs/format.md, section 8).
#ifndef SPOOLRPC_SPOOL_DURABLE_RETENTION_H_
#define SPOOLRPC_SPOOL_DURABLE_RETENTION_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "spoolrpc/spool.pb.h"
#include "spoolrpc/spool/durable_store.h"

namespace spoolrpc::spool {

// What holds where nothing was set: 30 days, 100,000 calls.
RetentionRecord DefaultRetention();

// What is set on the spool. DATA_LOSS if that is damaged.
absl::StatusOr<RetentionRecord> ReadRetention(const Spool& spool);
// Sets it, for all servers from their next look on. Replaces the file.
absl::Status WriteRetention(const DurableStore& store, const RetentionRecord& retention);

// Deletes what has stayed too long. Remembers times of files, which do not change. Not thread-safe;
// blocks as the file system does.
class DurableRetention {
 public:
  // `store` must outlive it. With `dry_run` nothing is deleted: what would be is only said. A sweep
  // asks the file system for at most `max_looks` times of files; the next one for others.
  explicit DurableRetention(const DurableStore* store, bool dry_run = false, int max_looks = 1000)
      : store_(store), dry_run_(dry_run), max_looks_(max_looks) {}

  enum class Kind {
    kFinished,  // has a reply
    kBusy,      // somebody works on it: it stays
    kOther,
  };
  // One look over all tickets of the spool, with what the caller knows of each. Returns what was
  // deleted.
  absl::StatusOr<std::vector<std::string>> Sweep(
      const std::vector<std::string>& tickets,
      absl::FunctionRef<Kind(const std::string& ticket)> kind_of);

 private:
  struct Times {
    bool finished = false;
    int64_t modified = 0;
    bool deletable = true;
  };

  // When the call got its reply, or was submitted.
  bool TimeOf(const std::string& ticket, bool finished, Times* times);
  // Of a call that is not known to be finished and is older than it may be: may it go?
  bool MayGo(const std::string& ticket, int64_t now, int64_t max_age);
  void Delete(const std::string& ticket, std::vector<std::string>* deleted);

  const DurableStore* const store_;
  const bool dry_run_;
  const int max_looks_;
  std::map<std::string, Times> times_;
  int looks_ = 0;
};

}  // namespace spoolrpc::spool

#endif  // SPOOLRPC_SPOOL_DURABLE_RETENTION_H_
