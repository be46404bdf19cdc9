#include "examples/http_fetch/printable.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_format.h"

namespace http_fetch {

std::string Printable(absl::string_view text, size_t max_size) {
  std::string result;
  for (char c : text.substr(0, max_size)) {
    if (absl::ascii_isprint(c)) {
      result.push_back(c);
    } else {
      absl::StrAppendFormat(&result, "\\x%02x", static_cast<unsigned char>(c));
    }
  }
  if (text.size() > max_size) result.append("...");
  return result;
}

}  // namespace http_fetch
