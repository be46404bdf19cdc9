// Which hosts may be asked.
#ifndef EXAMPLES_HTTP_FETCH_ALLOW_LIST_H_
#define EXAMPLES_HTTP_FETCH_ALLOW_LIST_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "examples/http_fetch/http_url.h"

namespace http_fetch {

// Immutable. Compares what URLs say, not where names lead: whoever rules the DNS of an allowed name
// decides to which address its requests go.
class AllowList {
 public:
  // `text`: entries with commas between. An entry is a host (a name, an IPv4 address, or an IPv6
  // address in brackets) and allows the usual ports, 80 for http and 443 for https; or "host:port"
  // for that one port, or "host:*" for all. Names stand for themselves, not for what is below them.
  // INVALID_ARGUMENT names the entry. An empty list is one, too: nothing could be fetched.
  static absl::StatusOr<AllowList> Parse(absl::string_view text);

  // PERMISSION_DENIED, with the URL and what to do, if the host or port is not allowed.
  absl::Status Check(const HttpUrl& url) const;

 private:
  struct Entry {
    std::string host;
    int port;  // or kUsualPort, kAnyPort
  };
  std::vector<Entry> entries_;
};

}  // namespace http_fetch

#endif  // EXAMPLES_HTTP_FETCH_ALLOW_LIST_H_
