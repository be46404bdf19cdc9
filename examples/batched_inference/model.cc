#include "examples/batched_inference/model.h"

#include <math.h>

#include <algorithm>
#include <random>

namespace inference {
namespace {

constexpr size_t kHidden = 1024;

// outputs[o][i] = max(0, the sum of weights[o][k] * inputs[k][i]) for image i of `count`.
void Multiply(const float* weights, const float* inputs, size_t input_count, size_t output_count,
              size_t count, float* outputs) {
  for (size_t o = 0; o < output_count; ++o) {
    float* const sums = outputs + o * count;
    std::fill_n(sums, count, 0.0F);
    for (size_t k = 0; k < input_count; ++k) {
      const float weight = weights[o * input_count + k];
      const float* const values = inputs + k * count;
      for (size_t i = 0; i < count; ++i) sums[i] += weight * values[i];
    }
    for (size_t i = 0; i < count; ++i) sums[i] = std::max(0.0F, sums[i]);
  }
}

}  // namespace

Model::Model() {
  std::mt19937 random(20);  // NOLINT: the same weights everywhere, on purpose
  const size_t widths[] = {kPixels, kHidden, kHidden, kLabels};
  for (int i = 0; i < 3; ++i) {
    Layer layer = {widths[i], widths[i + 1], {}};
    layer.weights.resize(layer.inputs * layer.outputs);
    // Not a standard distribution: each library has its own.
    const float scale = 2 * sqrtf(6.0F / static_cast<float>(layer.inputs)) / 4294967296.0F;
    for (float& weight : layer.weights) {
      weight = (static_cast<float>(random()) - 2147483648.0F) * scale;
    }
    layers_.push_back(std::move(layer));
  }
}

std::vector<Model::Answer> Model::Classify(absl::Span<const float* const> images) const {
  const size_t count = images.size();
  // The same pixel of all images is together, and so on from layer to layer.
  std::vector<float> values(kPixels * count);
  for (size_t i = 0; i < count; ++i) {
    for (size_t k = 0; k < kPixels; ++k) values[k * count + i] = images[i][k];
  }
  for (const Layer& layer : layers_) {
    std::vector<float> next(layer.outputs * count);
    Multiply(layer.weights.data(), values.data(), layer.inputs, layer.outputs, count, next.data());
    values.swap(next);
  }
  std::vector<Answer> answers(count);
  for (size_t i = 0; i < count; ++i) {
    answers[i].score = values[i];
    for (int label = 1; label < kLabels; ++label) {
      const float score = values[label * count + i];
      if (score > answers[i].score) answers[i] = {label, score};
    }
  }
  return answers;
}

}  // namespace inference
