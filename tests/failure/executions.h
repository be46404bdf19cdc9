// The file in which handlers record what they execute. It outlives a kill -9 of its writers, since
// the kernel has what one write(2) gave it.
#ifndef SPOOLRPC_TESTS_FAILURE_EXECUTIONS_H_
#define SPOOLRPC_TESTS_FAILURE_EXECUTIONS_H_

#include <map>
#include <string>

namespace spoolrpc::failure {

// Appends for several processes and threads at once.
class ExecutionWriter {
 public:
  // Empty: records nothing. A failure ends the program.
  explicit ExecutionWriter(const std::string& path);
  ~ExecutionWriter();

  void OnExecuted(const std::string& id) const { Append("executed", id); }
  void OnCancelled(const std::string& id) const { Append("cancelled", id); }

 private:
  void Append(const char* what, const std::string& id) const;

  int fd_ = -1;
};

struct Executions {
  std::map<std::string, int> executed;   // id -> how often
  std::map<std::string, int> cancelled;  // id -> how often its handler saw that nobody waits

  int count(const std::string& id) const {
    const auto it = executed.find(id);
    return it == executed.end() ? 0 : it->second;
  }
  bool was_cancelled(const std::string& id) const { return cancelled.count(id) > 0; }
};

// What has been recorded so far; nothing if the file is not there.
Executions ReadExecutions(const std::string& path);

}  // namespace spoolrpc::failure

#endif  // SPOOLRPC_TESTS_FAILURE_EXECUTIONS_H_
