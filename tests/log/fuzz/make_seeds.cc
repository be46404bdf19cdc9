// Writes the seed corpora: make_seeds DIRECTORY (tests/log/fuzz/corpus).
#include <stdio.h>

#include <string>

#include "spoolrpc/log/frame.h"
#include "spoolrpc/log/log_head.h"
#include "tests/fuzz/seeds.h"
#include "tests/log/log_test_util.h"

namespace spoolrpc::log {
namespace {

using fuzz::Bytes;
using fuzz::Save;

// As frame_fuzz.cc takes it.
std::string FrameSeed(FrameType type, uint8_t fuzz_flags, const std::string& payload) {
  std::string frame(AlignFrame(kFrameHeaderSize + payload.size()), '\0');
  frame.replace(kFrameHeaderSize, payload.size(), payload);
  SealFrame(FrameKey(TestId(), Direction::kRequests), type, 0, 4096, 3, 100, 7,
            kFrameHeaderSize + payload.size(), frame.data());
  return Bytes(fuzz_flags) + Bytes<uint16_t>(60000) + Bytes<uint16_t>(4096 / 8) +
         Bytes<uint16_t>(3) + frame;
}

// As log_fuzz.cc takes them.
std::string LogStart(uint8_t flags, uint16_t want, uint32_t cut) {
  return Bytes(flags) + Bytes(want) + Bytes(cut) + std::string(kEncodedHeadSize, '\0');
}
std::string LogFrame(uint16_t length, FrameType type, uint16_t call, const std::string& payload) {
  return Bytes<uint16_t>(length - kFrameHeaderSize) + Bytes(type) + Bytes<uint8_t>(0) +
         Bytes<uint32_t>(0) + Bytes(call) + payload;
}

void WriteAll(const std::string& to) {
  Save(to + "/frame/cancel", FrameSeed(FrameType::kCancel, 0, ""));
  Save(to + "/frame/call", FrameSeed(FrameType::kCall, 1, "a payload of some bytes"));
  Save(to + "/frame/pad", FrameSeed(FrameType::kPad, 1, ""));
  Save(to + "/frame/zeros", std::string(60, '\0'));

  for (const Direction direction : {Direction::kRequests, Direction::kLease}) {
    const bool lease = direction == Direction::kLease;
    for (const uint8_t repair : {0, 1}) {
      Save(to + "/head/" + (lease ? "lease" : "log") + (repair ? "_repaired" : ""),
           Bytes(repair) + EncodeHead(TestHead(lease ? 0 : kDefaultCapacity, direction)));
    }
  }

  const std::string few = LogFrame(40, FrameType::kAck, 1, "") +
                          LogFrame(60, FrameType::kCall, 2, std::string(20, 'c')) +
                          LogFrame(16384, FrameType::kData, 3, std::string(64, 'd')) +
                          LogFrame(41, FrameType::kReply, 4, "r");
  // To the ring's end and over it: short ends, a PAD, frames that end exactly there.
  std::string laps;
  for (int lap = 0; lap < 2; ++lap) {
    for (int i = 0; i < 3; ++i) laps += LogFrame(16384, FrameType::kPad, 0, "");
    laps += LogFrame(16384 - 48 * lap - 24, FrameType::kData, 5, std::string(64, 'x'));
    laps += few;
  }
  Save(to + "/log/frames", LogStart(2, 4095, 0) + few);
  Save(to + "/log/frames_direct", LogStart(6, 100, 0) + few);
  Save(to + "/log/frames_by_bytes", LogStart(2, 0, 0) + few);
  Save(to + "/log/laps", LogStart(2, 40, 0) + laps);
  Save(to + "/log/laps_direct", LogStart(6, 20000, 0) + laps);
  Save(to + "/log/cut", LogStart(2 | 8, 4095, 4096 + 100) + few);
  Save(to + "/log/cut_direct", LogStart(6 | 8, 4095, 4096 + 70) + few);
  Save(to + "/log/damaged", LogStart(2 | 16, 4095, 4096 + 90) + few);
  Save(to + "/log/raw", LogStart(0, 4095, 0) + FrameSeed(FrameType::kCall, 0, "raw"));
  Save(to + "/log/head", LogStart(1, 4095, 0) + "x");
}

}  // namespace
}  // namespace spoolrpc::log

int main(int argc, char** argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: make_seeds DIRECTORY\n");
    return 2;
  }
  spoolrpc::log::WriteAll(argv[1]);
  return 0;
}
