// A client that travels: gRPC's tutorial over a spool, a call of each kind.

#include <stdio.h>

#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "examples/route_guide/helper.h"
#include "examples/route_guide/route_guide.spoolrpc.pb.h"
#include "spoolrpc/spoolrpc.h"

ABSL_FLAG(std::string, spool, "",
          "the spool: spool:/path or a plain path; empty: $SPOOLRPC_DIR, "
          "or ~/.cache/spoolrpc");
ABSL_FLAG(absl::Duration, pace, absl::Milliseconds(200), "from one point of the route to the next");

namespace {

using routeguide::Feature;
using routeguide::Point;
using routeguide::Rectangle;
using routeguide::RouteGuide;
using routeguide::RouteNote;
using routeguide::RouteSummary;
using routeguide::ToText;
using spoolrpc::ClientContext;

Point MakePoint(int latitude, int longitude) {
  Point point;
  point.set_latitude(latitude);
  point.set_longitude(longitude);
  return point;
}

RouteNote MakeRouteNote(const std::string& message, int latitude, int longitude) {
  RouteNote note;
  note.set_message(message);
  *note.mutable_location() = MakePoint(latitude, longitude);
  return note;
}

class RouteGuideClient {
 public:
  RouteGuideClient(std::shared_ptr<spoolrpc::Channel> channel, std::vector<Feature> features)
      : stub_(RouteGuide::NewStub(channel)), features_(std::move(features)) {}

  absl::Status GetFeature() {
    // The Delaware Water Gap, and a place in the sea.
    for (const Point& point : {MakePoint(409687000, -751416000), MakePoint(0, 0)}) {
      ClientContext context;
      Feature feature;
      const absl::Status status = stub_->GetFeature(&context, point, &feature);
      if (!status.ok()) return status;
      if (feature.name().empty()) {
        printf("Found no feature at %s\n", ToText(feature.location()).c_str());
      } else {
        printf("Found feature called %s at %s\n", feature.name().c_str(),
               ToText(feature.location()).c_str());
      }
    }
    return absl::OkStatus();
  }

  absl::Status ListFeatures() {
    Rectangle rectangle;
    *rectangle.mutable_lo() = MakePoint(400000000, -750000000);
    *rectangle.mutable_hi() = MakePoint(420000000, -730000000);
    printf("Looking for features between 40, -75 and 42, -73\n");
    ClientContext context;
    const auto reader = stub_->ListFeatures(&context, rectangle);
    Feature feature;
    while (reader->Read(&feature)) {
      printf("Found feature called %s at %s\n", feature.name().c_str(),
             ToText(feature.location()).c_str());
    }
    return reader->Finish();
  }

  absl::Status RecordRoute() {
    constexpr int kPoints = 10;
    if (features_.empty()) return absl::FailedPreconditionError("there is nowhere to go");
    std::mt19937 random(std::random_device{}());
    std::uniform_int_distribution<size_t> any(0, features_.size() - 1);
    ClientContext context;
    RouteSummary summary;
    const auto writer = stub_->RecordRoute(&context, &summary);
    for (int i = 0; i < kPoints; ++i) {
      const Point& point = features_[any(random)].location();
      printf("Visiting point %s\n", ToText(point).c_str());
      // False: the call has ended already, and Finish() says why.
      if (!writer->Write(point)) break;
      absl::SleepFor(absl::GetFlag(FLAGS_pace));
    }
    writer->WritesDone();
    const absl::Status status = writer->Finish();
    if (status.ok()) {
      printf("Finished trip with %d points\nPassed %d features\nTravelled %d meters\n",
             summary.point_count(), summary.feature_count(), summary.distance());
      printf("It took %d seconds\n", summary.elapsed_time());
    }
    return status;
  }

  absl::Status RouteChat() {
    ClientContext context;
    const auto stream = stub_->RouteChat(&context);
    std::thread writer([&stream] {
      for (const RouteNote& note :
           {MakeRouteNote("First message", 0, 0), MakeRouteNote("Second message", 0, 1),
            MakeRouteNote("Third message", 1, 0), MakeRouteNote("Fourth message", 0, 0)}) {
        printf("Sending message %s at %d, %d\n", note.message().c_str(), note.location().latitude(),
               note.location().longitude());
        if (!stream->Write(note)) return;
      }
      stream->WritesDone();
    });
    RouteNote note;
    while (stream->Read(&note)) {
      printf("Got message %s at %d, %d\n", note.message().c_str(), note.location().latitude(),
             note.location().longitude());
    }
    writer.join();
    return stream->Finish();
  }

 private:
  const std::unique_ptr<RouteGuide::Stub> stub_;
  const std::vector<Feature> features_;
};

// Runs one part of the tour and tells how it ended.
bool Show(const char* name, const absl::Status& status) {
  if (status.ok()) return true;
  fflush(stdout);
  fprintf(stderr, "route_guide_client: %s: %s\n", name, status.ToString().c_str());
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("Calls routeguide.RouteGuide over a spool, each of its methods.");
  absl::ParseCommandLine(argc, argv);
  std::vector<Feature> features;
  const absl::StatusOr<std::string> db = routeguide::GetDbFileContent();
  if (!Show("the features", db.ok() ? routeguide::ParseDb(*db, &features) : db.status())) return 1;
  const auto channel = spoolrpc::CreateChannel(absl::GetFlag(FLAGS_spool));
  if (!Show("the channel", channel.status())) return 1;
  RouteGuideClient guide(*channel, std::move(features));

  printf("-------------- GetFeature --------------\n");
  if (!Show("GetFeature", guide.GetFeature())) return 1;
  printf("-------------- ListFeatures --------------\n");
  if (!Show("ListFeatures", guide.ListFeatures())) return 1;
  printf("-------------- RecordRoute --------------\n");
  if (!Show("RecordRoute", guide.RecordRoute())) return 1;
  printf("-------------- RouteChat --------------\n");
  if (!Show("RouteChat", guide.RouteChat())) return 1;
  return 0;
}
