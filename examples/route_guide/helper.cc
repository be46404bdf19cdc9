#include "examples/route_guide/helper.h"

#include <errno.h>
#include <string.h>

#include <fstream>
#include <sstream>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "google/protobuf/util/json_util.h"

ABSL_FLAG(std::string, db_path, "examples/route_guide/route_guide_db.json",
          "the file of features that are known");

namespace routeguide {

absl::StatusOr<std::string> GetDbFileContent() {
  const std::string path = absl::GetFlag(FLAGS_db_path);
  std::ifstream file(path);
  std::ostringstream content;
  content << file.rdbuf();
  if (!file || !content) {
    return absl::NotFoundError(absl::StrCat("read ", path, ": ", strerror(errno),
                                            "; --db_path says where the features are"));
  }
  return content.str();
}

absl::Status ParseDb(const std::string& db, std::vector<Feature>* features) {
  FeatureDatabase database;
  const auto parsed = google::protobuf::util::JsonStringToMessage(db, &database);
  if (!parsed.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("parse the features: ", std::string(parsed.message())));
  }
  features->assign(database.feature().begin(), database.feature().end());
  return absl::OkStatus();
}

std::string ToText(const Point& point) {
  constexpr double kUnit = 1e-7;
  return absl::StrFormat("%.5f, %.5f", point.latitude() * kUnit, point.longitude() * kUnit);
}

}  // namespace routeguide
