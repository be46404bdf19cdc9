#include "tests/metrics/open_metrics_parser.h"

#include <cmath>
#include <limits>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace spoolrpc::testing {
namespace {

using Families = std::map<std::string, ParsedFamily>;

const std::map<std::string, std::set<std::string>>& SuffixesOfTypes() {
  static const auto* const suffixes = new std::map<std::string, std::set<std::string>>{
      {"counter", {"_total", "_created"}},
      {"gauge", {""}},
      {"histogram", {"_bucket", "_sum", "_count", "_created"}},
      {"summary", {"", "_sum", "_count", "_created"}},
  };
  return *suffixes;
}

bool IsName(absl::string_view name, bool colons) {
  if (name.empty() || absl::ascii_isdigit(name[0])) return false;
  for (const char c : name) {
    if (!absl::ascii_isalnum(c) && c != '_' && !(colons && c == ':')) return false;
  }
  return true;
}

absl::Status Wrong(absl::string_view line, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(what, ": ", line));
}

bool ToNumber(absl::string_view text, double* value) {
  if (text == "+Inf") {
    *value = std::numeric_limits<double>::infinity();
    return true;
  }
  // SimpleAtod takes more than the grammar: surrounding blanks, "inf", hexadecimal digits.
  if (text.find_first_not_of("0123456789+-.eE") != absl::string_view::npos) return false;
  return absl::SimpleAtod(text, value);
}

// "a="b",c="d"}" and what follows; `*rest` is what follows.
absl::Status ParseLabels(absl::string_view line, absl::string_view* rest,
                         std::map<std::string, std::string>* labels) {
  while (!absl::ConsumePrefix(rest, "}")) {
    if (!labels->empty() && !absl::ConsumePrefix(rest, ",")) return Wrong(line, "no comma");
    const size_t equals = rest->find('=');
    if (equals == absl::string_view::npos) return Wrong(line, "a label without a value");
    const std::string name(rest->substr(0, equals));
    rest->remove_prefix(equals + 1);
    if (!IsName(name, false)) return Wrong(line, "not a label's name");
    if (!absl::ConsumePrefix(rest, "\"")) return Wrong(line, "no opening quote");
    std::string value;
    while (!rest->empty() && rest->front() != '"') {
      char c = rest->front();
      rest->remove_prefix(1);
      if (c == '\\') {
        if (rest->empty()) return Wrong(line, "an escape at the end");
        c = rest->front();
        rest->remove_prefix(1);
        if (c == 'n') {
          c = '\n';
        } else if (c != '\\' && c != '"') {
          return Wrong(line, "not an escape");
        }
      }
      value += c;
    }
    if (!absl::ConsumePrefix(rest, "\"")) return Wrong(line, "no closing quote");
    if (!labels->emplace(name, value).second) return Wrong(line, "a label occurs twice");
  }
  return absl::OkStatus();
}

absl::Status ParseSample(absl::string_view line, ParsedSample* sample) {
  const size_t end = line.find_first_of("{ ");
  if (end == absl::string_view::npos) return Wrong(line, "no value");
  sample->name = std::string(line.substr(0, end));
  if (!IsName(sample->name, true)) return Wrong(line, "not a name");
  absl::string_view rest = line.substr(end);
  if (absl::ConsumePrefix(&rest, "{")) {
    if (absl::Status status = ParseLabels(line, &rest, &sample->labels); !status.ok())
      return status;
  }
  if (!absl::ConsumePrefix(&rest, " ")) return Wrong(line, "no blank before the value");
  if (!ToNumber(rest, &sample->value)) return Wrong(line, "not a number");
  return absl::OkStatus();
}

absl::Status CheckSample(absl::string_view line, const std::string& family, const ParsedFamily& of,
                         const ParsedSample& sample) {
  if (!absl::StartsWith(sample.name, family)) return Wrong(line, "a sample of another family");
  const std::string suffix = sample.name.substr(family.size());
  if (SuffixesOfTypes().at(of.type).count(suffix) == 0) {
    return Wrong(line, "not a suffix of this type");
  }
  const bool bucket = of.type == "histogram" && suffix == "_bucket";
  const bool quantile = of.type == "summary" && suffix.empty();
  if (sample.labels.count("le") != bucket) return Wrong(line, "le");
  if (sample.labels.count("quantile") != quantile) return Wrong(line, "quantile");
  if (of.type != "gauge" && !(sample.value >= 0)) return Wrong(line, "negative");
  return absl::OkStatus();
}

// Of one histogram's samples, in their order.
struct Buckets {
  double last_bound = -std::numeric_limits<double>::infinity();
  double last_value = 0;
  double count = -1;
  bool sum = false;
};

