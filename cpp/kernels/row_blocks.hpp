// Sums over rows, the gradient of everything that was broadcast over rows.
//
// The rows [0, R) are cut into blocks whose size depends on R alone. A block adds its rows into one
// partial row, and partial rows are added in order: the result is the same for any number of
// threads, the matrix is read once and in order, and rounding errors stay small.
#pragma once

#include "kernels/scratch.hpp"
#include "kernels/simd.hpp"

namespace gu::kernels {

struct RowBlocks {
  int64_t rows;   // R
  int64_t size;   // rows in a block
  int64_t count;  // blocks

  explicit RowBlocks(int64_t R)
      : rows(R), size(std::max<int64_t>(32, ceil_div(R, 256))), count(ceil_div(R, size)) {}
  int64_t begin(int64_t block) const { return block * size; }
  int64_t end(int64_t block) const { return std::min(rows, (block + 1) * size); }
};

// body(block, first row, last row + 1) for every block, whole blocks to a thread.
template <class F>
void each_row_block(RowBlocks blocks, int64_t C, F body) {
  parallel_for(blocks.count, row_grain(C * blocks.size), [&](int64_t first, int64_t last) {
    for (int64_t b = first; b < last; ++b) body(b, blocks.begin(b), blocks.end(b));
  });
}

// out = the sum of `count` rows that lie `stride` apart, in order, split by column over threads.
template <class T>
void add_partial_rows(const T* partial, int64_t count, int64_t stride, T* out, int64_t C) {
  // partial: [count, C];  out: [C]
  constexpr int64_t strip = 4 * lanes<T>;
  const int64_t grain = std::max<int64_t>(1, row_grain(strip * count));
  parallel_for(ceil_div(C, strip), grain, [=](int64_t first, int64_t last) {
    const auto add = [](Vec<T> a, Vec<T> b) { return a + b; };
    const int64_t begin = first * strip, end = std::min(C, last * strip);
    std::fill(out + begin, out + end, T(0));
    for (int64_t r = 0; r < count; ++r) {
      map(end - begin, out + begin, add, out + begin, partial + r * stride + begin);
    }
  });
}

}  // namespace gu::kernels
