#include "spoolrpc/spool/address.h"

#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace spoolrpc::spool {
namespace {

std::string HomeDirectory() {
  if (const char* home = getenv("HOME"); home != nullptr && home[0] == '/') return home;
  const passwd* const entry = getpwuid(geteuid());
  if (entry != nullptr && entry->pw_dir != nullptr && entry->pw_dir[0] == '/') {
    return entry->pw_dir;
  }
  return "";
}

// "scheme:" at the start of an address, or empty: letters, then a colon before any slash.
absl::string_view SchemeOf(absl::string_view address) {
  const size_t end = address.find_first_of(":/");
  if (end == absl::string_view::npos || address[end] != ':' || end < 2) return "";
  for (const char c : address.substr(0, end)) {
    if (!absl::ascii_isalpha(c)) return "";
  }
  return address.substr(0, end);
}

}  // namespace

absl::StatusOr<std::string> ResolveAddress(absl::string_view address) {
  std::string path(address);
  if (path.empty()) {
    if (const char* dir = getenv("SPOOLRPC_DIR"); dir != nullptr && dir[0] != '\0') {
      path = dir;
    } else {
      const std::string home = HomeDirectory();
      if (home.empty()) {
        return absl::InvalidArgumentError(
            "no spool given: pass its path, or set SPOOLRPC_DIR (there is no home directory for "
            "the default ~/.cache/spoolrpc)");
      }
      path = absl::StrCat(home, "/.cache/spoolrpc");
    }
  }
  const absl::string_view scheme = SchemeOf(path);
  if (!scheme.empty()) {
    if (scheme != "spool") {
      return absl::InvalidArgumentError(absl::StrCat("spool address '", path, "': unknown scheme '",
                                                     scheme,
                                                     "'; write spool:/path or a plain path"));
    }
    path = path.substr(scheme.size() + 1);
    if (absl::StartsWith(path, "///")) path = path.substr(2);
  }
  if (path.empty() || path.find('\0') != std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("spool address '", address, "': not a path; write spool:/path"));
  }
  std::error_code error;
  std::string absolute = std::filesystem::absolute(path, error).lexically_normal().string();
  if (error) {
    return absl::InvalidArgumentError(
        absl::StrCat("spool address '", address, "': ", error.message()));
  }
  while (absolute.size() > 1 && absolute.back() == '/') absolute.pop_back();
  return absolute;
}

}  // namespace spoolrpc::spool
