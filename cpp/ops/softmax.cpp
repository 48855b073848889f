// softmax: scores to probabilities along one axis; and its logarithm, which is safer to take the
// logarithm of.
//   softmax(x)_i = exp(x_i - max x) / sum_j exp(x_j - max x)

#include "kernels/softmax.hpp"

#include "autograd/tape.hpp"
#include "core/registry.hpp"
#include "ops/axis_last.hpp"

namespace gu::ops {

namespace {

template <class T>
using ForwardKernel = void (*)(const T* x, T* y, int64_t R, int64_t C);
template <class T>
using BackwardKernel = void (*)(const T* y, const T* dy, T* dx, int64_t R, int64_t C);

// Chooses between the two ops' kernels.
struct SoftmaxKernels {
  const char* op;
  bool log;
  template <class T>
  ForwardKernel<T> forward() const {
    return log ? &kernels::log_softmax<T> : &kernels::softmax<T>;
  }
  template <class T>
  BackwardKernel<T> backward() const {
    return log ? &kernels::log_softmax_backward<T> : &kernels::softmax_backward<T>;
  }
};

Tensor run_softmax(SoftmaxKernels kernel, const Tensor& x, int64_t dim) {
  // x [..., n, ...] -> y [..., n, ...]
  AxisView v = around(x.shape(), resolve_axis(kernel.op, dim, x.dim()));
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  with_float(x.dtype(), kernel.op, [&](auto zero) {
    using T = decltype(zero);
    if (v.inner == 1) {
      kernel.forward<T>()(x.data<T>(), y.data<T>(), v.outer, v.n);
      return;
    }
    Tensor rows = Tensor::empty(x.shape(), x.dtype());
    axis_last(x.data<T>(), rows.data<T>(), v);
    kernel.forward<T>()(rows.data<T>(), rows.data<T>(), v.outer * v.inner, v.n);
    axis_back(rows.data<T>(), y.data<T>(), v);
  });

  return record(kernel.op, y, {x}, [kernel, v, y = Saved(y)](const Tensor& dy, const Needs&) {
    Tensor dx = Tensor::empty(dy.shape(), dy.dtype());
    with_float(dy.dtype(), kernel.op, [&](auto zero) {
      using T = decltype(zero);
      if (v.inner == 1) {
        kernel.backward<T>()(y.get().data<T>(), dy.data<T>(), dx.data<T>(), v.outer, v.n);
        return;
      }
      Tensor y_rows = Tensor::empty(dy.shape(), dy.dtype()),
             dy_rows = Tensor::empty(dy.shape(), dy.dtype());
      axis_last(y.get().data<T>(), y_rows.data<T>(), v);
      axis_last(dy.data<T>(), dy_rows.data<T>(), v);
      kernel.backward<T>()(y_rows.data<T>(), dy_rows.data<T>(), dy_rows.data<T>(),
                           v.outer * v.inner, v.n);
      axis_back(dy_rows.data<T>(), dx.data<T>(), v);
    });
    return Grads{dx};
  });
}

}  // namespace

static Tensor softmax(const Tensor& x, int64_t dim) {
  return run_softmax({"softmax", false}, x, dim);
}
GU_OP(softmax, "x, dim=-1")

static Tensor log_softmax(const Tensor& x, int64_t dim) {
  return run_softmax({"log_softmax", true}, x, dim);
}
GU_OP(log_softmax, "x, dim=-1")

}  // namespace gu::ops
