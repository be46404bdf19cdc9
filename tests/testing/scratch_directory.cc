#include "tests/testing/scratch_directory.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace spoolrpc::testing {

ScratchDirectory::ScratchDirectory(std::string parent) : maker_(getpid()) {
  if (parent.empty()) {
    const char* const given = getenv("TEST_TMPDIR");
    parent = given == nullptr ? "/tmp" : given;
  }
  path_ = absl::StrCat(parent, "/scratch-XXXXXX");
  if (mkdtemp(path_.data()) == nullptr) {
    perror(path_.c_str());
    abort();
  }
}

ScratchDirectory::~ScratchDirectory() {
  // A child that was forked with it must not take it away from its parent.
  if (getpid() != maker_) return;
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string ScratchDirectory::operator/(absl::string_view name) const {
  return absl::StrCat(path_, "/", name);
}

}  // namespace spoolrpc::testing
