#include "cli/doctor_report.h"

#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "cli/text.h"

namespace spoolrpc::cli {
namespace {

std::string VerdictText(const doctor::Diagnosis& diagnosis) {
  const std::string alone =
      diagnosis.pair.empty() ? " for processes of this host; between two, --pair tells" : "";
  switch (diagnosis.verdict) {
    case doctor::Verdict::kWorks:
      return absl::StrCat("works", alone);
    case doctor::Verdict::kWorksWithSettings:
      return absl::StrCat("works with these settings", alone);
    case doctor::Verdict::kDoNotUse:
      return diagnosis.settings.empty() ? "do not use it"
                                        : "do not use it as it is; these settings may help";
    case doctor::Verdict::kUnknown:
      break;
  }
  return "unknown";
}

}  // namespace

std::string DoctorText(const doctor::Diagnosis& diagnosis) {
  std::string text =
      absl::StrCat("Directory ", Printable(diagnosis.directory), " on ",
                   diagnosis.file_system.empty() ? "a file system that is not known"
                                                 : Printable(diagnosis.file_system),
                   diagnosis.pair.empty() ? ", one node alone" : ", two nodes", "\n");
  const doctor::Mount& mount = diagnosis.mount;
  if (!mount.point.empty()) {
    absl::StrAppend(&text, "Mounted: ", Printable(mount.source), " on ", Printable(mount.point),
                    " (", Printable(mount.options), ")\n");
  }
  text += '\n';
  std::vector<std::vector<std::string>> rows = {{"CHECK", "RESULT", "FIGURE", "MEANING"}};
  for (const doctor::Finding& finding : diagnosis.findings) {
    rows.push_back({finding.name, std::string(doctor::ResultName(finding.result)),
                    Printable(finding.figure), Printable(finding.meaning)});
  }
  absl::StrAppend(&text, Table(rows, "  "), "\n");
  if (!diagnosis.ending.ok()) {
    absl::StrAppend(&text, "Not all was examined: ", Printable(diagnosis.ending.message()), "\n");
  }
  absl::StrAppend(&text, "Verdict: ", VerdictText(diagnosis), "\n");
  rows.clear();
  for (const doctor::Setting& setting : diagnosis.settings) {
    rows.push_back({Printable(setting.name), Printable(setting.value), Printable(setting.why)});
  }
  return absl::StrCat(text, Table(rows, "  "));
}

DoctorDocument ToDocument(const doctor::Diagnosis& diagnosis) {
  DoctorDocument document;
  document.set_path(Printable(diagnosis.directory));
  document.set_file_system(Printable(diagnosis.file_system));
  document.set_mount_type(Printable(diagnosis.mount.type));
  document.set_mount_source(Printable(diagnosis.mount.source));
  document.set_mount_point(Printable(diagnosis.mount.point));
  document.set_mount_options(Printable(diagnosis.mount.options));
  document.set_pair(Printable(diagnosis.pair));
  document.set_verdict(std::string(doctor::VerdictName(diagnosis.verdict)));
  document.set_message(Printable(diagnosis.ending.message()));
  for (const doctor::Finding& finding : diagnosis.findings) {
    DoctorCheckDocument* const check = document.add_checks();
    check->set_name(finding.name);
    check->set_result(absl::AsciiStrToLower(doctor::ResultName(finding.result)));
    check->set_figure(Printable(finding.figure));
    check->set_meaning(Printable(finding.meaning));
    for (const auto& [name, value] : finding.figures) (*check->mutable_figures())[name] = value;
  }
  for (const doctor::Setting& setting : diagnosis.settings) {
    DoctorSettingDocument* const one = document.add_settings();
    one->set_name(Printable(setting.name));
    one->set_value(Printable(setting.value));
    one->set_why(Printable(setting.why));
  }
  return document;
}

}  // namespace spoolrpc::cli
