// Messages on their way out: cut into frames as the peer makes room.
#ifndef SPOOLRPC_LINK_OUTGOING_H_
#define SPOOLRPC_LINK_OUTGOING_H_

#include <cstdint>
#include <deque>
#include <string>

#include "spoolrpc/log/log_writer.h"

namespace spoolrpc::link {

// A CALL or REPLY with its message.
struct Outgoing {
  log::FrameType type = log::FrameType::kCall;
  uint8_t flags = 0;
  uint64_t call = 0;
  // Of a CALL: the serialized CallHeader, which must fit into one frame. Of a REPLY: empty.
  std::string header;
  // Of a CALL: the message. Of a REPLY: the whole payload, size and ReplyHeader included.
  std::string body;
  size_t sent = 0;  // of body
  bool begun = false;
};

// Control frames and messages that wait for room. Messages share the room: one frame of each in
// turn, so that a small call does not wait behind a large one. Not thread-safe.
class OutgoingQueue {
 public:
  bool empty() const { return control_.empty() && messages_.empty(); }
  size_t messages() const { return messages_.size(); }
  bool has_control() const { return !control_.empty(); }

  void AddMessage(Outgoing message) { messages_.push_back(std::move(message)); }
  void AddControl(log::FrameType type, uint8_t flags, uint64_t call, std::string payload);

  // Moves as much as there is room for into the writer's batch. `consumed` goes into each frame.
  void Pump(log::LogWriter* writer, uint64_t consumed);

  // Removes the message of `call`. True if nothing of it had been written, or it was not there and
  // `*found` is false.
  bool Remove(uint64_t call, bool* found);

 private:
  struct Control {
    log::FrameType type;
    uint8_t flags;
    uint64_t call;
    std::string payload;
  };

  // Writes one frame of `message`; false: no room.
  static bool WriteOne(log::LogWriter* writer, uint64_t consumed, Outgoing* message, bool* done);

  std::deque<Control> control_;
  std::deque<Outgoing> messages_;
};

// The payload of a CALL or REPLY frame begins with the header's size, in 4 bytes.
constexpr size_t kHeaderSizeField = 4;

}  // namespace spoolrpc::link

#endif  // SPOOLRPC_LINK_OUTGOING_H_
