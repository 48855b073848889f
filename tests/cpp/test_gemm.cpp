// Matrix products against a triple loop: every layout, ragged and zero sizes, guards around C.
#include "kernels/gemm.hpp"

#include "kernels/tiled_gemm.hpp"  // before the rest: it silences gcc's warnings about its own header

#include <cmath>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "check.hpp"
#include "core/rng.hpp"
#include "core/threads.hpp"

namespace {

template <class T>
std::vector<T> random_values(int64_t n, uint64_t key) {
  std::vector<T> values(static_cast<size_t>(n));
  gu::fill_uniform(values.data(), n, key, 0);
  for (T& x : values) x -= T(0.5);
  return values;
}

// The matrix products of one test case, in memory with rows longer than the matrices and a batch.
template <class T>
struct Case {
  bool ta, tb;
  int64_t m, n, k, batch = 1, pad = 0;
  T alpha = 1, beta = 0;
  bool share_b = false;  // one B for the whole batch
  bool biased = false;   // the row that bias() gives is added to each row of C

  int64_t lda() const { return std::max<int64_t>((ta ? m : k) + pad, 1); }
  int64_t ldb() const { return std::max<int64_t>((tb ? k : n) + pad, 1); }
  int64_t ldc() const { return std::max<int64_t>(n + pad, 1); }
  int64_t stride_a() const { return lda() * (ta ? k : m) + pad; }
  int64_t stride_b() const { return share_b ? 0 : ldb() * (tb ? n : k) + pad; }
  int64_t stride_c() const { return ldc() * m + pad; }

  std::vector<T> bias() const { return random_values<T>(n, 4); }

  // Compares every element, and that what lies between the rows of C stays as it was.
  template <class Product>
  bool holds(Product run) const {
    const auto a = random_values<T>(batch * stride_a(), 1);
    const auto b = random_values<T>(batch * stride_b() + ldb() * (tb ? n : k), 2);
    const auto added = bias();
    auto before = random_values<T>(batch * stride_c(), 3);
    if (beta == T(0)) {  // must not be read
      for (T& x : before) x = std::numeric_limits<T>::quiet_NaN();
    }
    auto c = before;
    run(*this, a.data(), b.data(), c.data());

    std::vector<char> written(c.size(), 0);
    for (int64_t s = 0; s < batch; ++s) {
      for (int64_t i = 0; i < m; ++i) {
        for (int64_t j = 0; j < n; ++j) {
          double sum = 0, size = 0;
          for (int64_t p = 0; p < k; ++p) {
            const double x =
                a[static_cast<size_t>(s * stride_a() + (ta ? p * lda() + i : i * lda() + p))];
            const double y =
                b[static_cast<size_t>(s * stride_b() + (tb ? j * ldb() + p : p * ldb() + j))];
            sum += x * y, size += std::abs(x * y);
          }
          const auto at = static_cast<size_t>(s * stride_c() + i * ldc() + j);
          const double old = beta == T(0) ? 0 : beta * static_cast<double>(before[at]);
          const double more = biased ? static_cast<double>(added[static_cast<size_t>(j)]) : 0;
          // The rounding error bound of a sum of k + 2 terms, and one more, in any order.
          const double bound = static_cast<double>(k + 2 + biased) *
                               std::numeric_limits<T>::epsilon() *
                               (std::abs(alpha) * size + std::abs(old) + std::abs(more));
          if (!(std::abs(c[at] - (alpha * sum + old + more)) <= bound)) return false;
          written[at] = 1;
        }
      }
    }
    for (size_t i = 0; i < c.size(); ++i) {
      const bool same = c[i] == before[i] || (std::isnan(c[i]) && std::isnan(before[i]));
      if (!written[i] && !same) return false;
    }
    return true;
  }
};

template <class T>
void run_gemm(const Case<T>& x, const T* a, const T* b, T* c) {
  const auto bias = x.bias();
  gu::gemm(x.ta, x.tb, x.m, x.n, x.k, x.alpha, a, x.lda(), b, x.ldb(), x.beta, c, x.ldc(),
           x.biased ? bias.data() : nullptr);
}

template <class T>
void run_batched(const Case<T>& x, const T* a, const T* b, T* c) {
  gu::batched_gemm(x.batch, x.ta, x.tb, x.m, x.n, x.k, x.alpha, a, x.lda(), x.stride_a(), b,
                   x.ldb(), x.stride_b(), x.beta, c, x.ldc(), x.stride_c());
}

template <class T>
void check_case(const Case<T>& x, bool good) {
  if (good) return;
  check::fail(__FILE__, __LINE__,
              std::string(std::is_same_v<T, float> ? "float " : "double ") + (x.ta ? "T" : "N") +
                  (x.tb ? "T " : "N ") + std::to_string(x.m) + "x" + std::to_string(x.n) + "x" +
                  std::to_string(x.k) + " batch " + std::to_string(x.batch) + " pad " +
                  std::to_string(x.pad) + " alpha " + std::to_string(x.alpha) + " beta " +
                  std::to_string(x.beta) + (x.biased ? " biased" : "") + " threads " +
                  std::to_string(gu::num_threads()));
}

// Calls f with both float types, all four layouts, and 1 to 3 threads.
template <class F>
void for_all_layouts(F f) {
  for (int threads : {1, 2, 3}) {
    gu::set_num_threads(threads);
    for (int layout = 0; layout < 4; ++layout) {
      f(float{}, (layout & 1) != 0, (layout & 2) != 0);
      f(double{}, (layout & 1) != 0, (layout & 2) != 0);
    }
  }
}

constexpr int64_t kSizes[][3] = {
    {0, 0, 0},     {0, 5, 3},      {5, 0, 3},     {5, 3, 0},     {1, 1, 1},     {2, 3, 4},
    {7, 5, 3},     {1, 64, 64},    {64, 1, 64},   {1, 1000, 77}, {999, 1, 65},  {3, 517, 129},
    {16, 700, 70}, {17, 33, 300},  {72, 73, 74},  {64, 64, 64},  {129, 65, 31}, {300, 2, 5},
    {2, 300, 5},   {4, 1030, 300}, {33, 700, 70}, {200, 97, 600}};

}  // namespace

