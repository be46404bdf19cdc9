// How the two sides of `spoolrpc doctor --pair` find each other and keep in step: through the
// directory itself, by what the protocol trusts most. Each writes a file of its own, which has its
// full size before its directory gets its name; every write is flushed; readers read it in every
// way there is, and open it anew again and again.
//
//   1. Each makes a directory with its control file and renames it to
//      DIRECTORY/.spoolrpc-doctor-NAME-RANDOM. It lists DIRECTORY until another one of that name is
//      there whose Hello changes: its writer lives.
//   2. Each writes into its Hello whom it has chosen. Who is chosen by the one that he has chosen
//      is paired. What a killed run left chooses nobody, and is never waited for.
//   3. From then on both go through the same steps: at each one writes a block and waits for the
//      other's block of the same number. Nobody gets ahead by more than one step, so that a ring of
//      16 blocks never overwrites what is not yet read.
#ifndef SPOOLRPC_CLI_DOCTOR_PAIR_LINK_H_
#define SPOOLRPC_CLI_DOCTOR_PAIR_LINK_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "cli/doctor/examination.h"
#include "cli/doctor/pair.pb.h"
#include "cli/doctor/workspace.h"
#include "spoolrpc/log/log_file.h"

namespace spoolrpc::cli::doctor {

// The rules of the protocol for reading a live file here, and the descriptor that is kept.
class LiveReader {
 public:
  // Nothing is opened yet. `direct`: with O_DIRECT, if the file system lets it.
  LiveReader(const os::Environment& env, std::string path, bool direct)
      : env_(env), path_(std::move(path)), direct_(direct), buffer_(2 * kBlock) {}

  // Opens the file anew, its directory before it.
  absl::Status Reopen();
  // Up to two blocks from `offset`, a multiple of 4096; opens the file first if it is not open, and
  // anew after ESTALE. What is returned stays valid until the next call.
  absl::StatusOr<absl::string_view> Read(uint64_t offset, size_t count);
  void Close() { file_.reset(); }

  bool is_open() const { return file_ != nullptr; }
  bool direct() const { return direct_; }
  os::Nanos opened() const { return opened_; }

 private:
  const os::Environment env_;
  const std::string path_;
  bool direct_;
  log::AlignedBuffer buffer_;
  std::unique_ptr<os::File> file_;
  os::Nanos opened_ = 0;
};

// Not thread-safe. All waiting ends when the examination does.
class PairLink {
 public:
  static constexpr uint32_t kVersion = 1;
  static constexpr size_t kMaxPayload = kBlock - 128;

  // Makes this side's control file; `own` must outlive the link. `hello` has what describes this
  // side (who it is and has chosen is filled in here).
  static absl::StatusOr<std::unique_ptr<PairLink>> Make(Examination* examination, Workspace* own,
                                                        const std::string& label, Hello hello);
  ~PairLink();

  // Waits for the other side for at most `timeout`. NOT_FOUND: it did not come.
  // FAILED_PRECONDITION: it cannot be worked with, and why.
  absl::Status Meet(absl::Duration timeout);

  const Hello& own_hello() const { return hello_; }
  const Hello& peer() const { return peer_; }
  // One of the two is the first.
  bool first() const { return hello_.name() < peer_.name(); }
  // The other's working directory, as this host names it.
  std::string PeerPath(absl::string_view name) const;

  // Tells the other `payload` and waits for what it tells at the same step. UNAVAILABLE: it does
  // not answer, or gave up.
  absl::StatusOr<std::string> Exchange(absl::string_view step, absl::string_view payload = "");
  // The same with messages.
  template <class Message>
  absl::StatusOr<Message> ExchangeMessage(absl::string_view step, const Message& own) {
    const auto answer = Exchange(step, own.SerializeAsString());
    if (!answer.ok()) return answer.status();
    Message message;
    if (!message.ParseFromString(*answer)) return Garbled(step);
    return message;
  }

  // Tells the other that there will be no further step.
  void GiveUp(absl::string_view why);

  // --- What RoundTrips() has found out; for the checks after it.

  os::Nanos peer_ahead = 0;         // the peer's clock since boot minus this host's
  os::Nanos ahead_uncertainty = 0;  // of it
  os::Nanos round_trip = 0;         // median
  os::Nanos ToOwnTime(os::Nanos at_peer) const { return at_peer - peer_ahead; }

 private:
  PairLink(Examination* examination, Workspace* own, std::string label, Hello hello);
  absl::Status Garbled(absl::string_view step) const;
  absl::Status WriteBlock(uint64_t index, uint64_t number, absl::string_view payload);
  absl::Status OpenControl();
  absl::Status WriteHello();
  // The block at `index` if it is whole and, but for 0, has that number.
  bool ReadBlock(LiveReader* reader, uint64_t index, uint64_t number, std::string* payload);
  // Looks once at who is there.
  absl::Status LookAround();

  Examination* const examination_;
  Workspace* const own_;
  const std::string label_;
  std::unique_ptr<os::File> control_;
  Hello hello_;
  Hello peer_;
  bool paired_ = false;
  bool gave_up_ = false;
  uint64_t step_ = 0;
  std::unique_ptr<LiveReader> peer_control_;
  struct Candidate;
  std::vector<std::unique_ptr<Candidate>> candidates_;
};

}  // namespace spoolrpc::cli::doctor

#endif  // SPOOLRPC_CLI_DOCTOR_PAIR_LINK_H_
