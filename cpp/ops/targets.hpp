#pragma once
// Class targets of cross_entropy and nll_loss.

#include <optional>
#include <string>

#include "core/tensor.hpp"

namespace gu::ops {

// Logits or log-probabilities [N, V, ...] around their classes, with targets [N, ...]; or [V] and
// [].
struct ClassTargets {
  AxisView view;  // [N, V, ...] as [outer, V, inner]
  Shape shape;    // of the targets
};

// Throws unless x, target and weight fit, every target is a class or ignore_index, and the
// reduction is known.
ClassTargets check_class_targets(const char* op, const Tensor& x, const Tensor& target,
                                 const std::optional<Tensor>& weight, int64_t ignore_index,
                                 const std::string& reduction);

}  // namespace gu::ops
