// The floor: what an echo costs on one host over two logs if there is no protocol at all.
//
// Two processes. Each writes a ring of its own, made of written zeros: frames of a header, an XXH3
// checksum and a protobuf message, by pwrite. A counter in a mapped page says how far the ring is
// written; the other side waits for it to move and reads what is new by pread. No names, leases,
// calls, deadlines or statuses, no other thread: nothing that carries messages through files can be
// much faster, so this is what the distance of a whole RPC is measured from.
//
//   echo_floor --address DIR --mode latency    the time of round trips, one in flight; who waits
//                                              spins, and nobody ever sleeps
//   echo_floor --address DIR --mode asleep     the same, but who waits sleeps at once, in a futex
//   on
//                                              the counter's page (--pause: as for the others)
//   echo_floor --address DIR --mode rate       calls a second, --in_flight at once; spinning

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "benchmarks/client_settings.h"
#include "benchmarks/die.h"
#include "benchmarks/echo.pb.h"
#include "benchmarks/measure.h"

namespace spoolrpc::benchmarks {
namespace {

// Far more than what is in flight, so that nobody has to tell what was consumed.
constexpr uint64_t kRingBytes = 1 << 20;

struct FrameHeader {
  uint64_t number;
  uint64_t length;  // of the message
  uint64_t checksum;
};

// Says how far a ring is written. Alone on its cache line, changed by one side.
struct alignas(128) Counter {
  std::atomic<uint64_t> written{0};
  std::atomic<uint32_t> rung{0};  // where the other side sleeps
};

// Shared by both processes.
struct Counters {
  Counter requests;
  Counter responses;
  alignas(128) std::atomic<bool> stop{false};
};

void Ring(Counter* counter) {
  counter->rung.fetch_add(1, std::memory_order_release);
  syscall(SYS_futex, &counter->rung, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

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
  // `rings`: the other side sleeps while it waits.
  Writer(int fd, Counter* counter, bool rings) : fd_(fd), counter_(counter), rings_(rings) {}

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
    counter_->written.store(position_, std::memory_order_release);
    if (rings_) Ring(counter_);
  }

 private:
  const int fd_;
  Counter* const counter_;
  const bool rings_;
  uint64_t position_ = 0;
  std::string batch_;
};

class Reader {
 public:
  Reader(int fd, Counter* counter, bool sleeps) : fd_(fd), counter_(counter), sleeps_(sleeps) {}

  // Waits a little, or until the other side has written or rung.
  void Wait() {
    if (!sleeps_) return Pause();
    const uint32_t seen = counter_->rung.load(std::memory_order_acquire);
    if (seen != seen_) {
      seen_ = seen;  // (somebody has rung since the last look: look again)
      return;
    }
    syscall(SYS_futex, &counter_->rung, FUTEX_WAIT, seen, nullptr, nullptr, 0);
  }

  // Gives what is new to `take(number, message)`; returns how many messages that was.
  int Drain(absl::FunctionRef<void(uint64_t, const EchoMessage&)> take) {
    const uint64_t end = counter_->written.load(std::memory_order_acquire);
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
  Counter* const counter_;
  const bool sleeps_;
  uint32_t seen_ = 0;
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
      requests->Wait();
    }
  }
}

// Keeps `in_flight` messages in flight; returns replies a second over `duration`.
double Rate(Writer* requests, Reader* responses, const EchoMessage& request, int in_flight,
            absl::Duration duration) {
  uint64_t sent = 0;
  uint64_t replies = 0;
  for (; sent < static_cast<uint64_t>(in_flight); ++sent) requests->Add(sent, request);
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
      responses->Wait();
    }
  }
  return replies / std::chrono::duration<double>(now - began).count();
}

Latency RoundTrips(Writer* requests, Reader* responses, const EchoMessage& request,
                   const LatencyPlan& plan) {
  uint64_t number = 0;
  return MeasureLatency(plan, [&] {
    requests->Add(++number, request);
    requests->Flush();
    const auto check = [&](uint64_t got, const EchoMessage& reply) {
      if (got != number || reply.payload() != request.payload()) Die("a wrong reply");
    };
    while (responses->Drain(check) == 0) responses->Wait();
  });
}

int Main(const ClientSettings& settings) {
  const bool sleeps = settings.mode == "asleep";
  const std::string paths[] = {absl::StrCat(settings.address, "/floor_requests"),
                               absl::StrCat(settings.address, "/floor_responses"),
                               absl::StrCat(settings.address, "/floor_counters")};
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
    Reader requests(request_fd, &counters->requests, sleeps);
    Writer responses(response_fd, &counters->responses, sleeps);
    Serve(&requests, &responses, counters->stop);
    _exit(0);
  }

  Writer requests(request_fd, &counters->requests, sleeps);
  Reader responses(response_fd, &counters->responses, sleeps);
  EchoMessage request;
  request.set_payload(std::string(settings.payload_bytes, 'x'));
  std::string line;
  Latency latency;
  if (settings.mode == "rate") {
    line = Format(
        Throughput{Rate(&requests, &responses, request, settings.in_flight, settings.duration), 0});
  } else {
    latency = RoundTrips(&requests, &responses, request,
                         {settings.warmup, settings.calls, settings.pause, server});
    line = Format(latency);
  }
  counters->stop.store(true);
  Ring(&counters->requests);
  int status = 0;
  if (waitpid(server, &status, 0) != server || status != 0) Die("the floor's server failed");
  if (!settings.times_file.empty()) WriteTimes(settings.times_file, latency.times_us);
  PrintResults(line);
  return 0;
}

}  // namespace
}  // namespace spoolrpc::benchmarks

int main(int argc, char** argv) {
  return spoolrpc::benchmarks::Main(spoolrpc::benchmarks::ParseClientSettings(argc, argv));
}
