// Measures the floor of a call between two mounts of one file system: a ping-pong of small records
// over two rings, without any protocol. What SpoolRPC's calls cost is told as a multiple of this.
//
//   ring_probe [--count N] [--in-flight N] [--reopen-us U] [--read1 MODE] [--read2 MODE] DIRECTORY1
//              DIRECTORY2
//
// The first process works in DIRECTORY1, the second in DIRECTORY2: two mounts of one directory, or
// the same twice. Each writes a ring of its own (256 KiB of zeros, written and flushed before it
// gets its name): one `pwrite` and one `fdatasync` a record, and polls the other's through a
// descriptor that it keeps open. With --in-flight above 1 so many records are under way at once,
// and each side answers all that a look has shown by one write and one flush. MODE is how it reads:
// `direct` (O_DIRECT: asks the file system's server each time) or `plain` (through the page cache);
// by default what the file system of that directory needs. With --reopen-us a reader that saw
// nothing for U microseconds opens the file again.
//
// Prints one line of key=value pairs, times in microseconds, `rate` records a second. `torn` counts
// readings that found a record's number in place but its bytes not yet. Exit status 2: a record did
// not arrive within 60 s.

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr size_t kRingBytes = 256 * 1024;
constexpr size_t kPageBytes = 4096;
constexpr size_t kRecordBytes = 480;
constexpr uint64_t kRecordsPerLap = kRingBytes / kRecordBytes;
constexpr size_t kBufferBytes = 64 * 1024;
constexpr std::chrono::seconds kStuck(60);

using Clock = std::chrono::steady_clock;

[[noreturn]] void Die(const std::string& what) {
  std::fprintf(stderr, "ring_probe: %s: %s\n", what.c_str(), std::strerror(errno));
  std::_Exit(1);
}

double Microseconds(Clock::duration duration) {
  return std::chrono::duration<double, std::micro>(duration).count();
}

struct Record {
  uint64_t sequence;
  char filling[kRecordBytes - 16];
  uint64_t check;
};
static_assert(sizeof(Record) == kRecordBytes);

Record MakeRecord(uint64_t sequence) {
  Record record;
  record.sequence = sequence;
  std::memset(record.filling, 'a' + sequence % 26, sizeof record.filling);
  record.check = sequence * 0x9e3779b97f4a7c15u;
  return record;
}

off_t OffsetOf(uint64_t sequence) { return sequence % kRecordsPerLap * kRecordBytes; }

