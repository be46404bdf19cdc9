// A directory of a test's own, on the file system where the tests run.
#ifndef SPOOLRPC_TESTS_TESTING_SCRATCH_DIRECTORY_H_
#define SPOOLRPC_TESTS_TESTING_SCRATCH_DIRECTORY_H_

#include <string>

#include "absl/strings/string_view.h"

namespace spoolrpc::testing {

// Made new and empty (0700) under $TEST_TMPDIR, or /tmp; removed with all that is in it by the
// destructor, in the process that made it. A failure to make it ends the program.
class ScratchDirectory {
 public:
  // `parent`: where to make it, if not there.
  explicit ScratchDirectory(std::string parent = "");
  ~ScratchDirectory();
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(absl::string_view name) const;

 private:
  std::string path_;
  int maker_;
};

}  // namespace spoolrpc::testing

#endif  // SPOOLRPC_TESTS_TESTING_SCRATCH_DIRECTORY_H_
