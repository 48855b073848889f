// The largest and the smallest elements, and where they are. A NaN counts as the extreme one.

#include "autograd/tape.hpp"
#include "core/registry.hpp"
#include "kernels/reduce.hpp"
#include "ops/broadcast.hpp"
#include "ops/cast.hpp"
#include "ops/reduction.hpp"

namespace gu::ops {

namespace {

// An op over the maximum, or over the minimum.
struct Extreme {
  const char* op;
  bool largest;

  bool better(int64_t a, int64_t b) const { return largest ? a > b : a < b; }

  template <class T>
  void fold(const T* x, T* out, int64_t outer, int64_t n, int64_t inner) const {
    // x: [outer, n, inner];  out: [outer, inner]
    (largest ? kernels::reduce_max<T> : kernels::reduce_min<T>)(x, out, outer, n, inner);
  }
  void fold(const int64_t* x, int64_t* out, int64_t outer, int64_t n, int64_t inner) const {
    for (int64_t o = 0; o < outer; ++o)
      for (int64_t i = 0; i < inner; ++i) {
        const int64_t* column = x + o * n * inner + i;
        int64_t best = column[0];
        for (int64_t k = 1; k < n; ++k)
          if (better(column[k * inner], best)) best = column[k * inner];
        out[o * inner + i] = best;
      }
  }

