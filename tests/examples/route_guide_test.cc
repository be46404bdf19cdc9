// The route guide as its README shows it: a server and its clients, each a process of its own; and
// what its calls say, from a client of this process.

#include <signal.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "examples/route_guide/route_guide.spoolrpc.pb.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "spoolrpc/spoolrpc.h"
#include "tests/examples/program.h"
#include "tests/testing/scratch_directory.h"
#include "tests/testing/status_matchers.h"

namespace spoolrpc::testing {
namespace {

using routeguide::Feature;
using routeguide::Point;
using routeguide::Rectangle;
using routeguide::RouteGuide;
using routeguide::RouteNote;
using routeguide::RouteSummary;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kDatabase[] = "examples/route_guide/route_guide_db.json";

Point At(int latitude, int longitude) {
  Point point;
  point.set_latitude(latitude);
  point.set_longitude(longitude);
  return point;
}

// With the blocking server, and with that of reactors.
class RouteGuideTest : public ::testing::TestWithParam<std::string> {
 protected:
  std::unique_ptr<Program> Start(const std::string& program, std::vector<std::string> flags = {}) {
    flags.insert(flags.begin(), {absl::StrCat("examples/route_guide/route_guide_", program),
                                 "--spool=" + (scratch_ / "s")});
    return std::make_unique<Program>(scratch_.path(), absl::StrCat(program, ++programs_), flags);
  }

  void Serve(const std::string& database = kDatabase) {
    server_ = Start(GetParam(), {"--db_path=" + database});
    ASSERT_TRUE(server_->AwaitOutput("Server listening on spool:" + (scratch_ / "s")));
  }

  // With a database of this test's own: a square of features on the equator.
  void ServeSquare() {
    const std::string database = scratch_ / "db.json";
    WriteWholeFile(database, R"({"feature": [
      {"name": "origin"},
      {"name": "east", "location": {"longitude": 10000000}},
      {"name": "north", "location": {"latitude": 10000000}},
      {"name": "both", "location": {"latitude": 10000000, "longitude": 10000000}}]})");
    Serve(database);
    const auto channel = CreateChannel(scratch_ / "s");
    ASSERT_OK(channel.status());
    stub_ = RouteGuide::NewStub(*channel);
  }

  void Drain() {
    stub_.reset();
    server_->Send(SIGTERM);
    EXPECT_EQ(server_->AwaitExit().value_or(-1), 0) << server_->Errors();
  }

  const ScratchDirectory scratch_;
  std::unique_ptr<Program> server_;
  std::unique_ptr<RouteGuide::Stub> stub_;

 private:
  int programs_ = 0;
};

TEST_P(RouteGuideTest, ClientsTakeTheTour) {
  Serve();
  std::vector<std::unique_ptr<Program>> clients;
  const std::string database = absl::StrCat("--db_path=", kDatabase);
  clients.push_back(Start("client", {database, "--pace=1ms"}));
  clients.push_back(Start("callback_client", {database}));
  for (const auto& client : clients) {
    EXPECT_EQ(client->AwaitExit().value_or(-1), 0) << client->Errors();
    const std::string said = client->Output();
    EXPECT_THAT(said, HasSubstr("Found feature called Delaware Water Gap at 40.96870, -75.14160\n"
                                "Found no feature at 0.00000, 0.00000\n"));
    EXPECT_THAT(said, HasSubstr("Found feature called Princeton at 40.35730, -74.66720\n"));
    EXPECT_THAT(said, ::testing::Not(HasSubstr("Brookhaven at")));
    EXPECT_THAT(said, HasSubstr("Finished trip with 10 points\n"));
    EXPECT_THAT(said, HasSubstr("Got message First message at 0, 0\n"));
  }
  Drain();
}

TEST_P(RouteGuideTest, FeatureIsNamedByItsPlace) {
  ServeSquare();
  for (const auto& [point, name] : std::vector<std::pair<Point, std::string>>{
           {At(0, 10000000), "east"}, {At(0, 0), "origin"}, {At(5, 5), ""}}) {
    ClientContext context;
    Feature feature;
    ASSERT_OK(stub_->GetFeature(&context, point, &feature));
    EXPECT_EQ(feature.name(), name);
    EXPECT_EQ(feature.location().SerializeAsString(), point.SerializeAsString());
  }
  Drain();
}

