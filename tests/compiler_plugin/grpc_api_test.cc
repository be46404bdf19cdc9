// Whoever knows gRPC's generated classes knows ours: Debian's grpc_cpp_plugin runs over the same
// files, and every public member of its classes must be a member of ours, with the same parameters,
// unless grpc_differences.txt says why not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "tests/compiler_plugin/cpp_members.h"
#include "tests/compiler_plugin/grpc_differences.h"
#include "tests/compiler_plugin/run_protoc.h"

namespace spoolrpc::testing {
namespace {

using ::testing::ElementsAreArray;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr char kDifferences[] = "tests/compiler_plugin/grpc_differences.txt";

struct Headers {
  std::string grpc;
  std::string ours;
};

Headers Generate(const std::string& name) {
  const std::string directory = MakeTemporaryDirectory();
  const std::string base = absl::StrCat("tests/compiler_plugin/protos/", name);
  const ProtocResult result =
      RunProtoc({absl::StrCat("--spoolrpc_out=", directory), absl::StrCat("--grpc_out=", directory),
                 absl::StrCat(base, ".proto")});
  EXPECT_EQ(result.exit_code, 0) << result.output;
  return {ReadFile(absl::StrCat(directory, "/", base, ".grpc.pb.h")),
          ReadFile(absl::StrCat(directory, "/", base, ".spoolrpc.pb.h"))};
}

std::vector<std::string> NamesOf(const std::vector<CppMember>& members) {
  std::vector<std::string> names;
  for (const CppMember& member : members) names.push_back(member.name);
  return names;
}

// Members of the class that stands for the greeter.
std::vector<std::string> PrefixAll(std::vector<std::string> names) {
  for (std::string& name : names) name.insert(0, "helloworld::Greeter::");
  return names;
}

TEST(GrpcApiTest, EveryMemberHasItsCounterpartOrADocumentedReason) {
  std::vector<Difference> differences = ParseDifferences(ReadFile(kDifferences));
  ASSERT_FALSE(differences.empty());
  // All that gRPC's plugin takes: it crashes on the `$` in a comment of comments.proto and refuses
  // generic_services.proto.
  for (const char* name :
       {"annotated", "deep_package", "empty", "foreign_option", "greeter", "imports", "lite",
        "names", "no_package", "no_service", "other_package", "proto2", "public_import",
        "recursive", "several", "std_package", "streaming"}) {
    const Headers headers = Generate(name);
    EXPECT_NE(headers.grpc, "") << name;
    EXPECT_NE(headers.ours, "") << name;
    EXPECT_THAT(MissingMembers(headers.grpc, headers.ours, &differences), IsEmpty()) << name;
  }
  for (const Difference& difference : differences) {
    EXPECT_TRUE(difference.used) << "no such difference any more, remove it from " << kDifferences
                                 << ": " << difference.pattern;
  }
}

// The comparison itself: it sees what is there, and what is not.
TEST(GrpcApiTest, AllMembersOfOurGreeterAreSeen) {
  EXPECT_THAT(NamesOf(PublicMembers(Generate("greeter").ours)),
              ElementsAreArray(
                  PrefixAll({"service_full_name",
                             "StubInterface",
                             "StubInterface::~StubInterface",
                             "StubInterface::SayHello",
                             "StubInterface::SayHelloAgain",
                             "StubInterface::async_interface",
                             "StubInterface::async_interface::~async_interface",
                             "StubInterface::async_interface::SayHello",
                             "StubInterface::async_interface::SayHello",
                             "StubInterface::async_interface::SayHelloAgain",
                             "StubInterface::async_interface::SayHelloAgain",
                             "StubInterface::experimental_async_interface",
                             "StubInterface::async",
                             "StubInterface::experimental_async",
                             "StubInterface::future_interface",
                             "StubInterface::future_interface::~future_interface",
                             "StubInterface::future_interface::SayHello",
                             "StubInterface::future_interface::SayHello",
                             "StubInterface::future_interface::SayHelloAgain",
                             "StubInterface::future_interface::SayHelloAgain",
                             "StubInterface::future",
                             "StubInterface::durable_interface",
                             "StubInterface::durable_interface::durable_interface",
                             "StubInterface::durable_interface::durable_interface",
                             "StubInterface::durable_interface::Cancel",
                             "StubInterface::durable_interface::Collect",
                             "StubInterface::durable_interface::Delete",
                             "StubInterface::durable_interface::SayHello",
                             "StubInterface::durable_interface::SayHello",
                             "StubInterface::durable_interface::SayHelloAgain",
                             "StubInterface::durable_interface::SayHelloAgain",
                             "StubInterface::durable",
                             "Stub",
                             "Stub::Stub",
                             "Stub::Stub",
                             "Stub::=",
                             "Stub::SayHello",
                             "Stub::SayHelloAgain",
                             "Stub::async",
                             "Stub::async::SayHello",
                             "Stub::async::SayHello",
                             "Stub::async::SayHelloAgain",
                             "Stub::async::SayHelloAgain",
                             "Stub::async",
                             "Stub::future",
                             "Stub::future::SayHello",
                             "Stub::future::SayHello",
                             "Stub::future::SayHelloAgain",
                             "Stub::future::SayHelloAgain",
                             "Stub::future",
                             "Stub::durable",
                             "Stub::durable::SayHello",
                             "Stub::durable::SayHello",
                             "Stub::durable::SayHelloAgain",
                             "Stub::durable::SayHelloAgain",
                             "Stub::durable",
                             "NewStub",
                             "Service",
                             "Service::Service",
                             "Service::~Service",
                             "Service::SayHello",
                             "Service::SayHelloAgain",
                             "WithCallbackMethod_SayHello",
                             "WithCallbackMethod_SayHello::WithCallbackMethod_SayHello",
                             "WithCallbackMethod_SayHello::~WithCallbackMethod_SayHello",
                             "WithCallbackMethod_SayHello::SayHello",
                             "WithCallbackMethod_SayHello::SayHello",
                             "WithCallbackMethod_SayHelloAgain",
                             "WithCallbackMethod_SayHelloAgain::WithCallbackMethod_SayHelloAgain",
                             "WithCallbackMethod_SayHelloAgain::~WithCallbackMethod_SayHelloAgain",
                             "WithCallbackMethod_SayHelloAgain::SayHelloAgain",
                             "WithCallbackMethod_SayHelloAgain::SayHelloAgain",
                             "CallbackService",
                             "ExperimentalCallbackService"})));
}

TEST(GrpcApiTest, AllMembersOfGrpcsGreeterAreSeen) {
  const std::vector<std::string> names = NamesOf(PublicMembers(Generate("greeter").grpc));
  const std::set<std::string> set(names.begin(), names.end());
  for (const char* name :
       {"service_full_name", "StubInterface::SayHello", "StubInterface::PrepareAsyncSayHello",
        "StubInterface::async_interface::SayHello", "StubInterface::async", "Stub::Stub",
        "Stub::SayHello", "Stub::AsyncSayHelloAgain", "Stub::async::SayHello", "Stub::async",
        "NewStub", "Service::Service", "Service::~Service", "Service::SayHelloAgain",
        "WithAsyncMethod_SayHello", "AsyncService", "StreamedService"}) {
    EXPECT_EQ(set.count(absl::StrCat("helloworld::Greeter::", name)), 1) << name;
  }
  // Private ones are not.
  EXPECT_EQ(set.count("helloworld::Greeter::Stub::channel_"), 0);
  EXPECT_EQ(set.count("helloworld::Greeter::Stub::async::stub"), 0);
  EXPECT_EQ(set.count("helloworld::Greeter::StubInterface::AsyncSayHelloRaw"), 0);
}

TEST(GrpcApiTest, AMissingOrChangedMemberIsFound) {
  std::vector<Difference> differences = ParseDifferences(ReadFile(kDifferences));
  const Headers headers = Generate("greeter");
  ASSERT_THAT(MissingMembers(headers.grpc, headers.ours, &differences), IsEmpty());
  for (const auto& [from, to] : std::vector<std::pair<const char*, const char*>>{
           {"SayHelloAgain", "changed"},
           {"NewStub", "changed"},
           {"const ::helloworld::HelloRequest&", "changed"},
           {"::absl::Status SayHello(", "void SayHello("},
           {"static constexpr", "changed"},
           {"ClientUnaryReactor", "changed"},
           {"async* async()", "async* changed()"},
           {"CallbackService", "changed"},
           {"ServerUnaryReactor", "changed"}}) {
    const std::string changed = absl::StrReplaceAll(headers.ours, {{from, to}});
    EXPECT_THAT(MissingMembers(headers.grpc, changed, &differences), ::testing::Not(IsEmpty()))
        << from;
  }
  const std::string hidden = absl::StrReplaceAll(headers.ours, {{"public:", "private:"}});
  EXPECT_THAT(MissingMembers(headers.grpc, hidden, &differences), SizeIs(::testing::Gt(10)));
}

}  // namespace
}  // namespace spoolrpc::testing
