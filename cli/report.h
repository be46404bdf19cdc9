// What a dump of one file prints: a headline, details, and what is wrong. Kept apart from how files
// are decoded, so that a directory's dump is the same decoding with less printing.
#ifndef SPOOLRPC_CLI_REPORT_H_
#define SPOOLRPC_CLI_REPORT_H_

#include <ostream>
#include <string>

#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"

namespace spoolrpc::cli {

enum class Depth {
  kDetails,
  kSummary,  // headlines and problems
  kNothing,  // only counts
};

// Not thread-safe. All text goes through Printable().
class Report {
 public:
  // `out` must outlive it. Every line but headlines begins with `indent`.
  Report(std::ostream* out, Depth depth, std::string indent)
      : out_(out), depth_(depth), indent_(std::move(indent)) {}

  bool details() const { return depth_ == Depth::kDetails; }
  // What the file is, in a line.
  void Headline(absl::string_view text);
  void Detail(absl::string_view text);
  // Several lines, each ending in a newline; printed as they are, so of printable text only.
  void DetailBlock(absl::string_view lines);
  // Something that a reader of the file would refuse. `text` says where and what.
  void Problem(absl::string_view text);
  // The same at a place in the file.
  void ProblemAt(uint64_t offset, absl::string_view text);

  int problems() const { return problems_; }

 private:
  std::ostream* const out_;
  const Depth depth_;
  const std::string indent_;
  int problems_ = 0;
};

// The fields of `message`: one line each, or all in one line. Bytes that are no text are in hex.
std::string MessageLines(const google::protobuf::Message& message, absl::string_view indent);
std::string MessageLine(const google::protobuf::Message& message);

}  // namespace spoolrpc::cli

#endif  // SPOOLRPC_CLI_REPORT_H_