TEST_P(RouteGuideTest, RectangleMayBeGivenByAnyTwoOppositeCorners) {
  ServeSquare();
  const Point a = At(-1, -1);
  const Point b = At(1, 10000000);
  for (const auto& [lo, hi] :
       {std::pair(a, b), std::pair(b, a),
        std::pair(At(a.latitude(), b.longitude()), At(b.latitude(), a.longitude()))}) {
    Rectangle rectangle;
    *rectangle.mutable_lo() = lo;
    *rectangle.mutable_hi() = hi;
    ClientContext context;
    const auto reader = stub_->ListFeatures(&context, rectangle);
    std::vector<std::string> names;
    Feature feature;
    while (reader->Read(&feature)) names.push_back(feature.name());
    EXPECT_OK(reader->Finish());
    EXPECT_THAT(names, ElementsAre("origin", "east"));
  }
  Drain();
}

TEST_P(RouteGuideTest, RouteIsSummedUp) {
  ServeSquare();
  ClientContext context;
  RouteSummary summary;
  const auto writer = stub_->RecordRoute(&context, &summary);
  for (const Point& point : {At(0, 0), At(0, 10000000), At(0, 5000000), At(10000000, 5000000)}) {
    ASSERT_TRUE(writer->Write(point));
  }
  EXPECT_TRUE(writer->WritesDone());
  EXPECT_OK(writer->Finish());
  EXPECT_EQ(summary.point_count(), 4);
  EXPECT_EQ(summary.feature_count(), 2);
  // One degree of the equator, half of one back, and one of a meridian.
  EXPECT_NEAR(summary.distance(), 2.5 * 111194.9, 2);
  Drain();
}

TEST_P(RouteGuideTest, NotesAreFoundWhereTheyWereLeft) {
  ServeSquare();
  const auto leave = [](ClientReaderWriter<RouteNote, RouteNote>* chat, const std::string& text,
                        const Point& point) {
    RouteNote note;
    note.set_message(text);
    *note.mutable_location() = point;
    return chat->Write(note);
  };
  ClientContext first_context;
  const auto first = stub_->RouteChat(&first_context);
  ASSERT_TRUE(leave(first.get(), "one", At(1, 1)));
  ASSERT_TRUE(leave(first.get(), "two", At(1, 1)));
  RouteNote note;
  ASSERT_TRUE(first->Read(&note)) << first->Finish();
  EXPECT_EQ(note.message(), "one");
  // Somebody else finds both, in their order, while the first still chats.
  ClientContext second_context;
  const auto second = stub_->RouteChat(&second_context);
  ASSERT_TRUE(leave(second.get(), "elsewhere", At(2, 1)));
  ASSERT_TRUE(leave(second.get(), "three", At(1, 1)));
  ASSERT_TRUE(second->Read(&note)) << second->Finish();
  EXPECT_EQ(note.message(), "one");
  ASSERT_TRUE(second->Read(&note)) << second->Finish();
  EXPECT_EQ(note.message(), "two");
  EXPECT_TRUE(second->WritesDone());
  EXPECT_FALSE(second->Read(&note));
  EXPECT_OK(second->Finish());
  EXPECT_TRUE(first->WritesDone());
  EXPECT_OK(first->Finish());
  Drain();
}

TEST_P(RouteGuideTest, DatabaseThatCannotBeReadIsNamed) {
  const auto missing = Start(GetParam(), {"--db_path=" + (scratch_ / "none.json")});
  EXPECT_EQ(missing->AwaitExit().value_or(-1), 1);
  EXPECT_THAT(missing->Errors(), HasSubstr(scratch_ / "none.json"));
  WriteWholeFile(scratch_ / "bad.json", R"({"feature": 7})");
  const auto bad = Start("client", {"--db_path=" + (scratch_ / "bad.json")});
  EXPECT_EQ(bad->AwaitExit().value_or(-1), 1);
  EXPECT_THAT(bad->Errors(), HasSubstr("parse the features"));
}

INSTANTIATE_TEST_SUITE_P(Servers, RouteGuideTest, ::testing::Values("server", "callback_server"),
                         [](const auto& server) { return server.param; });

}  // namespace
}  // namespace spoolrpc::testing
