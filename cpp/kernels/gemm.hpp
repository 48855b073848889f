// Matrix products of row-major matrices over raw memory, for float and double.
//
// The rows of C are split over the pool. Each part is one single-threaded BLAS call, or one product
// by our own tiles where those are faster (tiled_gemm.hpp). (BLAS's own threads lose up to half of
// the speed on the small matrices of a small model.) The split is that of parallel_for, so a row
// stays with the thread that other row-wise kernels give it to. Where C has too few rows for that,
// as when a model decodes one token, or A is transposed and C no narrower than high, its columns
// are split.
//
// Equal calls give bit-equal results for equal num_threads(). Between thread counts the last bits
// may differ: BLAS chooses its kernel by the size of a part.
#pragma once

#include <cstdint>
#include <string>

namespace gu {

// C = alpha op(A) op(B) + beta C + bias, where op(X) is X or its transpose.
//   op(A) [m, k]: a is [m, k], or [k, m] if transpose_a; lda is the length of its rows in memory
//   op(B) [k, n]: b is [k, n], or [n, k] if transpose_b; likewise ldb
//   C     [m, n]: ldc
//   bias  [n], added to every row; or null
// With beta = 0 C is written without being read, so it may hold anything. With k = 0 or alpha = 0
// neither A nor B is read. C must not overlap them. Negative sizes, rows longer than their ld and
// an ld beyond 2^31 - 1 (the integers of BLAS) are an std::invalid_argument; m and k have no limit.
template <class T>
void gemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, T alpha, const T* a,
          int64_t lda, const T* b, int64_t ldb, T beta, T* c, int64_t ldc, const T* bias = nullptr);

// The same, without a bias, for i in [0, batch) on a + i stride_a, b + i stride_b, c + i stride_c.
// A stride of 0 uses one matrix for all; the results must not overlap. The batch * m rows of all
// results are split as one range.
template <class T>
void batched_gemm(int64_t batch, bool transpose_a, bool transpose_b, int64_t m, int64_t n,
                  int64_t k, T alpha, const T* a, int64_t lda, int64_t stride_a, const T* b,
                  int64_t ldb, int64_t stride_b, T beta, T* c, int64_t ldc, int64_t stride_c);

extern template void gemm(bool, bool, int64_t, int64_t, int64_t, float, const float*, int64_t,
                          const float*, int64_t, float, float*, int64_t, const float*);
extern template void gemm(bool, bool, int64_t, int64_t, int64_t, double, const double*, int64_t,
                          const double*, int64_t, double, double*, int64_t, const double*);
extern template void batched_gemm(int64_t, bool, bool, int64_t, int64_t, int64_t, float,
                                  const float*, int64_t, int64_t, const float*, int64_t, int64_t,
                                  float, float*, int64_t, int64_t);
extern template void batched_gemm(int64_t, bool, bool, int64_t, int64_t, int64_t, double,
                                  const double*, int64_t, int64_t, const double*, int64_t, int64_t,
                                  double, double*, int64_t, int64_t);

// Which BLAS does the work, such as "OpenBLAS 0.3.21 … Cooperlake"; "unknown" if it cannot tell.
std::string blas_description();

namespace detail {
// One part on the calling thread, in pieces of at most `piece` rows and inner steps (tests pass a
// small piece; BLAS's integers set the real one).
template <class T>
void gemm_part(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, T alpha,
               const T* a, int64_t lda, const T* b, int64_t ldb, T beta, T* c, int64_t ldc,
               const T* bias, int64_t piece);
extern template void gemm_part(bool, bool, int64_t, int64_t, int64_t, float, const float*, int64_t,
                               const float*, int64_t, float, float*, int64_t, const float*,
                               int64_t);
extern template void gemm_part(bool, bool, int64_t, int64_t, int64_t, double, const double*,
                               int64_t, const double*, int64_t, double, double*, int64_t,
                               const double*, int64_t);
}  // namespace detail

}  // namespace gu
