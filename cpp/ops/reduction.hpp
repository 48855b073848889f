#pragma once
// Reductions over any set of axes, as sequences of reductions of the middle axis of
// [outer, n, inner].

#include <algorithm>
#include <optional>
#include <tuple>
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

// The last run of neighbouring reduced axes that ends at or before axis `end`: its first axis and
// the one behind its last. Both are 0 where there is none.
inline std::pair<int64_t, int64_t> last_run(const Axes& axes, int64_t end) {
  while (end > 0 && !axes[end - 1]) --end;
  int64_t begin = end;
  while (begin > 0 && axes[begin - 1]) --begin;
  return {begin, end};
}

inline AxisView around_run(const Shape& shape, int64_t begin, int64_t end) {
  AxisView v{1, 1, 1};
  for (int64_t d = 0; d < static_cast<int64_t>(shape.size()); ++d)
    (d < begin ? v.outer : d < end ? v.n : v.inner) *= shape[d];
  return v;
}

// The shape as [outer, n, inner] where all reduced axes are neighbours.
inline std::optional<AxisView> one_run(const Shape& shape, const Axes& axes) {
  const auto [begin, end] = last_run(axes, static_cast<int64_t>(axes.size()));
  if (last_run(axes, begin).second > 0) return std::nullopt;
  return around_run(shape, begin, end);
}

// fold(x, outer, n, inner) for one run of neighbouring reduced axes after the other, last run
// first. It gets a tensor and returns one with the elements of [outer, inner].
template <class Fold>
Tensor fold_axes(Tensor x, const Axes& axes, Fold fold) {
  Shape shape = x.shape();
  auto [begin, end] = last_run(axes, static_cast<int64_t>(axes.size()));
  for (; end > 0; std::tie(begin, end) = last_run(axes, begin)) {
    const AxisView v = around_run(shape, begin, end);
    x = fold(x, v.outer, v.n, v.inner);
    std::fill(shape.begin() + begin, shape.begin() + end, 1);
  }
  return x.alias(shape);
}

}  // namespace gu::ops
