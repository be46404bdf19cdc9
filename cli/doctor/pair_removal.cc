// What a reader and a writer learn when the other node removes their file. The protocol expects
// either; which of them happens is for the curious.

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/doctor/figures.h"
#include "cli/doctor/pair_checks.h"
#include "spoolrpc/os/error.h"

namespace spoolrpc::cli::doctor {
namespace {

constexpr char kRead[] = "removed-read";
constexpr char kWritten[] = "removed-written";
constexpr absl::Duration kBetweenLooks = absl::Milliseconds(5);

Finding Told(const char* name, std::string figure, const char* meaning) {
  Finding finding;
  finding.name = name;
  finding.result = Result::kInfo;
  finding.figure = std::move(figure);
  finding.meaning = meaning;
  return finding;
}

absl::Status Removal(const Pair& pair) {
  os::SystemCalls* const calls = pair.own->calls();
  absl::Status local = pair.own->MakeZeros(*pair.own / kRead, kLiveFileSize);
  if (local.ok()) local = pair.own->MakeZeros(*pair.own / kWritten, kLiveFileSize);
  std::unique_ptr<os::File> writer;
  if (local.ok()) {
    auto file = log::OpenLogForWriting(calls, *pair.own / kWritten, pair.own->access());
    if (file.ok()) writer = *std::move(file);
  }
  if (const auto made = pair.link->Exchange("removal"); !made.ok()) return made.status();

  // (A descriptor of its own: LiveReader would open the file anew.)
  log::AlignedBuffer buffer(kBlock);
  bool direct = false;
  const auto reader =
      log::OpenLogForReading(calls, pair.link->PeerPath(kRead), pair.own->access(), &direct);
  if (reader.ok()) (*reader)->ReadAt(0, buffer.data(), kBlock).status().IgnoreError();
  if (const auto opened = pair.link->Exchange("removal-opened"); !opened.ok()) {
    return opened.status();
  }
  os::RemoveFile(calls, *pair.own / kRead).IgnoreError();
  os::RemoveFile(calls, pair.link->PeerPath(kWritten)).IgnoreError();
  if (const auto removed = pair.link->Exchange("removal-done"); !removed.ok()) {
    return removed.status();
  }

  const os::Nanos began = pair.examination->Now();
  absl::Status read = reader.status();
  while (read.ok() &&
         pair.examination->Now() < os::After(began, pair.examination->limits().removal)) {
    read = (*reader)->ReadAt(0, buffer.data(), kBlock).status();
    if (absl::Status s = pair.examination->Pause(kBetweenLooks); !s.ok()) return s;
  }
  pair.examination->Add(
      Told("removed_under_reader",
           read.ok() ? "goes on reading"
                     : absl::StrCat(os::IsStale(read) ? "ESTALE" : "an error", " after ",
                                    FormatNanos(pair.examination->Now() - began)),
           "who reads a file that the other node has removed"));
  absl::Status written = writer == nullptr ? absl::UnavailableError("") : absl::OkStatus();
  if (written.ok()) written = writer->WriteAt(0, std::string(kBlock, 'x'));
  if (written.ok()) written = writer->Sync();
  pair.examination->Add(Told("removed_under_writer", written.ok() ? "no error" : "an error",
                             "who writes one; writers look now and then whether theirs is there"));
  return absl::OkStatus();
}

}  // namespace

void CheckRemoval(const Pair& pair) {
  pair.examination->Step("removal", [&] { return Removal(pair); });
}

}  // namespace spoolrpc::cli::doctor
