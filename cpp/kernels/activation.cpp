#include "kernels/activation.hpp"

#include "kernels/simd.hpp"

namespace gu::kernels {

namespace {

template <class T>
constexpr T sqrt_2_over_pi = T(0.79788456080286535588);
template <class T>
constexpr T sqrt_half = T(0.70710678118654752440);
template <class T>
constexpr T inverse_sqrt_2pi = T(0.39894228040143267794);
template <class T>
constexpr T gelu_cubic = T(0.044715);

template <class T>
Vec<T> sigmoid_of(Vec<T> x) {
  return T(1) / (T(1) + vexp<T>(-x));
}

}  // namespace

template <class T>
void gelu(const T* x, T* y, int64_t n) {
  const auto f = [](Vec<T> v) { return T(0.5) * v * (T(1) + verf<T>(v * sqrt_half<T>)); };
  parallel_map(n, y, f, x);
}

template <class T>
void gelu_backward(const T* x, const T* dy, T* dx, int64_t n) {
  // y = x Phi(x), so dy/dx = Phi(x) + x phi(x), phi the normal density
  const auto f = [](Vec<T> v, Vec<T> d) {
    const Vec<T> cdf = T(0.5) * (T(1) + verf<T>(v * sqrt_half<T>));
    const Vec<T> density = inverse_sqrt_2pi<T> * vexp<T>(T(-0.5) * v * v);
    return d * (cdf + v * density);
  };
  parallel_map(n, dx, f, x, dy);
}

template <class T>
void gelu_tanh(const T* x, T* y, int64_t n) {
  // Dividing x by 1 + e^-2u needs one exp where tanh would need an exp and more.
  const auto f = [](Vec<T> v) {
    const Vec<T> two_u = T(2) * sqrt_2_over_pi<T> * v * (T(1) + gelu_cubic<T> * v * v);
    return v / (T(1) + vexp<T>(-two_u));
  };
  parallel_map(n, y, f, x);
}

template <class T>
void gelu_tanh_backward(const T* x, const T* dy, T* dx, int64_t n) {
  // y = x s, s = sigmoid(2u), so dy/dx = s + x s (1 - s) (2u)'
  const auto f = [](Vec<T> v, Vec<T> d) {
    const Vec<T> square = v * v;
    const Vec<T> two_u = T(2) * sqrt_2_over_pi<T> * v * (T(1) + gelu_cubic<T> * square);
    const Vec<T> slope = T(2) * sqrt_2_over_pi<T> * (T(1) + T(3) * gelu_cubic<T> * square);
    const Vec<T> s = sigmoid_of<T>(two_u);
    return d * (s + v * s * (T(1) - s) * slope);
  };
  parallel_map(n, dx, f, x, dy);
}

template <class T>
void silu(const T* x, T* y, int64_t n) {
  const auto f = [](Vec<T> v) { return v / (T(1) + vexp<T>(-v)); };
  parallel_map(n, y, f, x);
}

template <class T>
void silu_backward(const T* x, const T* dy, T* dx, int64_t n) {
  // y = x s, s = sigmoid(x), so dy/dx = s + x s (1 - s)
  const auto f = [](Vec<T> v, Vec<T> d) {
    const Vec<T> s = sigmoid_of<T>(v);
    return d * s * (T(1) + v * (T(1) - s));
  };
  parallel_map(n, dx, f, x, dy);
}

template <class T>
void sigmoid(const T* x, T* y, int64_t n) {
  const auto f = [](Vec<T> v) { return sigmoid_of<T>(v); };
  parallel_map(n, y, f, x);
}

template <class T>
void sigmoid_backward(const T* y, const T* dy, T* dx, int64_t n) {
  const auto f = [](Vec<T> v, Vec<T> d) { return d * v * (T(1) - v); };
  parallel_map(n, dx, f, y, dy);
}

template <class T>
void tanh(const T* x, T* y, int64_t n) {
  // (e^2x - 1) / (e^2x + 1); beyond 20 the result is 1 in either type. As second arguments, NaNs
  // pass.
  const auto f = [](Vec<T> v) {
    const Vec<T> clipped = xsimd::min(Vec<T>(T(20)), xsimd::max(Vec<T>(T(-20)), v));
    const Vec<T> t = xsimd::expm1(clipped + clipped);
    return t / (t + T(2));
  };
  parallel_map(n, y, f, x);
}

template <class T>
void tanh_backward(const T* y, const T* dy, T* dx, int64_t n) {
  const auto f = [](Vec<T> v, Vec<T> d) { return d * (T(1) - v * v); };
  parallel_map(n, dx, f, y, dy);
}

template <class T>
void exp(const T* x, T* y, int64_t n) {
  const auto f = [](Vec<T> v) { return vexp<T>(v); };
  parallel_map(n, y, f, x);
}

template <class T>
void exp_backward(const T* y, const T* dy, T* dx, int64_t n) {
  const auto f = [](Vec<T> v, Vec<T> d) { return d * v; };
  parallel_map(n, dx, f, y, dy);
}

template <class T>
void log(const T* x, T* y, int64_t n) {
  const auto f = [](Vec<T> v) { return xsimd::log(v); };
  parallel_map(n, y, f, x);
}

template <class T>
void log_backward(const T* x, const T* dy, T* dx, int64_t n) {
  const auto f = [](Vec<T> v, Vec<T> d) { return d / v; };
  parallel_map(n, dx, f, x, dy);
}

template <class T>
void softplus(const T* x, T* y, int64_t n, T beta, T threshold) {
  const auto f = [=](Vec<T> v) {
    const Vec<T> scaled = beta * v;
    return xsimd::select(scaled > Vec<T>(threshold), v, xsimd::log1p(vexp<T>(scaled)) / beta);
  };
  parallel_map(n, y, f, x);
}

template <class T>
void softplus_backward(const T* x, const T* dy, T* dx, int64_t n, T beta, T threshold) {
  const auto f = [=](Vec<T> v, Vec<T> d) {
    const Vec<T> scaled = beta * v;
    return xsimd::select(scaled > Vec<T>(threshold), d, d * sigmoid_of<T>(scaled));
  };
  parallel_map(n, dx, f, x, dy);
}

template <class T>
void elu(const T* x, T* y, int64_t n, T alpha) {
  const auto f = [=](Vec<T> v) {
    return xsimd::select(v > Vec<T>(T(0)), v, alpha * xsimd::expm1(v));
  };
  parallel_map(n, y, f, x);
}

template <class T>
void elu_backward(const T* x, const T* dy, T* dx, int64_t n, T alpha) {
  const auto f = [=](Vec<T> v, Vec<T> d) {
    return xsimd::select(v > Vec<T>(T(0)), d, d * alpha * vexp<T>(v));
  };
  parallel_map(n, dx, f, x, dy);
}

#define GU_INSTANTIATE(T)                                                 \
  template void gelu(const T*, T*, int64_t);                              \
  template void gelu_backward(const T*, const T*, T*, int64_t);           \
  template void gelu_tanh(const T*, T*, int64_t);                         \
  template void gelu_tanh_backward(const T*, const T*, T*, int64_t);      \
  template void silu(const T*, T*, int64_t);                              \
  template void silu_backward(const T*, const T*, T*, int64_t);           \
  template void sigmoid(const T*, T*, int64_t);                           \
  template void sigmoid_backward(const T*, const T*, T*, int64_t);        \
  template void tanh(const T*, T*, int64_t);                              \
  template void tanh_backward(const T*, const T*, T*, int64_t);           \
  template void exp(const T*, T*, int64_t);                               \
  template void exp_backward(const T*, const T*, T*, int64_t);            \
  template void log(const T*, T*, int64_t);                               \
  template void log_backward(const T*, const T*, T*, int64_t);            \
  template void softplus(const T*, T*, int64_t, T, T);                    \
  template void softplus_backward(const T*, const T*, T*, int64_t, T, T); \
  template void elu(const T*, T*, int64_t, T);                            \
  template void elu_backward(const T*, const T*, T*, int64_t, T);
GU_INSTANTIATE(float)
GU_INSTANTIATE(double)
#undef GU_INSTANTIATE

}  // namespace gu::kernels
