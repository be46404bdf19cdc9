// Keeps a mapped file that shrinks, or whose disk fails, from killing the process: the kernel says
// SIGBUS to whoever touches a page that the file does not have any more, and no check made before
// helps against a file that is truncated afterwards.
#ifndef SPOOLRPC_OS_MAPPING_GUARD_H_
#define SPOOLRPC_OS_MAPPING_GUARD_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace spoolrpc::os {

// Guards a mapping as long as it lives; to be destroyed before the mapping is. The first thread
// that touches a lost page gets zeroed private memory in place of the whole mapping, and goes on;
// so do all others of this process. From then on the process shares nothing with whoever has the
// file.
//
// The first guard of a process sets its handler of SIGBUS, for good. What concerns no guarded
// mapping goes to the handler that was there before, or ends the process as ever. A program that
// sets its own handler later must pass on to the one before (docs/security.md, section 5).
//
// Thread-safe. Threads that block SIGBUS are not guarded: the kernel kills the process.
class MappingGuard {
 public:
  // `address` as mmap() returned it.
  MappingGuard(void* address, size_t size);
  ~MappingGuard();
  MappingGuard(const MappingGuard&) = delete;
  MappingGuard& operator=(const MappingGuard&) = delete;

  // A page was lost, and the memory is this process's alone now.
  bool lost() const;
  // Whether `address` lies in a guarded mapping of which that is true. Thread-safe; takes no lock.
  static bool IsLost(const void* address);

 private:
  struct Entry;
  friend struct GuardHandler;
  static Entry* TakeEntry();

  Entry* const entry_;
};

}  // namespace spoolrpc::os

#endif  // SPOOLRPC_OS_MAPPING_GUARD_H_
