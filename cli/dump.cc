#include "cli/dump.h"

#include <stdlib.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/file_dumps.h"
#include "cli/text.h"
#include "google/protobuf/stubs/logging.h"
#include "spoolrpc/os/file.h"
#include "spoolrpc/os/host.h"

namespace spoolrpc::cli {
namespace {

// A spool is less deep.
constexpr int kMaxDepth = 8;

// A file that is none of the kinds that begin with a magic.
void DumpOther(ByteSource* source, const PathHint& hint, Report* report) {
  const std::string size = FormatSize(source->size());
  switch (hint.kind) {
    case PathHint::Kind::kAnnouncement:
      report->Headline(absl::StrCat("announcement of session ", absl::BytesToHexString(hint.id)));
      if (source->size() > 0) report->ProblemAt(0, "an announcement is an empty file");
      return;
    case PathHint::Kind::kTextLog:
      report->Headline(absl::StrCat("a server's text log, ", size));
      return;
    case PathHint::Kind::kForeign:
      report->Headline(absl::StrCat("not of this format (the name begins with a dot), ", size));
      return;
    default:
      break;
  }
  report->Headline(absl::StrCat("not a file of a spool, ", size));
  const absl::string_view begin = source->At(0, kMagicSize);
  report->Problem(begin.empty() ? std::string("an empty file")
                                : absl::StrCat("unknown magic \"", absl::CHexEscape(begin), "\""));
  report->DetailBlock(HexDump(source->At(0, 256), 256, "  "));
}

// Walks a spool, or a part of it.
class Dumper {
 public:
  Dumper(const DumpOptions& options, std::ostream* out) : options_(options), out_(*out) {}

  const DumpResult& result() const { return result_; }

  void File(const std::string& path, Depth depth, const std::string& indent) {
    ++result_.files;
    auto source = FileSource::Open(options_.environment.calls, path);
    if (!source.ok()) {
      Unreadable(source.status(), indent);
      return;
    }
    Report report(&out_, depth, indent);
    DumpFile(source->get(), path, options_, &report);
    if (const absl::Status error = (*source)->error(); !error.ok()) {
      Unreadable(error, indent);
    }
    result_.problems += report.problems();
  }

  void Directory(const std::string& path, const std::string& shown, int depth) {
    auto names = os::ListDirectory(options_.environment.calls, path);
    if (!names.ok()) {
      Unreadable(names.status(), "  ");
      return;
    }
    std::sort(names->begin(), names->end());
    for (const std::string& name : *names) {
      const std::string child = absl::StrCat(path, "/", name);
      const std::string child_shown = absl::StrCat(shown, name);
      const auto info = os::StatPath(options_.environment.calls, child);
      // Files of a living spool come and go.
      if (absl::IsNotFound(info.status())) continue;
      out_ << Printable(child_shown);
      if (!info.ok()) {
        out_ << '\n';
        Unreadable(info.status(), "    ");
        continue;
      }
      switch (info->type) {
        case os::FileInfo::Type::kDirectory:
          out_ << "/" << Maker(name) << '\n';
          if (depth < kMaxDepth) {
            Directory(child, absl::StrCat(child_shown, "/"), depth + 1);
          } else {
            Wrong("deeper than any directory of a spool; not entered", "    ");
          }
          break;
        case os::FileInfo::Type::kFile:
          out_ << ": ";
          File(child, Depth::kSummary, "    ");
          break;
        case os::FileInfo::Type::kOther:
          out_ << '\n';
          Wrong("neither a regular file nor a directory; not opened", "    ");
          break;
      }
    }
  }

 private:
  // Of a temporary name: who made it.
  std::string Maker(const std::string& name) const {
    if (!absl::StartsWith(name, ".tmp-")) return "";
    switch (os::LookAtMaker(*options_.environment.host, name)) {
      case os::Liveness::kAlive:
        return " (temporary; its maker is alive)";
      case os::Liveness::kDead:
        return " (temporary; its maker is dead)";
      case os::Liveness::kUnknown:
        break;
    }
    return " (temporary; its maker is on another host)";
  }

  void Wrong(absl::string_view what, absl::string_view indent) {
    ++result_.problems;
    out_ << indent << "PROBLEM: " << Printable(what) << '\n';
  }

  void Unreadable(const absl::Status& error, absl::string_view indent) {
    ++result_.unreadable;
    Wrong(absl::StrCat("cannot be read: ", error.message()), indent);
  }

  const DumpOptions& options_;
  std::ostream& out_;
  DumpResult result_;
};

}  // namespace

void CheckMagic(absl::string_view bytes, absl::string_view expected, Report* report) {
  const absl::string_view found = bytes.substr(0, kMagicSize);
  // What is cut short within the magic is said to be truncated.
  if (found != expected.substr(0, found.size())) {
    report->ProblemAt(0, absl::StrCat("wrong magic \"", absl::CHexEscape(found), "\", expected \"",
                                      expected, "\""));
  }
}

void DumpFile(ByteSource* source, const std::string& path, const DumpOptions& options,
              Report* report) {
  // What is wrong is said here, not by protobuf on stderr.
  const google::protobuf::LogSilencer silencer;
  const PathHint hint = HintOf(path);
  const std::string magic(source->At(0, kMagicSize));
  PathHint::Kind kind = hint.kind;
  if (magic == kRecordMagic) kind = PathHint::Kind::kRecord;
  if (magic == kLogMagic) kind = PathHint::Kind::kLog;
  if (magic == kDoorbellMagic) kind = PathHint::Kind::kDoorbell;
  switch (kind) {
    case PathHint::Kind::kRecord:
      DumpRecord(source, hint, report);
      break;
    case PathHint::Kind::kLog:
      DumpLog(source, hint, options, report);
      break;
    case PathHint::Kind::kDoorbell:
      DumpDoorbell(source, report);
      break;
    default:
      DumpOther(source, hint, report);
  }
}

absl::StatusOr<DumpResult> DumpPath(const std::string& path, const DumpOptions& options,
                                    std::ostream* out) {
  std::string target = path;
  // The argument itself may be a symbolic link, as a spool's path may be; nothing below it.
  if (char* const real = realpath(path.c_str(), nullptr); real != nullptr) {
    target = real;
    free(real);
  }
  const auto info = os::StatPath(options.environment.calls, target);
  if (!info.ok()) return info.status();
  Dumper dumper(options, out);
  switch (info->type) {
    case os::FileInfo::Type::kFile:
      *out << Printable(path) << ": ";
      dumper.File(target, Depth::kDetails, "  ");
      break;
    case os::FileInfo::Type::kDirectory:
      *out << Printable(path) << "/\n";
      dumper.Directory(target, "  ", 1);
      *out << Plural(dumper.result().files, "file") << ", "
           << Plural(dumper.result().problems, "problem") << '\n';
      break;
    case os::FileInfo::Type::kOther:
      return absl::FailedPreconditionError(absl::StrCat(
          "dump ", path, ": neither a regular file nor a directory; it is not opened"));
  }
  return dumper.result();
}

}  // namespace spoolrpc::cli
