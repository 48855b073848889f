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

// A matrix in memory that is fetched piece by piece while something else is computed.
template <class T>
struct Prefetch {
  const T* data;
  int64_t ld, rows, columns;

  // Asks for piece i of n, a run of whole cache lines.
  void piece(int64_t i, int64_t n) const {
    constexpr int64_t line = 64 / sizeof(T);
    const int64_t lines_a_row = ceil_div(columns, line), lines = rows * lines_a_row;
    for (int64_t q = lines * i / n; q < lines * (i + 1) / n; ++q)
      __builtin_prefetch(data + q / lines_a_row * ld + q % lines_a_row * line, 0, 2);
  }
};

// panel = op(B), its rows filled up with zeros.
template <class T>
void pack_panel(bool transpose_b, const T* b, int64_t ldb, int64_t steps, int64_t columns,
                T* panel) {
  // op(B): [steps, columns];  panel: [steps, 2 * lanes]
  constexpr int64_t W = lanes<T>, width = 2 * W;
  if (columns < width) std::fill_n(panel, steps * width, T(0));
  if (transpose_b) {
    transpose_block(b, ldb, columns, steps, panel, width);
  } else if (columns == width) {  // two registers a row: a call of memcpy would take longer
    for (int64_t s = 0; s < steps; ++s) {
      store(panel + s * width, load(b + s * ldb));
      store(panel + s * width + W, load(b + s * ldb + W));
    }
  } else {
    for (int64_t s = 0; s < steps; ++s) std::copy_n(b + s * ldb, columns, panel + s * width);
  }
}

// C = start + op(A) op(B), where the start may be C itself.
template <class T>
void tiled_gemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const T* a,
                int64_t lda, const T* b, int64_t ldb, T* c, int64_t ldc, Start<T> start) {
  // op(A): [m, k];  op(B): [k, n];  C, start: [m, n]
  const int64_t a_row = transpose_a ? 1 : lda, a_col = transpose_a ? lda : 1;
  constexpr int64_t width = 2 * lanes<T>, some_rows = 4 * tile_rows;
  const int64_t b_row = transpose_b ? 1 : ldb, b_col = transpose_b ? ldb : 1;
  const Scratch<T> panel(std::min(k, inner_block) * width);
  const Scratch<T> ragged(n % width == 0 ? 0 : m * width);
  // The part of B that panel (p, j) is made of, as it lies in memory; beyond the last one nothing.
  const auto part_of_b = [=](int64_t p, int64_t j) -> Prefetch<T> {
    if (p >= k) return {b, ldb, 0, 0};
    const int64_t steps = std::min(inner_block, k - p), columns = std::min(width, n - j);
    return {b + p * b_row + j * b_col, ldb, transpose_b ? columns : steps,
            transpose_b ? steps : columns};
  };
  for (int64_t p = 0; p < k; p += inner_block) {
    const int64_t steps = std::min(inner_block, k - p);
    if (p > 0) start = {c, ldc};
    for (int64_t j = 0; j < n; j += width) {
      const int64_t columns = std::min(width, n - j), padded = round_up(columns, lanes<T>);
      pack_panel(transpose_b, b + p * b_row + j * b_col, ldb, steps, columns, panel.data());
      const Prefetch<T> next =
          j + width < n ? part_of_b(p, j + width) : part_of_b(p + inner_block, 0);
      const bool whole = columns == padded;
      // A tile writes whole registers: ragged last columns go through memory of their own.
      T* const out = whole ? c + j : ragged.data();
      const int64_t ld_out = whole ? ldc : width;
      for (int64_t i = 0; i < m; i += some_rows) {
        next.piece(i / some_rows, ceil_div(m, some_rows));
        block_matmul(std::min(some_rows, m - i), padded, steps, a + i * a_row + p * a_col, a_row,
                     a_col, panel.data(), width, out + i * ld_out, ld_out,
                     whole ? start.at(i, j) : Start<T>{});
      }
      if (whole) continue;
      for (int64_t i = 0; i < m; ++i) {
        T* const row = c + i * ldc + j;
        const T *const product = out + i * width, *const before = start.at(i, j).row;
        for (int64_t x = 0; x < columns; ++x) row[x] = before ? before[x] + product[x] : product[x];
      }
    }
  }
}

}  // namespace gu::kernels