absl::Status CheckHistogram(const std::string& name, const ParsedFamily& family) {
  std::map<std::string, Buckets> histograms;  // by the labels but le
  for (const ParsedSample& sample : family.samples) {
    std::map<std::string, std::string> labels = sample.labels;
    labels.erase("le");
    Buckets& buckets = histograms[absl::StrJoin(labels, ",", absl::PairFormatter("="))];
    if (sample.name == name + "_count") buckets.count = sample.value;
    if (sample.name == name + "_sum") buckets.sum = true;
    if (sample.name != name + "_bucket") continue;
    double bound;
    if (!ToNumber(sample.labels.at("le"), &bound)) return Wrong(name, "le is not a number");
    if (!(bound > buckets.last_bound)) return Wrong(name, "buckets are not sorted");
    if (sample.value < buckets.last_value) return Wrong(name, "buckets are not cumulative");
    buckets.last_bound = bound;
    buckets.last_value = sample.value;
  }
  for (const auto& [labels, buckets] : histograms) {
    if (!std::isinf(buckets.last_bound)) return Wrong(labels, "no bucket +Inf");
    if (buckets.count != buckets.last_value) return Wrong(labels, "another count than +Inf's");
    if (!buckets.sum) return Wrong(labels, "no sum");
  }
  return absl::OkStatus();
}

absl::Status ParseHead(absl::string_view line, Families* families, std::string* current) {
  const std::vector<absl::string_view> words = absl::StrSplit(line, absl::MaxSplits(' ', 3));
  if (words.size() != 4 || words[0] != "#") return Wrong(line, "not a head");
  const std::string name(words[2]);
  if (!IsName(name, true)) return Wrong(line, "not a name");
  if (name != *current) {
    if (families->count(name) != 0) return Wrong(line, "a family in two places");
    *current = name;
  }
  ParsedFamily& family = (*families)[name];
  if (!family.samples.empty()) return Wrong(line, "a head behind samples");
  std::string* const field = words[1] == "TYPE"   ? &family.type
                             : words[1] == "UNIT" ? &family.unit
                             : words[1] == "HELP" ? &family.help
                                                  : nullptr;
  if (field == nullptr) return Wrong(line, "an unknown head");
  if (!field->empty()) return Wrong(line, "a head occurs twice");
  *field = std::string(words[3]);
  if (words[1] == "TYPE" && SuffixesOfTypes().count(family.type) == 0) {
    return Wrong(line, "an unknown type");
  }
  if (words[1] == "UNIT" && !absl::EndsWith(name, "_" + family.unit)) {
    return Wrong(line, "the name does not end in the unit");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::map<std::string, ParsedFamily>> ParseOpenMetrics(absl::string_view text) {
  if (!absl::ConsumeSuffix(&text, "# EOF\n")) return Wrong(text, "no # EOF");
  Families families;
  std::string current;
  std::set<std::string> seen;  // samples
  while (!text.empty()) {
    const size_t end = text.find('\n');
    if (end == absl::string_view::npos) return Wrong(text, "no line feed at the end");
    const absl::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    if (line.empty() || line == "# EOF") return Wrong(line, "an empty line, or the end");
    absl::Status status;
    if (line[0] == '#') {
      status = ParseHead(line, &families, &current);
    } else {
      ParsedSample sample;
      status = ParseSample(line, &sample);
      if (status.ok() && families[current].type.empty()) status = Wrong(line, "no type");
      if (status.ok()) status = CheckSample(line, current, families[current], sample);
      if (status.ok() &&
          !seen.insert(absl::StrCat(sample.name, " ",
                                    absl::StrJoin(sample.labels, ",", absl::PairFormatter("="))))
               .second) {
        status = Wrong(line, "a sample occurs twice");
      }
      families[current].samples.push_back(std::move(sample));
    }
    if (!status.ok()) return status;
  }
  for (const auto& [name, family] : families) {
    if (family.type != "histogram") continue;
    if (absl::Status status = CheckHistogram(name, family); !status.ok()) return status;
  }
  return families;
}

double SampleValue(const std::map<std::string, ParsedFamily>& families, absl::string_view name,
                   const std::map<std::string, std::string>& labels) {
  double value = std::nan("");
  int found = 0;
  for (const auto& [family_name, family] : families) {
    for (const ParsedSample& sample : family.samples) {
      if (sample.name != name) continue;
      bool all = true;
      for (const auto& [label, wanted] : labels) {
        const auto is = sample.labels.find(label);
        all = all && is != sample.labels.end() && is->second == wanted;
      }
      if (!all) continue;
      value = sample.value;
      ++found;
    }
  }
  return found == 1 ? value : std::nan("");
}

}  // namespace spoolrpc::testing
