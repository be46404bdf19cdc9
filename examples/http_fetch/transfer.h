// One HTTP request and its answer, by libcurl.
#ifndef EXAMPLES_HTTP_FETCH_TRANSFER_H_
#define EXAMPLES_HTTP_FETCH_TRANSFER_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "examples/http_fetch/http_fetch.pb.h"
#include "examples/http_fetch/http_url.h"

namespace http_fetch {

struct TransferOptions {
  std::string method;
  std::vector<std::string> header_lines;  // without line ends
  absl::string_view body;                 // must outlive the transfer
  int64_t max_reply_bytes = 0;
  absl::Time deadline;
  // Asked several times a second, by the thread that transfers.
  std::function<bool()> cancelled;
};

// Asks `url`, which the caller has checked, and fills in status line, status, headers, body and url
// of `*reply`. Follows nothing: `*redirect` becomes the URL that the answer redirects to, or empty.
// Blocks until the answer is there, the deadline has passed, or `cancelled` says so. Errors, each
// with the URL: CANCELLED, DEADLINE_EXCEEDED, FAILED_PRECONDITION (certificate), RESOURCE_EXHAUSTED
// (the answer is larger than max_reply_bytes, or its head than 256 KiB), UNAVAILABLE.
// Goes through a proxy where $http_proxy, $https_proxy or $no_proxy say so. curl_global_init() must
// have been called.
absl::Status Transfer(const HttpUrl& url, const TransferOptions& options, FetchReply* reply,
                      std::string* redirect);

}  // namespace http_fetch

#endif  // EXAMPLES_HTTP_FETCH_TRANSFER_H_
