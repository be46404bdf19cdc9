// When several processes on two mounts do the same thing to one name, does exactly one of them
// succeed? And what becomes of records that two of them append to one file?

#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "tests/nodes/fs_probe/probes.h"

namespace fs_probe {
namespace {

enum Claim { kLink, kRename, kMkdir, kCreateExclusive, kRenameNoReplace, kSymlink, kClaims };
const char* const kClaimNames[] = {"link",           "rename from one source",      "mkdir",
                                   "O_CREAT|O_EXCL", "renameat2(RENAME_NOREPLACE)", "symlink"};

constexpr int kErrnos = 200;

// One try of process `who` at round `round`: 0 or -1 with errno.
int Try(int claim, int node, const std::string& directory, int who, int round) {
  const auto path = [&](const std::string& name) { return Path(node, directory + "/" + name); };
  const std::string mine = path("mine." + std::to_string(who));
  const std::string goal = path("goal." + std::to_string(round));
  switch (claim) {
    case kLink:
      return link(mine.c_str(), goal.c_str());
    case kRename:
      return rename(path("source." + std::to_string(round)).c_str(),
                    (goal + "." + std::to_string(who)).c_str());
    case kMkdir:
      return mkdir(goal.c_str(), 0777);
    case kRenameNoReplace:
      return renameat2(AT_FDCWD, mine.c_str(), AT_FDCWD, goal.c_str(), RENAME_NOREPLACE);
    case kSymlink:
      return symlink("mine", goal.c_str());
    default: {
      const int fd = open(goal.c_str(), O_CREAT | O_EXCL | O_WRONLY, 0666);
      if (fd >= 0) close(fd);
      return fd < 0 ? -1 : 0;
    }
  }
}

void Race(int claim, int rounds, int processes) {
  const std::string directory = "claim." + std::to_string(claim);
  if (mkdir(Path(1, directory).c_str(), 0777) != 0) Die("mkdir " + directory);
  TouchCache(Path(2, "."));
  if (claim == kRename) {
    for (int i = 0; i < rounds; ++i) {
      close(Open(Path(1, directory + "/source." + std::to_string(i)), O_CREAT | O_WRONLY));
    }
  }
  int* const winners = SharedArray<int>(rounds);
  int* const arrived = SharedArray<int>(rounds);
  int* const errors = SharedArray<int>(kErrnos);
  const double start = Now();
  {
    std::deque<Child> children;
    for (int who = 0; who < processes; ++who) {
      children.emplace_back([&, who] {
        const int node = 1 + who % 2;
        const std::string mine = Path(node, directory + "/mine." + std::to_string(who));
        if (claim == kLink) close(Open(mine, O_CREAT | O_WRONLY));
        for (int round = 0; round < rounds; ++round) {
          if (claim == kRenameNoReplace) close(Open(mine, O_CREAT | O_WRONLY));
          // All start a round together.
          __atomic_add_fetch(&arrived[round], 1, __ATOMIC_SEQ_CST);
          for (int spins = 0; __atomic_load_n(&arrived[round], __ATOMIC_SEQ_CST) < processes;
               ++spins) {
            if (spins > 200) sched_yield();
          }
          if (Try(claim, node, directory, who, round) == 0) {
            __atomic_add_fetch(&winners[round], 1, __ATOMIC_SEQ_CST);
          } else if (errno < kErrnos) {
            __atomic_add_fetch(&errors[errno], 1, __ATOMIC_SEQ_CST);
          }
        }
      });
    }
    for (Child& child : children) child.Wait();
  }
  int one = 0;
  int none = 0;
  int several = 0;
  for (int round = 0; round < rounds; ++round) {
    ++(winners[round] == 1 ? one : winners[round] == 0 ? none : several);
  }
  std::printf(
      "claim by=%s rounds=%d processes=%d one_winner=%d none=%d several=%d us_per_round=%.0f "
      "losers:",
      kClaimNames[claim], rounds, processes, one, none, several, (Now() - start) / rounds);
  for (int i = 0; i < kErrnos; ++i) {
    if (errors[i] != 0) std::printf(" %s=%d", ErrnoName(i).c_str(), errors[i]);
  }
  std::printf("\n");
  std::fflush(stdout);
}

}  // namespace

void ProbeClaim(const Arguments& arguments) {
  const int claim = static_cast<int>(arguments.Get("by", -1));
  for (int c = 0; c < kClaims; ++c) {
    if (claim != -1 && claim != c) continue;
    Race(c, static_cast<int>(arguments.Get("rounds", 500)),
         static_cast<int>(arguments.Get("processes", 4)));
  }
}

// Two nodes append to one file with O_APPEND and O_DSYNC.
void ProbeAppend(const Arguments& arguments) {
  const int count = static_cast<int>(arguments.Get("count", 300));
  const size_t size = static_cast<size_t>(arguments.Get("size", 128));
  WriteFile(Path(1, "append"), "", 0);
  TouchCache(Path(2, "."));
  const auto record = [size](int node, int i) {
    std::string text = std::to_string(node) + "." + std::to_string(i) + ".";
    text.resize(size, static_cast<char>('a' + i % 26));
    return text;
  };
  {
    std::deque<Child> children;
    for (int node = 1; node <= 2; ++node) {
      children.emplace_back([&, node] {
        const int fd = Open(Path(node, "append"), O_WRONLY | O_APPEND | O_DSYNC);
        for (int i = 0; i < count; ++i) {
          const std::string text = record(node, i);
          if (write(fd, text.data(), text.size()) != static_cast<ssize_t>(size)) Die("append");
        }
      });
    }
    for (Child& child : children) child.Wait();
  }
  std::map<std::string, int> found;
  const int fd = Open(Path(1, "append"), O_RDONLY);
  std::string bytes(size, '\0');
  off_t length = 0;
  while (pread(fd, bytes.data(), size, length) == static_cast<ssize_t>(size)) {
    ++found[bytes];
    length += static_cast<off_t>(size);
  }
  close(fd);
  int intact = 0;
  for (int node = 1; node <= 2; ++node) {
    for (int i = 0; i < count; ++i) intact += static_cast<int>(found.count(record(node, i)));
  }
  std::printf(
      "append with O_APPEND from two nodes: %d of %d records intact, file has %ld of %zu bytes\n",
      intact, 2 * count, static_cast<long>(length), 2 * count * size);
}

}  // namespace fs_probe
