// How soon does a reader on one mount see what a writer on the other appended to a file, for each
// way to write and each way to read; and what does a round trip over two such files cost?

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "tests/nodes/fs_probe/probes.h"

namespace fs_probe {
namespace {

constexpr size_t kMaxRead = 65536;
constexpr size_t kBuffer = 4 * kMaxRead;
// After the writer has ended, a reader that sees nothing more for so long never will.
constexpr double kGiveUp = 75e6;

enum Writing { kPlain, kFdatasync, kDsync, kDirectDsync, kDirect, kOpenWriteClose, kWritings };
const char* const kWritingNames[] = {"pwrite",           "pwrite+fdatasync", "O_DSYNC",
                                     "O_DIRECT|O_DSYNC", "O_DIRECT",         "open+pwrite+close"};
const int kWritingFlags[] = {0, 0, O_DSYNC, O_DIRECT | O_DSYNC, O_DIRECT, 0};

enum Reading {
  kHeld,
  kFstat,
  kOpenReadClose,
  kHeldDirect,
  kFadvise,
  kOpenClose,
  kStatxSync,
  kLock,
  kOpenDirectReadClose,
  kReadings
};
const char* const kReadingNames[] = {"pread(held)",
                                     "fstat+pread",
                                     "open+pread+close",
                                     "pread(O_DIRECT held)",
                                     "fadvise+pread",
                                     "open+close,pread(held)",
                                     "statx(FORCE_SYNC)+pread",
                                     "fcntl-lock+pread",
                                     "open(O_DIRECT)+pread+close"};

// A record of the log under test.
struct Record {
  uint32_t length;
  uint32_t sequence;
  uint64_t check;
  char filling[];
};

uint64_t Check(const Record& record) {
  uint64_t hash = 1469598103934665603u + record.sequence;
  for (uint32_t i = 0; i < record.length - sizeof(Record); ++i) {
    hash = (hash ^ static_cast<unsigned char>(record.filling[i])) * 1099511628211u;
  }
  return hash;
}

void MakeRecord(void* where, uint32_t length, uint32_t sequence) {
  Record* record = static_cast<Record*>(where);
  record->length = length;
  record->sequence = sequence;
  memset(record->filling, 'a' + sequence % 26, length - sizeof(Record));
  record->check = Check(*record);
}

enum class Found { kNothing, kZeros, kPart, kWhole };

// What lies at the start of `have` bytes where record `sequence` is expected.
Found Judge(const void* bytes, ssize_t have, uint32_t sequence) {
  const Record* record = static_cast<const Record*>(bytes);
  if (have <= 0) return Found::kNothing;
  if (have < static_cast<ssize_t>(sizeof(Record))) return Found::kPart;
  if (record->length == 0 && record->sequence == 0) return Found::kZeros;
  if (record->length < sizeof(Record) || static_cast<ssize_t>(record->length) > have ||
      record->sequence != sequence || record->check != Check(*record)) {
    return Found::kPart;
  }
  return Found::kWhole;
}

// Appends to a file in one of the ways.
class Writer {
 public:
  Writer(const std::string& path, int way) : path_(path), way_(way) {
    fd_ = Open(path, O_WRONLY | O_CREAT | O_TRUNC | kWritingFlags[way]);
    if (way_ == kOpenWriteClose) close(fd_);
  }

  void Put(const void* bytes, size_t size) {
    if (way_ == kOpenWriteClose) fd_ = Open(path_, O_WRONLY);
    if (pwrite(fd_, bytes, size, end_) != static_cast<ssize_t>(size)) Die("write " + path_);
    end_ += size;
    if (way_ == kFdatasync && fdatasync(fd_) != 0) Die("fdatasync " + path_);
    if (way_ == kOpenWriteClose && close(fd_) != 0) Die("close " + path_);
  }

 private:
  std::string path_;
  int way_;
  int fd_;
  off_t end_ = 0;
};

// Reads a file that grows in one of the ways.
class Reader {
 public:
  Reader(const std::string& path, int way) : path_(path), way_(way) {
    if (way_ == kOpenReadClose || way_ == kOpenDirectReadClose) return;
    fd_ = Open(path, (way_ == kLock ? O_RDWR : O_RDONLY) | (way_ == kHeldDirect ? O_DIRECT : 0));
  }

