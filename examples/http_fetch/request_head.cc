#include "examples/http_fetch/request_head.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "examples/http_fetch/printable.h"

namespace http_fetch {
namespace {

constexpr size_t kMaxHeaders = 64 * 1024;

// What decides where a request ends, where it goes, and what becomes of the connection.
constexpr absl::string_view kOfTheConnection[] = {
    "connection", "content-length",    "expect",  "host", "http2-settings", "keep-alive", "te",
    "trailer",    "transfer-encoding", "upgrade",
};
constexpr absl::string_view kHarmless[] = {
    "accept",        "accept-encoding", "accept-language", "content-type", "if-modified-since",
    "if-none-match", "range",           "user-agent",
};

template <size_t kSize>
bool Contains(const absl::string_view (&names)[kSize], absl::string_view name) {
  return std::any_of(std::begin(names), std::end(names),
                     [&](absl::string_view other) { return absl::EqualsIgnoreCase(name, other); });
}

// A token of RFC 9110.
bool IsToken(absl::string_view name) {
  if (name.empty()) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(c) || absl::StrContains("!#$%&'*+-.^_`|~", c);
  });
}

bool IsValue(absl::string_view value) {
  return std::none_of(value.begin(), value.end(),
                      [](char c) { return absl::ascii_iscntrl(c) && c != '\t'; });
}

}  // namespace

absl::StatusOr<std::string> CheckedMethod(absl::string_view method) {
  if (method.empty()) return "GET";
  for (absl::string_view known : {"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"}) {
    if (method == known) return std::string(method);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("method '", Printable(method, 40),
                   "': only DELETE, GET, HEAD, OPTIONS, PATCH, POST and PUT are sent"));
}

absl::Status CheckHeaders(const FetchRequest& request) {
  size_t size = 0;
  for (const Header& header : request.headers()) {
    const std::string shown = Printable(header.name(), 80);
    if (!IsToken(header.name())) {
      return absl::InvalidArgumentError(
          absl::StrCat("header '", shown, "': its name has a character that names cannot have"));
    }
    if (!IsValue(header.value())) {
      return absl::InvalidArgumentError(absl::StrCat(
          "header '", shown, "': its value has a line end or another control character"));
    }
    if (Contains(kOfTheConnection, header.name()) ||
        absl::StartsWithIgnoreCase(header.name(), "proxy-")) {
      return absl::InvalidArgumentError(
          absl::StrCat("header '", shown, "' cannot be given: the connection itself sets it"));
    }
    size += header.name().size() + header.value().size();
  }
  if (size > kMaxHeaders) {
    return absl::InvalidArgumentError(
        absl::StrCat("headers of ", size, " bytes; at most ", kMaxHeaders, " are sent"));
  }
  return absl::OkStatus();
}

std::vector<std::string> HeaderLines(const FetchRequest& request, bool same_origin) {
  // To libcurl "Name:" means to leave a header out: those that it would add by itself.
  std::vector<std::string> lines = {"Expect:"};
  bool has_type = false;
  for (const Header& header : request.headers()) {
    if (!same_origin && !Contains(kHarmless, header.name())) continue;
    const absl::string_view value = absl::StripAsciiWhitespace(header.value());
    has_type |= absl::EqualsIgnoreCase(header.name(), "content-type");
    // "Name;" is one without a value.
    lines.push_back(value.empty() ? absl::StrCat(header.name(), ";")
                                  : absl::StrCat(header.name(), ": ", value));
  }
  if (!has_type) lines.push_back("Content-Type:");
  return lines;
}

void AddAnswerLine(absl::string_view line, FetchReply* reply) {
  line = absl::StripTrailingAsciiWhitespace(line);
  if (absl::StartsWith(line, "HTTP/")) {
    reply->clear_headers();
    reply->set_status_line(std::string(line));
    return;
  }
  const size_t colon = line.find(':');
  if (line.empty() || colon == absl::string_view::npos) return;
  Header* header = reply->add_headers();
  header->set_name(std::string(line.substr(0, colon)));
  header->set_value(std::string(absl::StripAsciiWhitespace(line.substr(colon + 1))));
}

}  // namespace http_fetch