// A ring that this process writes. Published under `name` only when it has its full size.
class Writer {
 public:
  Writer(const std::string& directory, const std::string& name) {
    const std::string path = directory + "/" + name;
    const std::string temporary = path + ".new";
    fd_ = open(temporary.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (fd_ < 0) Die("open " + temporary);
    const std::vector<char> zeros(kRingBytes);
    if (pwrite(fd_, zeros.data(), kRingBytes, 0) != ssize_t{kRingBytes}) Die("write " + temporary);
    if (fsync(fd_) != 0) Die("fsync " + temporary);
    if (rename(temporary.c_str(), path.c_str()) != 0) Die("rename " + temporary);
    // An NFS 3 client that looked within one tick of the server's clock does not see the first
    // change for a minute, so the directory changes once more, in a later tick.
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    const std::string touch = path + ".touch";
    const int fd = open(touch.c_str(), O_CREAT | O_RDWR | O_EXCL, 0600);
    if (fd < 0) Die("open " + touch);
    close(fd);
    unlink(touch.c_str());
  }

  // Writes the records first..last: at the ring's end by two writes.
  void Put(uint64_t first, uint64_t last) {
    while (first <= last) {
      batch_.clear();
      const off_t offset = OffsetOf(first);
      do {
        batch_.push_back(MakeRecord(first++));
      } while (first <= last && OffsetOf(first) != 0);
      const size_t length = batch_.size() * sizeof(Record);
      if (pwrite(fd_, batch_.data(), length, offset) != static_cast<ssize_t>(length))
        Die("write record");
    }
    if (fdatasync(fd_) != 0) Die("fdatasync");
  }

 private:
  int fd_;
  std::vector<Record> batch_;
};

// The other's ring.
class Reader {
 public:
  Reader(const std::string& directory, const std::string& name, bool direct,
         Clock::duration reopen_after)
      : path_(directory + "/" + name),
        flags_(O_RDONLY | (direct ? O_DIRECT : 0)),
        reopen_after_(reopen_after) {
    buffer_ = static_cast<char*>(std::aligned_alloc(kPageBytes, kBufferBytes));
    const Clock::time_point start = Clock::now();
    while (true) {
      // Opening the directory anew is what makes a network file system look for new names.
      const int fd = open(directory.c_str(), O_RDONLY | O_DIRECTORY);
      if (fd >= 0) close(fd);
      if ((fd_ = open(path_.c_str(), flags_)) >= 0) return;
      if (Clock::now() - start > kStuck) Die("open " + path_);
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }

  // Polls until record `sequence` is there, whole; the number of the last one that is there behind
  // it without a gap, but none from `end` on. The last record of the other side may lie across two
  // pages.
  uint64_t Await(uint64_t sequence, uint64_t end) {
    const off_t page = OffsetOf(sequence) & ~off_t{kPageBytes - 1};
    const size_t in_page = OffsetOf(sequence) - page;
    // (As much as the records take that may be there; the ring is made of pages.)
    const uint64_t most = std::min(end - sequence, kRecordsPerLap - sequence % kRecordsPerLap);
    const size_t wanted = std::min<size_t>(
        (in_page + most * kRecordBytes + kPageBytes - 1) & ~(kPageBytes - 1), kBufferBytes);
    const Clock::time_point start = Clock::now();
    Clock::time_point opened = start;
    while (true) {
      const ssize_t got = pread(fd_, buffer_, wanted, page);
      ++polls;
      uint64_t next = sequence;
      for (size_t at = in_page; next < sequence + most; at += kRecordBytes, ++next) {
        if (got < static_cast<ssize_t>(at + kRecordBytes)) break;
        const Record expected = MakeRecord(next);
        Record found;
        std::memcpy(&found, buffer_ + at, sizeof found);
        if (std::memcmp(&found, &expected, sizeof found) != 0) {
          if (found.sequence == next) ++torn;
          break;
        }
      }
      if (next > sequence) return next - 1;
      const Clock::time_point now = Clock::now();
      if (reopen_after_.count() != 0 && now - opened > reopen_after_) {
        close(fd_);
        if ((fd_ = open(path_.c_str(), flags_)) < 0) Die("reopen " + path_);
        ++reopens;
        opened = now;
      }
      if (now - start > kStuck) {
        std::fprintf(stderr, "ring_probe: %s: record %lu did not arrive within 60 s\n",
                     path_.c_str(), static_cast<unsigned long>(sequence));
        std::_Exit(2);
      }
    }
  }

  long polls = 0;
  long torn = 0;
  long reopens = 0;

 private:
  const std::string path_;
  const int flags_;
  const Clock::duration reopen_after_;
  int fd_ = -1;
  char* buffer_;
};

// A local file system keeps the page cache current itself; there O_DIRECT only disturbs the writer.
bool NeedsDirect(const std::string& directory) {
  struct statfs info;
  if (statfs(directory.c_str(), &info) != 0) Die("statfs " + directory);
  constexpr long kXfs = 0x58465342;
  constexpr long kBtrfs = 0x9123683e;
  const long type = static_cast<long>(info.f_type);
  return !(type == EXT4_SUPER_MAGIC || type == TMPFS_MAGIC || type == OVERLAYFS_SUPER_MAGIC ||
           type == kXfs || type == kBtrfs);
}

double Quantile(std::vector<double> values, double part) {
  std::sort(values.begin(), values.end());
  return values[std::min(values.size() - 1, static_cast<size_t>(part * values.size()))];
}

[[noreturn]] void Usage() {
  std::fprintf(
      stderr,
      "usage: ring_probe [--count N] [--in-flight N] [--reopen-us U] [--read1 direct|plain] "
      "[--read2 direct|plain] DIRECTORY1 DIRECTORY2\n");
  std::exit(64);
}

struct Options {
  uint64_t count = 2000;
  uint64_t in_flight = 1;
  Clock::duration reopen_after{0};
  std::string directory[2];
  bool direct[2];
};

bool ParseMode(const std::string& mode) {
  if (mode != "direct" && mode != "plain") Usage();
  return mode == "direct";
}

Options Parse(int argc, char** argv) {
  Options options;
  std::string mode[2];
  std::vector<std::string> directories;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word.rfind("--", 0) != 0) {
      directories.push_back(word);
      continue;
    }
    if (++i == argc) Usage();
    if (word == "--count") {
      options.count = std::strtoull(argv[i], nullptr, 10);
    } else if (word == "--in-flight") {
      options.in_flight = std::strtoull(argv[i], nullptr, 10);
    } else if (word == "--reopen-us") {
      options.reopen_after = std::chrono::microseconds(std::strtoll(argv[i], nullptr, 10));
    } else if (word == "--read1") {
      mode[0] = argv[i];
    } else if (word == "--read2") {
      mode[1] = argv[i];
    } else {
      Usage();
    }
  }
  // (Half a lap: a record must not be written over before it was read.)
  if (directories.size() != 2 || options.count == 0 || options.in_flight == 0 ||
      options.in_flight > kRecordsPerLap / 2) {
    Usage();
  }
  for (int side = 0; side < 2; ++side) {
    options.directory[side] = directories[side];
    options.direct[side] =
        mode[side].empty() ? NeedsDirect(directories[side]) : ParseMode(mode[side]);
  }
  return options;
}

