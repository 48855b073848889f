// The vector vocabulary of the kernels: load, store, fold, and loops that handle every length.
//
// A Vec<T> is one register of the micro-architecture this file is compiled for: 4, 8 or 16 floats.
// Lanes never mix before the final fold, so a loop gives the same bits wherever it is cut.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

// gcc 12 warns about the deliberately undefined registers inside its own AVX-512 header.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <xsimd/xsimd.hpp>
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

#include "core/threads.hpp"

namespace gu::kernels {

template <class T>
using Vec = xsimd::batch<T>;

template <class T>
inline constexpr int64_t lanes = static_cast<int64_t>(Vec<T>::size);

template <class T>
inline constexpr T infinity = std::numeric_limits<T>::infinity();

// Elements below which handing work to another thread costs more than it saves.
inline constexpr int64_t elementwise_grain = 16384;

// Rows of length n that make up one such piece of work.
inline int64_t row_grain(int64_t n) {
  return std::max<int64_t>(1, elementwise_grain / std::max<int64_t>(1, n));
}

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

inline int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }

// ---- one register ------------------------------------------------------------------------------

template <class T>
inline Vec<T> load(const T* p) {
  return Vec<T>::load_unaligned(p);
}

template <class T>
inline void store(T* p, Vec<T> v) {
  v.store_unaligned(p);
}

// The first n lanes from memory, the others `fill`; reads nothing beyond p[n-1].
template <class T>
inline Vec<T> load_part(const T* p, int64_t n, T fill = T(0)) {
#if defined(__AVX512F__)
  if constexpr (std::is_same_v<T, float>) {
    return _mm512_mask_loadu_ps(_mm512_set1_ps(fill), static_cast<__mmask16>((1u << n) - 1), p);
  } else if constexpr (std::is_same_v<T, double>) {
    return _mm512_mask_loadu_pd(_mm512_set1_pd(fill), static_cast<__mmask8>((1u << n) - 1), p);
  }
#endif
  alignas(64) T buffer[lanes<T>];
  for (int64_t i = 0; i < lanes<T>; ++i) buffer[i] = fill;
  for (int64_t i = 0; i < n; ++i) buffer[i] = p[i];
  return load(buffer);
}

// Writes the first n lanes only.
template <class T>
inline void store_part(T* p, Vec<T> v, int64_t n) {
#if defined(__AVX512F__)
  if constexpr (std::is_same_v<T, float>) {
    _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1), v);
    return;
  } else if constexpr (std::is_same_v<T, double>) {
    _mm512_mask_storeu_pd(p, static_cast<__mmask8>((1u << n) - 1), v);
    return;
  }
#endif
  alignas(64) T buffer[lanes<T>];
  store(buffer, v);
  for (int64_t i = 0; i < n; ++i) p[i] = buffer[i];
}

// The first n lanes of v, the others `fill`.
template <class T>
inline Vec<T> keep(Vec<T> v, int64_t n, T fill = T(0)) {
  alignas(64) T index[lanes<T>];
  for (int64_t i = 0; i < lanes<T>; ++i) index[i] = static_cast<T>(i);
  return xsimd::select(load(index) < Vec<T>(static_cast<T>(n)), v, Vec<T>(fill));
}

// Folds the lanes of one register in a tree: halves onto halves. With AVX-512 they stay in
// registers: numbers taken back from memory cost a softmax over short rows more than its maximum.
template <class T, class Op>
inline T fold(Vec<T> v, Op op) {
#if defined(__AVX512F__)
  if constexpr (std::is_same_v<T, float>) {
    v = op(v, Vec<T>(_mm512_shuffle_f32x4(v, v, 0x4E)));
    v = op(v, Vec<T>(_mm512_shuffle_f32x4(v, v, 0xB1)));
    v = op(v, Vec<T>(_mm512_permute_ps(v, 0x4E)));
    v = op(v, Vec<T>(_mm512_permute_ps(v, 0xB1)));
    return _mm512_cvtss_f32(v);
  } else if constexpr (std::is_same_v<T, double>) {
    v = op(v, Vec<T>(_mm512_shuffle_f64x2(v, v, 0x4E)));
    v = op(v, Vec<T>(_mm512_shuffle_f64x2(v, v, 0xB1)));
    v = op(v, Vec<T>(_mm512_permute_pd(v, 0x55)));
    return _mm512_cvtsd_f64(v);
  }
#endif
  alignas(64) T buffer[lanes<T>];
  store(buffer, v);
  for (int64_t half = lanes<T> / 2; half > 0; half /= 2) {
    for (int64_t i = 0; i < half; ++i) buffer[i] = op(buffer[i], buffer[i + half]);
  }
  return buffer[0];
}

