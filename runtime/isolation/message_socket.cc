#include "spoolrpc/isolation/message_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

namespace spoolrpc::isolation {
namespace {

struct Lengths {
  uint64_t message;
  uint64_t payload;
};

constexpr uint64_t kMaxMessage = uint64_t{64} << 20;
constexpr uint64_t kMaxPayload = uint64_t{1} << 36;
// Memory is taken as bytes come, not as a length says.
constexpr size_t kStep = size_t{1} << 20;

}  // namespace

MessageSocket::MessageSocket(int fd) : fd_(fd) {
  fcntl(fd_, F_SETFL, fcntl(fd_, F_GETFL) | O_NONBLOCK);
}

MessageSocket::~MessageSocket() { close(fd_); }

void MessageSocket::Shutdown() { shutdown(fd_, SHUT_RDWR); }

MessageSocket::Result MessageSocket::Wait(short events, const Stop* stop) {
  pollfd fds[3] = {{fd_, events, 0}, {-1, POLLIN, 0}, {-1, POLLIN, 0}};
  for (;;) {
    if (stop != nullptr) {
      fds[1].fd = stop->fds[0];
      fds[2].fd = stop->fds[1];
    }
    if (poll(fds, 3, -1) < 0 && errno != EINTR) return Result::kBroken;
    // What has come is taken, even if the other side has ended since.
    if (fds[0].revents != 0) return Result::kOk;
    if (stop == nullptr || (fds[1].revents | fds[2].revents) == 0) continue;
    if (stop->now()) return Result::kStopped;
  }
}

MessageSocket::Result MessageSocket::Write(const char* data, size_t size, const Stop* stop) {
  while (size > 0) {
    const ssize_t written = send(fd_, data, size, MSG_NOSIGNAL);
    if (written >= 0) {
      data += written;
      size -= static_cast<size_t>(written);
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) return Result::kClosed;
    if (const Result waited = Wait(POLLOUT, stop); waited != Result::kOk) return waited;
  }
  return Result::kOk;
}

MessageSocket::Result MessageSocket::Read(char* data, size_t size, const Stop* stop) {
  while (size > 0) {
    const ssize_t got = recv(fd_, data, size, 0);
    if (got > 0) {
      data += got;
      size -= static_cast<size_t>(got);
      continue;
    }
    if (got == 0) return Result::kClosed;
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) return Result::kClosed;
    if (const Result waited = Wait(POLLIN, stop); waited != Result::kOk) return waited;
  }
  return Result::kOk;
}

MessageSocket::Result MessageSocket::ReadString(size_t size, std::string* out, const Stop* stop) {
  out->clear();
  while (out->size() < size) {
    const size_t begin = out->size();
    out->resize(begin + std::min(size - begin, std::max(kStep, begin)));
    const Result result = Read(&(*out)[begin], out->size() - begin, stop);
    if (result != Result::kOk) return result;
  }
  return Result::kOk;
}

MessageSocket::Result MessageSocket::Send(const google::protobuf::MessageLite& message,
                                          absl::string_view payload, const Stop* stop) {
  std::string head(sizeof(Lengths), '\0');
  if (!message.AppendPartialToString(&head)) return Result::kBroken;
  const Lengths lengths = {head.size() - sizeof(Lengths), payload.size()};
  if (lengths.message > kMaxMessage || lengths.payload > kMaxPayload) return Result::kBroken;
  memcpy(&head[0], &lengths, sizeof(lengths));
  const Result result = Write(head.data(), head.size(), stop);
  return result == Result::kOk ? Write(payload.data(), payload.size(), stop) : result;
}

MessageSocket::Result MessageSocket::Receive(google::protobuf::MessageLite* message,
                                             std::string* payload, const Stop* stop) {
  Lengths lengths;
  Result result = Read(reinterpret_cast<char*>(&lengths), sizeof(lengths), stop);
  if (result != Result::kOk) return result;
  if (lengths.message > kMaxMessage || lengths.payload > kMaxPayload) return Result::kBroken;
  std::string bytes;
  result = ReadString(lengths.message, &bytes, stop);
  if (result != Result::kOk) return result;
  if (!message->ParsePartialFromString(bytes)) return Result::kBroken;
  return ReadString(lengths.payload, payload, stop);
}

}  // namespace spoolrpc::isolation
