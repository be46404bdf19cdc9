#include "examples/http_fetch/fetcher.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "examples/http_fetch/http_url.h"
#include "examples/http_fetch/printable.h"
#include "examples/http_fetch/request_head.h"
#include "examples/http_fetch/transfer.h"

namespace http_fetch {
namespace {

bool IsRedirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

// What browsers and curl do: 303 asks for another page; after a POST, so do 301 and 302.
bool BecomesGet(int status, const std::string& method) {
  if (method == "GET" || method == "HEAD") return false;
  return status == 303 || (method == "POST" && (status == 301 || status == 302));
}

absl::Status Redirected(const absl::Status& status, const HttpUrl& from) {
  return absl::Status(status.code(), absl::StrCat(Printable(from.WithoutQuery()), " redirects to ",
                                                  status.message()));
}

}  // namespace

absl::Status Fetcher::Fetch(const FetchRequest& request, absl::Time deadline,
                            const std::function<bool()>& cancelled, FetchReply* reply) const {
  absl::StatusOr<HttpUrl> url = HttpUrl::Parse(request.url());
  if (!url.ok()) return url.status();
  absl::StatusOr<std::string> method = CheckedMethod(request.method());
  if (!method.ok()) return method.status();
  if (absl::Status s = CheckHeaders(request); !s.ok()) return s;
  if (request.max_redirects() < 0 || request.max_reply_bytes() < 0) {
    return absl::InvalidArgumentError("max_redirects and max_reply_bytes must not be negative");
  }
  if (absl::Status s = allowed_.Check(*url); !s.ok()) return s;

  const int max_redirects = std::min(request.max_redirects(), limits_.max_redirects);
  TransferOptions options;
  options.method = *method;
  options.header_lines = HeaderLines(request, /*same_origin=*/true);
  options.body = request.body();
  options.max_reply_bytes = request.max_reply_bytes() == 0
                                ? limits_.max_reply_bytes
                                : std::min(request.max_reply_bytes(), limits_.max_reply_bytes);
  options.deadline = std::min(deadline, absl::Now() + limits_.max_time);
  options.cancelled = cancelled;

  for (int redirects = 0;; ++redirects) {
    std::string location;
    if (absl::Status s = Transfer(*url, options, reply, &location); !s.ok()) return s;
    reply->set_redirects(redirects);
    if (max_redirects == 0 || location.empty() || !IsRedirect(reply->status())) {
      return absl::OkStatus();
    }
    if (redirects == max_redirects) {
      return absl::FailedPreconditionError(
          absl::StrCat(Printable(request.url()), ": more than ", max_redirects,
                       " redirects, the last one to ", Printable(location)));
    }
    absl::StatusOr<HttpUrl> next = HttpUrl::Parse(location);
    if (!next.ok()) return Redirected(next.status(), *url);
    if (absl::Status s = allowed_.Check(*next); !s.ok()) return Redirected(s, *url);
    if (!next->SameOrigin(*url)) options.header_lines = HeaderLines(request, false);
    if (BecomesGet(reply->status(), options.method)) {
      options.method = "GET";
      options.body = "";
    }
    *url = *std::move(next);
  }
}

}  // namespace http_fetch
