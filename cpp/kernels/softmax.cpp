#include "kernels/softmax.hpp"

#include "kernels/simd.hpp"

namespace gu::kernels {

namespace {

// Calls row(r) for every r on the thread that owns it.
template <class F>
void each_row(int64_t R, int64_t C, F row) {
  parallel_for(R, row_grain(C), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) row(r);
  });
}

}  // namespace

template <class T>
void softmax(const T* x, T* y, int64_t R, int64_t C) {
  // x, y: [R, C]
  each_row(R, C, [=](int64_t r) {
    const T* in = x + r * C;
    T* out = y + r * C;
    const T max = shift_max(in, C);
    const auto exponential = [=](Vec<T> v) { return vexp<T>(v - max); };
    map(C, out, exponential, in);
    const auto normalize = [scale = T(1) / sum(out, C)](Vec<T> v) { return v * scale; };
    map(C, out, normalize, out);
  });
}

template <class T>
void softmax_backward(const T* y, const T* dy, T* dx, int64_t R, int64_t C) {
  // y, dy, dx: [R, C];  dx = y (dy - sum(y dy))
  each_row(R, C, [=](int64_t r) {
    const T* p = y + r * C;
    const T* d = dy + r * C;
    const T mean = dot(p, d, C);
    const auto f = [=](Vec<T> a, Vec<T> b) { return a * (b - mean); };
    map(C, dx + r * C, f, p, d);
  });
}

template <class T>
void log_softmax(const T* x, T* y, int64_t R, int64_t C) {
  // x, y: [R, C]
  each_row(R, C, [=](int64_t r) {
    const T* in = x + r * C;
    const T max = shift_max(in, C);
    const auto exponential = [=](Vec<T> v) { return vexp<T>(v - max); };
    const T log_sum = std::log(sum_map<T>(C, exponential, in));
    const auto f = [=](Vec<T> v) { return (v - max) - log_sum; };
    map(C, y + r * C, f, in);
  });
}

template <class T>
void log_softmax_backward(const T* y, const T* dy, T* dx, int64_t R, int64_t C) {
  // y, dy, dx: [R, C];  dx = dy - e^y sum(dy)
  each_row(R, C, [=](int64_t r) {
    const T* d = dy + r * C;
    const T total = sum(d, C);
    const auto f = [=](Vec<T> a, Vec<T> b) { return b - vexp<T>(a) * total; };
    map(C, dx + r * C, f, y + r * C, d);
  });
}

// ---- along a middle axis -----------------------------------------------------------------------

namespace {

// strip(M, start, lane) for M registers of neighbouring columns at a time: register j of element k
// lies at start + k * inner + j * lanes. Wide strips, as every step down a column is another page.
template <class T, class F>
void each_strip(int64_t outer, int64_t n, int64_t inner, F strip) {
  constexpr int registers = 4;
  constexpr int64_t wide = registers * lanes<T>;
  const int64_t strips = ceil_div(inner, wide);
  parallel_for(outer * strips, row_grain(n * wide), [=](int64_t begin, int64_t end) {
    for (int64_t piece = begin; piece < end; ++piece) {
      const int64_t column = piece % strips * wide, start = piece / strips * n * inner + column;
      if (column + wide <= inner) {
        strip(std::integral_constant<int, registers>(), start, Whole<T>{});
      } else {
        each_vec<T>(inner - column, [&](int64_t c, auto lane) {
          strip(std::integral_constant<int, 1>(), start + c, lane);
        });
      }
    }
  });
}

// sums[j] += term(at, j) over the n elements of column register j.
template <class T, size_t M, class F>
[[gnu::always_inline]] inline void add_down(Vec<T> (&sums)[M], int64_t n, int64_t inner,
                                            int64_t start, F term) {
  for (int64_t k = 0; k < n; ++k) {
#pragma GCC unroll 4
    for (size_t j = 0; j < M; ++j)
      sums[j] += term(start + k * inner + static_cast<int64_t>(j) * lanes<T>, j);
  }
}

// body(at, j) for the same elements, without a sum.
template <class T, size_t M, class F>
[[gnu::always_inline]] inline void walk_down(int64_t n, int64_t inner, int64_t start, F body) {
  for (int64_t k = 0; k < n; ++k) {
#pragma GCC unroll 4
    for (size_t j = 0; j < M; ++j) body(start + k * inner + static_cast<int64_t>(j) * lanes<T>, j);
  }
}

// The maximum that a softmax subtracts; it may ignore a NaN, as shift_max does.
template <class T, size_t M, class Lane>
[[gnu::always_inline]] inline void max_down(Vec<T> (&max)[M], const T* x, int64_t n, int64_t inner,
                                            int64_t start, Lane lane) {
  for (auto& m : max) m = Vec<T>(-infinity<T>);
  walk_down<T, M>(n, inner, start,
                  [&](int64_t at, size_t j) { max[j] = xsimd::max(lane.load(x + at), max[j]); });
}

}  // namespace

