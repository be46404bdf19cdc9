#include "cli/doctor/pair_link.h"

#include <string.h>

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "spoolrpc/os/error.h"
#include "xxhash.h"

namespace spoolrpc::cli::doctor {
namespace {

constexpr char kMagic[] = "SPOOLDOC";
constexpr char kControl[] = "control";
constexpr uint64_t kSteps = 16;  // blocks behind that of the Hello
static_assert((kSteps + 1) * kBlock == kLiveFileSize);

constexpr absl::Duration kBeat = absl::Milliseconds(100);
constexpr absl::Duration kBetweenLooks = absl::Microseconds(300);
constexpr absl::Duration kBetweenSlowLooks = absl::Milliseconds(10);
constexpr absl::Duration kSoon = absl::Milliseconds(50);
// A descriptor that shows nothing new for so long is opened anew.
constexpr absl::Duration kReopenAfter = absl::Milliseconds(250);
constexpr absl::Duration kSeldom = absl::Seconds(1);
// (See Spool::Touch().)
constexpr absl::Duration kTouchAfter = absl::Milliseconds(20);

// block := magic[8] number:u64 length:u32 zero:u32 checksum:u64 payload
constexpr size_t kBlockHead = 32;

uint64_t Checksum(uint64_t number, absl::string_view payload) {
  return XXH3_64bits_withSeed(payload.data(), payload.size(), number);
}

}  // namespace

absl::Status LiveReader::Reopen() {
  // Opening the directory anew is what makes NFS look for names again.
  os::ListDirectory(env_.calls, path_.substr(0, path_.rfind('/'))).status().IgnoreError();
  log::FileAccess access;
  access.direct_reads = direct_;
  auto file = log::OpenLogForReading(env_.calls, path_, access, &direct_);
  if (!file.ok()) return file.status();
  file_ = *std::move(file);
  opened_ = env_.clock->Now();
  return absl::OkStatus();
}

absl::StatusOr<absl::string_view> LiveReader::Read(uint64_t offset, size_t count) {
  if (file_ == nullptr) {
    if (absl::Status s = Reopen(); !s.ok()) return s;
  }
  auto got = file_->ReadAt(offset, buffer_.data(), std::min(count, buffer_.size()));
  if (!got.ok() && os::IsStale(got.status())) {
    if (absl::Status s = Reopen(); !s.ok()) return s;
    got = file_->ReadAt(offset, buffer_.data(), std::min(count, buffer_.size()));
  }
  if (!got.ok()) return got.status();
  return absl::string_view(buffer_.data(), *got);
}

// Another one of this label.
struct PairLink::Candidate {
  Candidate(const os::Environment& env, std::string n, const std::string& path, bool direct)
      : name(std::move(n)), reader(env, path, direct) {}
  const std::string name;
  LiveReader reader;
  Hello hello;
  bool lives = false;
};

absl::StatusOr<std::unique_ptr<PairLink>> PairLink::Make(Examination* examination, Workspace* own,
                                                         const std::string& label, Hello hello) {
  if (absl::Status s = own->MakeZeros(*own / kControl, kLiveFileSize); !s.ok()) return s;
  std::unique_ptr<PairLink> link(new PairLink(examination, own, label, std::move(hello)));
  if (absl::Status s = link->OpenControl(); !s.ok()) return s;
  if (absl::Status s = link->WriteHello(); !s.ok()) return s;
  if (absl::Status s = own->Publish(label); !s.ok()) return s;
  if (absl::Status s = link->OpenControl(); !s.ok()) return s;
  if (own->network()) {
    if (absl::Status s = examination->Pause(kTouchAfter); !s.ok()) return s;
    own->Touch(own->directory());
  }
  return link;
}

absl::Status PairLink::OpenControl() {
  auto control = log::OpenLogForWriting(own_->calls(), *own_ / kControl, own_->access());
  if (!control.ok()) return control.status();
  control_ = *std::move(control);
  return absl::OkStatus();
}

PairLink::PairLink(Examination* examination, Workspace* own, std::string label, Hello hello)
    : examination_(examination), own_(own), label_(std::move(label)), hello_(std::move(hello)) {
  hello_.set_version(kVersion);
  hello_.set_name(own->PublishedName(label_));
}

PairLink::~PairLink() { GiveUp("it was stopped"); }

std::string PairLink::PeerPath(absl::string_view name) const {
  return absl::StrCat(own_->directory(), "/", peer_.name(), "/", name);
}

absl::Status PairLink::Garbled(absl::string_view step) const {
  return absl::DataLossError(
      absl::StrCat("what the other node wrote at the step '", step, "' makes no sense"));
}

absl::Status PairLink::WriteBlock(uint64_t index, uint64_t number, absl::string_view payload) {
  if (payload.size() > kMaxPayload) {
    return absl::InternalError(absl::StrCat("a block of ", payload.size(), " bytes"));
  }
  std::string block(kBlock, '\0');
  const uint32_t length = payload.size();
  const uint64_t checksum = Checksum(number, payload);
  memcpy(&block[0], kMagic, 8);
  memcpy(&block[8], &number, 8);
  memcpy(&block[16], &length, 4);
  memcpy(&block[24], &checksum, 8);
  memcpy(&block[kBlockHead], payload.data(), payload.size());
  return control_->WriteAt(index * kBlock, block);
}

absl::Status PairLink::WriteHello() {
  hello_.set_beat(hello_.beat() + 1);
  return WriteBlock(0, 0, hello_.SerializeAsString());
}

bool PairLink::ReadBlock(LiveReader* reader, uint64_t index, uint64_t number,
                         std::string* payload) {
  if (examination_->Now() - reader->opened() > absl::ToInt64Nanoseconds(kReopenAfter) &&
      !reader->Reopen().ok()) {
    return false;
  }
  const auto block = reader->Read(index * kBlock, kBlock);
  if (!block.ok() || block->size() != kBlock || memcmp(block->data(), kMagic, 8) != 0) return false;
  uint64_t found = 0;
  uint32_t length = 0;
  uint64_t checksum = 0;
  memcpy(&found, block->data() + 8, 8);
  memcpy(&length, block->data() + 16, 4);
  memcpy(&checksum, block->data() + 24, 8);
  if (found != number || length > kMaxPayload) return false;
  const absl::string_view bytes = block->substr(kBlockHead, length);
  if (Checksum(number, bytes) != checksum) return false;
  *payload = std::string(bytes);
  return true;
}

absl::Status PairLink::LookAround() {
  const auto names = os::ListDirectory(own_->calls(), own_->directory());
  if (!names.ok()) return names.status();
  for (const std::string& name : *names) {
    if (!absl::StartsWith(name, Workspace::Prefix(label_)) || name == hello_.name()) continue;
    const bool known = std::any_of(candidates_.begin(), candidates_.end(),
                                   [&](const auto& c) { return c->name == name; });
    if (known) continue;
    const std::string path = absl::StrCat(own_->directory(), "/", name, "/", kControl);
    candidates_.push_back(
        std::make_unique<Candidate>(own_->env(), name, path, own_->access().direct_reads));
  }
  int alive = 0;
  Candidate* chosen = nullptr;
  for (const auto& candidate : candidates_) {
    std::string payload;
    Hello hello;
    if (!ReadBlock(&candidate->reader, 0, 0, &payload) || !hello.ParseFromString(payload) ||
        hello.name() != candidate->name) {
      continue;
    }
    if (candidate->hello.beat() != 0 && hello.beat() != candidate->hello.beat()) {
      candidate->lives = true;
    }
    candidate->hello = hello;
    if (!candidate->lives || !hello.gave_up().empty()) continue;
    if (!hello.chosen().empty() && hello.chosen() != hello_.name()) continue;
    if (hello.version() != kVersion) {
      return absl::FailedPreconditionError(
          absl::StrCat("the other node, ", hello.host(), ", runs another release of spoolrpc"));
    }
    if (hello.uid() != hello_.uid()) {
      return absl::FailedPreconditionError(
          absl::StrCat("the other node, ", hello.host(), ", runs it as uid ", hello.uid(),
                       ", this one as uid ", hello_.uid(), "; run both as one user"));
    }
    ++alive;
    if (chosen == nullptr || hello.chosen() == hello_.name()) chosen = candidate.get();
  }
  if (alive > 1) {
    return absl::FailedPreconditionError(
        absl::StrCat("more than two nodes use --pair=", label_, " here; each pair needs a word"));
  }
  if (chosen == nullptr) {
    hello_.clear_chosen();
    return absl::OkStatus();
  }
  hello_.set_chosen(chosen->name);
  if (chosen->hello.chosen() == hello_.name()) {
    peer_ = chosen->hello;
    peer_control_ =
        std::make_unique<LiveReader>(own_->env(), PeerPath(kControl), own_->access().direct_reads);
    paired_ = true;
  }
  return absl::OkStatus();
}

absl::Status PairLink::Meet(absl::Duration timeout) {
  const os::Nanos end = os::After(examination_->Now(), timeout);
  while (!paired_) {
    if (absl::Status s = LookAround(); !s.ok()) return s;
    // Once more after the decision, so that the other side learns it.
    if (absl::Status s = WriteHello(); !s.ok()) return s;
    if (paired_) break;
    if (examination_->Now() > end) {
      return absl::NotFoundError(absl::StrCat(
          "no other node came within ", absl::FormatDuration(timeout), "; run `spoolrpc doctor",
          " --pair=", label_, "` with the same directory there, or wait longer with --timeout"));
    }
    if (absl::Status s = examination_->Pause(kBeat); !s.ok()) return s;
  }
  candidates_.clear();
  return absl::OkStatus();
}

absl::StatusOr<std::string> PairLink::Exchange(absl::string_view step, absl::string_view payload) {
  const uint64_t number = ++step_;
  const uint64_t index = 1 + number % kSteps;
  const std::string tagged = absl::StrCat(step, "\n", payload);
  if (absl::Status s = WriteBlock(index, number, tagged); !s.ok()) return s;
  const os::Nanos began = examination_->Now();
  os::Nanos next_hello = os::After(began, kSeldom);
  for (;;) {
    std::string answer;
    if (ReadBlock(peer_control_.get(), index, number, &answer)) {
      const size_t newline = answer.find('\n');
      if (newline == std::string::npos || answer.substr(0, newline) != step) return Garbled(step);
      return answer.substr(newline + 1);
    }
    const os::Nanos now = examination_->Now();
    if (now >= next_hello) {
      next_hello = os::After(now, kSeldom);
      if (absl::IsNotFound(peer_control_->Reopen())) {
        return absl::UnavailableError(
            absl::StrCat("the other node, ", peer_.host(), ", has ended"));
      }
      Hello hello;
      if (ReadBlock(peer_control_.get(), 0, 0, &answer) && hello.ParseFromString(answer) &&
          !hello.gave_up().empty()) {
        return absl::UnavailableError(
            absl::StrCat("the other node, ", peer_.host(), ", gave up: ", hello.gave_up()));
      }
    }
    if (now > os::After(began, examination_->limits().answer)) {
      return absl::UnavailableError(absl::StrCat(
          "the other node, ", peer_.host(), ", did not answer within ",
          absl::FormatDuration(examination_->limits().answer), " at the step '", step, "'"));
    }
    const bool soon = now < os::After(began, kSoon);
    if (absl::Status s = examination_->Pause(soon ? kBetweenLooks : kBetweenSlowLooks); !s.ok()) {
      return s;
    }
  }
}

void PairLink::GiveUp(absl::string_view why) {
  if (gave_up_ || control_ == nullptr) return;
  gave_up_ = true;
  hello_.set_gave_up(std::string(why));
  WriteHello().IgnoreError();
}

}  // namespace spoolrpc::cli::doctor
