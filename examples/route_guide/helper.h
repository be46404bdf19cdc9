// What the programs of the route guide have in common: the features that they know, and where
// things are.
#ifndef SPOOLRPC_EXAMPLES_ROUTE_GUIDE_HELPER_H_
#define SPOOLRPC_EXAMPLES_ROUTE_GUIDE_HELPER_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "examples/route_guide/route_guide.pb.h"

namespace routeguide {

// The bytes of the file that --db_path names.
absl::StatusOr<std::string> GetDbFileContent();

// The features of a FeatureDatabase, as protobuf's JSON. INVALID_ARGUMENT says where it is none.
absl::Status ParseDb(const std::string& db, std::vector<Feature>* features);

bool SamePlace(const Point& a, const Point& b);
// Whether the point lies within the rectangle or on its edge.
bool Within(const Point& point, const Rectangle& rectangle);
// In metres, along the great circle of a sphere.
double Distance(const Point& from, const Point& to);
// The name of the feature at the point; empty if there is none.
std::string NameOf(const Point& point, const std::vector<Feature>& features);

// "40.96870, -75.14160"
std::string ToText(const Point& point);

}  // namespace routeguide

#endif  // SPOOLRPC_EXAMPLES_ROUTE_GUIDE_HELPER_H_
