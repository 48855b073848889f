// rms_norm: each vector divided by its root mean square, then scaled; layer norm without the mean.
//   y = x / sqrt(mean(x^2) + eps) * weight, the mean over the normalized axes

#include "kernels/rms_norm.hpp"

#include <limits>

#include "autograd/tape.hpp"
#include "core/registry.hpp"
#include "ops/norm.hpp"

namespace gu::ops {

static Tensor rms_norm(const Tensor& x, const std::vector<int64_t>& normalized_shape,
                       const std::optional<Tensor>& weight, std::optional<double> eps) {
  // x [R, C] -> y [R, C]; weight [C]; the normalized axes together are C
  NormRows rows = norm_rows("rms_norm", x, normalized_shape);
  Tensor gamma = norm_parameter("rms_norm", "weight", weight, normalized_shape, x.dtype());
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  Tensor rstd = Tensor::empty({rows.R}, x.dtype());
  with_float(x.dtype(), "rms_norm", [&](auto zero) {
    using T = decltype(zero);
    const T least = eps ? static_cast<T>(*eps) : std::numeric_limits<T>::epsilon();
    kernels::rms_norm<T>(x.data<T>(), data_or_null<T>(gamma), least, y.data<T>(), rstd.data<T>(),
                         rows.R, rows.C);
  });

  return record(
      "rms_norm", y, {x, gamma},
      [x = Saved(x), gamma = Saved(gamma), rstd, rows](const Tensor& dy, const Needs& needs) {
        Tensor dx = Tensor::empty(dy.shape(), dy.dtype()), dgamma;
        if (needs[1])
          dgamma = Tensor::empty(Shape(dy.shape().end() - rows.axes, dy.shape().end()), dy.dtype());
        with_float(dy.dtype(), "rms_norm", [&](auto zero) {
          using T = decltype(zero);
          kernels::rms_norm_backward<T>(x.get().data<T>(), data_or_null<T>(gamma.get()),
                                        rstd.data<T>(), dy.data<T>(), dx.data<T>(),
                                        data_or_null<T>(dgamma), rows.R, rows.C);
        });
        return Grads{dx, dgamma};
      });
}
GU_OP(rms_norm, "x, normalized_shape, weight=None, eps=None")

}  // namespace gu::ops
