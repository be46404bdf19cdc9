// Whether servers are still there on which somebody else's next step depends: those that have
// claimed durable calls (docs/protocol.md, section 10), and those that are asked to stop (section
// 11).
#ifndef SPOOLRPC_SPOOL_OWNER_WATCH_H_
#define SPOOLRPC_SPOOL_OWNER_WATCH_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "spoolrpc/log/log_file.h"
#include "spoolrpc/os/clock.h"
#include "spoolrpc/spool.pb.h"
#include "spoolrpc/spool/lease.h"
#include "spoolrpc/spool/spool.h"

namespace spoolrpc::spool {

// Watches leases from when somebody asks first. Not thread-safe; blocks as the file system does.
class OwnerWatch {
 public:
  explicit OwnerWatch(std::shared_ptr<const Spool> spool);

  enum class Life {
    kUnsettled,  // watched for too short a time to tell
    kAlive,      // its lease was seen to move, and has not been silent for a term since
    kGone,
  };
  // As Gone(), for one who wants to know soon that it lives.
  Life Look(const std::string& id, const ProcessIdentity& process, uint64_t term);

  // Whether the server `id` (16 bytes), which the caller has found to own something, is gone: the
  // kernel says that its process is dead, or its lease has been silent for a term, also at a
  // reading that begins now. `term` as its claim says, in nanoseconds. To be asked again at
  // next_look().
  bool Gone(const std::string& id, const ProcessIdentity& process, uint64_t term) {
    return Look(id, process, term) == Life::kGone;
  }
  os::Nanos next_look() const;
  // Forgets servers that nobody has asked about for long.
  void Prune();

 private:
  struct Watched {
    explicit Watched(os::Nanos term) : observer(term) {}
    LeaseObserver observer;
    uint64_t counter = 0;
    int readings = 0;
    bool moved = false;
    os::Nanos asked = 0;

    Life life() const { return moved ? Life::kAlive : Life::kUnsettled; }
  };

  // Reads the lease, opened anew. A file that is gone is a counter that stands still.
  void Read(const std::string& id, os::Nanos planned, Watched* watched);

  const std::shared_ptr<const Spool> spool_;
  log::AlignedBuffer buffer_;
  std::map<std::string, Watched> watched_;
};

}  // namespace spoolrpc::spool

#endif  // SPOOLRPC_SPOOL_OWNER_WATCH_H_