  template <class T>
  void find(const T* x, int64_t* out, int64_t outer, int64_t n, int64_t inner) const {
    // x: [outer, n, inner];  out: [outer, inner]
    (largest ? kernels::reduce_argmax<T> : kernels::reduce_argmin<T>)(x, out, outer, n, inner);
  }
  void find(const int64_t* x, int64_t* out, int64_t outer, int64_t n, int64_t inner) const {
    for (int64_t o = 0; o < outer; ++o)
      for (int64_t i = 0; i < inner; ++i) {
        const int64_t* column = x + o * n * inner + i;
        int64_t best = 0;
        for (int64_t k = 1; k < n; ++k)
          if (better(column[k * inner], column[best * inner])) best = k;
        out[o * inner + i] = best;
      }
  }
};

// Calls f with a zero of the C++ type: float, double or int64_t.
template <class F>
decltype(auto) with_ordered(DType dtype, const char* op, F&& f) {
  if (dtype == DType::int64) return f(int64_t{});
  return with_float(dtype, op, f);
}

void need_elements(const char* op, const Shape& shape, int64_t reduced) {
  if (reduced == 0)
    fail<ShapeError>("[", op, "] at least one element must be reduced, but got shape ", shape);
}

// Bools are compared as integers.
Tensor ordered(const Tensor& x) {
  return x.dtype() == DType::boolean ? converted(x, DType::int64) : x;
}

// The extreme values over `axes`. Equal ones share the gradient evenly.
Tensor extreme_values(const Extreme& e, const Tensor& x, const Axes& axes, bool keepdim) {
  need_elements(e.op, x.shape(), reduced_count(x.shape(), axes));
  Tensor y =
      fold_axes(ordered(x), axes, [&](const Tensor& part, int64_t outer, int64_t n, int64_t inner) {
        Tensor out = Tensor::empty({outer, inner}, part.dtype());
        with_ordered(part.dtype(), e.op, [&](auto zero) {
          using T = decltype(zero);
          e.fold(part.data<T>(), out.data<T>(), outer, n, inner);
        });
        return out;
      });
  y = to_dtype(y, x.dtype()).alias(reduced_shape(x.shape(), axes, keepdim));
  return record(e.op, y, {x}, [=, x = Saved(x), y = Saved(y)](const Tensor& dy, const Needs&) {
    const Shape& shape = x.get().shape();
    return with_float(dy.dtype(), e.op, [&](auto zero) {
      using T = decltype(zero);
      Tensor dx = Tensor::empty(shape, dy.dtype());
      // dx holds 1 where x is extreme first; then those share dy.
      broadcast_map<T, T>(
          shape, dx.data<T>(), [](T a, T b) { return T(a == b); }, x.get(),
          with_kept_axes(y.get(), shape, axes));
      const Tensor ties = sum_over(dx, axes), d = with_kept_axes(dy, shape, axes);
      Tensor share = Tensor::empty(ties.shape(), dy.dtype());
      broadcast_map<T, T>(
          share.shape(), share.data<T>(), [](T a, T b) { return a / b; }, d, ties);
      broadcast_map<T, T>(
          shape, dx.data<T>(), [](T tie, T part) { return tie * part; }, dx, share);
      return Grads{dx};
    });
  });
}

// The index along one axis, or in the flat tensor.
Tensor extreme_index(const Extreme& e, const Tensor& x, std::optional<int64_t> dim, bool keepdim) {
  Axes axes(x.dim(), !dim);
  AxisView v{1, x.size(), 1};
  if (dim) {
    const int64_t axis = resolve_axis(e.op, *dim, x.dim());
    if (x.dim() > 0) axes[axis] = true;
    v = around(x.shape(), axis);
  }
  need_elements(e.op, x.shape(), v.n);
  const Tensor in = ordered(x);
  Tensor y = Tensor::empty(reduced_shape(x.shape(), axes, keepdim), DType::int64);
  with_ordered(in.dtype(), e.op, [&](auto zero) {
    using T = decltype(zero);
    e.find(in.data<T>(), y.data<int64_t>(), v.outer, v.n, v.inner);
  });
  return y;
}

// (values, indices) along one axis; the gradient goes to the one element of each index.
Value extreme_pair(const Extreme& e, const Tensor& x, int64_t dim, bool keepdim) {
  const Tensor indices = extreme_index(e, x, dim, keepdim);
  const AxisView v = around(x.shape(), resolve_axis(e.op, dim, x.dim()));
  const int64_t* at = indices.data<int64_t>();
  Tensor values = Tensor::empty(indices.shape(), x.dtype());
  with_any(x.dtype(), e.op, [&](auto zero) {
    using T = decltype(zero);
    for (int64_t i = 0; i < values.size(); ++i)
      values.data<T>()[i] = x.data<T>()[(i / v.inner * v.n + at[i]) * v.inner + i % v.inner];
  });
  values = record(e.op, values, {x},
                  [=, shape = x.shape(), index = Saved(indices)](const Tensor& dy, const Needs&) {
                    Tensor dx = Tensor::zeros(shape, dy.dtype());
                    with_float(dy.dtype(), e.op, [&](auto zero) {
                      using T = decltype(zero);
                      const int64_t* at = index.get().data<int64_t>();
                      for (int64_t i = 0; i < dy.size(); ++i)
                        dx.data<T>()[(i / v.inner * v.n + at[i]) * v.inner + i % v.inner] =
                            dy.data<T>()[i];
                    });
                    return Grads{dx};
                  });
  return std::vector<Tensor>{values, indices};
}

Value extreme(const Extreme& e, const Tensor& x, std::optional<int64_t> dim, bool keepdim) {
  if (dim) return extreme_pair(e, x, *dim, keepdim);
  return extreme_values(e, x, Axes(x.dim(), true), keepdim);
}

}  // namespace

static Tensor amax(const Tensor& x, const Dims& dim, bool keepdim) {
  return extreme_values({"amax", true}, x, resolve_dims("amax", dim, x.dim()), keepdim);
}
GU_OP(amax, "x, dim=None, keepdim=False")

static Tensor amin(const Tensor& x, const Dims& dim, bool keepdim) {
  return extreme_values({"amin", false}, x, resolve_dims("amin", dim, x.dim()), keepdim);
}
GU_OP(amin, "x, dim=None, keepdim=False")

static Value max(const Tensor& x, std::optional<int64_t> dim, bool keepdim) {
  return extreme({"max", true}, x, dim, keepdim);
}
GU_OP(max, "x, dim=None, keepdim=False")

static Value min(const Tensor& x, std::optional<int64_t> dim, bool keepdim) {
  return extreme({"min", false}, x, dim, keepdim);
}
GU_OP(min, "x, dim=None, keepdim=False")

static Tensor argmax(const Tensor& x, std::optional<int64_t> dim, bool keepdim) {
  return extreme_index({"argmax", true}, x, dim, keepdim);
}
GU_OP(argmax, "x, dim=None, keepdim=False")

static Tensor argmin(const Tensor& x, std::optional<int64_t> dim, bool keepdim) {
  return extreme_index({"argmin", false}, x, dim, keepdim);
}
GU_OP(argmin, "x, dim=None, keepdim=False")

}  // namespace gu::ops
