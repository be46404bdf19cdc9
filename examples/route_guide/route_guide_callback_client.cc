// The same client without blocking: reactors are told when a message has come or gone, and the
// program waits for their ends alone.

#include <stdio.h>

#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/synchronization/notification.h"
#include "examples/route_guide/helper.h"
#include "examples/route_guide/route_guide.spoolrpc.pb.h"
#include "spoolrpc/spoolrpc.h"

ABSL_FLAG(std::string, spool, "",
          "the spool: spool:/path or a plain path; empty: $SPOOLRPC_DIR, "
          "or ~/.cache/spoolrpc");

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

void Print(const Feature& feature) {
  if (feature.name().empty()) {
    printf("Found no feature at %s\n", ToText(feature.location()).c_str());
  } else {
    printf("Found feature called %s at %s\n", feature.name().c_str(),
           ToText(feature.location()).c_str());
  }
}

// The end of a call: told on a thread of the runtime, awaited on the program's.
class End {
 public:
  void Tell(absl::Status status) {
    status_ = std::move(status);
    told_.Notify();
  }
  absl::Status Await() {
    told_.WaitForNotification();
    return status_;
  }

 private:
  absl::Notification told_;
  absl::Status status_;
};

class Reader final : public spoolrpc::ClientReadReactor<Feature> {
 public:
  Reader(RouteGuide::Stub* stub, const Rectangle& rectangle) : rectangle_(rectangle) {
    stub->async()->ListFeatures(&context_, &rectangle_, this);
    StartRead(&feature_);
    StartCall();
  }
  void OnReadDone(bool ok) override {
    if (!ok) return;
    Print(feature_);
    StartRead(&feature_);
  }
  void OnDone(const absl::Status& status) override { end_.Tell(status); }
  absl::Status Await() { return end_.Await(); }

 private:
  ClientContext context_;
  const Rectangle rectangle_;
  Feature feature_;
  End end_;
};

class Recorder final : public spoolrpc::ClientWriteReactor<Point> {
 public:
  Recorder(RouteGuide::Stub* stub, std::vector<Point> route) : route_(std::move(route)) {
    stub->async()->RecordRoute(&context_, &summary_, this);
    NextWrite();
    StartCall();
  }
  void OnWriteDone(bool ok) override {
    // Not ok: the call has ended, and OnDone() says why.
    if (ok) NextWrite();
  }
  void OnDone(const absl::Status& status) override { end_.Tell(status); }
  absl::Status Await(RouteSummary* summary) {
    absl::Status status = end_.Await();
    *summary = summary_;
    return status;
  }

 private:
  void NextWrite() {
    if (next_ == route_.size()) return StartWritesDone();
    printf("Visiting point %s\n", ToText(route_[next_]).c_str());
    StartWrite(&route_[next_++]);
  }

  ClientContext context_;
  const std::vector<Point> route_;
  size_t next_ = 0;
  RouteSummary summary_;
  End end_;
};

class Chatter final : public spoolrpc::ClientBidiReactor<RouteNote, RouteNote> {
 public:
  explicit Chatter(RouteGuide::Stub* stub)
      : notes_{MakeRouteNote("First message", 0, 0), MakeRouteNote("Second message", 0, 1),
               MakeRouteNote("Third message", 1, 0), MakeRouteNote("Fourth message", 0, 0)} {
    stub->async()->RouteChat(&context_, this);
    NextWrite();
    StartRead(&got_);
    StartCall();
  }
  void OnWriteDone(bool ok) override {
    if (ok) NextWrite();
  }
  void OnReadDone(bool ok) override {
    if (!ok) return;
    printf("Got message %s at %d, %d\n", got_.message().c_str(), got_.location().latitude(),
           got_.location().longitude());
    StartRead(&got_);
  }
  void OnDone(const absl::Status& status) override { end_.Tell(status); }
  absl::Status Await() { return end_.Await(); }

 private:
  void NextWrite() {
    if (next_ == notes_.size()) return StartWritesDone();
    const RouteNote& note = notes_[next_++];
    printf("Sending message %s at %d, %d\n", note.message().c_str(), note.location().latitude(),
           note.location().longitude());
    StartWrite(&note);
  }

  ClientContext context_;
  const std::vector<RouteNote> notes_;
  size_t next_ = 0;
  RouteNote got_;
  End end_;
};

class RouteGuideClient {
 public:
  RouteGuideClient(std::shared_ptr<spoolrpc::Channel> channel, std::vector<Feature> features)
      : stub_(RouteGuide::NewStub(channel)), features_(std::move(features)) {}

  absl::Status GetFeature() {
    // The Delaware Water Gap, and a place in the sea.
    for (const Point& point : {MakePoint(409687000, -751416000), MakePoint(0, 0)}) {
      ClientContext context;
      Feature feature;
      End end;
      stub_->async()->GetFeature(&context, &point, &feature,
                                 [&end](absl::Status status) { end.Tell(std::move(status)); });
      if (absl::Status status = end.Await(); !status.ok()) return status;
      Print(feature);
    }
    return absl::OkStatus();
  }

  absl::Status ListFeatures() {
    Rectangle rectangle;
    *rectangle.mutable_lo() = MakePoint(400000000, -750000000);
    *rectangle.mutable_hi() = MakePoint(420000000, -730000000);
    printf("Looking for features between 40, -75 and 42, -73\n");
    return Reader(stub_.get(), rectangle).Await();
  }

  absl::Status RecordRoute() {
    constexpr int kPoints = 10;
    if (features_.empty()) return absl::FailedPreconditionError("there is nowhere to go");
    std::mt19937 random(std::random_device{}());
    std::uniform_int_distribution<size_t> any(0, features_.size() - 1);
    std::vector<Point> route;
    for (int i = 0; i < kPoints; ++i) route.push_back(features_[any(random)].location());
    RouteSummary summary;
    absl::Status status = Recorder(stub_.get(), std::move(route)).Await(&summary);
    if (status.ok()) {
      printf("Finished trip with %d points\nPassed %d features\nTravelled %d meters\n",
             summary.point_count(), summary.feature_count(), summary.distance());
      printf("It took %d seconds\n", summary.elapsed_time());
    }
    return status;
  }

  absl::Status RouteChat() { return Chatter(stub_.get()).Await(); }

 private:
  const std::unique_ptr<RouteGuide::Stub> stub_;
  const std::vector<Feature> features_;
};

// Runs one part of the tour and tells how it ended.
bool Show(const char* name, const absl::Status& status) {
  if (status.ok()) return true;
  fflush(stdout);
  fprintf(stderr, "route_guide_callback_client: %s: %s\n", name, status.ToString().c_str());
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
