// Messages on their way out: cut into frames as the peer makes room.
#ifndef SPOOLRPC_LINK_OUTGOING_H_
#define SPOOLRPC_LINK_OUTGOING_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <set>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "spoolrpc/link/bulk_pool.h"
#include "spoolrpc/log/log_writer.h"

namespace spoolrpc::link {

// A CALL or REPLY with its message, or another frame whose order within its call matters.
struct Outgoing {
  log::FrameType type = log::FrameType::kCall;
  uint8_t flags = 0;
  uint64_t call = 0;
  // Of a CALL: size and serialized CallHeader, which must fit into one frame. Else: empty.
  std::string header;
  // Of a CALL: the message. Else: the whole payload, a REPLY's size and ReplyHeader included.
  std::string body;
  // Of a message in a bulk buffer, which `body` refers to; else null.
  std::unique_ptr<BulkLoan> loan;
  size_t sent = 0;  // of body
  bool begun = false;
  bool counted = false;  // among the CALLs under way
};

// Of the CALLs that take several frames, so many bytes may be under way beside the largest one: a
// server puts up with that much and a message of the size that it accepts, and refuses the rest.
constexpr uint64_t kMaxBesideLargest = uint64_t{16} << 20;

// Control frames and messages that wait for room. Calls share the room: one frame of each in turn,
// so that a small call does not wait behind a large one; what belongs to one call keeps its order.
// Of large CALLs only some are under way at once: the others are announced in their turn, since
// CALLs go out in the order of their numbers, and their messages begin as those end, oldest first.
// Not thread-safe.
class OutgoingQueue {
 public:
  bool empty() const { return control_.empty() && turn_.empty() && held_.empty(); }
  // Calls whose messages wait.
  size_t calls() const { return turn_.size() + held_.size(); }
  bool has_control() const { return !control_.empty(); }
  // About what all that waits takes in memory.
  uint64_t memory() const { return memory_; }

  void AddMessage(Outgoing message);
  void AddControl(log::FrameType type, uint8_t flags, uint64_t call, std::string payload);

  // Moves as much as there is room for into the writer's batch. `consumed` goes into each frame.
  void Pump(log::LogWriter* writer, uint64_t consumed);

  // Removes all messages of `call`. True if its CALL was among them and nothing of it had been
  // written. `*found`: there was something.
  bool Remove(uint64_t call, bool* found);

 private:
  struct Control {
    log::FrameType type;
    uint8_t flags;
    uint64_t call;
    std::string payload;
  };

  // Writes one frame of `message`, with `head_only` nothing of its body; false: no room.
  static bool WriteOne(log::LogWriter* writer, uint64_t consumed, bool head_only, Outgoing* message,
                       bool* done);

  // Whether the message of a CALL of so many bytes may be under way beside those that are.
  bool MayBegin(uint64_t size) const;
  void Count(Outgoing* message);
  // `message` is not under way any more: those that now may begin get their turn.
  void Uncount(const Outgoing& message);

  // What of memory() one message or control frame is.
  static uint64_t MemoryOf(const Outgoing& message);
  static uint64_t MemoryOf(const Control& control);

  uint64_t memory_ = 0;  // in bytes
  std::deque<Control> control_;
  // By call. Those in turn_ and held_, each once.
  absl::flat_hash_map<uint64_t, std::deque<Outgoing>> messages_;
  std::deque<uint64_t> turn_;
  // Calls of which no more than the head of a large CALL has been written.
  std::deque<uint64_t> held_;
  // Of the large CALLs under way: the sizes and their sum, in bytes.
  std::multiset<uint64_t> sizes_;
  uint64_t size_ = 0;
};

// The payload of a CALL or REPLY frame begins with the header's size, in 4 bytes.
constexpr size_t kHeaderSizeField = 4;

}  // namespace spoolrpc::link

#endif  // SPOOLRPC_LINK_OUTGOING_H_