template <class T>
inline T fold_sum(Vec<T> v) {
  return xsimd::hadd(v);
}

// The larger of two, or NaN if either is NaN (the machine's own max drops a NaN on one side).
template <class T>
inline T nan_max(T a, T b) {
  return (a > b || a != a) ? a : b;
}

template <class T>
inline T nan_min(T a, T b) {
  return (a < b || a != a) ? a : b;
}

// xsimd::max(b, a) is a where either is NaN, so only a NaN in b is left to see to; that keeps the
// test off the chain of a running maximum a. (isnan, as xsimd 8's b != b is false from AVX on.)
template <class T>
inline Vec<T> nan_max(Vec<T> a, Vec<T> b) {
  return xsimd::select(xsimd::isnan(b), b, xsimd::max(b, a));
}

template <class T>
inline Vec<T> nan_min(Vec<T> a, Vec<T> b) {
  return xsimd::select(xsimd::isnan(b), b, xsimd::min(b, a));
}

// e^x. With AVX-512, e^x = 2^k e^r for k = round(x / ln 2) takes a dozen instructions, as scalef
// makes 2^k with overflow and underflow where xsimd patches them: 1.4 times as fast.
template <class T>
[[gnu::always_inline]] inline Vec<T> vexp(Vec<T> x) {
#if defined(__AVX512F__)
  if constexpr (std::is_same_v<T, float>) {
    // Bounds beyond which the result is 0 or inf anyway; a NaN passes, as second arguments do.
    x = xsimd::min(Vec<T>(100.0f), xsimd::max(Vec<T>(-110.0f), x));
    const Vec<T> k = xsimd::nearbyint(x * 1.44269504f);
    Vec<T> r = xsimd::fnma(k, Vec<T>(0.693359375f), x);  // ln 2 in two parts: exact products
    r = xsimd::fnma(k, Vec<T>(-2.12194440e-4f), r);
    // e^r on |r| <= ln(2) / 2: 1 + r + r^2/2 + four fitted terms, relative error 2^-28
    Vec<T> y(1.38637568e-3f);
    y = xsimd::fma(y, r, Vec<T>(8.36750921e-3f));
    y = xsimd::fma(y, r, Vec<T>(4.16672388e-2f));
    y = xsimd::fma(y, r, Vec<T>(1.66665338e-1f));
    y = xsimd::fma(y, r, Vec<T>(0.5f));
    y = xsimd::fma(y, r, Vec<T>(1.0f));
    y = xsimd::fma(y, r, Vec<T>(1.0f));
    return _mm512_scalef_ps(y, k);
  }
#endif
  return xsimd::exp(x);
}

// xsimd's erf squares x, which overflows to a NaN in the end; from 6 on the result is 1 in either
// type. As second arguments, NaNs pass.
template <class T>
inline Vec<T> verf(Vec<T> x) {
  return xsimd::erf(xsimd::min(Vec<T>(T(6)), xsimd::max(Vec<T>(T(-6)), x)));
}

// ---- arrays: elementwise -----------------------------------------------------------------------

// How a loop body touches memory: a whole register, or the n lanes that are left at the end.
template <class T>
struct Whole {
  Vec<T> load(const T* p) const { return kernels::load(p); }
  void store(T* p, Vec<T> v) const { kernels::store(p, v); }
  Vec<T> keep(Vec<T> v, T = T(0)) const { return v; }
};

template <class T>
struct Part {
  int64_t n;
  Vec<T> load(const T* p, T fill = T(0)) const { return load_part(p, n, fill); }
  void store(T* p, Vec<T> v) const { store_part(p, v, n); }
  Vec<T> keep(Vec<T> v, T fill = T(0)) const { return kernels::keep(v, n, fill); }
};

