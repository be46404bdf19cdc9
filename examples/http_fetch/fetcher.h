// A fetch: checks, requests, redirects.
#ifndef EXAMPLES_HTTP_FETCH_FETCHER_H_
#define EXAMPLES_HTTP_FETCH_FETCHER_H_

#include <cstdint>
#include <functional>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "examples/http_fetch/allow_list.h"
#include "examples/http_fetch/http_fetch.pb.h"

namespace http_fetch {

struct FetchLimits {
  int64_t max_reply_bytes = int64_t{64} << 20;  // of a body
  int max_redirects = 10;
  absl::Duration max_time = absl::Minutes(10);  // of a fetch, with its redirects
};

// Thread-safe.
class Fetcher {
 public:
  Fetcher(AllowList allowed, const FetchLimits& limits)
      : allowed_(std::move(allowed)), limits_(limits) {}

  // What the service's Fetch says. Every URL on the way is checked against the allow-list before
  // anything is sent there. Blocks until `deadline`, or until `cancelled`, which is asked several
  // times a second, says so.
  absl::Status Fetch(const FetchRequest& request, absl::Time deadline,
                     const std::function<bool()>& cancelled, FetchReply* reply) const;

 private:
  const AllowList allowed_;
  const FetchLimits limits_;
};

}  // namespace http_fetch

#endif  // EXAMPLES_HTTP_FETCH_FETCHER_H_
