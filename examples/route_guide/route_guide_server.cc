// A server that knows what is where: gRPC's tutorial over a spool.

#include <signal.h>
#include <stdio.h>

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/synchronization/mutex.h"
#include "examples/route_guide/helper.h"
#include "examples/route_guide/route_guide.spoolrpc.pb.h"
#include "spoolrpc/spoolrpc.h"

ABSL_FLAG(std::string, spool, "",
          "the spool to serve: spool:/path or a plain path; empty: "
          "$SPOOLRPC_DIR, or ~/.cache/spoolrpc");

namespace {

using routeguide::Distance;
using routeguide::Feature;
using routeguide::NameOf;
using routeguide::Point;
using routeguide::Rectangle;
using routeguide::RouteGuide;
using routeguide::RouteNote;
using routeguide::RouteSummary;
using routeguide::SamePlace;
using routeguide::Within;
using spoolrpc::ServerContext;
using spoolrpc::ServerReader;
using spoolrpc::ServerReaderWriter;
using spoolrpc::ServerWriter;

class RouteGuideImpl final : public RouteGuide::Service {
 public:
  explicit RouteGuideImpl(std::vector<Feature> features) : features_(std::move(features)) {}

  absl::Status GetFeature(ServerContext* context, const Point* point, Feature* feature) override {
    feature->set_name(NameOf(*point, features_));
    *feature->mutable_location() = *point;
    return absl::OkStatus();
  }

  absl::Status ListFeatures(ServerContext* context, const Rectangle* rectangle,
                            ServerWriter<Feature>* writer) override {
    for (const Feature& feature : features_) {
      if (!Within(feature.location(), *rectangle)) continue;
      // False: nobody reads any more.
      if (!writer->Write(feature)) break;
    }
    return absl::OkStatus();
  }

  absl::Status RecordRoute(ServerContext* context, ServerReader<Point>* reader,
                           RouteSummary* summary) override {
    const absl::Time began = absl::Now();
    int points = 0;
    int features = 0;
    double distance = 0;
    Point point;
    Point previous;
    while (reader->Read(&point)) {
      if (!NameOf(point, features_).empty()) ++features;
      if (points++ > 0) distance += Distance(previous, point);
      previous = point;
    }
    summary->set_point_count(points);
    summary->set_feature_count(features);
    summary->set_distance(static_cast<int>(distance));
    summary->set_elapsed_time(static_cast<int>(absl::ToInt64Seconds(absl::Now() - began)));
    return absl::OkStatus();
  }

  absl::Status RouteChat(ServerContext* context,
                         ServerReaderWriter<RouteNote, RouteNote>* stream) override {
    RouteNote note;
    while (stream->Read(&note)) {
      // (They are written without the lock: a reader that is slow delays nobody else.)
      for (const RouteNote& earlier : Leave(note)) {
        if (!stream->Write(earlier)) return absl::OkStatus();
      }
    }
    return absl::OkStatus();
  }

 private:
  // Keeps the note, and returns those that were left at its place before.
  std::vector<RouteNote> Leave(const RouteNote& note) {
    absl::MutexLock lock(&mu_);
    std::vector<RouteNote> earlier;
    for (const RouteNote& other : notes_) {
      if (SamePlace(other.location(), note.location())) earlier.push_back(other);
    }
    notes_.push_back(note);
    return earlier;
  }

  const std::vector<Feature> features_;
  absl::Mutex mu_;
  std::vector<RouteNote> notes_ ABSL_GUARDED_BY(mu_);
};

int RunServer() {
  // SIGTERM and SIGINT are taken by a thread that drains the server.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  std::vector<Feature> features;
  const absl::StatusOr<std::string> db = routeguide::GetDbFileContent();
  const absl::Status known = db.ok() ? routeguide::ParseDb(*db, &features) : db.status();
  if (!known.ok()) {
    fprintf(stderr, "route_guide_server: %s\n", known.ToString().c_str());
    return 1;
  }
  RouteGuideImpl service(std::move(features));
  spoolrpc::ServerBuilder builder;
  builder.AddSpool(absl::GetFlag(FLAGS_spool));
  builder.RegisterService(&service);
  absl::StatusOr<std::unique_ptr<spoolrpc::Server>> server = builder.BuildAndStart();
  if (!server.ok()) {
    fprintf(stderr, "route_guide_server: %s\n", server.status().ToString().c_str());
    return 1;
  }
  printf("Server listening on spool:%s\n", (*server)->spools()[0].c_str());
  fflush(stdout);

  std::thread([&signals, server = server->get()] {
    int signal = 0;
    sigwait(&signals, &signal);
    // Whoever chats on and on is cut off after a while.
    server->Shutdown(absl::Now() + absl::Seconds(10));
  }).detach();
  const absl::Status ended = (*server)->Wait();
  if (!ended.ok()) fprintf(stderr, "route_guide_server: %s\n", ended.ToString().c_str());
  return ended.ok() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("Serves routeguide.RouteGuide on a spool until SIGTERM.");
  absl::ParseCommandLine(argc, argv);
  return RunServer();
}
