#include "spoolrpc/spool/lease.h"

#include <algorithm>

namespace spoolrpc::spool {

void LeaseObserver::Start(os::Nanos now) {
  if (watching_) return;
  watching_ = true;
  have_counter_ = false;
  silence_ = 0;
  last_reading_ = now;
}

void LeaseObserver::OnReading(os::Nanos planned, os::Nanos began, os::Nanos ended,
                              uint64_t counter) {
  const os::Nanos tolerance = term_ / 4;
  const bool prompt = began - planned < tolerance && ended - began < tolerance;
  if (have_counter_ && counter == counter_) {
    if (prompt) silence_ += std::max<os::Nanos>(0, began - last_reading_);
  } else {
    // The first reading only tells where to count from.
    silence_ = 0;
  }
  have_counter_ = true;
  counter_ = counter;
  last_reading_ = ended;
}

void LeaseObserver::OnFailedReading(os::Nanos now) { last_reading_ = now; }

void LeaseObserver::OnLife(os::Nanos now) {
  silence_ = 0;
  last_reading_ = now;
}

void OwnLease::OnRenewed(os::Nanos began, os::Nanos ended) {
  lapsed_ = !restart_ && (lapsed_ || ended - renewed_ >= term_ / 4 * 3);
  restart_ = false;
  renewed_ = began;
}

void OwnLease::OnUnwatched(os::Nanos now) {
  restart_ = false;
  lapsed_ = false;
  renewed_ = std::max(renewed_, now);
}

}  // namespace spoolrpc::spool
