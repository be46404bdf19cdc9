#include "spoolrpc/link/outgoing.h"

#include <string.h>

#include <algorithm>
#include <utility>

namespace spoolrpc::link {
namespace {

// A CONSUMED frame, and what it may have to skip at the ring's end.
constexpr size_t kConsumedRoom = 2 * log::kFrameHeaderSize;

char* PutHeader(const std::string& header, char* to) {
  const uint32_t size = static_cast<uint32_t>(header.size());
  memcpy(to, &size, sizeof(size));
  memcpy(to + kHeaderSizeField, header.data(), header.size());
  return to + kHeaderSizeField + header.size();
}

}  // namespace

void OutgoingQueue::AddControl(log::FrameType type, uint8_t flags, uint64_t call,
                               std::string payload) {
  if (type == log::FrameType::kConsumed) {
    // It carries a total: one is as good as many.
    for (const Control& control : control_) {
      if (control.type == type) return;
    }
    control_.push_front({type, flags, call, std::move(payload)});
    return;
  }
  control_.push_back({type, flags, call, std::move(payload)});
}

bool OutgoingQueue::WriteOne(log::LogWriter* writer, uint64_t consumed, Outgoing* message,
                             bool* done) {
  const bool is_reply = message->type == log::FrameType::kReply;
  const size_t left = message->body.size() - message->sent;
  const size_t most = writer->max_payload();
  // A request is headed by its CALL; a reply's bytes, header included, end in its REPLY.
  const bool with_header = !is_reply && !message->begun;
  const size_t head = with_header ? kHeaderSizeField + message->header.size() : 0;
  const size_t part = std::min(left, most - head);
  const bool last = part == left;
  const bool typed = is_reply ? last : with_header;
  const size_t payload = head + part;
  if (!writer->HasRoom(payload, /*control=*/false)) return false;
  char* to = writer->BeginFrame(payload);
  if (with_header) to = PutHeader(message->header, to);
  memcpy(to, message->body.data() + message->sent, part);
  message->sent += part;
  message->begun = true;
  uint8_t flags = typed ? message->flags : 0;
  if (!last) flags |= log::kMore;
  writer->EndFrame(typed ? message->type : log::FrameType::kData, flags, message->call, consumed);
  *done = last;
  return true;
}

void OutgoingQueue::Pump(log::LogWriter* writer, uint64_t consumed) {
  while (!control_.empty()) {
    const Control& control = control_.front();
    // Others leave room for a CONSUMED: with both rings full to the last byte, neither side could
    // tell the other what it has taken.
    const size_t spare = control.type == log::FrameType::kConsumed ? 0 : kConsumedRoom;
    if (!writer->HasRoom(control.payload.size() + spare, /*control=*/true)) return;
    char* const to = writer->BeginFrame(control.payload.size());
    memcpy(to, control.payload.data(), control.payload.size());
    writer->EndFrame(control.type, control.flags, control.call, consumed);
    control_.pop_front();
  }
  while (!messages_.empty()) {
    bool done = false;
    if (!WriteOne(writer, consumed, &messages_.front(), &done)) return;
    Outgoing message = std::move(messages_.front());
    messages_.pop_front();
    if (!done) messages_.push_back(std::move(message));
  }
}

bool OutgoingQueue::Remove(uint64_t call, bool* found) {
  for (auto it = messages_.begin(); it != messages_.end(); ++it) {
    if (it->call != call) continue;
    *found = true;
    const bool untouched = !it->begun;
    messages_.erase(it);
    return untouched;
  }
  *found = false;
  return false;
}

}  // namespace spoolrpc::link
