#pragma once
// Kernels that work on rows: an axis that is not the last becomes it by a copy.

#include "core/tensor.hpp"
#include "kernels/tile.hpp"

namespace gu::ops {

// rows = x with its middle axis last.
template <class T>
void axis_last(const T* x, T* rows, AxisView v) {
  // x: [outer, n, inner];  rows: [outer, inner, n]
  constexpr int64_t strip = 64;  // columns a piece of work: a few lines of the cache
  const int64_t strips = kernels::ceil_div(v.inner, strip);
  parallel_for(v.outer * strips, kernels::row_grain(v.n * strip), [=](int64_t begin, int64_t end) {
    for (int64_t piece = begin; piece < end; ++piece) {
      const int64_t o = piece / strips, i = piece % strips * strip;
      kernels::transpose_block(x + o * v.n * v.inner + i, v.inner, v.n,
                               std::min(strip, v.inner - i), rows + (o * v.inner + i) * v.n, v.n);
    }
  });
}

// The other way: x from rows.
template <class T>
void axis_back(const T* rows, T* x, AxisView v) {
  // rows: [outer, inner, n];  x: [outer, n, inner]
  axis_last(rows, x, {v.outer, v.inner, v.n});
}

}  // namespace gu::ops
