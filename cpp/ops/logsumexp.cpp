// logsumexp: log sum e^x without overflow, by taking the maximum out of the sum.

#include "autograd/tape.hpp"
#include "core/registry.hpp"
#include "kernels/activation.hpp"
#include "kernels/reduce.hpp"
#include "ops/broadcast.hpp"
#include "ops/cast.hpp"
#include "ops/reduction.hpp"

namespace gu::ops {

namespace {

// dx = dy e^(x - y) where the reduced axes are not neighbours: three passes instead of one.
template <class T>
void spread_gradient(const Tensor& x, const Tensor& y, const Tensor& dy, const Tensor& dx) {
  // x, dx: [...];  y, dy: [...] with size 1 where x was reduced
  broadcast_map<T, T>(
      x.shape(), dx.data<T>(), [](T v, T total) { return v - total; }, x, y);
  kernels::exp(dx.data<T>(), dx.data<T>(), dx.size());
  broadcast_map<T, T>(
      x.shape(), dx.data<T>(), [](T share, T d) { return share * d; }, dx, dy);
}

}  // namespace

static Tensor logsumexp(const Tensor& x, const Dims& dim, bool keepdim) {
  const Axes axes = resolve_dims("logsumexp", dim, x.dim());
  const Tensor in = is_float(x.dtype()) ? x : to_dtype(x, DType::float32);
  return with_float(in.dtype(), "logsumexp", [&](auto zero) {
    using T = decltype(zero);
    // The logsumexp of logsumexps is that of everything, so runs of axes follow one another.
    Tensor y = fold_axes(in, axes, [](const Tensor& part, int64_t outer, int64_t n, int64_t inner) {
      Tensor out = Tensor::empty({outer, inner}, part.dtype());
      kernels::reduce_logsumexp(part.data<T>(), out.data<T>(), outer, n, inner);
      return out;
    });
    y = y.alias(reduced_shape(x.shape(), axes, keepdim));
    return record(
        "logsumexp", y, {in}, [=, x = Saved(in), y = Saved(y)](const Tensor& dy, const Needs&) {
          // y = log sum_k e^(x_k), so dx = dy e^(x - y)
          const Shape& shape = x.get().shape();
          Tensor dx = Tensor::empty(shape, dy.dtype());
          if (const auto v = one_run(shape, axes))
            kernels::reduce_logsumexp_backward(x.get().data<T>(), y.get().data<T>(), dy.data<T>(),
                                               dx.data<T>(), v->outer, v->n, v->inner);
          else
            spread_gradient<T>(x.get(), with_kept_axes(y.get(), shape, axes),
                               with_kept_axes(dy, shape, axes), dx);
          return Grads{dx};
        });
  });
}
GU_OP(logsumexp, "x, dim=None, keepdim=False")

}  // namespace gu::ops
