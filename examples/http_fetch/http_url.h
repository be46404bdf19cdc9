// One reading of a URL, for the check and for the request alike: what is allowed by one parser and
// then fetched by another, which reads it differently, is the usual hole in an allow-list.
#ifndef EXAMPLES_HTTP_FETCH_HTTP_URL_H_
#define EXAMPLES_HTTP_FETCH_HTTP_URL_H_

#include <curl/curl.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace http_fetch {

// Immutable, so it may be read by many threads.
class HttpUrl {
 public:
  // INVALID_ARGUMENT, with the URL and what is wrong, if it is not an http or https URL that is
  // plain ASCII, at most 8 KiB, without user, password and zone, and with a host that is a name of
  // letters, digits, '-' and '_', an IPv4 or an IPv6 address.
  static absl::StatusOr<HttpUrl> Parse(absl::string_view text);

  // "http" or "https".
  const std::string& scheme() const { return scheme_; }
  // In lower case and without a dot at the end; addresses in their one canonical form, those of
  // IPv6 without brackets.
  const std::string& host() const { return host_; }
  // The scheme's own where the URL names none.
  int port() const { return port_; }
  bool names_port() const { return names_port_; }
  // As it is sent, without the fragment.
  const std::string& text() const { return text_; }
  // The same without what follows '?', which may be secret.
  std::string WithoutQuery() const;
  // True if both go to the same scheme, host and port.
  bool SameOrigin(const HttpUrl& other) const;

  // For CURLOPT_CURLU. Belongs to this object.
  CURLU* handle() const { return handle_.get(); }

 private:
  struct Cleanup {
    void operator()(CURLU* handle) const { curl_url_cleanup(handle); }
  };

  HttpUrl() = default;

  std::unique_ptr<CURLU, Cleanup> handle_;
  std::string scheme_;
  std::string host_;
  int port_ = 0;
  bool names_port_ = false;
  std::string text_;
};

}  // namespace http_fetch

#endif  // EXAMPLES_HTTP_FETCH_HTTP_URL_H_
