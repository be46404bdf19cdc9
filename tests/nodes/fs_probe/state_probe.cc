// What else differs from a local file system: locks, notification, mapped pages, heartbeats, and
// files that were removed or replaced while somebody had them open.

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/nodes/fs_probe/probes.h"

namespace fs_probe {
namespace {

// ---- Locks

struct LockKind {
  const char* name;
  bool posix;
};
const LockKind kLockKinds[] = {{"flock", false}, {"fcntl", true}};

int SetLock(const LockKind& kind, int fd, short type, bool block) {
  if (!kind.posix) return flock(fd, (type == F_UNLCK ? LOCK_UN : LOCK_EX) | (block ? 0 : LOCK_NB));
  struct flock lock = {};
  lock.l_type = type;
  return fcntl(fd, block ? F_SETLKW : F_SETLK, &lock);
}

void LockBetweenNodes(const LockKind& kind, double limit) {
  const std::string name = std::string("lock.") + kind.name;
  WriteFile(Path(1, name), "", 0);
  TouchCache(Path(2, "."));
  const int fd = Open(Path(2, name), O_RDWR);
  double* const state = SharedArray<double>(1);
  Child holder([&] {
    const int held = Open(Path(1, name), O_RDWR);
    Publish(state, SetLock(kind, held, F_WRLCK, true) == 0 ? 1 : -errno);
    pause();
  });
  while (Read(state) == 0) Nap(1000);
  if (Read(state) < 0) {
    std::printf("lock %s on node 1: %s\n", kind.name,
                ErrnoName(static_cast<int>(-Read(state))).c_str());
    close(fd);
    return;
  }
  const int tried = SetLock(kind, fd, F_WRLCK, false);
  std::printf("lock %s held by node 1, tried by node 2: %s\n", kind.name,
              tried == 0 ? "GRANTED, no exclusion" : ErrnoName(errno).c_str());
  if (tried != 0) {
    holder.Kill();
    const double killed = Now();
    while (SetLock(kind, fd, F_WRLCK, false) != 0 && Now() - killed < limit) Nap(1000);
    std::printf("lock %s granted %.0f ms after its holder was killed (its node lives)\n", kind.name,
                (Now() - killed) / 1e3);
    constexpr int kTimes = 50;
    const double start = Now();
    for (int i = 0; i < kTimes; ++i) {
      SetLock(kind, fd, F_WRLCK, true);
      SetLock(kind, fd, F_UNLCK, true);
    }
    std::printf("lock %s without anyone else: %.0f us to lock and unlock\n", kind.name,
                (Now() - start) / kTimes);
  }
  std::fflush(stdout);
  close(fd);
}

// ---- Removed and replaced files

void Show(const std::string& what, int fd, off_t offset) {
  alignas(4096) static char bytes[4096];
  const ssize_t got = pread(fd, bytes, sizeof bytes, offset);
  const std::string read = got < 0 ? ErrnoName(errno) : std::to_string(got) + " bytes";
  struct stat info;
  const std::string links =
      fstat(fd, &info) != 0 ? ErrnoName(errno) : std::to_string(info.st_nlink) + " links";
  std::printf("stale   %-46s pread: %s, fstat: %s\n", what.c_str(), read.c_str(), links.c_str());
}

void ShowNames(const std::string& what, int node, const std::string& directory) {
  std::printf("stale   names, %s:", what.c_str());
  DIR* names = opendir(Path(node, directory).c_str());
  while (const dirent* entry = names == nullptr ? nullptr : readdir(names)) {
    if (entry->d_name[0] != '.' || entry->d_name[1] == 'n') std::printf(" %s", entry->d_name);
  }
  if (names != nullptr) closedir(names);
  std::printf("\n");
}

void RemovedUnderReader(bool direct) {
  constexpr off_t kOther = 4096;
  const int flags = O_RDONLY | (direct ? O_DIRECT : 0);
  const std::string removed = direct ? "stale/a.direct" : "stale/a";
  const std::string replaced = direct ? "stale/b.direct" : "stale/b";
  std::printf("stale a reader%s\n", direct ? " with O_DIRECT" : "");
  WriteFile(Path(1, removed), "data", 8192);
  WriteFile(Path(1, replaced), "data", 8192);
  TouchCache(Path(2, "stale"));
  int fd = Open(Path(2, removed), flags);
  Show("before", fd, 0);
  unlink(Path(1, removed).c_str());
  Show("removed by the other node, bytes read before", fd, 0);
  Show("removed by the other node, other bytes", fd, kOther);
  Nap(4e6);
  Show("4 s later", fd, 0);
  close(fd);
  fd = Open(Path(2, replaced), flags);
  Show("before", fd, 0);
  WriteFile(Path(1, "stale/new"), "data", 4096);
  rename(Path(1, "stale/new").c_str(), Path(1, replaced).c_str());
  Show("replaced by the other node, bytes read before", fd, 0);
  Show("replaced by the other node, other bytes", fd, kOther);
  Nap(4e6);
  Show("4 s later", fd, 0);
  close(fd);
}

void RemovedUnderWriter() {
  WriteFile(Path(1, "stale/written"), "data", 100);
  TouchCache(Path(2, "stale"));
  const int fd = Open(Path(1, "stale/written"), O_RDWR);
  unlink(Path(2, "stale/written").c_str());
  const std::string written = pwrite(fd, "x", 1, 0) == 1 ? "ok" : ErrnoName(errno);
  const std::string flushed = fsync(fd) == 0 ? "ok" : ErrnoName(errno);
  const std::string closed = close(fd) == 0 ? "ok" : ErrnoName(errno);
  std::printf("stale a writer whose file the other node removed: pwrite %s, fsync %s, close %s\n",
              written.c_str(), flushed.c_str(), closed.c_str());
}

void RemovedByItself() {
  if (mkdir(Path(1, "stale/own").c_str(), 0777) != 0) Die("mkdir");
  WriteFile(Path(1, "stale/own/file"), "data", 100);
  TouchCache(Path(2, "stale"));
  const int fd = Open(Path(1, "stale/own/file"), O_RDONLY);
  unlink(Path(1, "stale/own/file").c_str());
  ShowNames("own file removed while open, this node", 1, "stale/own");
  ShowNames("own file removed while open, other node", 2, "stale/own");
  const std::string removed = rmdir(Path(2, "stale/own").c_str()) == 0 ? "ok" : ErrnoName(errno);
  std::printf("stale   rmdir of that directory by the other node: %s\n", removed.c_str());
  Show("own file removed while open", fd, 0);
  close(fd);
}

}  // namespace

void ProbeLock(const Arguments& arguments) {
  for (const LockKind& kind : kLockKinds) LockBetweenNodes(kind, arguments.Get("limit", 100) * 1e6);
}

void ProbeStale(const Arguments& /*arguments*/) {
  if (mkdir(Path(1, "stale").c_str(), 0777) != 0) Die("mkdir");
  TouchCache(Path(2, "."));
  RemovedUnderReader(false);
  RemovedUnderReader(true);
  RemovedUnderWriter();
  RemovedByItself();
}

void ProbeNotify(const Arguments& arguments) {
  const double limit = arguments.Get("limit", 70) * 1e6;
  if (mkdir(Path(1, "notify").c_str(), 0777) != 0) Die("mkdir");
  WriteFile(Path(1, "notify/file"), "a", 4096);
  TouchCache(Path(2, "."));
  const int watch = inotify_init1(IN_NONBLOCK);
  if (inotify_add_watch(watch, Path(2, "notify").c_str(), IN_ALL_EVENTS) < 0)
    Die("inotify_add_watch");
  const int fd = Open(Path(1, "notify/file"), O_WRONLY | O_DSYNC);
  if (pwrite(fd, "b", 1, 0) != 1) Die("write");
  WriteFile(Path(1, "notify/another"), "", 0);
  pollfd waiting = {watch, POLLIN, 0};
  std::printf("notify: inotify on node 2 after changes by node 1: %s within 5 s\n",
              poll(&waiting, 1, 5000) > 0 ? "an event" : "nothing");
  close(watch);

  const int reader = Open(Path(2, "notify/file"), O_RDONLY);
  volatile const char* page =
      static_cast<const char*>(mmap(nullptr, 4096, PROT_READ, MAP_SHARED, reader, 0));
  if (page == MAP_FAILED) {
    std::printf("notify: mmap on node 2: %s\n", ErrnoName(errno).c_str());
    return;
  }
  const char before = page[100];
  if (pwrite(fd, "Z", 1, 100) != 1) Die("write");
  const double start = Now();
  while (page[100] == before && Now() - start < limit) Nap(2000);
  std::printf("notify: a page mapped on node 2 showed node 1's flushed write %s %.1f s\n",
              page[100] != before ? "after" : "NOT within", (Now() - start) / 1e6);
  std::fflush(stdout);
}

// A counter that one side increases five times a second: how long does the other see no change?
void ProbeBeat(const Arguments& arguments) {
  const double seconds = arguments.Get("seconds", 20);
  enum { kStat, kFstat, kStatxSync, kOpenFstat, kCounterDirect, kWays };
  const char* const names[] = {"stat", "fstat(held)", "statx(FORCE_SYNC)", "open+fstat+close",
                               "pread(O_DIRECT held) of a counter"};
  constexpr size_t kFileBytes = 128 * 1024;
  WriteFile(Path(1, "beat"), "0", kFileBytes);
  TouchCache(Path(2, "."));
  Child writer([] {
    const int fd = Open(Path(1, "beat"), O_WRONLY);
    for (int i = 1;; ++i) {
      char text[32];
      const int length = std::snprintf(text, sizeof text, "%015d\n", i);
      if (pwrite(fd, text, length, 0) != length || fdatasync(fd) != 0) Die("beat");
      Nap(200e3);
    }
  });
  for (int way = 0; way < kWays; ++way) {
    const int fd = Open(Path(2, "beat"), O_RDONLY | (way == kCounterDirect ? O_DIRECT : 0));
    alignas(4096) static char bytes[4096];
    double last = -1;
    double changed = Now();
    double longest = 0;
    const double start = Now();
    while (Now() - start < seconds * 1e6) {
      struct stat info = {};
      double value = 0;
      if (way == kCounterDirect) {
        if (pread(fd, bytes, sizeof bytes, 0) > 0) value = strtod(bytes, nullptr);
      } else if (way == kStatxSync) {
        struct statx extended = {};
        statx(AT_FDCWD, Path(2, "beat").c_str(), AT_STATX_FORCE_SYNC, STATX_MTIME, &extended);
        value = extended.stx_mtime.tv_sec + extended.stx_mtime.tv_nsec / 1e9;
      } else {
        if (way == kStat) stat(Path(2, "beat").c_str(), &info);
        if (way == kFstat) fstat(fd, &info);
        if (way == kOpenFstat) {
          const int fresh = Open(Path(2, "beat"), O_RDONLY);
          fstat(fresh, &info);
          close(fresh);
        }
        value = info.st_mtim.tv_sec + info.st_mtim.tv_nsec / 1e9;
      }
      if (value != last) {
        if (last >= 0 && Now() - changed > longest) longest = Now() - changed;
        last = value;
        changed = Now();
      }
      Nap(50e3);
    }
    if (Now() - changed > longest) longest = Now() - changed;
    close(fd);
    std::printf("beat every 0.2 s, seen by %s: longest time without a change %.2f s\n", names[way],
                longest / 1e6);
    std::fflush(stdout);
  }
}

}  // namespace fs_probe
