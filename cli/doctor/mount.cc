#include "cli/doctor/mount.h"

#include <limits.h>
#include <stdlib.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace spoolrpc::cli::doctor {
namespace {

// Blanks and the like stand there as \040.
std::string Unescape(absl::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      int code = 0;
      bool octal = true;
      for (size_t j = i + 1; j <= i + 3; ++j) {
        octal = octal && text[j] >= '0' && text[j] <= '7';
        code = code * 8 + (text[j] - '0');
      }
      if (octal) {
        out += static_cast<char>(code);
        i += 3;
        continue;
      }
    }
    out += text[i];
  }
  return out;
}

bool IsBelow(absl::string_view path, absl::string_view point) {
  return point == "/" || path == point || absl::StartsWith(path, absl::StrCat(point, "/"));
}

}  // namespace

Mount FindMount(absl::string_view mountinfo, absl::string_view path) {
  Mount best;
  for (const absl::string_view line : absl::StrSplit(mountinfo, '\n', absl::SkipEmpty())) {
    // 36 35 98:0 /root /point rw,noatime shared:1 - type source super-options
    const std::vector<absl::string_view> fields = absl::StrSplit(line, ' ');
    const auto dash = std::find(fields.begin(), fields.end(), "-");
    if (fields.size() < 7 || fields.end() - dash < 4) continue;
    const std::string point = Unescape(fields[4]);
    // Of those that lie on one another the last is seen.
    if (!IsBelow(path, point) || point.size() < best.point.size()) continue;
    best.point = point;
    best.type = std::string(dash[1]);
    best.source = Unescape(dash[2]);
    best.options = absl::StrCat(fields[5], ",", Unescape(dash[3]));
  }
  return best;
}

Mount ReadMount(const std::string& path) {
  char resolved[PATH_MAX];
  std::ifstream in("/proc/self/mountinfo");
  std::ostringstream text;
  text << in.rdbuf();
  return FindMount(text.str(), realpath(path.c_str(), resolved) == nullptr ? path : resolved);
}

bool HasOption(const Mount& mount, absl::string_view option) {
  const std::vector<absl::string_view> options = absl::StrSplit(mount.options, ',');
  return std::find(options.begin(), options.end(), option) != options.end();
}

std::optional<Setting> MountOptionForNames(const Mount& mount) {
  if (mount.type == "fuse.sshfs") {
    return Setting{"mount option", "dir_cache=no", "sshfs keeps listings of directories for 20 s"};
  }
  if (absl::StartsWith(mount.type, "nfs")) {
    return Setting{"mount option", "acdirmax=3",
                   "the client remembers for too long what is in a directory"};
  }
  return std::nullopt;
}

}  // namespace spoolrpc::cli::doctor
