// Our own matrix product: B packed panel by panel, C in registers, A read where it lies.
//
// A panel is the part of B that a row of tiles needs: [inner block, two registers of columns],
// copied to one run of memory so that it stays in the first cache while all rows of A pass by.
// A needs no packing: a step of a tile reads one number of each of its few rows, which come from as
// many streams, or from one cache line where A is transposed. BLAS packs both, and clears C before
// it adds to it.
#pragma once

#include "kernels/scratch.hpp"
#include "kernels/tile.hpp"

namespace gu::kernels {

// Inner steps between two visits to C.
inline constexpr int64_t inner_block = 512;

// Whether tiles beat BLAS, as measured: with 512-bit registers, enough rows to pay for packing B,
// and an A that stays near while every panel reads it anew. Transposed, A is read half a line at a
// time.
template <class T>
bool tiles_pay(bool transpose_a, int64_t m, int64_t n, int64_t k) {
  constexpr bool wide = sizeof(Vec<T>) == 64;
  constexpr int64_t near = int64_t{4} << 20;
  const int64_t bytes = m * std::min(k, inner_block) * static_cast<int64_t>(sizeof(T));
  return wide && m >= 64 && n >= 2 * lanes<T> && k >= 32 &&
         bytes <= (transpose_a ? near / 2 : near);
}

// C = op(A) op(B), or C += op(A) op(B) if `add`.
template <class T>
void tiled_gemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const T* a,
                int64_t lda, const T* b, int64_t ldb, T* c, int64_t ldc, bool add) {
  // op(A): [m, k];  op(B): [k, n];  C: [m, n]
  const int64_t a_row = transpose_a ? 1 : lda, a_col = transpose_a ? lda : 1;
  constexpr int64_t width = 2 * lanes<T>;
  const Scratch<T> panel(std::min(k, inner_block) * width);
  const Scratch<T> ragged(n % width == 0 ? 0 : m * width);
  for (int64_t p = 0; p < k; p += inner_block) {
    const int64_t steps = std::min(inner_block, k - p);
    const bool more = add || p > 0;
    for (int64_t j = 0; j < n; j += width) {
      const int64_t columns = std::min(width, n - j), padded = round_up(columns, lanes<T>);
      if (columns < width) std::fill_n(panel.data(), steps * width, T(0));
      if (transpose_b) {
        transpose_block(b + j * ldb + p, ldb, columns, steps, panel.data(), width);
      } else {
        for (int64_t s = 0; s < steps; ++s)
          std::copy_n(b + (p + s) * ldb + j, columns, panel.data() + s * width);
      }
      if (columns == padded) {
        block_matmul(m, padded, steps, a + p * a_col, a_row, a_col, panel.data(), width, c + j, ldc,
                     more);
        continue;
      }
      // A tile writes whole registers: the last columns go through memory of their own.
      T* const last = ragged.data();
      block_matmul(m, padded, steps, a + p * a_col, a_row, a_col, panel.data(), width, last, width,
                   false);
      for (int64_t i = 0; i < m; ++i) {
        T* const row = c + i * ldc + j;
        for (int64_t x = 0; x < columns; ++x)
          row[x] = more ? row[x] + last[i * width + x] : last[i * width + x];
      }
    }
  }
}

}  // namespace gu::kernels
