// The floor: what an echo costs on one host over two logs if there is no protocol at all.
//
// Two processes. Each writes a ring of its own, made of written zeros: frames of a header, an XXH3
// checksum and a protobuf message, by pwrite. A counter in a mapped page says how far the ring is
// written; the other side spins on it and reads what is new by pread. No names, leases, calls,
// deadlines or statuses, no sleep, no other thread: nothing that carries messages through files can
// be much faster, so this is what the distance of a whole RPC is measured from.
//
//   echo_floor --directory DIR [--depth 1]    prints the time of round trips, one in flight
//   echo_floor --directory DIR --depth 64     prints calls a second, so many in flight

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "benchmarks/contender.h"
#include "benchmarks/measure.h"

ABSL_FLAG(std::string, directory, "", "where the two rings and the counters go");
ABSL_FLAG(int, depth, 1, "messages in flight");
// The others' flags, defined in contender.cc.
ABSL_DECLARE_FLAG(int, calls);
ABSL_DECLARE_FLAG(int, warmup);
ABSL_DECLARE_FLAG(absl::Duration, duration);
ABSL_DECLARE_FLAG(int, payload_bytes);

namespace spoolrpc::benchmarks {
namespace {

// Far more than what is in flight, so that nobody has to tell what was consumed.
constexpr uint64_t kRingBytes = 1 << 20;

struct FrameHeader {
  uint64_t number;
  uint64_t length;  // of the message
  uint64_t checksum;
};

// Shared by both processes; each counter alone on its cache line, written by one side.
struct Counters {
  alignas(128) std::atomic<uint64_t> requests{0};
  alignas(128) std::atomic<uint64_t> responses{0};
  alignas(128) std::atomic<bool> stop{false};
};

void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

[[noreturn]] void DieOf(const std::string& operation, const std::string& path) {
  Die(absl::StrCat(operation, " ", path, ": ", strerror(errno)));
}

int MakeFile(const std::string& path, uint64_t size) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600);
  if (fd < 0) DieOf("open", path);
  const std::string zeros(size, '\0');
  if (pwrite(fd, zeros.data(), size, 0) != static_cast<ssize_t>(size)) DieOf("write", path);
  return fd;
}

class Writer {
 public:
  Writer(int fd, std::atomic<uint64_t>* written) : fd_(fd), written_(written) {}

  void Add(uint64_t number, const EchoMessage& message) {
    const size_t length = message.ByteSizeLong();
    const size_t at = batch_.size();
    batch_.resize(at + sizeof(FrameHeader) + length);
    char* const body = &batch_[at + sizeof(FrameHeader)];
    message.SerializeWithCachedSizesToArray(reinterpret_cast<uint8_t*>(body));
    const FrameHeader header = {number, length, XXH3_64bits_withSeed(body, length, number)};
    memcpy(&batch_[at], &header, sizeof(header));
  }

  // One pwrite of all that was added (two at the ring's end).
  void Flush() {
    for (size_t done = 0; done < batch_.size();) {
      const uint64_t offset = position_ % kRingBytes;
      const size_t count = std::min<uint64_t>(batch_.size() - done, kRingBytes - offset);
      if (pwrite(fd_, batch_.data() + done, count, offset) != static_cast<ssize_t>(count)) {
        Die("a write to the ring failed");
      }
      done += count;
      position_ += count;
    }
    batch_.clear();
    written_->store(position_, std::memory_order_release);
  }

 private:
  const int fd_;
  std::atomic<uint64_t>* const written_;
  uint64_t position_ = 0;
  std::string batch_;
};

class Reader {
 public:
  Reader(int fd, const std::atomic<uint64_t>* written) : fd_(fd), written_(written) {}

  // Gives what is new to `take(number, message)`; returns how many messages that was.
  int Drain(absl::FunctionRef<void(uint64_t, const EchoMessage&)> take) {
    const uint64_t end = written_->load(std::memory_order_acquire);
    if (end == position_) return 0;
    bytes_.resize(std::max<size_t>(bytes_.size(), end - position_));
    size_t got = 0;
    while (position_ < end) {
      const uint64_t offset = position_ % kRingBytes;
      const size_t count = std::min<uint64_t>(end - position_, kRingBytes - offset);
      if (pread(fd_, &bytes_[got], count, offset) != static_cast<ssize_t>(count)) {
        Die("a reading of the ring failed");
      }
      got += count;
      position_ += count;
    }
    int messages = 0;
    for (size_t at = 0; at < got; ++messages) {
      FrameHeader header;
      memcpy(&header, &bytes_[at], sizeof(header));
      const char* const body = &bytes_[at + sizeof(header)];
      if (XXH3_64bits_withSeed(body, header.length, header.number) != header.checksum ||
          !message_.ParseFromArray(body, static_cast<int>(header.length))) {
        Die("a frame in the ring is damaged");
      }
      take(header.number, message_);
      at += sizeof(header) + header.length;
    }
    return messages;
  }

