#include "examples/http_fetch/allow_list.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "examples/http_fetch/printable.h"

namespace http_fetch {
namespace {

constexpr int kUsualPort = 0;
constexpr int kAnyPort = -1;

int UsualPort(const HttpUrl& url) { return url.scheme() == "https" ? 443 : 80; }

}  // namespace

absl::StatusOr<AllowList> AllowList::Parse(absl::string_view text) {
  AllowList list;
  for (absl::string_view piece : absl::StrSplit(text, ',')) {
    const absl::string_view word = absl::StripAsciiWhitespace(piece);
    if (word.empty()) continue;
    const auto bad = [&](absl::string_view reason) {
      return absl::InvalidArgumentError(absl::StrCat("allow-list entry '", Printable(word), "': ",
                                                     reason, "; write host, host:port or host:*"));
    };
    absl::string_view host = word;
    const bool any_port = absl::ConsumeSuffix(&host, ":*");
    if (absl::StrContains(host, "*")) return bad("there are no patterns of names");
    if (host.find_first_of("/?#@%") != absl::string_view::npos) return bad("not a host");
    // Read as URLs are, so that both have the same canonical form.
    const absl::StatusOr<HttpUrl> url = HttpUrl::Parse(absl::StrCat("http://", host, "/"));
    if (!url.ok()) return bad("not a host");
    // (A URL may end its host with a colon and no port.)
    if (absl::EndsWith(host, ":")) return bad("its port is missing");
    if (any_port && url->names_port()) return bad("two ports");
    list.entries_.push_back(
        {url->host(), any_port ? kAnyPort : (url->names_port() ? url->port() : kUsualPort)});
  }
  if (list.entries_.empty()) {
    return absl::InvalidArgumentError(
        "the allow-list is empty, so nothing could be fetched: --allow=host[:port],...");
  }
  return list;
}

absl::Status AllowList::Check(const HttpUrl& url) const {
  bool host_known = false;
  for (const Entry& entry : entries_) {
    if (entry.host != url.host()) continue;
    host_known = true;
    if (entry.port == kAnyPort || entry.port == url.port()) return absl::OkStatus();
    if (entry.port == kUsualPort && url.port() == UsualPort(url)) return absl::OkStatus();
  }
  const std::string host =
      absl::StrContains(url.host(), ":") ? absl::StrCat("[", url.host(), "]") : url.host();
  const std::string needed =
      url.port() == UsualPort(url) ? host : absl::StrCat(host, ":", url.port());
  return absl::PermissionDeniedError(absl::StrCat(
      Printable(url.WithoutQuery()), ": ",
      host_known ? absl::StrCat("port ", url.port(), " of host ", host)
                 : absl::StrCat("host ", host),
      " is not on the server's allow-list; who runs the server can start it with --allow=...,",
      needed));
}

}  // namespace http_fetch
