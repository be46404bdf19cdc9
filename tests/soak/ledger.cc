#include "tests/soak/ledger.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <fstream>
#include <unordered_map>
#include <unordered_set>

#include "absl/strings/str_cat.h"

namespace spoolrpc::soak {

std::string CallText(uint64_t call) {
  return absl::StrCat((call & ~(uint64_t{1} << 63)) >> 32, ".", call & 0xFFFFFFFF,
                      IsIdempotent(call) ? " (idempotent)" : "");
}

Ledger::Ledger(const std::string& path) {
  fd_ = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd_ < 0) {
    perror(path.c_str());
    abort();
  }
}

Ledger::~Ledger() { close(fd_); }

void Ledger::Append(const LedgerEntry& entry) const {
  // One write, so that entries stay whole.
  if (write(fd_, &entry, sizeof(entry)) != static_cast<ssize_t>(sizeof(entry))) {
    perror("write the ledger");
    abort();
  }
}

std::vector<LedgerEntry> ReadLedger(const std::string& path) {
  std::vector<LedgerEntry> entries;
  std::ifstream in(path, std::ios::binary);
  LedgerEntry entry;
  while (in.read(reinterpret_cast<char*>(&entry), sizeof(entry))) entries.push_back(entry);
  return entries;
}

std::vector<std::string> LedgerErrors(const std::vector<LedgerEntry>& entries) {
  std::vector<std::string> errors;
  std::unordered_map<uint64_t, int> executed;
  std::unordered_set<uint64_t> certainly_not;
  for (const LedgerEntry& entry : entries) {
    if (entry.what == LedgerEntry::kExecuted) {
      ++executed[entry.call];
    } else {
      certainly_not.insert(entry.call);
    }
  }
  for (const auto& [call, times] : executed) {
    if (times > 1 && !IsIdempotent(call)) {
      errors.push_back(absl::StrCat("call ", CallText(call), " was executed ", times, " times"));
    }
  }
  for (const uint64_t call : certainly_not) {
    if (executed.count(call) == 0) continue;
    errors.push_back(absl::StrCat("call ", CallText(call),
                                  " was executed, though its caller was told that it certainly was "
                                  "not"));
  }
  return errors;
}

}  // namespace spoolrpc::soak
