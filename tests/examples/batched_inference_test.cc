// batched_inference as its README shows it: the server, its clients, the plot.

#include <signal.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "examples/batched_inference/inference.spoolrpc.pb.h"
#include "examples/batched_inference/model.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "spoolrpc/spoolrpc.h"
#include "tests/examples/program.h"
#include "tests/testing/scratch_directory.h"
#include "tests/testing/status_matchers.h"

namespace spoolrpc::testing {
namespace {

using ::testing::HasSubstr;

constexpr char kPrograms[] = "examples/batched_inference/";

class BatchedInferenceTest : public ::testing::Test {
 protected:
  std::unique_ptr<Program> Start(const std::string& program, std::vector<std::string> flags) {
    flags.insert(flags.begin(),
                 {absl::StrCat(kPrograms, "inference_", program), "--spool=" + (scratch_ / "s")});
    return std::make_unique<Program>(scratch_.path(), absl::StrCat(program, ++programs_), flags);
  }

  const ScratchDirectory scratch_;

 private:
  int programs_ = 0;
};

TEST_F(BatchedInferenceTest, ClientsOfSeveralProcessesShareBatches) {
  // Partial batches are so late that they are none.
  const auto server = Start("server", {"--max_batch=12", "--max_delay=1h"});
  ASSERT_TRUE(server->AwaitOutput("Server listening on spool:" + (scratch_ / "s")));
  std::vector<std::unique_ptr<Program>> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(
        Start("client", {"--clients=4", "--calls=20", "--ack_timeout=100s", "--table"}));
  }
  for (const auto& client : clients) {
    EXPECT_EQ(client->AwaitExit().value_or(-1), 0) << client->Errors();
    const std::vector<std::string> numbers = absl::StrSplit(client->Output(), ' ');
    ASSERT_EQ(numbers.size(), 6) << client->Output();
    EXPECT_EQ(numbers[0], "4");
    EXPECT_EQ(numbers[1], "80");
    EXPECT_EQ(numbers[3], "12.00");
  }
  server->Send(SIGTERM);
  EXPECT_EQ(server->AwaitExit().value_or(-1), 0) << server->Errors();
}

TEST_F(BatchedInferenceTest, BadImageFailsAlone) {
  const auto server = Start("server", {"--max_batch=3", "--max_delay=1h"});
  const auto channel = CreateChannel(scratch_ / "s");
  ASSERT_OK(channel);
  inference::Image good;
  for (int i = 0; i < inference::Model::kPixels; ++i) {
    good.add_pixels(static_cast<float>(i % 5));
  }
  inference::Image bad;
  bad.add_pixels(1);
  const inference::Image* const images[] = {&good, &bad, &good};
  absl::Status statuses[3];
  inference::Label labels[3];
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&, i] {
      ClientContext context;
      context.set_ack_timeout(kLong);
      statuses[i] =
          inference::Inference::NewStub(*channel)->Classify(&context, *images[i], &labels[i]);
    });
  }
  for (std::thread& thread : threads) thread.join();
  const auto expected = inference::Model().Classify({good.pixels().data()});
  for (int i : {0, 2}) {
    EXPECT_OK(statuses[i]);
    EXPECT_EQ(labels[i].label(), expected[0].label);
    EXPECT_EQ(labels[i].score(), expected[0].score);
    EXPECT_EQ(labels[i].batch_size(), 2);
  }
  EXPECT_THAT(statuses[1], StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("1 pixels")));
}

TEST_F(BatchedInferenceTest, Plot) {
  Program plot(scratch_.path(), "plot",
               {absl::StrCat(kPrograms, "plot.sh"), absl::StrCat(kPrograms, "inference_server"),
                absl::StrCat(kPrograms, "inference_client"), "--clients=8", "--calls=20",
                "--max_delay=100s", "--sizes=1 8"});
  EXPECT_EQ(plot.AwaitExit().value_or(-1), 0) << plot.Errors();
  const std::vector<std::string> lines = absl::StrSplit(plot.Output(), '\n');
  ASSERT_EQ(lines.size(), 6) << plot.Output();
  EXPECT_EQ(lines[0], "8 clients, max_delay 100s");
  double rates[2] = {};
  int longest = 0;
  for (int i = 0; i < 2; ++i) {
    const std::vector<std::string> words = absl::StrSplit(lines[3 + i], ' ', absl::SkipEmpty());
    ASSERT_EQ(words.size(), 5) << plot.Output();
    EXPECT_EQ(words[0], i == 0 ? "1" : "8");
    double mean = 0;
    ASSERT_TRUE(absl::SimpleAtod(words[1], &mean));
    EXPECT_EQ(mean, i == 0 ? 1 : 8);
    ASSERT_TRUE(absl::SimpleAtod(words[3], &rates[i]));
    EXPECT_GT(rates[i], 0);
    EXPECT_EQ(words[4], std::string(words[4].size(), '#'));
    longest = std::max(longest, static_cast<int>(words[4].size()));
  }
  EXPECT_EQ(longest, 50);
}

}  // namespace
}  // namespace spoolrpc::testing