TEST(equals_the_triple_loop) {
  for_all_layouts([](auto type, bool ta, bool tb) {
    using T = decltype(type);
    for (const auto& [m, n, k] : kSizes) {
      for (int64_t pad : {0, 3}) {
        for (const auto& [alpha, beta] :
             {std::pair<T, T>{1, 0}, {T(-0.5), T(2)}, {T(0), T(0)}, {T(2), T(1)}}) {
          for (bool biased : {false, true}) {
            const Case<T> x{ta, tb, m, n, k, 1, pad, alpha, beta, false, biased};
            check_case(x, x.holds(run_gemm<T>));
          }
        }
      }
    }
  });
}

// Called directly: gemm itself takes tiles only where they pay, and at some levels never.
TEST(tiles_equal_the_triple_loop) {
  for_all_layouts([](auto type, bool ta, bool tb) {
    using T = decltype(type);
    for (const auto& [m, n, k] : {std::tuple<int64_t, int64_t, int64_t>{1, 1, 1},
                                  {64, 32, 40},
                                  {72, 73, 74},
                                  {9, 33, gu::kernels::inner_block},
                                  {70, 65, gu::kernels::inner_block + 1},
                                  {5, 100, 2 * gu::kernels::inner_block + 7}}) {
      for (int64_t pad : {0, 3}) {
        for (const auto& [beta, biased] : {std::pair<T, bool>{0, false}, {1, false}, {0, true}}) {
          const Case<T> x{ta, tb, m, n, k, 1, pad, T(1), beta, false, biased};
          check_case(x, x.holds([](const auto& s, const T* a, const T* b, T* c) {
            using gu::kernels::Start;
            const auto bias = s.bias();
            const Start<T> start = s.biased         ? Start<T>{bias.data()}
                                   : s.beta == T(1) ? Start<T>{c, s.ldc()}
                                                    : Start<T>{};
            gu::kernels::tiled_gemm(s.ta, s.tb, s.m, s.n, s.k, a, s.lda(), b, s.ldb(), c, s.ldc(),
                                    start);
          }));
        }
      }
    }
  });
}

TEST(batches_equal_the_triple_loop) {
  for_all_layouts([](auto type, bool ta, bool tb) {
    using T = decltype(type);
    for (int64_t batch : {0, 1, 2, 3, 5, 8}) {
      for (const auto& [m, n, k] : {std::tuple<int64_t, int64_t, int64_t>{1, 200, 100},
                                    {7, 5, 3},
                                    {64, 33, 40},
                                    {0, 4, 4},
                                    {4, 0, 4},
                                    {4, 4, 0},
                                    {3, 100, 200}}) {
        for (bool share_b : {false, true}) {
          const Case<T> x{ta,     tb, m, n, k, batch, share_b ? 2 : 0, T(1.5), T(share_b ? 1 : 0),
                          share_b};
          check_case(x, x.holds(run_batched<T>));
        }
      }
    }
  });
}