// body(i, lane) for i = 0, W, 2W, ...; lane.load and lane.store never leave [0, n).
template <class T, class F>
[[gnu::flatten]] inline void each_vec(int64_t n, F body) {
  int64_t i = 0;
  for (; i + lanes<T> <= n; i += lanes<T>) body(i, Whole<T>{});
  if (i < n) body(i, Part<T>{n - i});
}

// out[i] = f(in[i]...) on this thread; out may be one of the inputs.
template <class T, class F, class... In>
inline void map(int64_t n, T* out, F f, const In*... in) {
  each_vec<T>(n, [=](int64_t i, auto lane) { lane.store(out + i, f(lane.load(in + i)...)); });
}

// The same over all threads; the cut does not change a bit of the result.
template <class T, class F, class... In>
inline void parallel_map(int64_t n, T* out, F f, const In*... in) {
  parallel_for(n, elementwise_grain, [=](int64_t begin, int64_t end) {
    map(end - begin, out + begin, f, (in + begin)...);
  });
}

// ---- arrays: sums ------------------------------------------------------------------------------

// Elements summed by plain accumulation before sums are added pairwise: 16 a lane and accumulator.
template <class T>
inline constexpr int64_t sum_block = 16 * 8 * lanes<T>;

// sum_i f(in[i]...). Eight accumulators hide the latency of the addition; blocks are added
// pairwise, so the rounding error grows with log n and not with n. (flatten: f must not be a call.)
template <class T, class F, class... In>
[[gnu::flatten]] inline T sum_map(int64_t n, F f, const In*... in) {
  if (n > sum_block<T>) {
    const int64_t left = round_up(n / 2, sum_block<T>);
    return sum_map<T>(left, f, in...) + sum_map<T>(n - left, f, (in + left)...);
  }
  constexpr int64_t W = lanes<T>;
  Vec<T> total(T(0));
  int64_t i = 0;
  if (n >= 8 * W) {
    Vec<T> a[8];
    for (auto& sum : a) sum = Vec<T>(T(0));
    for (; i + 8 * W <= n; i += 8 * W) {
#pragma GCC unroll 8
      for (int64_t j = 0; j < 8; ++j) a[j] += f(load(in + i + j * W)...);
    }
    total = ((a[0] + a[1]) + (a[2] + a[3])) + ((a[4] + a[5]) + (a[6] + a[7]));
  }
  for (; i + W <= n; i += W) total += f(load(in + i)...);
  if (i < n) total += keep(f(load_part(in + i, n - i)...), n - i);
  return fold_sum(total);
}

template <class T>
inline T sum(const T* x, int64_t n) {
  const auto identity = [](Vec<T> v) { return v; };
  return sum_map<T>(n, identity, x);
}

template <class T>
inline T dot(const T* x, const T* y, int64_t n) {
  const auto product = [](Vec<T> a, Vec<T> b) { return a * b; };
  return sum_map<T>(n, product, x, y);
}

// ---- arrays: extremes --------------------------------------------------------------------------

// Folds x by op, starting from `start`, the value that changes nothing (-inf for a maximum).
template <class T, class Op>
inline T fold_array(const T* x, int64_t n, T start, Op op) {
  constexpr int64_t W = lanes<T>;
  Vec<T> a0(start), a1(start), a2(start), a3(start);
  int64_t i = 0;
  for (; i + 4 * W <= n; i += 4 * W) {
    a0 = op(a0, load(x + i));
    a1 = op(a1, load(x + i + W));
    a2 = op(a2, load(x + i + 2 * W));
    a3 = op(a3, load(x + i + 3 * W));
  }
  for (; i + W <= n; i += W) a0 = op(a0, load(x + i));
  if (i < n) a1 = op(a1, load_part(x + i, n - i, start));
  return fold(op(op(a0, a1), op(a2, a3)), op);
}

// The maximum that a softmax subtracts. It may ignore a NaN: the NaN still reaches the sum.
template <class T>
inline T shift_max(const T* x, int64_t n) {
  struct {
    T operator()(T a, T b) const { return b > a ? b : a; }
    Vec<T> operator()(Vec<T> a, Vec<T> b) const { return xsimd::max(b, a); }
  } op;
  return fold_array(x, n, -infinity<T>, op);
}

}  // namespace gu::kernels
