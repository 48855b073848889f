// A matrix product on blocks that already lie in the cache, and the transposed copy it wants.
//
// For matrices of attention's size a BLAS call spends much of its time packing; here the caller
// packs once and reuses. Each M x N tile of C stays in registers while k runs.
#pragma once

#include "kernels/simd.hpp"

namespace gu::kernels {

// Rows of C a tile holds: M x 2 accumulators, 2 registers of B and one of A must fit the machine's.
#if defined(__AVX512F__) || defined(__aarch64__)
inline constexpr int tile_rows = 8;
#else
inline constexpr int tile_rows = 6;
#endif

// What a product is added to: rows `stride` apart in memory, one row for all where that is 0 (a
// bias), or nothing where there is no row.
template <class T>
struct Start {
  const T* row = nullptr;
  int64_t stride = 0;

  Start at(int64_t i, int64_t j) const {
    return row ? Start{row + i * stride + j, stride} : Start{};
  }
};

// C = start + A B for M rows and N registers of columns; A[i, p] lies at a[i * a_row + p * a_col].
template <int M, int N, class T>
inline void tile(int64_t k, const T* a, int64_t a_row, int64_t a_col, const T* b, int64_t ldb, T* c,
                 int64_t ldc, Start<T> start) {
  // A: [M, k];  B: [k, N * lanes];  C: [M, N * lanes]
  Vec<T> sum[M][N];
#pragma GCC unroll 8
  for (int i = 0; i < M; ++i) {
#pragma GCC unroll 2
    for (int j = 0; j < N; ++j) {
      sum[i][j] = start.row ? load(start.row + i * start.stride + j * lanes<T>) : Vec<T>(T(0));
    }
  }
  for (int64_t p = 0; p < k; ++p) {
    Vec<T> row[N];
#pragma GCC unroll 2
    for (int j = 0; j < N; ++j) row[j] = load(b + p * ldb + j * lanes<T>);
#pragma GCC unroll 8
    for (int i = 0; i < M; ++i) {
      const Vec<T> x(a[i * a_row + p * a_col]);
#pragma GCC unroll 2
      for (int j = 0; j < N; ++j) sum[i][j] = xsimd::fma(x, row[j], sum[i][j]);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < M; ++i) {
#pragma GCC unroll 2
    for (int j = 0; j < N; ++j) store(c + i * ldc + j * lanes<T>, sum[i][j]);
  }
}

// The tile for the m <= M rows that are left.
template <int M, int N, class T>
inline void tile_of(int64_t m, int64_t k, const T* a, int64_t a_row, int64_t a_col, const T* b,
                    int64_t ldb, T* c, int64_t ldc, Start<T> start) {
  if constexpr (M > 1) {
    if (m < M) return tile_of<M - 1, N>(m, k, a, a_row, a_col, b, ldb, c, ldc, start);
  }
  tile<M, N>(k, a, a_row, a_col, b, ldb, c, ldc, start);
}

// C = start + A B. n must be a multiple of the lanes: pad B, C and the start with columns.
template <class T>
void block_matmul(int64_t m, int64_t n, int64_t k, const T* a, int64_t a_row, int64_t a_col,
                  const T* b, int64_t ldb, T* c, int64_t ldc, Start<T> start = {}) {
  // A: [m, k];  B: [k, n];  C, start: [m, n]
  constexpr int64_t W = lanes<T>;
  for (int64_t j = 0; j < n; j += 2 * W) {
    const bool pair = j + 2 * W <= n;
    for (int64_t i = 0; i < m; i += tile_rows) {
      const int64_t rows = std::min<int64_t>(tile_rows, m - i);
      const T* a_i = a + i * a_row;
      T* c_ij = c + i * ldc + j;
      if (pair) {
        tile_of<tile_rows, 2>(rows, k, a_i, a_row, a_col, b + j, ldb, c_ij, ldc, start.at(i, j));
      } else {
        tile_of<tile_rows, 1>(rows, k, a_i, a_row, a_col, b + j, ldb, c_ij, ldc, start.at(i, j));
      }
    }
  }
}

// The 128-bit register, whose zip mixes all lanes on every architecture.
template <class T>
using Quad = xsimd::make_sized_batch_t<T, 16 / sizeof(T)>;

// out = x^T of one square tile: log2 rounds of zipping rows that lie half a tile apart.
template <class T>
inline void transpose_tile(const T* x, int64_t ldx, T* out, int64_t ldo) {
  // x, out: [W, W]
  constexpr int64_t W = static_cast<int64_t>(Quad<T>::size);
  Quad<T> v[W], mixed[W];
#pragma GCC unroll 4
  for (int64_t i = 0; i < W; ++i) v[i] = Quad<T>::load_unaligned(x + i * ldx);
#pragma GCC unroll 2
  for (int64_t round = 1; round < W; round *= 2) {
#pragma GCC unroll 2
    for (int64_t i = 0; i < W / 2; ++i) {
      mixed[2 * i] = xsimd::zip_lo(v[i], v[i + W / 2]);
      mixed[2 * i + 1] = xsimd::zip_hi(v[i], v[i + W / 2]);
    }
#pragma GCC unroll 4
    for (int64_t i = 0; i < W; ++i) v[i] = mixed[i];
  }
#pragma GCC unroll 4
  for (int64_t i = 0; i < W; ++i) v[i].store_unaligned(out + i * ldo);
}

// out = x^T, a cache line of columns at a time: each line of x and out is visited once.
template <class T>
void transpose_block(const T* x, int64_t ldx, int64_t rows, int64_t cols, T* out, int64_t ldo) {
  // x: [rows, cols];  out: [cols, rows]
  constexpr int64_t W = static_cast<int64_t>(Quad<T>::size), line = 64 / sizeof(T);
  const int64_t whole_rows = rows / W * W, whole_cols = cols / W * W;
  for (int64_t first = 0; first < whole_cols; first += line) {
    const int64_t last = std::min(first + line, whole_cols);
    for (int64_t r = 0; r < whole_rows; r += W) {
      for (int64_t c = first; c < last; c += W)
        transpose_tile(x + r * ldx + c, ldx, out + c * ldo + r, ldo);
    }
  }
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = r < whole_rows ? whole_cols : 0; c < cols; ++c)
      out[c * ldo + r] = x[r * ldx + c];
  }
}

}  // namespace gu::kernels
