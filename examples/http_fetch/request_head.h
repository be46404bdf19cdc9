// What a caller may put into the head of a request.
#ifndef EXAMPLES_HTTP_FETCH_REQUEST_HEAD_H_
#define EXAMPLES_HTTP_FETCH_REQUEST_HEAD_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "examples/http_fetch/http_fetch.pb.h"

namespace http_fetch {

// `method`, or GET if it is empty. INVALID_ARGUMENT if it is none of those that are offered.
absl::StatusOr<std::string> CheckedMethod(absl::string_view method);

// INVALID_ARGUMENT if a header is not one line (a line end in it would be a second header, or a
// second request), is one that the connection sets itself, or all together are over 64 KiB.
absl::Status CheckHeaders(const FetchRequest& request);

// The lines of `request` as libcurl takes them. `same_origin` false: only those that are known to
// be harmless, since any other may be a secret that was meant for the host that redirects.
std::vector<std::string> HeaderLines(const FetchRequest& request, bool same_origin);

// One line of an answer's head, of whatever bytes, with its line end: adds it to `*reply`. A status
// line begins a new head (after "100 Continue", say).
void AddAnswerLine(absl::string_view line, FetchReply* reply);

}  // namespace http_fetch

#endif  // EXAMPLES_HTTP_FETCH_REQUEST_HEAD_H_
