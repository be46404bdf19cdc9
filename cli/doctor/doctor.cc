#include "cli/doctor/doctor.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "cli/doctor/node_checks.h"
#include "cli/doctor/pair_checks.h"
#include "cli/doctor/pair_link.h"
#include "cli/doctor/workspace.h"

namespace spoolrpc::cli::doctor {
namespace {

constexpr absl::Duration kWatch = absl::Milliseconds(20);

// What both threads have; the last of them frees it.
struct Run {
  explicit Run(const Options& o) : options(o), examination(o.env, o.limits) {}

  const Options options;
  Examination examination;
  absl::Mutex mu;
  bool done ABSL_GUARDED_BY(mu) = false;
  std::string file_system ABSL_GUARDED_BY(mu);
  Mount mount ABSL_GUARDED_BY(mu);
};

Hello DescribeSelf(const Workspace& workspace, const Mount& mount) {
  const os::ProcessId self = workspace.env().host->Self();
  Hello hello;
  hello.set_host(self.host.substr(0, 200));
  hello.set_boot_id(self.boot_id.substr(0, 100));
  hello.set_pid(self.pid);
  hello.set_pid_namespace(self.pid_namespace);
  hello.set_uid(self.uid);
  hello.set_file_system(workspace.type().name);
  hello.set_network(workspace.network());
  hello.set_mount_source(mount.source.substr(0, 500));
  hello.set_mount_point(mount.point.substr(0, 500));
  const auto info = os::StatPath(workspace.calls(), workspace.path());
  if (info.ok()) hello.set_device(info->device);
  return hello;
}

void Together(Run* run, Workspace* workspace, const Mount& mount) {
  Examination* const examination = &run->examination;
  std::unique_ptr<PairLink> link;
  examination->Step("control_file", [&]() -> absl::Status {
    auto made =
        PairLink::Make(examination, workspace, run->options.pair, DescribeSelf(*workspace, mount));
    if (made.ok()) link = *std::move(made);
    return made.status();
  });
  if (link == nullptr) return;
  run->options.progress(absl::StrCat(
      "waiting for the other node: run `spoolrpc doctor DIRECTORY --pair=", run->options.pair,
      "` there within ", absl::FormatDuration(run->options.timeout),
      ", DIRECTORY being what it calls ", run->options.directory));
  examination->LongStep("meeting", run->options.timeout,
                        [&] { return link->Meet(run->options.timeout); });
  if (examination->stopped()) return;
  run->options.progress(absl::StrCat("examines it together with ", link->peer().host(),
                                     ", which takes a minute or two"));
  const Pair pair = {examination, workspace, link.get(), &mount};
  CheckPeer(pair);
  CheckRoundTrips(pair);
  CheckReading(pair);
  CheckNames(pair);
  CheckRaces(pair);
  CheckRemoval(pair);
  CheckSummary(pair);
  const absl::Status ending = examination->ending();
  if (!ending.ok()) link->GiveUp(ending.message());
}

void Examine(Run* run) {
  const Options& options = run->options;
  Examination* const examination = &run->examination;
  Mount mount;
  std::unique_ptr<Workspace> workspace;
  examination->Step("directory", [&]() -> absl::Status {
    if (options.env.calls == os::SystemCalls::Real()) mount = ReadMount(options.directory);
    {
      absl::MutexLock lock(&run->mu);
      run->mount = mount;
    }
    if (absl::Status s = CheckDirectory(examination, options.directory); !s.ok()) return s;
    auto made = Workspace::Make(options.env, options.directory);
    if (!made.ok()) return made.status();
    workspace = *std::move(made);
    absl::MutexLock lock(&run->mu);
    run->file_system = workspace->type().name;
    return absl::OkStatus();
  });
  if (workspace == nullptr) return;
  const Node node = {examination, workspace.get(), &mount, options.partner};
  CheckPlace(node);
  CheckFiles(node);
  CheckClaims(node);
  CheckMemory(node);
  if (!options.pair.empty() && !examination->stopped()) Together(run, workspace.get(), mount);
  examination->Tidy([&] {
    const absl::Status removed = workspace->Remove();
    if (removed.ok()) return;
    Finding finding;
    finding.name = "tidying_up";
    finding.result = Result::kWarn;
    finding.meaning = absl::StrCat("left behind: ", removed.message());
    examination->Add(std::move(finding));
  });
}

std::vector<Setting> Merge(const std::vector<Finding>& findings) {
  std::map<std::string, Setting> best;
  for (const Finding& finding : findings) {
    for (const Setting& setting : finding.settings) {
      const auto [it, added] = best.emplace(setting.name, setting);
      if (!added && setting.weight > it->second.weight) it->second = setting;
    }
  }
  std::vector<Setting> settings;
  for (auto& [name, setting] : best) settings.push_back(std::move(setting));
  return settings;
}

Verdict Judge(const Diagnosis& diagnosis) {
  const bool failed =
      std::any_of(diagnosis.findings.begin(), diagnosis.findings.end(),
                  [](const Finding& finding) { return finding.result == Result::kFail; });
  if (failed) return Verdict::kDoNotUse;
  if (!diagnosis.ending.ok()) return Verdict::kUnknown;
  return diagnosis.settings.empty() ? Verdict::kWorks : Verdict::kWorksWithSettings;
}

}  // namespace

Diagnosis Diagnose(const Options& options) {
  auto run = std::make_shared<Run>(options);
  std::thread worker([run] {
    Examine(run.get());
    absl::MutexLock lock(&run->mu);
    run->done = true;
  });
  std::optional<std::string> hangs;
  for (bool done = false; !done && !hangs.has_value();) {
    {
      absl::MutexLock lock(&run->mu);
      run->mu.AwaitWithTimeout(absl::Condition(&run->done), kWatch);
      done = run->done;
    }
    if (!done && options.interrupted()) run->examination.Cancel();
    if (!done) hangs = run->examination.Overdue();
  }
  Diagnosis diagnosis;
  if (hangs.has_value()) {
    worker.detach();
    diagnosis.ending = absl::DeadlineExceededError(absl::StrCat(
        "the check '", *hangs, "' hangs: it did not come back in its time; what it has made in ",
        options.directory, " stays there"));
  } else {
    worker.join();
    diagnosis.ending = run->examination.ending();
  }
  diagnosis.directory = options.directory;
  diagnosis.pair = options.pair;
  diagnosis.findings = run->examination.findings();
  diagnosis.settings = Merge(diagnosis.findings);
  diagnosis.verdict = Judge(diagnosis);
  // (No answer is none, not a bad one.)
  if (hangs.has_value()) {
    diagnosis.findings.push_back(FailedFinding(*hangs, diagnosis.ending));
  }
  absl::MutexLock lock(&run->mu);
  diagnosis.file_system = run->file_system;
  diagnosis.mount = run->mount;
  return diagnosis;
}

absl::string_view VerdictName(Verdict verdict) {
  switch (verdict) {
    case Verdict::kWorks:
      return "works";
    case Verdict::kWorksWithSettings:
      return "works_with_settings";
    case Verdict::kDoNotUse:
      return "do_not_use";
    case Verdict::kUnknown:
      break;
  }
  return "unknown";
}

}  // namespace spoolrpc::cli::doctor
