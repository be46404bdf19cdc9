// How soon does one mount see the names that the other makes, removes and replaces?

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "tests/nodes/fs_probe/probes.h"

namespace fs_probe {
namespace {

// Ways to wait for a name that is known, but for the first two, which would also find one that is
// not.
enum Looking {
  kOpendir,
  kRewinddir,
  kStat,
  kOpen,
  kStatxSync,
  kFstatDirectoryThenOpen,
  kOpenDirectoryThenOpen,
  kCreateBesideThenOpen,
  kLookings
};
const char* const kLookingNames[] = {"opendir+readdir",
                                     "rewinddir(held)+readdir",
                                     "stat",
                                     "open",
                                     "statx(FORCE_SYNC)",
                                     "open(directory)+fstat,open",
                                     "open(directory)+close,open",
                                     "create+unlink another name,open"};

bool Lists(DIR* directory, const std::string& name) {
  rewinddir(directory);
  while (const dirent* entry = readdir(directory)) {
    if (name == entry->d_name) return true;
  }
  return false;
}

bool Opens(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY);
  if (fd >= 0) close(fd);
  return fd >= 0;
}

bool Look(int way, DIR* held, const std::string& directory, const std::string& name) {
  const std::string path = directory + "/" + name;
  struct stat info;
  switch (way) {
    case kOpendir: {
      DIR* fresh = opendir(directory.c_str());
      const bool listed = fresh != nullptr && Lists(fresh, name);
      if (fresh != nullptr) closedir(fresh);
      return listed;
    }
    case kRewinddir:
      return Lists(held, name);
    case kStat:
      return stat(path.c_str(), &info) == 0;
    case kOpen:
      return Opens(path);
    case kStatxSync: {
      struct statx extended;
      return statx(AT_FDCWD, path.c_str(), AT_STATX_FORCE_SYNC, STATX_SIZE, &extended) == 0;
    }
    case kFstatDirectoryThenOpen: {
      const int fd = open(directory.c_str(), O_RDONLY | O_DIRECTORY);
      if (fd >= 0) {
        if (fstat(fd, &info) != 0) Die("fstat " + directory);
        close(fd);
      }
      return Opens(path);
    }
    case kOpenDirectoryThenOpen:
      TouchCache(directory);
      return Opens(path);
    default: {
      const std::string beside = path + ".beside";
      const int fd = open(beside.c_str(), O_CREAT | O_EXCL | O_RDWR, 0666);
      if (fd >= 0) {
        close(fd);
        unlink(beside.c_str());
      }
      return Opens(path);
    }
  }
}

void WaitForNames(int way, int count, double gap, double poll, double give_up) {
  const std::string inbox = "names." + std::to_string(way);
  if (mkdir(Path(1, inbox).c_str(), 0777) != 0) Die("mkdir " + inbox);
  TouchCache(Path(2, "."));
  DIR* const held = opendir(Path(2, inbox).c_str());
  if (held == nullptr) Die("opendir " + Path(2, inbox));
  double* const published = SharedArray<double>(count);
  double* const start = SharedArray<double>(1);
  Operations writer_operations(1);
  Child child([&] {
    while (Read(start) == 0) Nap(1000);
    for (int i = 0; i < count; ++i) {
      Nap(gap);
      const std::string temporary = Path(1, inbox + ".new");
      WriteFile(temporary, "message", 128);
      if (rename(temporary.c_str(), Path(1, inbox + "/" + std::to_string(i)).c_str()) != 0)
        Die("rename");
      Publish(&published[i], Now());
    }
  });

  Operations reader_operations(2);
  Publish(start, 1);
  std::vector<double> delays;
  long polls = 0;
  double last = Now();
  while (delays.size() < static_cast<size_t>(count)) {
    const bool seen = Look(way, held, Path(2, inbox), std::to_string(delays.size()));
    const double now = Now();
    ++polls;
    if (seen) {
      const double when = Read(&published[delays.size()]);
      delays.push_back(when == 0 ? 0 : now - when);
      last = now;
      continue;
    }
    if (!child.Finished()) {
      last = now;
    } else if (now - last > give_up) {
      break;
    }
    Nap(poll);
  }
  child.Wait();
  closedir(held);
  writer_operations.Print("name (writer)", count);
  reader_operations.Print("poll (reader)", polls);
  std::printf(
      "names by=%s count=%d seen=%zu delay_us p50=%.0f p99=%.0f max=%.0f polls_per_name=%.1f\n",
      kLookingNames[way], count, delays.size(), Quantile(delays, 0.5), Quantile(delays, 0.99),
      Quantile(delays, 1), static_cast<double>(polls) / count);
  std::fflush(stdout);
}

}  // namespace

