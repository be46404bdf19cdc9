#include "spoolrpc/os/users.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace spoolrpc::os {
namespace {

constexpr uint32_t kNobody = 65534;
constexpr size_t kLargestEntry = 1 << 20;  // bytes; a group may list thousands of members

// The number in `path`, which the kernel keeps there.
uint32_t ReadId(const char* path) {
  char text[32];
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return kNobody;
  const ssize_t length = read(fd, text, sizeof(text));
  close(fd);
  uint32_t id = kNobody;
  if (length <= 0 ||
      !absl::SimpleAtoi(absl::StripAsciiWhitespace(absl::string_view(text, length)), &id)) {
    return kNobody;
  }
  return id;
}

// Calls one of the getXXX_r functions with a buffer that is large enough: true if it has found
// something. What `entry` points to is in `buffer`.
template <class Entry, class Function, class Key>
bool Find(Function function, Key key, Entry* entry, std::vector<char>* buffer) {
  for (buffer->resize(4096); buffer->size() <= kLargestEntry; buffer->resize(2 * buffer->size())) {
    Entry* found = nullptr;
    const int error = function(key, entry, buffer->data(), buffer->size(), &found);
    if (error != ERANGE && error != EINTR) return error == 0 && found != nullptr;
  }
  return false;
}

}  // namespace

bool IsNobody(uint32_t id) {
  static const uint32_t overflow_uid = ReadId("/proc/sys/kernel/overflowuid");
  static const uint32_t overflow_gid = ReadId("/proc/sys/kernel/overflowgid");
  return id == kNobody || id == overflow_uid || id == overflow_gid || id >= UINT32_MAX - 1;
}

absl::StatusOr<uint32_t> ResolveGroup(absl::string_view group) {
  uint32_t gid = 0;
  struct group entry;
  std::vector<char> buffer;
  if (Find(getgrnam_r, std::string(group).c_str(), &entry, &buffer)) {
    gid = entry.gr_gid;
  } else if (!absl::SimpleAtoi(group, &gid)) {
    return absl::NotFoundError(absl::StrCat("there is no group \"", group,
                                            "\" here; give the name of one, or its number"));
  }
  if (IsNobody(gid)) {
    return absl::FailedPreconditionError(
        absl::StrCat("group ", group, " (", gid, ") is nobody's; give another"));
  }
  return gid;
}

bool IsMember(uint32_t uid, uint32_t gid) {
  passwd user;
  std::vector<char> buffer;
  if (!Find(getpwuid_r, static_cast<uid_t>(uid), &user, &buffer)) return false;
  int count = 64;
  std::vector<gid_t> groups(count);
  while (getgrouplist(user.pw_name, user.pw_gid, groups.data(), &count) < 0) {
    if (count <= static_cast<int>(groups.size())) return false;
    groups.resize(count);
  }
  groups.resize(count);
  return std::find(groups.begin(), groups.end(), gid) != groups.end();
}

}  // namespace spoolrpc::os
