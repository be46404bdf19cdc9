#include "tests/failure/executions.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <fstream>

#include "absl/strings/str_cat.h"

namespace spoolrpc::failure {

ExecutionWriter::ExecutionWriter(const std::string& path) {
  if (path.empty()) return;
  fd_ = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd_ < 0) {
    perror(path.c_str());
    abort();
  }
}

ExecutionWriter::~ExecutionWriter() {
  if (fd_ >= 0) close(fd_);
}

void ExecutionWriter::Append(const char* what, const std::string& id) const {
  if (fd_ < 0 || id.empty()) return;
  const std::string line = absl::StrCat(what, " ", id, "\n");
  if (write(fd_, line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
    perror("write the file of executions");
    abort();
  }
}

Executions ReadExecutions(const std::string& path) {
  Executions executions;
  std::ifstream in(path);
  std::string what, id;
  while (in >> what >> id) {
    ++(what == "executed" ? executions.executed : executions.cancelled)[id];
  }
  return executions;
}

}  // namespace spoolrpc::failure
