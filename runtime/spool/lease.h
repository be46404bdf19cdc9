// Leases, seen from both sides (docs/protocol.md, section 5). Pure arithmetic over times that the
// caller takes from its own clock; neither class is thread-safe.
#ifndef SPOOLRPC_SPOOL_LEASE_H_
#define SPOOLRPC_SPOOL_LEASE_H_

#include <cstdint>

#include "spoolrpc/os/clock.h"

namespace spoolrpc::spool {

// Watches another's lease: when has its owner been silent for a whole term?
class LeaseObserver {
 public:
  // `term` in nanoseconds, as the owner's head says.
  explicit LeaseObserver(os::Nanos term) : term_(term) {}

  // Starts to count: the caller begins to depend on the lease now.
  void Start(os::Nanos now);
  // The caller does not depend on it any more.
  void Stop() { watching_ = false; }
  bool watching() const { return watching_; }

  // A reading of the owner's head began at `began`, was planned for `planned`, and ended
  // successfully at `ended` with this counter. Only prompt readings let silence accrue: one that
  // took, or came, a quarter of a term later than it should says nothing about the owner.
  void OnReading(os::Nanos planned, os::Nanos began, os::Nanos ended, uint64_t counter);
  // A reading failed, or its head was torn: no news, and the time until the next one does not
  // count.
  void OnFailedReading(os::Nanos now);
  // The owner showed life otherwise (a new valid frame).
  void OnLife(os::Nanos now);

  // A whole term of silence has accrued.
  bool expired() const { return watching_ && silence_ >= term_; }
  // When to read next: soon after watching began, then kReadingsPerTerm times a term. Not at once,
  // so that a call that is answered quickly costs no reading.
  os::Nanos next_reading() const {
    return last_reading_ + term_ / (have_counter_ ? kReadingsPerTerm : kFirstReadingOfTerm);
  }
  os::Nanos silence() const { return silence_; }

  // The last renewal may be seen by a reading so much later, and silence counts from that reading
  // on: an owner that dies is found out within 1 1/8 terms, 1/64 more if watching began just then,
  // and a little for the readings themselves.
  static constexpr int kReadingsPerTerm = 8;
  static constexpr int kFirstReadingOfTerm = 64;

 private:
  const os::Nanos term_;
  bool watching_ = false;
  bool have_counter_ = false;
  uint64_t counter_ = 0;
  os::Nanos silence_ = 0;
  os::Nanos last_reading_ = 0;
};

// One's own lease: may this side still act on it? It has lapsed for good as soon as one renewal
// came back too late after the one before: who watched it may have seen it expire in between, and a
// later renewal would only hide that.
class OwnLease {
 public:
  explicit OwnLease(os::Nanos term) : term_(term) {}

  // A renewing write that began at `began` had been flushed at `ended`.
  void OnRenewed(os::Nanos began, os::Nanos ended);
  // Nobody watched the lease before `now`: as good as a renewal that began then.
  void OnUnwatched(os::Nanos now);
  // The next renewal makes it valid again, whatever was before.
  void Restart() { restart_ = true; }

  // Renew from here on.
  bool due(os::Nanos now) const { return now - renewed_ >= term_ / 4; }
  // Well within the term, without a lapse, so that nobody can have seen it expire: what the owner
  // starts now, it may.
  bool valid(os::Nanos now) const {
    return !lapsed_ && !restart_ && now - renewed_ < term_ / 4 * 3;
  }
  os::Nanos renewed() const { return renewed_; }
  os::Nanos term() const { return term_; }

 private:
  const os::Nanos term_;
  os::Nanos renewed_ = -os::kNever / 2;
  bool lapsed_ = true;
  bool restart_ = false;
};

}  // namespace spoolrpc::spool

#endif  // SPOOLRPC_SPOOL_LEASE_H_
