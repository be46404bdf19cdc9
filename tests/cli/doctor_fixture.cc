#include "tests/cli/doctor_fixture.h"

#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace spoolrpc::cli::doctor {

Limits FewRounds() {
  Limits limits;
  limits.answer = absl::Minutes(2);
  limits.unseen = absl::Minutes(1);
  limits.unlisted = absl::Minutes(1);
  limits.curious = absl::Milliseconds(20);
  limits.removal = absl::Milliseconds(100);
  limits.blind = absl::Seconds(30);
  limits.writes = 10;
  limits.round_trips = 30;
  limits.samples = 6;
  limits.sample_gap = absl::Milliseconds(2);
  limits.names = 3;
  limits.name_gap = absl::Milliseconds(2);
  limits.races = 10;
  return limits;
}

Limits FewRoundsAndLittlePatience() {
  Limits limits = FewRounds();
  limits.unseen = absl::Seconds(3);
  limits.unlisted = absl::Seconds(3);
  limits.blind = absl::Milliseconds(50);
  return limits;
}

Options Alone(os::SystemCalls* calls, const std::string& directory, const Limits& limits) {
  Options options;
  options.env.calls = calls;
  options.directory = directory;
  options.limits = limits;
  return options;
}

Both DiagnoseBoth(os::SystemCalls* first, os::SystemCalls* second, const std::string& directory,
                  const Limits& limits) {
  NamedHost one("one"), two("two");
  Options options = Alone(first, directory, limits);
  options.pair = "test";
  options.env.host = &one;
  Options other = options;
  other.env.calls = second;
  other.env.host = &two;
  Both both;
  std::thread thread([&] { both.second = Diagnose(other); });
  both.first = Diagnose(options);
  thread.join();
  return both;
}

Finding FindingOf(const Diagnosis& diagnosis, const std::string& name) {
  for (const Finding& finding : diagnosis.findings) {
    if (finding.name == name) return finding;
  }
  ADD_FAILURE() << "no finding '" << name << "'; " << diagnosis.ending;
  return {};
}

std::vector<std::string> NamesOf(const Diagnosis& diagnosis, Result result) {
  std::set<std::string> names;
  for (const Finding& finding : diagnosis.findings) {
    if (finding.result == result) names.insert(finding.name);
  }
  return {names.begin(), names.end()};
}

std::vector<std::string> SettingsOf(const Diagnosis& diagnosis) {
  std::vector<std::string> settings;
  for (const Setting& setting : diagnosis.settings) {
    settings.push_back(absl::StrCat(setting.name, " = ", setting.value));
  }
  return settings;
}

}  // namespace spoolrpc::cli::doctor
