// var and std: the mean squared distance from the mean, and its root.

#include <cmath>

#include "autograd/tape.hpp"
#include "core/registry.hpp"
#include "ops/broadcast.hpp"
#include "ops/reduction.hpp"

namespace gu::ops {

namespace {

// y = sum (x - mean)^2 / d with d = n - correction, or its root. The mean is subtracted first:
// the difference of two mean squares would lose the digits they share.
Tensor spread(const char* op, const Tensor& x, const Dims& dim, int64_t correction, bool keepdim,
              bool root) {
  const Axes axes = resolve_dims(op, dim, x.dim());
  return with_float(x.dtype(), op, [&](auto zero) {
    using T = decltype(zero);
    const Shape& shape = x.shape();
    const int64_t count = reduced_count(shape, axes);
    const T n = T(count), d = T(std::max<int64_t>(0, count - correction));
    const auto map = [](const Tensor& t, auto f) {
      Tensor out = Tensor::empty(t.shape(), t.dtype());
      broadcast_map<T>(out.shape(), out.data<T>(), f, t);
      return out;
    };
    const Tensor mean = map(sum_over(x, axes), [n](T sum) { return sum / n; });
    Tensor squares = Tensor::empty(shape, x.dtype());
    broadcast_map<T, T>(
        shape, squares.data<T>(), [](T v, T m) { return (v - m) * (v - m); }, x, mean);
    Tensor y =
        map(sum_over(squares, axes), [=](T sum) { return root ? std::sqrt(sum / d) : sum / d; });
    y = y.alias(reduced_shape(shape, axes, keepdim));
    return record(op, y, {x}, [=, x = Saved(x), y = Saved(y)](const Tensor& dy, const Needs&) {
      // var: dx = dy 2 (x - mean) / d; the mean moves along, but the distances add up to 0.
      // std: y = sqrt(var), so dx is that over 2 y; the corner at y = 0 gets 0.
      Tensor scale = Tensor::empty(mean.shape(), dy.dtype());
      broadcast_map<T, T>(
          scale.shape(), scale.data<T>(),
          [=](T g, T s) { return !root       ? g * T(2) / d
                                 : s == T(0) ? T(0)
                                             : g / (d * s); },
          with_kept_axes(dy, x.get().shape(), axes),
          with_kept_axes(y.get(), x.get().shape(), axes));
      Tensor dx = Tensor::empty(x.get().shape(), dy.dtype());
      broadcast_map<T, T, T>(
          dx.shape(), dx.data<T>(), [](T v, T m, T s) { return (v - m) * s; }, x.get(), mean,
          scale);
      return Grads{dx};
    });
  });
}

}  // namespace

static Tensor var(const Tensor& x, const Dims& dim, int64_t correction, bool keepdim) {
  return spread("var", x, dim, correction, keepdim, false);
}
GU_OP(var, "x, dim=None, correction=1, keepdim=False")

static Tensor standard_deviation(const Tensor& x, const Dims& dim, int64_t correction,
                                 bool keepdim) {
  return spread("std", x, dim, correction, keepdim, true);
}
GU_OP_AS(standard_deviation, "std", "x, dim=None, correction=1, keepdim=False")

}  // namespace gu::ops
