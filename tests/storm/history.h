// The history of one process of a storm: a text file outside the spool, a line for everything that
// the checker (checker.py, which says what is in a line) must know. It outlives a kill -9 of its
// writer, since the kernel has what one write(2) gave it.
#ifndef SPOOLRPC_TESTS_STORM_HISTORY_H_
#define SPOOLRPC_TESTS_STORM_HISTORY_H_

#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace spoolrpc::storm {

// Appends, for several threads at once. A failure ends the program.
class History {
 public:
  explicit History(const std::string& path);
  ~History();
  History(const History&) = delete;
  History& operator=(const History&) = delete;

  // "WHAT TIME FIELD FIELD ...", TIME in nanoseconds by the clock that all processes of a host
  // share. An empty field becomes "-", and no field may have blanks.
  template <class... Fields>
  void Note(absl::string_view what, const Fields&... fields) const {
    std::string line;
    (absl::StrAppend(&line, " ", Field(absl::StrCat(fields))), ...);
    Append(what, line);
  }

 private:
  static std::string Field(std::string text) { return text.empty() ? "-" : std::move(text); }
  void Append(absl::string_view what, absl::string_view fields) const;

  int fd_ = -1;
};

// FNV-1a over `bytes`, going on from `hash`, so that a stream has one hash.
constexpr uint64_t kHashOfNothing = 0xcbf29ce484222325;
uint64_t Hash(absl::string_view bytes, uint64_t hash = kHashOfNothing);

// `size` bytes that look random and depend on `name`.
std::string MakePayload(absl::string_view name, size_t size);

// `text` as one field: without blanks and line ends, and not too long.
std::string AsField(absl::string_view text);

}  // namespace spoolrpc::storm

#endif  // SPOOLRPC_TESTS_STORM_HISTORY_H_
