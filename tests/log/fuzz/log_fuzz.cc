// A whole log file of arbitrary content, read as a server or client would read its peer's.
//
// Input: flags; want:u16; cut:u32; 72 bytes laid over a good head by XOR; then, with kFrames,
// frames: length:u16 type:u8 flags:u8 consumed:u32 call:u16 payload (at most 64 bytes of it given),
// else raw bytes of the ring. With kFrames and neither kDamage nor kCut the reader must get exactly
// these frames; with damage, some first ones of them.
#include <xxhash.h>

#include <string>
#include <vector>

#include "spoolrpc/log/frame.h"
#include "spoolrpc/log/log_reader.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/log/log_test_util.h"
#include "tests/testing/memory_file_system.h"

using namespace spoolrpc::log;  // NOLINT: a file of one idea
using spoolrpc::fuzz::FuzzInput;
using ::spoolrpc::testing::MemoryFileSystem;

namespace {

enum Flags : uint8_t {
  kRepairHead = 1,  // give the head a good checksum
  kFrames = 2,      // well-formed frames, not raw bytes
  kDirect = 4,      // read by O_DIRECT
  kCut = 8,         // shorten the file to `cut` bytes once it is open
  kDamage = 16,     // `cut` says which byte of the file to spoil
};

constexpr uint64_t kCapacity = kMinCapacity;
constexpr uint32_t kOwner = 1000;  // of what a MemoryClient makes

// Places frames in the ring as their bytes come, and reads them.
class Session {
 public:
  Session(MemoryFileSystem* system, FuzzInput* input)
      : input_(input), client_(system->NewClient()), flags_(input->Take<uint8_t>()) {
    want_ = input->Take<uint16_t>();
    cut_ = input->Take<uint32_t>() % (kHeadSize + kCapacity + 1);
    std::string head = EncodeHead(TestHead(kCapacity));
    const std::string changes = input->TakeString(kEncodedHeadSize);
    for (size_t i = 0; i < changes.size(); ++i) head[i] ^= changes[i];
    if (flags_ & kRepairHead) {
      const uint64_t checksum = XXH3_64bits(head.data(), 64);
      memcpy(&head[64], &checksum, sizeof(checksum));
    }
    spoolrpc::os::OpenOptions options;
    options.access = spoolrpc::os::OpenOptions::Access::kReadWrite;
    options.create = true;
    file_ = *spoolrpc::os::OpenFile(client_.get(), "/log", options);
    FUZZ_CHECK(file_->Allocate(kHeadSize + kCapacity).ok());
    FUZZ_CHECK(file_->WriteAt(0, head).ok());
  }

  void Run() {
    FileAccess access;
    access.direct_reads = (flags_ & kDirect) != 0;
    auto reader = LogReader::Open(client_.get(), "/log", TestId(), Direction::kRequests, kOwner,
                                  access, &buffer_);
    if (!reader.ok()) return;
    reader_ = *std::move(reader);
    // The head's capacity is what the fuzzer says, within what the file holds.
    if (reader_->capacity() != kCapacity) flags_ &= ~kFrames;
    if (flags_ & kCut) FUZZ_CHECK(client_->Unlink("/log") == 0);
    if (flags_ & kFrames) {
      while (!input_->empty() && position_ < 3 * kCapacity) {
        if (!WriteFrame()) break;
        Spoil();
        Read();
      }
    } else {
      FUZZ_CHECK(file_->WriteAt(kHeadSize, input_->TakeRest().substr(0, kCapacity)).ok());
      Spoil();
      Read();
    }
    if ((flags_ & kFrames) && !(flags_ & (kDamage | kCut))) {
      FUZZ_CHECK(got_ == expected_.size());
      FUZZ_CHECK(reader_->position() == position_);
      FUZZ_CHECK(reader_->CheckAgainst(position_, &buffer_).ok());
    }
    const absl::Status checked = reader_->CheckAgainst(position_ + 1, &buffer_);
    FUZZ_CHECK(!checked.ok() || !(flags_ & kFrames));
    FUZZ_CHECK(!reader_->ReadHeadNow(&buffer_).ok() || !cut_done_ || cut_ >= kEncodedHeadSize);
  }

