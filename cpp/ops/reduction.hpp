#pragma once
// Reductions over any set of axes, as sequences of reductions of the middle axis of
// [outer, n, inner].

#include <optional>
#include <vector>

#include "core/tensor.hpp"

namespace gu::ops {

using Axes = std::vector<bool>;  // for each axis of a tensor: is it reduced?
using Dims = std::optional<std::vector<int64_t>>;

// The axes that `dim` names. None and () mean all of them.
Axes resolve_dims(const char* op, const Dims& dim, int64_t axes);

// The shape after a reduction: reduced axes have size 1, or are gone.
Shape reduced_shape(const Shape& shape, const Axes& axes, bool keepdim);

// How many elements go into one.
int64_t reduced_count(const Shape& shape, const Axes& axes);

// The sum over these axes, which stay with size 1. Not recorded; float32, float64 or int64.
Tensor sum_over(const Tensor& x, const Axes& axes);

// y, the result of a reduction, as it was before its axes were dropped.
inline Tensor with_kept_axes(const Tensor& y, const Shape& shape, const Axes& axes) {
  return y.alias(reduced_shape(shape, axes, true));
}

// fold(x, outer, n, inner) for one run of neighbouring reduced axes after the other, last run
// first. It gets a tensor and returns one of shape [outer, inner] in memory.
template <class Fold>
Tensor fold_axes(Tensor x, const Axes& axes, Fold fold) {
  const Shape kept = reduced_shape(x.shape(), axes, true);
  Shape shape = x.shape();
  for (auto end = static_cast<int64_t>(axes.size()); end > 0;) {
    if (!axes[end - 1]) {
      --end;
      continue;
    }
    int64_t begin = end - 1;
    while (begin > 0 && axes[begin - 1]) --begin;
    int64_t outer = 1, n = 1, inner = 1;
    for (int64_t d = 0; d < static_cast<int64_t>(shape.size()); ++d)
      (d < begin ? outer : d < end ? n : inner) *= shape[d];
    x = fold(x, outer, n, inner);
    for (int64_t d = begin; d < end; ++d) shape[d] = 1;
    end = begin;
  }
  return x.alias(kept);
}

}  // namespace gu::ops