void ProbeNames(const Arguments& arguments) {
  const int way = static_cast<int>(arguments.Get("by", -1));
  for (int w = 0; w < kLookings; ++w) {
    if (way != -1 && way != w) continue;
    WaitForNames(w, static_cast<int>(arguments.Get("count", 20)), arguments.Get("gap", 20000),
                 arguments.Get("poll", 1000), arguments.Get("give_up", 75) * 1e6);
  }
}

// A small file that one side replaces by rename and the other reads by open, read, close.
void ProbeReplace(const Arguments& arguments) {
  const int count = static_cast<int>(arguments.Get("count", 100));
  const double gap = arguments.Get("gap", 20000);
  const bool directory_first = arguments.Get("directory_first", 0) != 0;
  constexpr double kGiveUp = 90e6;
  double* const published = SharedArray<double>(count + 1);
  WriteFile(Path(1, "state"), "0", 128);
  TouchCache(Path(2, "."));
  Operations operations(2);
  Child child([&] {
    for (int i = 1; i <= count; ++i) {
      Nap(gap);
      WriteFile(Path(1, "state.new"), std::to_string(i), 128);
      if (rename(Path(1, "state.new").c_str(), Path(1, "state").c_str()) != 0) Die("rename");
      Publish(&published[i], Now());
    }
  });

  std::vector<double> delays;
  int newest = 0;
  long polls = 0;
  long stale = 0;
  long other_errors = 0;
  long short_reads = 0;
  long went_back = 0;
  double end = 0;
  while (newest < count) {
    if (directory_first) TouchCache(Path(2, "."));
    char text[128] = {};
    ++polls;
    const int fd = open(Path(2, "state").c_str(), O_RDONLY);
    const ssize_t got = fd < 0 ? -1 : pread(fd, text, sizeof text, 0);
    if (got < 0) {
      ++(errno == ESTALE ? stale : other_errors);
    } else if (got != sizeof text) {
      ++short_reads;
    } else {
      const int version = static_cast<int>(strtol(text, nullptr, 10));
      if (version < newest) ++went_back;
      if (version > newest) {
        const double when = Read(&published[version]);
        delays.push_back(when == 0 ? 0 : Now() - when);
        newest = version;
      }
    }
    if (fd >= 0) close(fd);
    Nap(2000);
    if (end == 0 && child.Finished()) end = Now();
    if (end != 0 && Now() - end > kGiveUp) break;
  }
  child.Wait();
  operations.Print("poll (reader)", polls);
  std::printf(
      "replace%s newest=%d of %d versions_seen=%zu delay_us p50=%.0f max=%.0f stale=%ld "
      "other_errors=%ld "
      "short_reads=%ld went_back=%ld\n",
      directory_first ? " directory_first" : "", newest, count, delays.size(),
      Quantile(delays, 0.5), Quantile(delays, 1), stale, other_errors, short_reads, went_back);
}

// How soon an open by path gives the new file, while this mount still holds the replaced one open.
void ProbeHeld(const Arguments& arguments) {
  const double limit = arguments.Get("limit", 100) * 1e6;
  struct Case {
    const char* name;
    bool keep_open;
    bool directory_first;
    bool direct;
  };
  const Case cases[] = {{"old one held", true, false, false},
                        {"old one held, directory opened first", true, true, false},
                        {"old one closed", false, false, false},
                        {"old one held, O_DIRECT", true, false, true}};
  int number = 0;
  for (const Case& c : cases) {
    const std::string name = "held." + std::to_string(number++);
    WriteFile(Path(1, name), "old", 100);
    TouchCache(Path(2, "."));
    const int old = Open(Path(2, name), O_RDONLY);
    alignas(4096) static char bytes[4096];
    if (pread(old, bytes, 10, 0) != 10) Die("read " + name);
    if (!c.keep_open) close(old);
    WriteFile(Path(1, "held.new"), "new", 200);
    if (rename(Path(1, "held.new").c_str(), Path(1, name).c_str()) != 0) Die("rename");
    const double start = Now();
    bool is_new = false;
    int errors = 0;
    int old_content = 0;
    while (!is_new && Now() - start < limit) {
      if (c.directory_first) TouchCache(Path(2, "."));
      const int fd = open(Path(2, name).c_str(), O_RDONLY | (c.direct ? O_DIRECT : 0));
      const ssize_t got = fd < 0 ? -1 : pread(fd, bytes, sizeof bytes, 0);
      if (got == 200) {
        is_new = true;
      } else {
        ++(got < 0 ? errors : old_content);
        Nap(50000);
      }
      if (fd >= 0) close(fd);
    }
    std::printf(
        "held (%s): the new file after %.2f s%s; before: %d errors, %d times the old content\n",
        c.name, (Now() - start) / 1e6, is_new ? "" : ", NEVER", errors, old_content);
    std::fflush(stdout);
    if (c.keep_open) close(old);
  }
}

}  // namespace fs_probe