 private:
  const int fd_;
  const std::atomic<uint64_t>* const written_;
  uint64_t position_ = 0;
  std::string bytes_;
  EchoMessage message_;
};

void Serve(Reader* requests, Writer* responses, const std::atomic<bool>& stop) {
  EchoMessage reply;
  while (!stop.load(std::memory_order_relaxed)) {
    const int served = requests->Drain([&](uint64_t number, const EchoMessage& request) {
      reply.set_payload(request.payload());
      responses->Add(number, reply);
    });
    if (served > 0) {
      responses->Flush();
    } else {
      Pause();
    }
  }
}

// Keeps `depth` messages in flight; returns replies a second over `duration`.
double Rate(Writer* requests, Reader* responses, const EchoMessage& request, int depth,
            absl::Duration duration) {
  uint64_t sent = 0;
  uint64_t replies = 0;
  for (; sent < static_cast<uint64_t>(depth); ++sent) requests->Add(sent, request);
  requests->Flush();
  const auto began = std::chrono::steady_clock::now();
  const auto end = began + absl::ToChronoNanoseconds(duration);
  auto now = began;
  while (now < end) {
    const int taken = responses->Drain([&](uint64_t number, const EchoMessage& reply) {
      if (number != replies++ || reply.payload().size() != request.payload().size()) {
        Die("a reply out of order");
      }
      requests->Add(sent++, request);
    });
    if (taken > 0) {
      requests->Flush();
      now = std::chrono::steady_clock::now();
    } else {
      Pause();
    }
  }
  return replies / std::chrono::duration<double>(now - began).count();
}

int Main() {
  const std::string directory = absl::GetFlag(FLAGS_directory);
  const std::string paths[] = {absl::StrCat(directory, "/floor_requests"),
                               absl::StrCat(directory, "/floor_responses"),
                               absl::StrCat(directory, "/floor_counters")};
  const int request_fd = MakeFile(paths[0], kRingBytes);
  const int response_fd = MakeFile(paths[1], kRingBytes);
  const int counters_fd = MakeFile(paths[2], sizeof(Counters));
  void* const page =
      mmap(nullptr, sizeof(Counters), PROT_READ | PROT_WRITE, MAP_SHARED, counters_fd, 0);
  if (page == MAP_FAILED) DieOf("mmap", paths[2]);
  Counters* const counters = new (page) Counters;
  for (const std::string& path : paths) unlink(path.c_str());

  const pid_t parent = getpid();
  const pid_t server = fork();
  if (server < 0) DieOf("fork", "the server");
  if (server == 0) {
    // It spins: it must not outlive its client.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    Reader requests(request_fd, &counters->requests);
    Writer responses(response_fd, &counters->responses);
    Serve(&requests, &responses, counters->stop);
    _exit(0);
  }

  Writer requests(request_fd, &counters->requests);
  Reader responses(response_fd, &counters->responses);
  EchoMessage request;
  request.set_payload(std::string(absl::GetFlag(FLAGS_payload_bytes), 'x'));
  std::string line;
  if (const int depth = absl::GetFlag(FLAGS_depth); depth > 1) {
    line = FormatRate(Rate(&requests, &responses, request, depth, absl::GetFlag(FLAGS_duration)));
  } else {
    uint64_t number = 0;
    line = Format(MeasureLatency(absl::GetFlag(FLAGS_warmup), absl::GetFlag(FLAGS_calls), [&] {
      requests.Add(++number, request);
      requests.Flush();
      const auto check = [&](uint64_t got, const EchoMessage& reply) {
        if (got != number || reply.payload() != request.payload()) Die("a wrong reply");
      };
      while (responses.Drain(check) == 0) Pause();
    }));
  }
  counters->stop.store(true);
  int status = 0;
  if (waitpid(server, &status, 0) != server || status != 0) Die("the floor's server failed");
  printf("%s\n", line.c_str());
  return 0;
}

}  // namespace
}  // namespace spoolrpc::benchmarks

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("Measures a bare echo over two logs of one host.");
  absl::ParseCommandLine(argc, argv);
  return spoolrpc::benchmarks::Main();
}
