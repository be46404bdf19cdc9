// What the measurements of fs_probe share: the two mounts, time, child processes, counts of the
// file system's operations. A probe is one process and its children on one machine, so all of it
// may end the program when a call fails that no measurement is about.

#ifndef SPOOLRPC_TESTS_NODES_FS_PROBE_PROBE_H_
#define SPOOLRPC_TESTS_NODES_FS_PROBE_PROBE_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace fs_probe {

// Two mounts of one directory, counted 1 and 2 (environment NODE1 and NODE2).
const std::string& Mount(int node);
// `name` in the directory that this run made for itself, seen through that mount.
std::string Path(int node, const std::string& name);
void MakeRunDirectory();
void RemoveRunDirectory();

// Microseconds, monotonic, the same clock in all processes.
double Now();
void Nap(double microseconds);

// Prints what failed, with errno's text, and ends the process.
[[noreturn]] void Die(const std::string& what);

// The value below which `part` (0 to 1) of the values lie; -1 if there are none.
double Quantile(std::vector<double> values, double part);

// key=value words of the command line, all numbers.
class Arguments {
 public:
  // Ends the program with a message if a word is not of that form.
  explicit Arguments(const std::vector<std::string>& words);
  double Get(const std::string& key, double otherwise) const;

 private:
  std::map<std::string, double> values_;
};

// Memory that children share with their parent: `count` zeroed values. Never freed; a probe is
// short.
void* SharedMemory(size_t bytes);
template <typename T>
T* SharedArray(size_t count) {
  return static_cast<T*>(SharedMemory(count * sizeof(T)));
}
// For times and flags in shared memory.
void Publish(double* where, double value);
double Read(double* where);

// A child process that runs `work`. Killed, if it still runs, and waited for by the destructor.
class Child {
 public:
  explicit Child(const std::function<void()>& work);
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  void Kill();
  // Blocks until it has ended.
  void Wait();
  bool Finished();

 private:
  pid_t pid_;
};

// How often a mount of NFS asked its server since this object was made: /proc/self/mountstats.
// Other file systems do not count; then nothing is printed.
class Operations {
 public:
  explicit Operations(int node);
  // One line: operations of each kind and in all, divided by `per`.
  void Print(const std::string& what, double per) const;

 private:
  int node_;
  std::map<std::string, long> before_;
};

// Opens, or ends the program.
int Open(const std::string& path, int flags);
// A new file with `size` bytes that begin with `text`.
void WriteFile(const std::string& path, const std::string& text, size_t size);
// Opens the directory anew, which makes a network file system look at it.
void TouchCache(const std::string& directory);
// The name of an errno, such as ESTALE.
std::string ErrnoName(int error);

}  // namespace fs_probe

#endif  // SPOOLRPC_TESTS_NODES_FS_PROBE_PROBE_H_
