// A small neural network, so that the example's handler costs what such handlers cost.
#ifndef SPOOLRPC_EXAMPLES_BATCHED_INFERENCE_MODEL_H_
#define SPOOLRPC_EXAMPLES_BATCHED_INFERENCE_MODEL_H_

#include <stddef.h>

#include <vector>

#include "absl/types/span.h"

namespace inference {

// Three dense layers, rectified. Its weights come from a random generator with a fixed start: what
// it says of an image means nothing, but is always the same; what it costs is real arithmetic, 1.3
// million multiplications an image. Thread-safe.
//
// For one image that is a matrix times a vector: each weight is fetched for one multiplication, and
// each addition waits for the one before. For many it is a matrix times a matrix: each weight is
// fetched once for all, and the sums of the images do not wait for each other. Every image's own
// sum is added up in the same order in any batch, so its answer does not depend on the others.
class Model {
 public:
  static constexpr int kPixels = 256;
  static constexpr int kLabels = 10;

  struct Answer {
    int label = 0;
    float score = 0;
  };

  Model();

  // One answer for each image; each has kPixels pixels.
  std::vector<Answer> Classify(absl::Span<const float* const> images) const;

 private:
  struct Layer {
    size_t inputs;
    size_t outputs;
    std::vector<float> weights;  // those of an output are together
  };

  std::vector<Layer> layers_;
};

}  // namespace inference

#endif  // SPOOLRPC_EXAMPLES_BATCHED_INFERENCE_MODEL_H_