template <class T>
void softmax_axis(const T* x, T* y, int64_t outer, int64_t n, int64_t inner) {
  // x, y: [outer, n, inner]
  each_strip<T>(outer, n, inner, [=](auto registers, int64_t start, auto lane) {
    constexpr size_t M = registers;
    Vec<T> max[M], total[M];
    for (auto& t : total) t = Vec<T>(T(0));
    max_down<T>(max, x, n, inner, start, lane);
    add_down<T>(total, n, inner, start, [&](int64_t at, size_t j) {
      const Vec<T> e = vexp<T>(lane.load(x + at) - max[j]);
      lane.store(y + at, e);
      return e;
    });
    for (auto& t : total) t = T(1) / t;
    walk_down<T, M>(n, inner, start, [&](int64_t at, size_t j) {
      lane.store(y + at, lane.load(y + at) * total[j]);
    });
  });
}

template <class T>
void softmax_axis_backward(const T* y, const T* dy, T* dx, int64_t outer, int64_t n,
                           int64_t inner) {
  // y, dy, dx: [outer, n, inner];  dx = y (dy - sum(y dy))
  each_strip<T>(outer, n, inner, [=](auto registers, int64_t start, auto lane) {
    constexpr size_t M = registers;
    Vec<T> mean[M];
    for (auto& t : mean) t = Vec<T>(T(0));
    add_down<T>(mean, n, inner, start,
                [&](int64_t at, size_t) { return lane.load(y + at) * lane.load(dy + at); });
    walk_down<T, M>(n, inner, start, [&](int64_t at, size_t j) {
      lane.store(dx + at, lane.load(y + at) * (lane.load(dy + at) - mean[j]));
    });
  });
}

template <class T>
void log_softmax_axis(const T* x, T* y, int64_t outer, int64_t n, int64_t inner) {
  // x, y: [outer, n, inner]
  each_strip<T>(outer, n, inner, [=](auto registers, int64_t start, auto lane) {
    constexpr size_t M = registers;
    Vec<T> max[M], total[M];
    for (auto& t : total) t = Vec<T>(T(0));
    max_down<T>(max, x, n, inner, start, lane);
    add_down<T>(total, n, inner, start,
                [&](int64_t at, size_t j) { return vexp<T>(lane.load(x + at) - max[j]); });
    for (auto& t : total) t = xsimd::log(t);
    walk_down<T, M>(n, inner, start, [&](int64_t at, size_t j) {
      lane.store(y + at, (lane.load(x + at) - max[j]) - total[j]);
    });
  });
}

template <class T>
void log_softmax_axis_backward(const T* y, const T* dy, T* dx, int64_t outer, int64_t n,
                               int64_t inner) {
  // y, dy, dx: [outer, n, inner];  dx = dy - e^y sum(dy)
  each_strip<T>(outer, n, inner, [=](auto registers, int64_t start, auto lane) {
    constexpr size_t M = registers;
    Vec<T> total[M];
    for (auto& t : total) t = Vec<T>(T(0));
    add_down<T>(total, n, inner, start, [&](int64_t at, size_t) { return lane.load(dy + at); });
    walk_down<T, M>(n, inner, start, [&](int64_t at, size_t j) {
      lane.store(dx + at, lane.load(dy + at) - vexp<T>(lane.load(y + at)) * total[j]);
    });
  });
}

#define GU_INSTANTIATE(T)                                                                 \
  template void softmax(const T*, T*, int64_t, int64_t);                                  \
  template void softmax_backward(const T*, const T*, T*, int64_t, int64_t);               \
  template void log_softmax(const T*, T*, int64_t, int64_t);                              \
  template void log_softmax_backward(const T*, const T*, T*, int64_t, int64_t);           \
  template void softmax_axis(const T*, T*, int64_t, int64_t, int64_t);                    \
  template void softmax_axis_backward(const T*, const T*, T*, int64_t, int64_t, int64_t); \
  template void log_softmax_axis(const T*, T*, int64_t, int64_t, int64_t);                \
  template void log_softmax_axis_backward(const T*, const T*, T*, int64_t, int64_t, int64_t);
GU_INSTANTIATE(float)
GU_INSTANTIATE(double)
#undef GU_INSTANTIATE

}  // namespace gu::kernels