[[noreturn]] void Answer(const Options& options, const std::string& tag) {
  Writer responses(options.directory[1], tag + ".responses");
  Reader requests(options.directory[1], tag + ".requests", options.direct[1], options.reopen_after);
  for (uint64_t next = 1; next <= options.count;) {
    const uint64_t last = requests.Await(next, options.count + 1);
    responses.Put(next, last);
    next = last + 1;
  }
  std::_Exit(0);
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = Parse(argc, argv);
  const std::string tag = "ring_probe." + std::to_string(getpid());
  const pid_t other = fork();
  if (other < 0) Die("fork");
  if (other == 0) Answer(options, tag);

  Writer requests(options.directory[0], tag + ".requests");
  Reader responses(options.directory[0], tag + ".responses", options.direct[0],
                   options.reopen_after);
  std::vector<double> times;
  std::vector<Clock::time_point> sent_at(options.count + 1);
  const Clock::time_point began = Clock::now();
  uint64_t sent = 0;
  for (uint64_t answered = 0; answered < options.count;) {
    const uint64_t last = std::min(options.count, answered + options.in_flight);
    for (uint64_t i = sent + 1; i <= last; ++i) sent_at[i] = Clock::now();
    requests.Put(sent + 1, last);
    sent = last;
    const uint64_t arrived = responses.Await(answered + 1, sent + 1);
    const Clock::time_point now = Clock::now();
    while (answered < arrived) times.push_back(Microseconds(now - sent_at[++answered]));
  }
  const double rate = options.count / (Microseconds(Clock::now() - began) / 1e6);
  int status = 0;
  waitpid(other, &status, 0);
  unlink((options.directory[0] + "/" + tag + ".requests").c_str());
  unlink((options.directory[0] + "/" + tag + ".responses").c_str());

  const std::vector<double> first_lap(
      times.begin(), times.begin() + std::min<size_t>(times.size(), kRecordsPerLap));
  std::printf(
      "ring count=%zu laps=%.1f rate=%.1f p50_us=%.1f p99_us=%.1f max_us=%.0f "
      "first_lap_p50_us=%.1f "
      "polls_per_record=%.1f "
      "torn=%ld reopens=%ld read1=%s read2=%s\n",
      times.size(), static_cast<double>(times.size()) / kRecordsPerLap, rate, Quantile(times, 0.5),
      Quantile(times, 0.99), Quantile(times, 1), Quantile(first_lap, 0.5),
      static_cast<double>(responses.polls) / times.size(), responses.torn, responses.reopens,
      options.direct[0] ? "direct" : "plain", options.direct[1] ? "direct" : "plain");
  return status == 0 ? 0 : 1;
}
