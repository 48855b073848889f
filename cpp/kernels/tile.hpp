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

// C (+)= A B for M rows and N registers of columns; A[i, p] lies at a[i * a_row + p * a_col].
template <int M, int N, class T>
inline void tile(int64_t k, const T* a, int64_t a_row, int64_t a_col, const T* b, int64_t ldb, T* c,
                 int64_t ldc, bool add) {
  // A: [M, k];  B: [k, N * lanes];  C: [M, N * lanes]
  Vec<T> sum[M][N];
#pragma GCC unroll 8
  for (int i = 0; i < M; ++i) {
#pragma GCC unroll 2
    for (int j = 0; j < N; ++j) {
      sum[i][j] = add ? load(c + i * ldc + j * lanes<T>) : Vec<T>(T(0));
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
                    int64_t ldb, T* c, int64_t ldc, bool add) {
  if constexpr (M > 1) {
    if (m < M) return tile_of<M - 1, N>(m, k, a, a_row, a_col, b, ldb, c, ldc, add);
  }
  tile<M, N>(k, a, a_row, a_col, b, ldb, c, ldc, add);
}

// C (+)= A B. n must be a multiple of the lanes: pad B and C with columns.
template <class T>
void block_matmul(int64_t m, int64_t n, int64_t k, const T* a, int64_t a_row, int64_t a_col,
                  const T* b, int64_t ldb, T* c, int64_t ldc, bool add) {
  // A: [m, k];  B: [k, n];  C: [m, n]
  constexpr int64_t W = lanes<T>;
  for (int64_t j = 0; j < n; j += 2 * W) {
    const bool pair = j + 2 * W <= n;
    for (int64_t i = 0; i < m; i += tile_rows) {
      const int64_t rows = std::min<int64_t>(tile_rows, m - i);
      const T* a_i = a + i * a_row;
      T* c_ij = c + i * ldc + j;
      if (pair) {
        tile_of<tile_rows, 2>(rows, k, a_i, a_row, a_col, b + j, ldb, c_ij, ldc, add);
      } else {
        tile_of<tile_rows, 1>(rows, k, a_i, a_row, a_col, b + j, ldb, c_ij, ldc, add);
      }
    }
  }
}

// The 128-bit register, whose zip mixes all lanes on every architecture.
template <class T>
using Quad = xsimd::make_sized_batch_t<T, 16 / sizeof(T)>;

// out = x^T by square tiles: log2 rounds of zipping rows that lie half a tile apart transpose one.
template <class T>
void transpose_block(const T* x, int64_t ldx, int64_t rows, int64_t cols, T* out, int64_t ldo) {
  // x: [rows, cols];  out: [cols, rows]
  constexpr int64_t W = static_cast<int64_t>(Quad<T>::size);
  int64_t r = 0;
  for (; r + W <= rows; r += W) {
    int64_t c = 0;
    for (; c + W <= cols; c += W) {
      Quad<T> v[W], mixed[W];
#pragma GCC unroll 4
      for (int64_t i = 0; i < W; ++i) v[i] = Quad<T>::load_unaligned(x + (r + i) * ldx + c);
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
      for (int64_t i = 0; i < W; ++i) v[i].store_unaligned(out + (c + i) * ldo + r);
    }
    for (; c < cols; ++c) {
      for (int64_t i = r; i < r + W; ++i) out[c * ldo + i] = x[i * ldx + c];
    }
  }
  for (; r < rows; ++r) {
    for (int64_t c = 0; c < cols; ++c) out[c * ldo + r] = x[r * ldx + c];
  }
}

}  // namespace gu::kernels
