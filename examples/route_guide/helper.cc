#include "examples/route_guide/helper.h"

#include <errno.h>
#include <string.h>

#include <algorithm>
#include <cmath>
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

bool SamePlace(const Point& a, const Point& b) {
  return a.latitude() == b.latitude() && a.longitude() == b.longitude();
}

bool Within(const Point& point, const Rectangle& rectangle) {
  const Point& lo = rectangle.lo();
  const Point& hi = rectangle.hi();
  const auto [south, north] = std::minmax({lo.latitude(), hi.latitude()});
  const auto [west, east] = std::minmax({lo.longitude(), hi.longitude()});
  return south <= point.latitude() && point.latitude() <= north && west <= point.longitude() &&
         point.longitude() <= east;
}

double Distance(const Point& from, const Point& to) {
  // (The haversine formula. In double: the difference of two int32 may be more than one holds.)
  constexpr double kRadius = 6371000;
  constexpr double kRadians = 1e-7 * 3.14159265358979323846 / 180;
  const double from_latitude = from.latitude() * kRadians;
  const double to_latitude = to.latitude() * kRadians;
  const double north = std::sin((to_latitude - from_latitude) / 2);
  const double east = std::sin((to.longitude() * kRadians - from.longitude() * kRadians) / 2);
  const double a = north * north + std::cos(from_latitude) * std::cos(to_latitude) * east * east;
  return 2 * kRadius * std::asin(std::min(1.0, std::sqrt(a)));
}

std::string NameOf(const Point& point, const std::vector<Feature>& features) {
  for (const Feature& feature : features) {
    if (SamePlace(feature.location(), point)) return feature.name();
  }
  return "";
}

std::string ToText(const Point& point) {
  constexpr double kUnit = 1e-7;
  return absl::StrFormat("%.5f, %.5f", point.latitude() * kUnit, point.longitude() * kUnit);
}

}  // namespace routeguide
