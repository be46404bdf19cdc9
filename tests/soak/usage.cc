#include "tests/soak/usage.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace spoolrpc::soak {
namespace {

int64_t CountEntries(const std::string& directory) {
  int64_t count = 0;
  std::error_code error;
  for (std::filesystem::directory_iterator it(directory, error), end; !error && it != end;
       it.increment(error)) {
    ++count;
  }
  return count;
}

int64_t LowOf(const std::vector<Usage>& samples, size_t begin, size_t end, int64_t Usage::*member) {
  std::vector<int64_t> values;
  for (size_t i = begin; i < end; ++i) values.push_back(samples[i].*member);
  if (values.empty()) return 0;
  const auto low = values.begin() + values.size() / 10;
  std::nth_element(values.begin(), low, values.end());
  return *low;
}

}  // namespace

std::optional<Usage> UsageOf(pid_t pid) {
  const std::string directory = absl::StrCat("/proc/", pid);
  std::ifstream status(directory + "/status");
  Usage usage;
  bool found = false;
  for (std::string word; status >> word;) {
    if (word == "VmRSS:") found = static_cast<bool>(status >> usage.memory_kib);
    if (word == "Threads:") status >> usage.threads;
  }
  // (A process that has ended and was not waited for has a status, and no memory.)
  if (!found) return std::nullopt;
  usage.files = CountEntries(directory + "/fd");
  return usage;
}

Usage Growth::Low(size_t sixth) const {
  const size_t begin = samples_.size() * sixth / 6;
  const size_t end = samples_.size() * (sixth + 1) / 6;
  return {LowOf(samples_, begin, end, &Usage::files), LowOf(samples_, begin, end, &Usage::threads),
          LowOf(samples_, begin, end, &Usage::memory_kib)};
}

std::vector<std::string> Growth::Errors(const GrowthBound& bound) const {
  const Usage early = Low(1);
  const Usage late = Low(5);
  std::vector<std::string> errors;
  const auto compare = [&](const char* what, int64_t before, int64_t after, int64_t beside) {
    const auto most = static_cast<int64_t>(before * (1 + bound.share)) + beside;
    if (after <= most) return;
    errors.push_back(
        absl::StrCat(what, ": ", before, " early, ", after, " late, more than ", most));
  };
  compare("open files", early.files, late.files, bound.files);
  compare("threads", early.threads, late.threads, bound.threads);
  compare("resident KiB", early.memory_kib, late.memory_kib, bound.memory_kib);
  return errors;
}

std::string Growth::Text() const {
  const Usage early = Low(1);
  const Usage late = Low(5);
  return absl::StrCat("open files ", early.files, " -> ", late.files, ", threads ", early.threads,
                      " -> ", late.threads, ", resident KiB ", early.memory_kib, " -> ",
                      late.memory_kib);
}

}  // namespace spoolrpc::soak
