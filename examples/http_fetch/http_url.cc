#include "examples/http_fetch/http_url.h"

#include <arpa/inet.h>

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "examples/http_fetch/printable.h"

namespace http_fetch {
namespace {

constexpr size_t kMaxUrl = 8 * 1024;
constexpr size_t kMaxHost = 253;  // as DNS has it

absl::Status Bad(absl::string_view url, absl::string_view reason) {
  return absl::InvalidArgumentError(absl::StrCat("bad URL ", Printable(url), ": ", reason));
}

// A part of the URL; empty if it is not there.
std::string Part(CURLU* handle, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(handle, part, &text, flags) != CURLUE_OK) return "";
  std::string copy = text;
  curl_free(text);
  return copy;
}

// `literal` without its brackets in the canonical form; empty if it is no address.
std::string CanonicalIpv6(const std::string& literal) {
  in6_addr address;
  char text[INET6_ADDRSTRLEN];
  if (inet_pton(AF_INET6, literal.c_str(), &address) != 1) return "";
  return inet_ntop(AF_INET6, &address, text, sizeof(text));
}

bool IsName(absl::string_view host) {
  if (host.empty() || host.size() > kMaxHost) return false;
  for (absl::string_view label : absl::StrSplit(host, '.')) {
    if (label.empty()) return false;
    for (char c : label) {
      if (!absl::ascii_isalnum(c) && c != '-' && c != '_') return false;
    }
  }
  return true;
}

}  // namespace

absl::StatusOr<HttpUrl> HttpUrl::Parse(absl::string_view text) {
  if (text.empty()) return Bad("''", "it is empty");
  if (text.size() > kMaxUrl) return Bad(text, absl::StrCat("longer than ", kMaxUrl, " bytes"));
  for (char c : text) {
    if (!absl::ascii_isgraph(c)) {
      return Bad(text,
                 "it has a blank, a control character or a byte beyond ASCII; write such "
                 "bytes as %XX, and a host's name in its xn-- form");
    }
    // Some read it as '/', some as a part of the user's name.
    if (c == '\\') return Bad(text, "it has a backslash; write it as %5C");
  }
  HttpUrl url;
  url.handle_.reset(curl_url());
  if (url.handle_ == nullptr) return absl::ResourceExhaustedError("out of memory for a URL");
  CURLU* handle = url.handle_.get();
  const CURLUcode code =
      curl_url_set(handle, CURLUPART_URL, std::string(text).c_str(), CURLU_DISALLOW_USER);
  if (code == CURLUE_USER_NOT_ALLOWED) {
    return Bad(text, "it has a user or password; send them in an Authorization header");
  }
  if (code == CURLUE_UNSUPPORTED_SCHEME) return Bad(text, "only http and https are fetched");
  if (code == CURLUE_BAD_SCHEME) {
    return Bad(text, "it does not begin with http:// or https:// and a host");
  }
  if (code != CURLUE_OK) return Bad(text, curl_url_strerror(code));

  url.scheme_ = absl::AsciiStrToLower(Part(handle, CURLUPART_SCHEME));
  if (url.scheme_ != "http" && url.scheme_ != "https") {
    return Bad(text, "only http and https are fetched");
  }
  // libcurl forgives other numbers of slashes; others read them otherwise.
  const size_t slashes = text.find("://");
  if (slashes == absl::string_view::npos || absl::StartsWith(text.substr(slashes + 3), "/")) {
    return Bad(text, "it does not begin with http:// or https:// and a host");
  }
  std::string host = absl::AsciiStrToLower(Part(handle, CURLUPART_HOST));
  if (absl::EndsWith(host, "]")) {
    if (!Part(handle, CURLUPART_ZONEID).empty()) return Bad(text, "an address with a zone");
    url.host_ = CanonicalIpv6(host.substr(1, host.size() - 2));
    if (url.host_.empty()) return Bad(text, "not an IPv6 address");
  } else {
    if (absl::EndsWith(host, ".")) host.pop_back();
    if (!IsName(host)) return Bad(text, "its host is not a name");
    url.host_ = std::move(host);
  }
  url.names_port_ = !Part(handle, CURLUPART_PORT).empty();
  if (!absl::SimpleAtoi(Part(handle, CURLUPART_PORT, CURLU_DEFAULT_PORT), &url.port_) ||
      url.port_ < 1 || url.port_ > 65535) {
    return Bad(text, "its port is not in 1 to 65535");
  }
  curl_url_set(handle, CURLUPART_FRAGMENT, nullptr, 0);
  url.text_ = Part(handle, CURLUPART_URL);
  if (url.text_.empty()) return Bad(text, "it cannot be put together again");
  return url;
}

std::string HttpUrl::WithoutQuery() const { return text_.substr(0, text_.find('?')); }

bool HttpUrl::SameOrigin(const HttpUrl& other) const {
  return scheme_ == other.scheme_ && host_ == other.host_ && port_ == other.port_;
}

}  // namespace http_fetch
