// Measures what a file system really does between two mounts of one directory: what
// docs/filesystems.md tells.
//
//   NODE1=... NODE2=... fs_probe PROBE [key=number...]
//
// Works in a new directory of the first mount and removes it. The harnesses beside it set NODE1 and
// NODE2.

#include <cstdio>
#include <string>
#include <vector>

#include "tests/nodes/fs_probe/probes.h"

namespace {

struct Probe {
  const char* name;
  const char* asks;
  const char* keys;
  void (*run)(const fs_probe::Arguments& arguments);
};

const Probe kProbes[] = {
    {"log", "how soon a growing file's bytes are seen, for each way to write and to read",
     "write=0..5 read=0..8 count=100 size=128 gap=20000 poll=1000 (us)", fs_probe::ProbeLog},
    {"round_trip", "a round trip over two growing files",
     "write=1 read=3 count=100 size=128 in_flight=1 poll=1000", fs_probe::ProbeRoundTrip},
    {"names", "how soon a new name is seen, for each way to look",
     "by=0..7 count=20 gap=20000 poll=1000 give_up=75", fs_probe::ProbeNames},
    {"replace", "how soon a file replaced by rename is seen",
     "count=100 gap=20000 directory_first=0", fs_probe::ProbeReplace},
    {"held", "the same while the old file is held open", "limit=100", fs_probe::ProbeHeld},
    {"claim", "whether exactly one of several wins a name", "by=0..5 rounds=500 processes=4",
     fs_probe::ProbeClaim},
    {"append", "what becomes of records that two nodes append", "count=300 size=128",
     fs_probe::ProbeAppend},
    {"lock", "whether locks exclude, and when they are released", "limit=100", fs_probe::ProbeLock},
    {"notify", "whether inotify and mapped pages show the other's changes", "limit=70",
     fs_probe::ProbeNotify},
    {"stale", "what becomes of open files that are removed or replaced", "", fs_probe::ProbeStale},
    {"beat", "how current a heartbeat is, for each way to read it", "seconds=20",
     fs_probe::ProbeBeat},
};

int Usage() {
  std::fprintf(stderr,
               "usage: fs_probe PROBE [key=number...], with NODE1 and NODE2 set to two mounts\n");
  for (const Probe& probe : kProbes)
    std::fprintf(stderr, "  %-11s %s\n              %s\n", probe.name, probe.asks, probe.keys);
  return 64;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return Usage();
  const std::string name = argv[1];
  const fs_probe::Arguments arguments(std::vector<std::string>(argv + 2, argv + argc));
  for (const Probe& probe : kProbes) {
    if (name != probe.name) continue;
    fs_probe::MakeRunDirectory();
    probe.run(arguments);
    fs_probe::RemoveRunDirectory();
    return 0;
  }
  return Usage();
}
