#include "spoolrpc/link/outgoing.h"

#include <string.h>

#include <algorithm>
#include <utility>

namespace spoolrpc::link {
namespace {

// A CONSUMED frame, and what it may have to skip at the ring's end.
constexpr size_t kConsumedRoom = 2 * log::kFrameHeaderSize;

// What a message that waits takes beside its bytes: itself, and its place among the others.
constexpr uint64_t kOverhead = 1024;

}  // namespace

uint64_t OutgoingQueue::MemoryOf(const Outgoing& message) {
  return message.header.size() + message.body.size() + kOverhead;
}

uint64_t OutgoingQueue::MemoryOf(const Control& control) {
  return sizeof(control) + control.payload.size();
}

void OutgoingQueue::AddControl(log::FrameType type, uint8_t flags, uint64_t call,
                               std::string payload) {
  if (type == log::FrameType::kConsumed) {
    // It carries a total: one is as good as many.
    for (const Control& control : control_) {
      if (control.type == type) return;
    }
    control_.push_front({type, flags, call, std::move(payload)});
    memory_ += MemoryOf(control_.front());
    return;
  }
  control_.push_back({type, flags, call, std::move(payload)});
  memory_ += MemoryOf(control_.back());
}

bool OutgoingQueue::MayBegin(uint64_t size) const {
  const uint64_t largest = sizes_.empty() ? size : std::max(size, *sizes_.rbegin());
  return size_ + size - largest <= kMaxBesideLargest;
}

void OutgoingQueue::Count(Outgoing* message) {
  message->counted = true;
  sizes_.insert(message->body.size());
  size_ += message->body.size();
}

void OutgoingQueue::Uncount(const Outgoing& message) {
  sizes_.erase(sizes_.find(message.body.size()));
  size_ -= message.body.size();
  while (!held_.empty()) {
    Outgoing& next = messages_.find(held_.front())->second.front();
    if (!MayBegin(next.body.size())) return;
    Count(&next);
    turn_.push_back(held_.front());
    held_.pop_front();
  }
}

void OutgoingQueue::AddMessage(Outgoing message) {
  std::deque<Outgoing>& lane = messages_[message.call];
  if (lane.empty()) turn_.push_back(message.call);
  memory_ += MemoryOf(message);
  lane.push_back(std::move(message));
}

bool OutgoingQueue::WriteOne(log::LogWriter* writer, uint64_t consumed, bool head_only,
                             Outgoing* message, bool* done) {
  const bool is_reply = message->type == log::FrameType::kReply;
  const size_t left = message->body.size() - message->sent;
  const size_t most = writer->max_payload();
  // A message is headed by its frame; a reply's bytes, header included, end in its REPLY.
  const bool first = !message->begun;
  const size_t head = first ? message->header.size() : 0;
  const size_t part = head_only ? 0 : std::min(left, most - head);
  const bool last = part == left;
  const bool typed = is_reply ? last : first;
  const size_t payload = head + part;
  if (!writer->HasRoom(payload, /*control=*/false)) return false;
  char* const to = writer->BeginFrame(payload);
  memcpy(to, message->header.data(), head);
  memcpy(to + head, message->body.data() + message->sent, part);
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
    memory_ -= MemoryOf(control);
    control_.pop_front();
  }
  while (!turn_.empty()) {
    const uint64_t call = turn_.front();
    const auto lane = messages_.find(call);
    Outgoing& next = lane->second.front();
    const bool large = next.type == log::FrameType::kCall && !next.begun && !next.counted &&
                       next.header.size() + next.body.size() > writer->max_payload();
    const bool hold = large && (!held_.empty() || !MayBegin(next.body.size()));
    if (large && !hold) Count(&next);
    bool done = false;
    if (!WriteOne(writer, consumed, hold, &next, &done)) return;
    turn_.pop_front();
    if (hold) {
      held_.push_back(call);
      continue;
    }
    if (done) {
      if (next.loan != nullptr) next.loan->SetWritten();
      if (next.counted) Uncount(next);
      memory_ -= MemoryOf(next);
      lane->second.pop_front();
    }
    if (lane->second.empty()) {
      messages_.erase(lane);
    } else {
      turn_.push_back(call);
    }
  }
}

bool OutgoingQueue::Remove(uint64_t call, bool* found) {
  const auto lane = messages_.find(call);
  *found = lane != messages_.end();
  if (!*found) return false;
  for (const Outgoing& message : lane->second) memory_ -= MemoryOf(message);
  const Outgoing first = std::move(lane->second.front());
  messages_.erase(lane);
  const auto turn = std::find(turn_.begin(), turn_.end(), call);
  if (turn != turn_.end()) {
    turn_.erase(turn);
  } else {
    held_.erase(std::find(held_.begin(), held_.end(), call));
  }
  if (first.counted) Uncount(first);
  return first.type == log::FrameType::kCall && !first.begun;
}

}  // namespace spoolrpc::link