 private:
  // False when the reader stopped, so that nothing more may be written.
  bool WriteFrame() {
    if (reader_->position() != position_) return false;  // it stopped at damage
    uint64_t room = kCapacity - position_ % kCapacity;
    if (room < kFrameHeaderSize) {
      position_ += room;
      room = kCapacity;
    }
    size_t length = kFrameHeaderSize +
                    input_->Take<uint16_t>() % (MaxFrameLength(kCapacity) - kFrameHeaderSize + 1);
    length = std::min<uint64_t>(length, room);
    const auto type = static_cast<FrameType>(input_->Take<uint8_t>());
    const uint8_t frame_flags = input_->Take<uint8_t>();
    const uint64_t consumed = input_->Take<uint32_t>();
    const uint64_t call = input_->Take<uint16_t>();
    std::string bytes(AlignFrame(length), '\0');
    const std::string payload = input_->TakeString(std::min<size_t>(64, length - kFrameHeaderSize));
    bytes.replace(kFrameHeaderSize, payload.size(), payload);
    SealFrame(FrameKey(TestId(), Direction::kRequests), type, frame_flags, position_, ++sequence_,
              consumed, call, length, bytes.data());
    FUZZ_CHECK(file_->WriteAt(kHeadSize + position_ % kCapacity, bytes).ok());
    position_ += bytes.size();
    if (type != FrameType::kPad) {
      OwnedFrame frame(type, call, bytes.substr(kFrameHeaderSize, length - kFrameHeaderSize));
      frame.flags = frame_flags;
      frame.consumed = consumed;
      expected_.push_back(std::move(frame));
    }
    return true;
  }

  void Spoil() {
    if ((flags_ & kDamage) && !damage_done_) {
      damage_done_ = true;
      char byte = 0;
      const uint64_t at = std::min<uint64_t>(cut_, kHeadSize + kCapacity - 1);
      FUZZ_CHECK(file_->ReadAt(at, &byte, 1).ok());
      byte ^= 0x10;
      FUZZ_CHECK(file_->WriteAt(at, absl::string_view(&byte, 1)).ok());
    }
    if ((flags_ & kCut) && !cut_done_) {
      // A file in memory is shortened by a new one in its place, opened anew.
      std::string content(cut_, '\0');
      const auto got = file_->ReadAt(0, content.data(), content.size());
      FUZZ_CHECK(got.ok());
      spoolrpc::os::OpenOptions options;
      options.access = spoolrpc::os::OpenOptions::Access::kReadWrite;
      options.create = true;
      file_ = *spoolrpc::os::OpenFile(client_.get(), "/log", options);
      FUZZ_CHECK(file_->WriteAt(0, content).ok());
      FUZZ_CHECK(reader_->Reopen().ok());
      cut_done_ = true;
    }
  }

  void Read() {
    size_t want = want_ + size_t{1};
    for (int reading = 0; want > 0; ++reading) {
      // Each reading after the first takes at least a frame, or says that the next one will.
      FUZZ_CHECK(reading < 10000);
      FUZZ_CHECK(reader_->Read(want, &buffer_).ok());
      Frame frame;
      uint64_t before = reader_->position();
      while (reader_->Next(&frame) == LogReader::Outcome::kFrame) {
        FUZZ_CHECK(reader_->position() >= before + kFrameHeaderSize);
        before = reader_->position();
        FUZZ_CHECK(frame.payload.data() >= buffer_.data() &&
                   frame.payload.data() + frame.payload.size() <= buffer_.data() + buffer_.size());
        FUZZ_CHECK(frame.position % kFrameAlignment == 0);
        if (flags_ & kFrames) {
          FUZZ_CHECK(got_ < expected_.size());
          FUZZ_CHECK(OwnedFrame(frame) == expected_[got_]);
        }
        ++got_;
      }
      want = reader_->wanted();
    }
    if (flags_ & kFrames) FUZZ_CHECK(reader_->position() <= position_);
  }

  FuzzInput* const input_;
  const std::unique_ptr<spoolrpc::testing::MemoryClient> client_;
  uint8_t flags_;
  size_t want_ = 0;
  uint64_t cut_ = 0;
  bool cut_done_ = false;
  bool damage_done_ = false;
  std::unique_ptr<spoolrpc::os::File> file_;
  std::unique_ptr<LogReader> reader_;
  AlignedBuffer buffer_{LogReader::kBufferSize};
  uint64_t position_ = 0;
  uint64_t sequence_ = 0;
  std::vector<OwnedFrame> expected_;
  size_t got_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzInput input(data, size);
  MemoryFileSystem system;
  Session(&system, &input).Run();
  return 0;
}
