// prod, the product along an axis, and cumsum, all sums from its start.

#include "autograd/tape.hpp"
#include "core/registry.hpp"
#include "core/threads.hpp"
#include "kernels/scratch.hpp"
#include "ops/cast.hpp"
#include "ops/reduction.hpp"

namespace gu::ops {

namespace {

// Calls body(first element, stride) for each line along the middle axis, over all threads.
template <class F>
void each_line(const AxisView& v, F body) {
  const int64_t grain = std::max<int64_t>(1, (1 << 14) / std::max<int64_t>(v.n, 1));
  parallel_for(v.outer * v.inner, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) body(i, i / v.inner * v.n * v.inner + i % v.inner);
  });
}

template <class T>
void multiply_lines(const T* x, T* y, const AxisView& v) {
  // x: [outer, n, inner];  y: [outer, inner];  integers wrap around
  using Wrapping = std::conditional_t<std::is_same_v<T, int64_t>, uint64_t, T>;
  each_line(v, [&](int64_t i, int64_t first) {
    Wrapping product = 1;
    for (int64_t k = 0; k < v.n; ++k) product *= static_cast<Wrapping>(x[first + k * v.inner]);
    y[i] = static_cast<T>(product);
  });
}

// dx_k = dy times all other factors: those before it times those behind it. y / x_k would fail at
// 0.
template <class T>
void multiply_others(const T* x, const T* dy, T* dx, const AxisView& v) {
  // x, dx: [outer, n, inner];  dy: [outer, inner]
  each_line(v, [&](int64_t i, int64_t first) {
    T before = dy[i], behind = 1;
    for (int64_t k = 0; k < v.n; ++k) {
      dx[first + k * v.inner] = before;
      before *= x[first + k * v.inner];
    }
    for (int64_t k = v.n - 1; k >= 0; --k) {
      dx[first + k * v.inner] *= behind;
      behind *= x[first + k * v.inner];
    }
  });
}

// y_k = x_0 + … + x_k, or x_k + … + x_(n-1) in reverse. Floats are added in double: the rounding
// of a long float32 sum would grow with every step.
template <class T>
void add_up(const T* x, T* y, const AxisView& v, bool reverse) {
  // x, y: [outer, n, inner]
  using Total = std::conditional_t<std::is_same_v<T, int64_t>, uint64_t, double>;
  const int64_t first = reverse ? (v.n - 1) * v.inner : 0, step = reverse ? -v.inner : v.inner;
  if (v.inner == 1) {  // a sum in a register
    each_line(v, [=](int64_t, int64_t line) {
      Total total = 0;
      for (int64_t k = 0, at = line + first; k < v.n; ++k, at += step)
        y[at] = static_cast<T>(total += static_cast<Total>(x[at]));
    });
    return;
  }
  const int64_t grain = std::max<int64_t>(1, (1 << 14) / std::max<int64_t>(v.n * v.inner, 1));
  parallel_for(v.outer, grain, [=](int64_t begin, int64_t end) {
    const kernels::Scratch<Total> scratch(v.inner);  // a row of sums
    Total* const total = scratch.data();
    for (int64_t o = begin; o < end; ++o) {
      std::fill_n(total, v.inner, Total(0));
      for (int64_t k = 0, row = o * v.n * v.inner + first; k < v.n; ++k, row += step)
        for (int64_t i = 0; i < v.inner; ++i)
          y[row + i] = static_cast<T>(total[i] += static_cast<Total>(x[row + i]));
    }
  });
}

// Integers and bools are computed as int64.
Tensor float_or_integer(const Tensor& x) {
  return is_float(x.dtype()) ? x : to_dtype(x, DType::int64);
}

template <class F>
decltype(auto) with_float_or_integer(DType dtype, const char* op, F&& f) {
  if (dtype == DType::int64) return f(int64_t{});
  return with_float(dtype, op, f);
}

Tensor add_up(const Tensor& x, const AxisView& v, bool reverse) {
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  with_float_or_integer(x.dtype(), "cumsum", [&](auto zero) {
    using T = decltype(zero);
    add_up(x.data<T>(), y.data<T>(), v, reverse);
  });
  return y;
}

}  // namespace

static Tensor prod(const Tensor& x, std::optional<int64_t> dim, bool keepdim) {
  const Tensor in = float_or_integer(x);
  Axes axes(x.dim(), !dim);
  AxisView v{1, x.size(), 1};
  if (dim) {
    const int64_t axis = resolve_axis("prod", *dim, x.dim());
    if (x.dim() > 0) axes[axis] = true;
    v = around(x.shape(), axis);
  }
  Tensor y = Tensor::empty(reduced_shape(x.shape(), axes, keepdim), in.dtype());
  with_float_or_integer(in.dtype(), "prod", [&](auto zero) {
    using T = decltype(zero);
    multiply_lines(in.data<T>(), y.data<T>(), v);
  });
  return record("prod", y, {in}, [=, x = Saved(in)](const Tensor& dy, const Needs&) {
    Tensor dx = Tensor::empty(x.get().shape(), dy.dtype());
    with_float(dy.dtype(), "prod", [&](auto zero) {
      using T = decltype(zero);
      multiply_others(x.get().data<T>(), dy.data<T>(), dx.data<T>(), v);
    });
    return Grads{dx};
  });
}
GU_OP(prod, "x, dim=None, keepdim=False")

static Tensor cumsum(const Tensor& x, int64_t dim) {
  const AxisView v = around(x.shape(), resolve_axis("cumsum", dim, x.dim()));
  const Tensor in = float_or_integer(x);
  return record("cumsum", add_up(in, v, false), {in}, [=](const Tensor& dy, const Needs&) {
    return Grads{add_up(dy, v, true)};  // x_k is in y_k and in every later one
  });
}
GU_OP(cumsum, "x, dim")

}  // namespace gu::ops
