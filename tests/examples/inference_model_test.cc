// The model of batched_inference: an image's answer does not depend on the batch that it is in.

#include <math.h>

#include <set>
#include <vector>

#include "examples/batched_inference/model.h"
#include "gtest/gtest.h"

namespace inference {
namespace {

std::vector<float> Image(int number) {
  std::vector<float> pixels;
  for (int i = 0; i < Model::kPixels; ++i) {
    pixels.push_back(0.5F + 0.5F * sinf(static_cast<float>(i * (number + 1)) / 7));
  }
  return pixels;
}

TEST(InferenceModelTest, AnswersAreTheSameInAnyBatch) {
  const Model model;
  std::vector<std::vector<float>> images;
  std::vector<const float*> all;
  std::vector<Model::Answer> alone;
  for (int i = 0; i < 37; ++i) images.push_back(Image(i));
  for (const auto& image : images) {
    all.push_back(image.data());
    alone.push_back(model.Classify({all.back()})[0]);
  }
  std::set<int> labels;
  for (const size_t size : {2, 5, 32, 37}) {
    const auto together = model.Classify(absl::MakeSpan(all).subspan(0, size));
    ASSERT_EQ(together.size(), size);
    for (size_t i = 0; i < size; ++i) {
      EXPECT_EQ(together[i].label, alone[i].label) << i << " of " << size;
      EXPECT_EQ(together[i].score, alone[i].score) << i << " of " << size;
      labels.insert(together[i].label);
    }
  }
  // It does tell images apart.
  EXPECT_GT(labels.size(), 1);
}

TEST(InferenceModelTest, TwoModelsAgree) {
  const auto image = Image(3);
  const auto first = Model().Classify({image.data()});
  const auto second = Model().Classify({image.data()});
  EXPECT_EQ(first[0].label, second[0].label);
  EXPECT_EQ(first[0].score, second[0].score);
  EXPECT_GT(first[0].score, 0);
}

TEST(InferenceModelTest, NoImages) { EXPECT_TRUE(Model().Classify({}).empty()); }

}  // namespace
}  // namespace inference
