#include "kernels/tiled_gemm.hpp"  // first: it silences gcc's warnings about its own AVX-512 header

#include <cblas.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>

#include "core/threads.hpp"
#include "kernels/gemm.hpp"

#if defined(__ELF__) || defined(__APPLE__)
// Only OpenBLAS has these; with another BLAS they are null.
extern "C" __attribute__((weak)) void openblas_set_num_threads(int);
extern "C" __attribute__((weak)) char* openblas_get_config();
#define GU_ASK_OPENBLAS 1
#endif

namespace gu {
namespace {

#if GU_ASK_OPENBLAS
// At load: the pool is what makes things parallel here. (Another user of the same shared library in
// this process gets one thread too.)
[[maybe_unused]] const bool one_thread_a_call = [] {
  if (openblas_set_num_threads != nullptr) openblas_set_num_threads(1);
  return true;
}();
#endif

constexpr int64_t kBlasMax = std::numeric_limits<int32_t>::max();
constexpr int64_t kPiece = int64_t{1} << 30;

// Below this many multiplications a plain loop is done before BLAS has begun.
constexpr double kTiny = 64;
// A part should outlast its hand-off to another thread several times.
constexpr double kWorkAPart = 1 << 16;
// Columns are split in whole cache lines.
constexpr int64_t kColumns = 16;

CBLAS_TRANSPOSE flag(bool transpose) { return transpose ? CblasTrans : CblasNoTrans; }

void blas_gemm(bool ta, bool tb, int m, int n, int k, float alpha, const float* a, int lda,
               const float* b, int ldb, float beta, float* c, int ldc) {
  cblas_sgemm(CblasRowMajor, flag(ta), flag(tb), m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}
void blas_gemm(bool ta, bool tb, int m, int n, int k, double alpha, const double* a, int lda,
               const double* b, int ldb, double beta, double* c, int ldc) {
  cblas_dgemm(CblasRowMajor, flag(ta), flag(tb), m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

void blas_gemv(bool t, int rows, int columns, float alpha, const float* a, int lda, const float* x,
               int step_x, float* y, int step_y) {
  cblas_sgemv(CblasRowMajor, flag(t), rows, columns, alpha, a, lda, x, step_x, 1, y, step_y);
}
void blas_gemv(bool t, int rows, int columns, double alpha, const double* a, int lda,
               const double* x, int step_x, double* y, int step_y) {
  cblas_dgemv(CblasRowMajor, flag(t), rows, columns, alpha, a, lda, x, step_x, 1, y, step_y);
}

// C = beta C + bias, where beta = 0 also clears NaN and a bias may be null.
template <class T>
void scale(int64_t m, int64_t n, T beta, T* c, int64_t ldc, const T* bias) {
  if (beta == T(1) && bias == nullptr) return;
  for (int64_t i = 0; i < m; ++i) {
    T* row = c + i * ldc;
    if (beta == T(0)) {
      std::fill_n(row, n, T(0));
    } else {
      for (int64_t j = 0; j < n; ++j) row[j] *= beta;
    }
    if (bias == nullptr) continue;
    for (int64_t j = 0; j < n; ++j) row[j] += bias[j];
  }
}

template <class T>
void tiny_gemm(bool ta, bool tb, int64_t m, int64_t n, int64_t k, T alpha, const T* a, int64_t lda,
               const T* b, int64_t ldb, T beta, T* c, int64_t ldc) {
  const int64_t a_row = ta ? 1 : lda, a_inner = ta ? lda : 1;
  const int64_t b_inner = tb ? 1 : ldb, b_column = tb ? ldb : 1;
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      T sum = 0;
      for (int64_t p = 0; p < k; ++p)
        sum += a[i * a_row + p * a_inner] * b[p * b_inner + j * b_column];
      T& out = c[i * ldc + j];
      out = alpha * sum + (beta == T(0) ? T(0) : beta * out);
    }
  }
}

double product(int64_t m, int64_t n, int64_t k) {
  return static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
}

// The fewest units worth a part of their own.
int64_t grain(double work_a_unit) {
  return static_cast<int64_t>(std::clamp(kWorkAPart / work_a_unit, 1.0, 1e15));
}

void check_size(const char* op, const char* name, int64_t value) {
  if (value < 0) {
    throw std::invalid_argument("[" + std::string(op) + "] " + name +
                                " must not be negative, but got " + std::to_string(value));
  }
}

void check_ld(const char* op, const char* name, int64_t ld, int64_t row) {
  if (ld < std::max<int64_t>(row, 1) || ld > kBlasMax) {
    throw std::invalid_argument("[" + std::string(op) + "] " + name + " must be from " +
                                std::to_string(std::max<int64_t>(row, 1)) + " to " +
                                std::to_string(kBlasMax) + ", but got " + std::to_string(ld));
  }
}

void check(const char* op, bool ta, bool tb, int64_t m, int64_t n, int64_t k, int64_t lda,
           int64_t ldb, int64_t ldc) {
  check_size(op, "m", m);
  check_size(op, "n", n);
  check_size(op, "k", k);
  check_ld(op, "lda", lda, ta ? m : k);
  check_ld(op, "ldb", ldb, tb ? k : n);
  check_ld(op, "ldc", ldc, n);
}

// Whether to split C [m, n] by its columns. BLAS first packs A and B into a layout of its own:
// parts of rows each pack all of B, parts of columns all of A, so with few rows the columns are the
// better split. Where A is transposed, as in the gradient of a weight, no thread has had rows of C
// in its cache before, so only that counts.
bool prefer_columns(bool transpose_a, int64_t m, int64_t n) {
  if (n / kColumns < num_threads()) return false;
  return transpose_a ? n >= m : m < 48 * num_threads() && n >= 2 * m;
}

// How many of the n columns to give BLAS at once. With few rows, packing B costs more than
// multiplying by it. OpenBLAS multiplies small matrices where they lie, up to 10^6 multiplications
// and, for a transposed B, about 2^10 results; in pieces of that size 4 rows go 3 times as fast.
int64_t columns_at_once(bool tb, int64_t m, int64_t n, int64_t k) {
  constexpr int64_t few_rows = 32, small_product = 1'000'000, small_result = 1024;
  if (m > few_rows) return n;
  int64_t columns = small_product / (m * k);
  if (tb) columns = std::min(columns, small_result / m);
  columns -= columns % kColumns;
  return columns == 0 ? n : std::min(columns, n);
}

}  // namespace

template <class T>
void detail::gemm_part(bool ta, bool tb, int64_t m, int64_t n, int64_t k, T alpha, const T* a,
                       int64_t lda, const T* b, int64_t ldb, T beta, T* c, int64_t ldc,
                       const T* bias, int64_t piece) {
  if (m == 0 || n == 0) return;
  const bool multiply = k > 0 && alpha != T(0);
  const bool tiles = multiply && alpha == T(1) && kernels::tiles_pay<T>(ta, m, n, k);
  if (tiles && beta == T(0))
    return kernels::tiled_gemm(ta, tb, m, n, k, a, lda, b, ldb, c, ldc, kernels::Start<T>{bias});
  if (bias != nullptr || !multiply) {
    scale(m, n, beta, c, ldc, bias);
    beta = T(1);
  }
  if (!multiply) return;
  if (product(m, n, k) <= kTiny)
    return tiny_gemm(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
  if (tiles && beta == T(1))
    return kernels::tiled_gemm(ta, tb, m, n, k, a, lda, b, ldb, c, ldc, kernels::Start<T>{c, ldc});
  for (int64_t i = 0; i < m; i += piece) {
    const int rows = static_cast<int>(std::min(piece, m - i));
    T* out = c + i * ldc;
    for (int64_t p = 0; p < k; p += piece) {
      const int inner = static_cast<int>(std::min(piece, k - p));
      const int columns = static_cast<int>(n), ia = static_cast<int>(lda);
      const int ib = static_cast<int>(ldb), ic = static_cast<int>(ldc);
      const T* a_piece = ta ? a + p * lda + i : a + i * lda + p;  // op(A) [rows, inner]
      const T* b_piece = tb ? b + p : b + p * ldb;                // op(B) [inner, n]
      const T keep = p == 0 ? beta : T(1);
      // A vector times a matrix reads the matrix once; gemm would first copy it into its own
      // layout.
      if (rows == 1 || columns == 1) scale<T>(rows, n, keep, out, ldc, nullptr);
      if (rows == 1 && tb) {
        blas_gemv(false, columns, inner, alpha, b_piece, ib, a_piece, ta ? ia : 1, out, 1);
      } else if (rows == 1) {
        blas_gemv(true, inner, columns, alpha, b_piece, ib, a_piece, ta ? ia : 1, out, 1);
      } else if (columns == 1 && ta) {
        blas_gemv(true, inner, rows, alpha, a_piece, ia, b_piece, tb ? 1 : ib, out, ic);
      } else if (columns == 1) {
        blas_gemv(false, rows, inner, alpha, a_piece, ia, b_piece, tb ? 1 : ib, out, ic);
      } else {
        const int step = static_cast<int>(columns_at_once(tb, rows, n, inner));
        for (int64_t j = 0; j < n; j += step) {
          const int width = static_cast<int>(std::min<int64_t>(step, n - j));
          blas_gemm(ta, tb, rows, width, inner, alpha, a_piece, ia,
                    tb ? b_piece + j * ldb : b_piece + j, ib, keep, out + j, ic);
        }
      }
    }
  }
}

template <class T>
void gemm(bool ta, bool tb, int64_t m, int64_t n, int64_t k, T alpha, const T* a, int64_t lda,
          const T* b, int64_t ldb, T beta, T* c, int64_t ldc, const T* bias) {
  check("gemm", ta, tb, m, n, k, lda, ldb, ldc);
  if (prefer_columns(ta, m, n)) {
    const int64_t groups = (n + kColumns - 1) / kColumns;
    parallel_for(groups, grain(product(m, kColumns, k)), [=](int64_t begin, int64_t end) {
      const int64_t j = begin * kColumns, columns = std::min(end * kColumns, n) - j;
      detail::gemm_part(ta, tb, m, columns, k, alpha, a, lda, tb ? b + j * ldb : b + j, ldb, beta,
                        c + j, ldc, bias ? bias + j : nullptr, kPiece);
    });
  } else {
    parallel_for(m, grain(product(1, n, k)), [=](int64_t begin, int64_t end) {
      detail::gemm_part(ta, tb, end - begin, n, k, alpha, ta ? a + begin : a + begin * lda, lda, b,
                        ldb, beta, c + begin * ldc, ldc, bias, kPiece);
    });
  }
}

template <class T>
void batched_gemm(int64_t batch, bool ta, bool tb, int64_t m, int64_t n, int64_t k, T alpha,
                  const T* a, int64_t lda, int64_t stride_a, const T* b, int64_t ldb,
                  int64_t stride_b, T beta, T* c, int64_t ldc, int64_t stride_c) {
  check_size("batched_gemm", "batch", batch);
  check("batched_gemm", ta, tb, m, n, k, lda, ldb, ldc);
  if (m == 0) return;
  if (batch < num_threads() && prefer_columns(ta, m, n)) {
    for (int64_t i = 0; i < batch; ++i) {
      gemm(ta, tb, m, n, k, alpha, a + i * stride_a, lda, b + i * stride_b, ldb, beta,
           c + i * stride_c, ldc);
    }
    return;
  }
  parallel_for(batch * m, grain(product(1, n, k)), [=](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end;) {
      const int64_t i = row / m, first = row % m, rows = std::min(m - first, end - row);
      const T* a_i = a + i * stride_a;
      detail::gemm_part<T>(ta, tb, rows, n, k, alpha, ta ? a_i + first : a_i + first * lda, lda,
                           b + i * stride_b, ldb, beta, c + i * stride_c + first * ldc, ldc,
                           nullptr, kPiece);
      row += rows;
    }
  });
}

std::string blas_description() {
#if GU_ASK_OPENBLAS
  if (openblas_get_config != nullptr) return openblas_get_config();
#endif
  return "unknown";
}

template void gemm(bool, bool, int64_t, int64_t, int64_t, float, const float*, int64_t,
                   const float*, int64_t, float, float*, int64_t, const float*);
template void gemm(bool, bool, int64_t, int64_t, int64_t, double, const double*, int64_t,
                   const double*, int64_t, double, double*, int64_t, const double*);
template void batched_gemm(int64_t, bool, bool, int64_t, int64_t, int64_t, float, const float*,
                           int64_t, int64_t, const float*, int64_t, int64_t, float, float*, int64_t,
                           int64_t);
template void batched_gemm(int64_t, bool, bool, int64_t, int64_t, int64_t, double, const double*,
                           int64_t, int64_t, const double*, int64_t, int64_t, double, double*,
                           int64_t, int64_t);
template void detail::gemm_part(bool, bool, int64_t, int64_t, int64_t, float, const float*, int64_t,
                                const float*, int64_t, float, float*, int64_t, const float*,
                                int64_t);
template void detail::gemm_part(bool, bool, int64_t, int64_t, int64_t, double, const double*,
                                int64_t, const double*, int64_t, double, double*, int64_t,
                                const double*, int64_t);

}  // namespace gu
