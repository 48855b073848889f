// softmax: scores to probabilities along one axis; and its logarithm, which is safer to take the
// logarithm of.
//   softmax(x)_i = exp(x_i - max x) / sum_j exp(x_j - max x)

#include "kernels/softmax.hpp"

#include "autograd/tape.hpp"
#include "core/registry.hpp"

namespace gu::ops {

static Tensor softmax(const Tensor& x, int64_t dim) {
  // x [..., n, ...] -> y [..., n, ...]
  const AxisView v = around(x.shape(), resolve_axis("softmax", dim, x.dim()));
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  with_float(x.dtype(), "softmax", [&](auto zero) {
    using T = decltype(zero);
    if (v.inner == 1)
      kernels::softmax<T>(x.data<T>(), y.data<T>(), v.outer, v.n);
    else
      kernels::softmax_axis<T>(x.data<T>(), y.data<T>(), v.outer, v.n, v.inner);
  });

  return record("softmax", y, {x}, [v, y = Saved(y)](const Tensor& dy, const Needs&) {
    Tensor dx = Tensor::empty(dy.shape(), dy.dtype());
    with_float(dy.dtype(), "softmax", [&](auto zero) {
      using T = decltype(zero);
      const T *p = y.get().data<T>(), *d = dy.data<T>();
      if (v.inner == 1)
        kernels::softmax_backward<T>(p, d, dx.data<T>(), v.outer, v.n);
      else
        kernels::softmax_axis_backward<T>(p, d, dx.data<T>(), v.outer, v.n, v.inner);
    });
    return Grads{dx};
  });
}
GU_OP(softmax, "x, dim=-1")

static Tensor log_softmax(const Tensor& x, int64_t dim) {
  // x [..., n, ...] -> y [..., n, ...]
  const AxisView v = around(x.shape(), resolve_axis("log_softmax", dim, x.dim()));
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  with_float(x.dtype(), "log_softmax", [&](auto zero) {
    using T = decltype(zero);
    if (v.inner == 1)
      kernels::log_softmax<T>(x.data<T>(), y.data<T>(), v.outer, v.n);
    else
      kernels::log_softmax_axis<T>(x.data<T>(), y.data<T>(), v.outer, v.n, v.inner);
  });

  return record("log_softmax", y, {x}, [v, y = Saved(y)](const Tensor& dy, const Needs&) {
    Tensor dx = Tensor::empty(dy.shape(), dy.dtype());
    with_float(dy.dtype(), "log_softmax", [&](auto zero) {
      using T = decltype(zero);
      const T *p = y.get().data<T>(), *d = dy.data<T>();
      if (v.inner == 1)
        kernels::log_softmax_backward<T>(p, d, dx.data<T>(), v.outer, v.n);
      else
        kernels::log_softmax_axis_backward<T>(p, d, dx.data<T>(), v.outer, v.n, v.inner);
    });
    return Grads{dx};
  });
}
GU_OP(log_softmax, "x, dim=-1")

}  // namespace gu::ops
