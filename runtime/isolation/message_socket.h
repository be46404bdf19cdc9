// Messages over a stream socket between a server and one of its children.
#ifndef SPOOLRPC_ISOLATION_MESSAGE_SOCKET_H_
#define SPOOLRPC_ISOLATION_MESSAGE_SOCKET_H_

#include <functional>
#include <string>

#include "absl/strings/string_view.h"
#include "google/protobuf/message_lite.h"

namespace spoolrpc::isolation {

// One thread may send while another one receives.
class MessageSocket {
 public:
  enum class Result {
    kOk,
    kClosed,   // the other side has closed it, or has ended
    kStopped,  // stop.now said so; the socket is of no use any more, unless nothing had begun
    kBroken,   // what came is no message
  };
  // When to stop waiting: `now` is asked when one of `fds` (-1: none) is readable.
  struct Stop {
    int fds[2] = {-1, -1};
    std::function<bool()> now;
  };

  // Takes the descriptor, which becomes non-blocking.
  explicit MessageSocket(int fd);
  ~MessageSocket();
  MessageSocket(const MessageSocket&) = delete;
  MessageSocket& operator=(const MessageSocket&) = delete;

  int fd() const { return fd_; }
  // Makes every operation on either side end with kClosed.
  void Shutdown();

  Result Send(const google::protobuf::MessageLite& message, absl::string_view payload,
              const Stop* stop = nullptr);
  Result Receive(google::protobuf::MessageLite* message, std::string* payload,
                 const Stop* stop = nullptr);

 private:
  Result Write(const char* data, size_t size, const Stop* stop);
  Result Read(char* data, size_t size, const Stop* stop);
  Result ReadString(size_t size, std::string* out, const Stop* stop);
  Result Wait(short events, const Stop* stop);

  const int fd_;
};

}  // namespace spoolrpc::isolation

#endif  // SPOOLRPC_ISOLATION_MESSAGE_SOCKET_H_