TEST(pieces_for_blas_integers_join) {
  for_all_layouts([](auto type, bool ta, bool tb) {
    using T = decltype(type);
    for (const auto& [m, n, k] : {std::tuple<int64_t, int64_t, int64_t>{23, 17, 31},
                                  {1, 64, 50},
                                  {50, 1, 64},
                                  {20, 20, 10},
                                  {10, 30, 20}}) {
      const Case<T> x{ta, tb, m, n, k, 1, 1, T(2), T(-1)};
      check_case(x, x.holds([](const auto& s, const T* a, const T* b, T* c) {
        gu::detail::gemm_part<T>(s.ta, s.tb, s.m, s.n, s.k, s.alpha, a, s.lda(), b, s.ldb(), s.beta,
                                 c, s.ldc(), nullptr, 10);
      }));
    }
  });
}

TEST(equal_calls_are_bit_equal) {
  gu::set_num_threads(3);
  const auto a = random_values<float>(200 * 130, 1), b = random_values<float>(130 * 90, 2);
  std::vector<float> first(200 * 90), again(200 * 90);
  gu::gemm(false, false, 200, 90, 130, 1.0f, a.data(), 130, b.data(), 90, 0.0f, first.data(), 90);
  for (int i = 0; i < 50; ++i) {
    gu::gemm(false, false, 200, 90, 130, 1.0f, a.data(), 130, b.data(), 90, 0.0f, again.data(), 90);
    CHECK(again == first);
  }
}

TEST(nan_and_infinity_pass_through) {
  const float inf = std::numeric_limits<float>::infinity();
  for (int64_t m : {1, 2, 40}) {  // plain loop, vector and matrix paths
    const int64_t k = 40;
    auto a = random_values<float>(m * k, 1), b = random_values<float>(k * 40, 2);
    a[3] = inf;
    b[3 * 40 + 1] = 0.0f;  // inf * 0
    std::vector<float> c(static_cast<size_t>(m * 40));
    gu::gemm(false, false, m, int64_t{40}, k, 1.0f, a.data(), k, b.data(), int64_t{40}, 0.0f,
             c.data(), int64_t{40});
    CHECK(std::isnan(c[1]));
    CHECK(std::isinf(c[0]));
  }
}

TEST(bad_sizes_are_refused) {
  float x[16] = {};
  const auto call = [&](int64_t m, int64_t n, int64_t k, int64_t lda, int64_t ldb, int64_t ldc) {
    gu::gemm(false, false, m, n, k, 1.0f, x, lda, x, ldb, 0.0f, x, ldc);
  };
  CHECK_THROWS(call(-1, 2, 2, 2, 2, 2), std::invalid_argument,
               "[gemm] m must not be negative, but got -1");
  CHECK_THROWS(call(2, -3, 2, 2, 2, 2), std::invalid_argument, "[gemm] n must not be negative");
  CHECK_THROWS(call(2, 2, -4, 2, 2, 2), std::invalid_argument, "[gemm] k must not be negative");
  CHECK_THROWS(call(2, 2, 3, 2, 2, 2), std::invalid_argument,
               "[gemm] lda must be from 3 to 2147483647, but got 2");
  CHECK_THROWS(call(2, 3, 2, 2, 2, 3), std::invalid_argument, "[gemm] ldb must be from 3");
  CHECK_THROWS(call(2, 3, 2, 2, 3, 2), std::invalid_argument, "[gemm] ldc must be from 3");
  CHECK_THROWS(call(2, 2, 2, int64_t{1} << 31, 2, 2), std::invalid_argument,
               "[gemm] lda must be from 2");
  CHECK_THROWS(gu::batched_gemm(int64_t{-1}, false, false, int64_t{1}, int64_t{1}, int64_t{1}, 1.0f,
                                x, int64_t{1}, int64_t{1}, x, int64_t{1}, int64_t{1}, 0.0f, x,
                                int64_t{1}, int64_t{1}),
               std::invalid_argument, "[batched_gemm] batch must not be negative");
}

TEST(blas_is_named) { CHECK(!gu::blas_description().empty()); }

RUN_TESTS()
