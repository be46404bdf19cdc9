// Metadata: what each side says beside the messages, and what it may not say.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/e2e/fixture.h"

namespace spoolrpc::e2e {
namespace {

using testing::HasCode;
using ::testing::HasSubstr;
using testing::StatusIs;

std::string AllBytes() {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes.push_back(static_cast<char>(i));
  return bytes;
}

std::vector<std::string> ValuesOf(const Metadata& metadata, const std::string& key) {
  std::vector<std::string> values;
  const auto [begin, end] = metadata.equal_range(key);
  for (auto it = begin; it != end; ++it) values.push_back(it->second);
  return values;
}

class MetadataTest : public BothTransports {
 protected:
  // Calls Run with a context that `prepare` has filled in.
  absl::Status Call(const Handler& handler, ClientContext* context) {
    service_.handler = handler;
    if (server_ == nullptr) server_ = Serve(&service_);
    if (stub_ == nullptr) stub_ = Probe::NewStub(Connect());
    Text reply;
    return stub_->Run(context, Say(""), &reply);
  }
  void TearDown() override { stub_.reset(); }

  static absl::Status Nothing(ServerContext*, const Text*, Text*) { return absl::OkStatus(); }

 private:
  ProbeService service_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<Probe::Stub> stub_;
};
SPOOLRPC_BOTH_TRANSPORTS(MetadataTest);

TEST_P(MetadataTest, BothWaysUnchanged) {
  ClientContext context;
  context.AddMetadata("key", "value with spaces ~!");
  context.AddMetadata("empty", "");
  context.AddMetadata("bytes-bin", AllBytes());
  for (const char* value : {"c", "a", "b", "a"}) context.AddMetadata("repeated", value);
  Metadata seen;
  ASSERT_OK(Call(
      [&](ServerContext* server, const Text*, Text*) {
        seen = server->client_metadata();
        server->AddInitialMetadata("first", "1");
        server->AddInitialMetadata("first-bin", AllBytes());
        server->AddTrailingMetadata("last", "2");
        for (const char* value : {"z", "y", "z"}) server->AddTrailingMetadata("repeated", value);
        return absl::OkStatus();
      },
      &context));
  EXPECT_EQ(seen.size(), 7);
  EXPECT_EQ(ValuesOf(seen, "key"), std::vector<std::string>{"value with spaces ~!"});
  EXPECT_EQ(ValuesOf(seen, "empty"), std::vector<std::string>{""});
  EXPECT_EQ(ValuesOf(seen, "bytes-bin"), std::vector<std::string>{AllBytes()});
  EXPECT_EQ(ValuesOf(seen, "repeated"), (std::vector<std::string>{"c", "a", "b", "a"}));
  const Metadata& initial = context.GetServerInitialMetadata();
  EXPECT_EQ(initial.size(), 2);
  EXPECT_EQ(ValuesOf(initial, "first"), std::vector<std::string>{"1"});
  EXPECT_EQ(ValuesOf(initial, "first-bin"), std::vector<std::string>{AllBytes()});
  const Metadata& trailing = context.GetServerTrailingMetadata();
  EXPECT_EQ(trailing.size(), 4);
  EXPECT_EQ(ValuesOf(trailing, "last"), std::vector<std::string>{"2"});
  EXPECT_EQ(ValuesOf(trailing, "repeated"), (std::vector<std::string>{"z", "y", "z"}));
}

TEST_P(MetadataTest, ComesWithAnErrorToo) {
  ClientContext context;
  EXPECT_THAT(Call(
                  [](ServerContext* server, const Text*, Text*) {
                    server->AddTrailingMetadata("why", "because");
                    return absl::AbortedError("no");
                  },
                  &context),
              StatusIs(absl::StatusCode::kAborted, "no"));
  EXPECT_EQ(ValuesOf(context.GetServerTrailingMetadata(), "why"),
            std::vector<std::string>{"because"});
}

TEST_P(MetadataTest, BadKeysAndValuesOfTheClientEndTheCallBeforeItIsSent) {
  int calls = 0;
  const auto count = [&](ServerContext*, const Text*, Text*) {
    ++calls;
    return absl::OkStatus();
  };
  const std::vector<std::pair<std::string, std::string>> bad = {
      {"", "value"},         {"Upper", "value"},
      {"a key", "value"},    {"colon:", "value"},
      {"k\xc3\xa4se", "v"},  {"key", "line\n"},
      {"key", "gr\xc3\xbc"}, {"key", std::string(1, '\0')},
      {"key", "\x7f"},       {std::string("nul\0", 4), "v"},
  };
  for (const auto& [key, value] : bad) {
    ClientContext context;
    context.AddMetadata(key, value);
    EXPECT_THAT(Call(count, &context),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("metadata")))
        << key << "=" << value;
  }
  EXPECT_EQ(calls, 0);
  ClientContext good;
  EXPECT_OK(Call(count, &good));
  EXPECT_EQ(calls, 1);
}

TEST_P(MetadataTest, BadKeysAndValuesOfTheHandlerEndTheCallWithInternal) {
  for (const bool initial : {true, false}) {
    ClientContext context;
    const absl::Status status = Call(
        [initial](ServerContext* server, const Text*, Text*) {
          if (initial) {
            server->AddInitialMetadata("Not Good", "value");
          } else {
            server->AddTrailingMetadata("key", "\x01");
          }
          return absl::OkStatus();
        },
        &context);
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kInternal, HasSubstr("/e2e.Probe/Run")));
  }
  ClientContext good;
  EXPECT_OK(Call(Nothing, &good));
}

TEST_P(MetadataTest, TooMuchOfItIsRefused) {
  ClientContext large;
  large.AddMetadata("large-bin", std::string(20000, 'x'));
  EXPECT_THAT(Call(Nothing, &large),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("metadata")));
  // Not a byte too many by their own size, and yet too many to be sent in one frame.
  ClientContext many;
  for (int i = 0; i < 16000; ++i) many.AddMetadata("k", "");
  EXPECT_THAT(Call(Nothing, &many),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("metadata")));
}

TEST_P(MetadataTest, AsMuchAsIsAllowedFitsIntoTheSmallestLog) {
  ProbeService service;
  Metadata seen;
  service.handler = [&](ServerContext* server, const Text*, Text*) {
    seen = server->client_metadata();
    return absl::OkStatus();
  };
  const auto server = Serve(&service);
  ChannelOptions options = Options();
  options.log_capacity = 65536;
  const auto stub = Probe::NewStub(Connect(options));
  // The largest that is not refused must arrive.
  int arrived = 0;
  for (size_t size = 13000; size <= 16384; size += 8) {
    ClientContext context;
    context.AddMetadata("large-bin", std::string(size, 'x'));
    context.set_timeout(absl::Seconds(30));
    Text reply;
    const absl::Status status = stub->Run(&context, Say("with a message of its own"), &reply);
    if (!status.ok()) {
      EXPECT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("metadata")));
      break;
    }
    ++arrived;
    EXPECT_EQ(seen.find("large-bin")->second.size(), size);
  }
  EXPECT_GT(arrived, 100);
}

}  // namespace
}  // namespace spoolrpc::e2e
