// The same server without a thread for each call: reactors are told when a message has come or
// gone.

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

using routeguide::Feature;
using routeguide::Point;
using routeguide::Rectangle;
using routeguide::RouteGuide;
using routeguide::RouteNote;
using routeguide::RouteSummary;
using spoolrpc::CallbackServerContext;

// Sends the features within a rectangle, one after the other.
class Lister final : public spoolrpc::ServerWriteReactor<Feature> {
 public:
  Lister(const Rectangle& rectangle, const std::vector<Feature>& features)
      : rectangle_(rectangle), next_(features.begin()), end_(features.end()) {
    NextWrite();
  }
  void OnWriteDone(bool ok) override {
    if (ok) {
      NextWrite();
    } else {
      Finish(absl::CancelledError("nobody reads any more"));
    }
  }
  void OnDone() override { delete this; }

 private:
  void NextWrite() {
    while (next_ != end_) {
      const Feature& feature = *next_++;
      if (Within(feature.location(), rectangle_)) return StartWrite(&feature);
    }
    Finish(absl::OkStatus());
  }

  const Rectangle rectangle_;
  std::vector<Feature>::const_iterator next_;
  const std::vector<Feature>::const_iterator end_;
};

// Takes the points of a route.
class Recorder final : public spoolrpc::ServerReadReactor<Point> {
 public:
  Recorder(RouteSummary* summary, const std::vector<Feature>& features)
      : summary_(summary), features_(features) {
    StartRead(&point_);
  }
  void OnReadDone(bool ok) override {
    if (!ok) {
      summary_->set_distance(static_cast<int>(distance_));
      summary_->set_elapsed_time(static_cast<int>(absl::ToInt64Seconds(absl::Now() - began_)));
      return Finish(absl::OkStatus());
    }
    if (!NameOf(point_, features_).empty()) {
      summary_->set_feature_count(summary_->feature_count() + 1);
    }
    if (summary_->point_count() > 0) distance_ += Distance(previous_, point_);
    summary_->set_point_count(summary_->point_count() + 1);
    previous_ = point_;
    StartRead(&point_);
  }
  void OnDone() override { delete this; }

 private:
  const absl::Time began_ = absl::Now();
  RouteSummary* const summary_;
  const std::vector<Feature>& features_;
  Point point_;
  Point previous_;
  double distance_ = 0;
};

// The notes of all chats. Thread-safe.
class NoteBook {
 public:
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

 private:
  absl::Mutex mu_;
  std::vector<RouteNote> notes_ ABSL_GUARDED_BY(mu_);
};

// Reads a note, writes what was left at its place before, and reads the next one.
class Chatter final : public spoolrpc::ServerBidiReactor<RouteNote, RouteNote> {
 public:
  explicit Chatter(NoteBook* book) : book_(book) { StartRead(&note_); }
  void OnReadDone(bool ok) override {
    if (!ok) return Finish(absl::OkStatus());
    earlier_ = book_->Leave(note_);
    next_ = 0;
    NextWrite();
  }
  void OnWriteDone(bool ok) override {
    if (ok) {
      NextWrite();
    } else {
      Finish(absl::CancelledError("nobody reads any more"));
    }
  }
  void OnDone() override { delete this; }

 private:
  void NextWrite() {
    if (next_ < earlier_.size()) {
      StartWrite(&earlier_[next_++]);
    } else {
      StartRead(&note_);
    }
  }

  NoteBook* const book_;
  RouteNote note_;
  std::vector<RouteNote> earlier_;
  size_t next_ = 0;
};

class RouteGuideImpl final : public RouteGuide::CallbackService {
 public:
  explicit RouteGuideImpl(std::vector<Feature> features) : features_(std::move(features)) {}

  spoolrpc::ServerUnaryReactor* GetFeature(CallbackServerContext* context, const Point* point,
                                           Feature* feature) override {
    feature->set_name(NameOf(*point, features_));
    *feature->mutable_location() = *point;
    spoolrpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
    reactor->Finish(absl::OkStatus());
    return reactor;
  }

  // These delete themselves when their call is over.
  spoolrpc::ServerWriteReactor<Feature>* ListFeatures(CallbackServerContext* context,
                                                      const Rectangle* rectangle) override {
    return new Lister(*rectangle, features_);
  }
  spoolrpc::ServerReadReactor<Point>* RecordRoute(CallbackServerContext* context,
                                                  RouteSummary* summary) override {
    return new Recorder(summary, features_);
  }
  spoolrpc::ServerBidiReactor<RouteNote, RouteNote>* RouteChat(
      CallbackServerContext* context) override {
    return new Chatter(&book_);
  }

 private:
  const std::vector<Feature> features_;
  NoteBook book_;
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
    fprintf(stderr, "route_guide_callback_server: %s\n", known.ToString().c_str());
    return 1;
  }
  RouteGuideImpl service(std::move(features));
  spoolrpc::ServerBuilder builder;
  builder.AddSpool(absl::GetFlag(FLAGS_spool));
  builder.RegisterService(&service);
  absl::StatusOr<std::unique_ptr<spoolrpc::Server>> server = builder.BuildAndStart();
  if (!server.ok()) {
    fprintf(stderr, "route_guide_callback_server: %s\n", server.status().ToString().c_str());
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
  if (!ended.ok()) fprintf(stderr, "route_guide_callback_server: %s\n", ended.ToString().c_str());
  return ended.ok() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("Serves routeguide.RouteGuide on a spool until SIGTERM.");
  absl::ParseCommandLine(argc, argv);
  return RunServer();
}