  // What lies behind the last Took(); -1: an error, in errno.
  ssize_t Get(void* bytes) {
    if (way_ == kFstat || way_ == kStatxSync) {
      if (!Grown()) return 0;
    } else if (way_ == kFadvise) {
      posix_fadvise(fd_, 0, 0, POSIX_FADV_DONTNEED);
    } else if (way_ == kOpenClose) {
      close(open(path_.c_str(), O_RDONLY));
    } else if (way_ == kOpenReadClose || way_ == kOpenDirectReadClose) {
      fd_ = open(path_.c_str(), O_RDONLY | (way_ == kOpenDirectReadClose ? O_DIRECT : 0));
      if (fd_ < 0) return -1;
    } else if (way_ == kLock) {
      SetLock(F_RDLCK);
    }
    const ssize_t got = Pread(bytes);
    if (way_ == kOpenReadClose || way_ == kOpenDirectReadClose) close(fd_);
    if (way_ == kLock) SetLock(F_UNLCK);
    return got;
  }

  void Took(size_t size) { begin_ += size; }

 private:
  bool Direct() const { return way_ == kHeldDirect || way_ == kOpenDirectReadClose; }

  // O_DIRECT reads whole blocks; what lies before begin_ is moved away.
  ssize_t Pread(void* bytes) {
    if (!Direct()) return pread(fd_, bytes, kMaxRead, begin_);
    const off_t aligned = begin_ & ~off_t{4095};
    const ssize_t got = pread(fd_, bytes, kMaxRead + 4096, aligned);
    if (got < 0) return -1;
    const ssize_t skip = begin_ - aligned;
    if (got <= skip) return 0;
    memmove(bytes, static_cast<char*>(bytes) + skip, got - skip);
    return got - skip;
  }

  bool Grown() {
    if (way_ == kFstat) {
      struct stat info;
      return fstat(fd_, &info) == 0 && info.st_size > begin_;
    }
    struct statx info;
    return statx(fd_, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_SIZE, &info) == 0 &&
           static_cast<off_t>(info.stx_size) > begin_;
  }

  void SetLock(short type) {
    struct flock lock = {};
    lock.l_type = type;
    if (fcntl(fd_, F_SETLKW, &lock) != 0) Die("lock " + path_);
  }

