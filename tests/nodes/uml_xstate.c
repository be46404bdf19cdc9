// Lets user-mode Linux run on processors whose vector state is larger than it knows.
//
// Debian's user-mode Linux 6.1 keeps 2696 bytes of a process's floating point and vector state:
// everything up to AVX-512 and the protection keys. On a processor with AMX the host's kernel has
// 11008, and it refuses to set less than the whole (ptrace(PTRACE_SETREGSET, NT_X86_XSTATE) fails
// with EFAULT), so the guest dies at its first return to user space. Reading less than the whole
// works. This library, preloaded into linux.uml by nfs.sh, therefore completes what is set with
// zeros. That loses nothing: the components beyond are AMX's tiles, which a process can use only
// after it has asked its kernel, and user-mode Linux has no such call to offer.
//
// user-mode Linux has one host thread that traces, so nothing here is locked.

#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

// Far above any state area so far; the kernel tells the size that holds.
static unsigned char whole_state[65536];

// Bytes of the host's state area, learnt from `pid`, a stopped tracee; 0 after an error (errno says
// which).
static size_t WholeSize(pid_t pid) {
  static size_t size = 0;
  if (size == 0) {
    struct iovec area = {whole_state, sizeof whole_state};
    if (syscall(SYS_ptrace, PTRACE_GETREGSET, pid, NT_X86_XSTATE, &area) == 0) size = area.iov_len;
  }
  return size;
}

static long SetState(pid_t pid, const struct iovec* guest) {
  size_t size = WholeSize(pid);
  if (size == 0) return -1;
  if (guest->iov_len >= size)
    return syscall(SYS_ptrace, PTRACE_SETREGSET, pid, NT_X86_XSTATE, guest);
  memcpy(whole_state, guest->iov_base, guest->iov_len);
  memset(whole_state + guest->iov_len, 0, size - guest->iov_len);
  struct iovec area = {whole_state, size};
  return syscall(SYS_ptrace, PTRACE_SETREGSET, pid, NT_X86_XSTATE, &area);
}

// Replaces the C library's; the same contract.
long ptrace(enum __ptrace_request request, ...) {
  va_list arguments;
  va_start(arguments, request);
  pid_t pid = va_arg(arguments, pid_t);
  void* address = va_arg(arguments, void*);
  void* data = va_arg(arguments, void*);
  va_end(arguments);

  if (request == PTRACE_SETREGSET && (uintptr_t)address == NT_X86_XSTATE)
    return SetState(pid, data);
  if (request == PTRACE_PEEKTEXT || request == PTRACE_PEEKDATA || request == PTRACE_PEEKUSER) {
    // The system call stores the word where the library returns it.
    long word = 0;
    if (syscall(SYS_ptrace, request, pid, address, &word) < 0) return -1;
    errno = 0;
    return word;
  }
  return syscall(SYS_ptrace, request, pid, address, data);
}
