// The file in which servers note what they execute, and clients what they were told was certainly
// not executed. It outlives a kill -9 of its writers, since the kernel has what one write(2) gave
// it.
#ifndef SPOOLRPC_TESTS_SOAK_LEDGER_H_
#define SPOOLRPC_TESTS_SOAK_LEDGER_H_

#include <cstdint>
#include <string>
#include <vector>

namespace spoolrpc::soak {

// Names a call of a soak.
constexpr uint64_t CallName(uint64_t client, uint32_t number, bool idempotent) {
  return (idempotent ? uint64_t{1} << 63 : 0) | client << 32 | number;
}
constexpr bool IsIdempotent(uint64_t call) { return (call >> 63) != 0; }
// "CLIENT.NUMBER".
std::string CallText(uint64_t call);

struct LedgerEntry {
  enum What : uint64_t { kExecuted = 1, kCertainlyNot = 2 };
  uint64_t what = 0;
  uint64_t call = 0;
};

// Appends, for several processes and threads at once. A failure ends the program.
class Ledger {
 public:
  explicit Ledger(const std::string& path);
  ~Ledger();
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;

  void OnExecuted(uint64_t call) { Append({LedgerEntry::kExecuted, call}); }
  void OnCertainlyNotExecuted(uint64_t call) { Append({LedgerEntry::kCertainlyNot, call}); }

 private:
  void Append(const LedgerEntry& entry) const;

  int fd_ = -1;
};

// All entries so far; none if there is no such file.
std::vector<LedgerEntry> ReadLedger(const std::string& path);

// What must not be: calls that were executed twice, though they are not idempotent, or were
// executed though their callers were told otherwise.
std::vector<std::string> LedgerErrors(const std::vector<LedgerEntry>& entries);

}  // namespace spoolrpc::soak

#endif  // SPOOLRPC_TESTS_SOAK_LEDGER_H_
