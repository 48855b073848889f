// layer_norm: each vector to mean 0 and variance 1, then scaled and shifted by what is learned.
//   y = (x - mean) / sqrt(var + eps) * weight + bias, mean and variance over the normalized axes

#include "kernels/layer_norm.hpp"

#include "autograd/tape.hpp"
#include "core/registry.hpp"
#include "ops/norm.hpp"

namespace gu::ops {

static Tensor layer_norm(const Tensor& x, const std::vector<int64_t>& normalized_shape,
                         const std::optional<Tensor>& weight, const std::optional<Tensor>& bias,
                         double eps) {
  // x [R, C] -> y [R, C]; weight, bias [C]; the normalized axes together are C
  NormRows rows = norm_rows("layer_norm", x, normalized_shape);
  Tensor gamma = norm_parameter("layer_norm", "weight", weight, normalized_shape, x.dtype());
  Tensor beta = norm_parameter("layer_norm", "bias", bias, normalized_shape, x.dtype());
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  Tensor mean = Tensor::empty({rows.R}, x.dtype()), rstd = Tensor::empty({rows.R}, x.dtype());
  with_float(x.dtype(), "layer_norm", [&](auto zero) {
    using T = decltype(zero);
    kernels::layer_norm<T>(x.data<T>(), data_or_null<T>(gamma), data_or_null<T>(beta),
                           static_cast<T>(eps), y.data<T>(), mean.data<T>(), rstd.data<T>(), rows.R,
                           rows.C);
  });

  return record(
      "layer_norm", y, {x, gamma, beta},
      [x = Saved(x), gamma = Saved(gamma), mean, rstd, rows](const Tensor& dy, const Needs& needs) {
        Tensor dx = Tensor::empty(dy.shape(), dy.dtype()), dgamma, dbeta;
        Shape shape(dy.shape().end() - rows.axes, dy.shape().end());
        if (needs[1]) dgamma = Tensor::empty(shape, dy.dtype());
        if (needs[2]) dbeta = Tensor::empty(shape, dy.dtype());
        with_float(dy.dtype(), "layer_norm", [&](auto zero) {
          using T = decltype(zero);
          kernels::layer_norm_backward<T>(x.get().data<T>(), data_or_null<T>(gamma.get()),
                                          mean.data<T>(), rstd.data<T>(), dy.data<T>(),
                                          dx.data<T>(), data_or_null<T>(dgamma),
                                          data_or_null<T>(dbeta), rows.R, rows.C);
        });
        return Grads{dx, dgamma, dbeta};
      });
}
GU_OP(layer_norm, "x, normalized_shape, weight=None, bias=None, eps=1e-05")

}  // namespace gu::ops