  std::string path_;
  int way_;
  int fd_ = -1;
  off_t begin_ = 0;
};

char* Buffer() { return static_cast<char*>(aligned_alloc(4096, kBuffer)); }

struct Shape {
  int count;
  uint32_t size;  // bytes of a record
  double gap;     // us between two records
  double poll;    // us between two looks
  uint32_t in_flight;
};

void Delay(int writing, int reading, const Shape& shape) {
  double* const written = SharedArray<double>(shape.count);
  double* const write_took = SharedArray<double>(shape.count);
  double* const start = SharedArray<double>(1);
  const std::string name = "log." + std::to_string(writing) + "." + std::to_string(reading);
  Writer writer(Path(1, name), writing);
  Operations writer_operations(1);
  Child child([&] {
    char* bytes = Buffer();
    while (Read(start) == 0) Nap(1000);
    for (int i = 0; i < shape.count; ++i) {
      Nap(shape.gap);
      MakeRecord(bytes, shape.size, i);
      const double before = Now();
      writer.Put(bytes, shape.size);
      const double after = Now();
      write_took[i] = after - before;
      Publish(&written[i], after);
    }
  });

  TouchCache(Path(2, "."));
  Reader reader(Path(2, name), reading);
  char* const bytes = Buffer();
  reader.Get(bytes);
  Operations reader_operations(2);
  Publish(start, 1);
  std::vector<double> delays;
  long polls = 0;
  long zeros = 0;
  long parts = 0;
  long errors = 0;
  double last = Now();
  int seen = 0;
  while (seen < shape.count) {
    const ssize_t have = reader.Get(bytes);
    const double now = Now();
    ++polls;
    if (have < 0 && errors++ == 0) std::printf("    read error: %s\n", ErrnoName(errno).c_str());
    ssize_t at = 0;
    Found found = Found::kNothing;
    while (seen < shape.count && (found = Judge(bytes + at, have - at, seen)) == Found::kWhole) {
      const double when = Read(&written[seen]);
      delays.push_back(when == 0 ? 0 : now - when);
      at += shape.size;
      ++seen;
      last = now;
    }
    reader.Took(at);
    if (found == Found::kZeros) ++zeros;
    if (found == Found::kPart) ++parts;
    if (child.Finished() && now - last > kGiveUp) break;
    Nap(shape.poll);
  }
  child.Wait();
  writer_operations.Print("record (writer)", shape.count);
  reader_operations.Print("poll (reader)", polls);
  const std::vector<double> took(write_took, write_took + shape.count);
  std::printf(
      "log write=%s read=%s count=%d seen=%d write_us=%.0f delay_us p50=%.0f p99=%.0f max=%.0f "
      "polls_per_record=%.1f "
      "zeros=%ld parts=%ld errors=%ld\n",
      kWritingNames[writing], kReadingNames[reading], shape.count, seen, Quantile(took, 0.5),
      Quantile(delays, 0.5), Quantile(delays, 0.99), Quantile(delays, 1),
      static_cast<double>(polls) / shape.count, zeros, parts, errors);
  std::fflush(stdout);
}

// The other side of RoundTrips: answers each record with one of its own.
void Answer(const std::string& requests, Writer* responses, int reading, const Shape& shape) {
  Reader reader(requests, reading);
  char* const in = Buffer();
  char* const out = Buffer();
  uint32_t done = 0;
  while (done < static_cast<uint32_t>(shape.count)) {
    const ssize_t have = reader.Get(in);
    if (have < 0) Die("read " + requests);
    ssize_t at = 0;
    while (done < static_cast<uint32_t>(shape.count) &&
           Judge(in + at, have - at, done) == Found::kWhole) {
      MakeRecord(out + at, shape.size, done++);
      at += shape.size;
    }
    reader.Took(at);
    if (at > 0) {
      responses->Put(out, at);
    } else {
      Nap(shape.poll);
    }
  }
}

void RoundTrips(int writing, int reading, const Shape& shape) {
  constexpr double kLimit = 240e6;
  const uint32_t count = shape.count;
  Writer requests(Path(1, "requests"), writing);
  Writer responses(Path(2, "responses"), writing);
  TouchCache(Path(1, "."));
  TouchCache(Path(2, "."));
  Operations operations1(1);
  Operations operations2(2);
  Child child([&] { Answer(Path(2, "requests"), &responses, reading, shape); });

  Reader reader(Path(1, "responses"), reading);
  char* const in = Buffer();
  char* const out = Buffer();
  std::vector<double> sent_at(count);
  std::vector<double> took;
  uint32_t sent = 0;
  const double start = Now();
  while (took.size() < count && Now() - start < kLimit) {
    size_t size = 0;
    const double now = Now();
    // The window is filled again in one write when half of it is free.
    if (sent - took.size() <= shape.in_flight / 2) {
      while (sent < count && sent - took.size() < shape.in_flight) {
        MakeRecord(out + size, shape.size, sent);
        sent_at[sent++] = now;
        size += shape.size;
      }
    }
    if (size > 0) requests.Put(out, size);
    const ssize_t have = reader.Get(in);
    if (have < 0) Die("read responses");
    const double arrived = Now();
    ssize_t at = 0;
    while (took.size() < count && Judge(in + at, have - at, took.size()) == Found::kWhole) {
      took.push_back(arrived - sent_at[took.size()]);
      at += shape.size;
    }
    reader.Took(at);
    if (at == 0) Nap(shape.poll);
  }
  const double seconds = (Now() - start) / 1e6;
  operations1.Print("round trip", took.size());
  operations2.Print("round trip", took.size());
  std::printf(
      "round_trip write=%s read=%s in_flight=%u poll_us=%.0f count=%zu of %u us p50=%.0f p99=%.0f "
      "per_second=%.0f\n",
      kWritingNames[writing], kReadingNames[reading], shape.in_flight, shape.poll, took.size(),
      count, Quantile(took, 0.5), Quantile(took, 0.99), took.size() / seconds);
}

Shape ShapeOf(const Arguments& arguments) {
  Shape shape;
  shape.count = static_cast<int>(arguments.Get("count", 100));
  shape.size = static_cast<uint32_t>(arguments.Get("size", 128));
  shape.gap = arguments.Get("gap", 20000);
  shape.poll = arguments.Get("poll", 1000);
  shape.in_flight = static_cast<uint32_t>(arguments.Get("in_flight", 1));
  if (shape.size < sizeof(Record) || shape.size * uint64_t{shape.in_flight} > kMaxRead) {
    std::fprintf(stderr, "fs_probe: size must be at least %zu, and size * in_flight at most %zu\n",
                 sizeof(Record), kMaxRead);
    std::exit(64);
  }
  return shape;
}

}  // namespace

void ProbeLog(const Arguments& arguments) {
  const int writing = static_cast<int>(arguments.Get("write", -1));
  const int reading = static_cast<int>(arguments.Get("read", -1));
  const Shape shape = ShapeOf(arguments);
  for (int w = 0; w < kWritings; ++w) {
    for (int r = 0; r < kReadings; ++r) {
      if ((writing == -1 || writing == w) && (reading == -1 || reading == r)) Delay(w, r, shape);
    }
  }
}

void ProbeRoundTrip(const Arguments& arguments) {
  RoundTrips(static_cast<int>(arguments.Get("write", kFdatasync)),
             static_cast<int>(arguments.Get("read", kHeldDirect)), ShapeOf(arguments));
}

}  // namespace fs_probe
