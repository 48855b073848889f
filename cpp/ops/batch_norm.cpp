// batch_norm: each channel to mean 0 and variance 1 over the batch, then scaled and shifted by what
// is learned; in evaluation over what training has seen.
//   y = (x - mean_c) / sqrt(var_c + eps) * weight_c + bias_c

#include "kernels/batch_norm.hpp"

#include <cmath>

#include "autograd/tape.hpp"
#include "core/registry.hpp"
#include "ops/norm.hpp"

namespace gu::ops {

namespace {

// running = (1 - momentum) running + momentum seen, in place.
template <class T>
void batch_norm_track(const Tensor& running, const T* seen, double momentum, T factor) {
  const T m = static_cast<T>(momentum);
  for (int64_t c = 0; c < running.size(); ++c) {
    T& value = running.data<T>()[c];
    value = (T(1) - m) * value + m * factor * seen[c];
  }
  running.bump_version();
}

}  // namespace

static Tensor batch_norm(const Tensor& x, const std::optional<Tensor>& running_mean,
                         const std::optional<Tensor>& running_var,
                         const std::optional<Tensor>& weight, const std::optional<Tensor>& bias,
                         bool training, double momentum, double eps) {
  // x [N, C, ...] -> y [N, C, ...]; everything else [C]
  const char* op = "batch_norm";
  if (x.dim() < 2)
    fail<ShapeError>("[batch_norm] x must be [N, C, ...], but got shape ", x.shape());
  const int64_t N = x.size(0), C = x.size(1);
  int64_t S = 1;
  for (int64_t d = 2; d < x.dim(); ++d) S *= x.size(d);
  Tensor seen_mean = norm_parameter(op, "running_mean", running_mean, {C}, x.dtype());
  Tensor seen_var = norm_parameter(op, "running_var", running_var, {C}, x.dtype());
  Tensor gamma = norm_parameter(op, "weight", weight, {C}, x.dtype());
  Tensor beta = norm_parameter(op, "bias", bias, {C}, x.dtype());
  if (seen_mean.defined() != seen_var.defined())
    fail<ValueError>("[batch_norm] running_mean and running_var must be given together");
  if (!training && !seen_mean)
    fail<ValueError>("[batch_norm] running_mean and running_var are needed unless training");
  if (training && N * S < 2)
    fail<ValueError>("[batch_norm] training needs more than one value a channel, but got shape ",
                     x.shape());

  for (const Tensor& running : {seen_mean, seen_var})
    if (training && running && !running.storage()->writable())
      fail<ValueError>("[batch_norm] training updates running_mean and running_var, but their ",
                       "memory is read-only");

  Tensor y = Tensor::empty(x.shape(), x.dtype());
  // Copies, as later calls change the running ones.
  Tensor mean = Tensor::empty({C}, x.dtype()), rstd = Tensor::empty({C}, x.dtype());
  with_float(x.dtype(), op, [&](auto zero) {
    using T = decltype(zero);
    T *m = mean.data<T>(), *s = rstd.data<T>();
    if (training) {
      kernels::channel_moments<T>(x.data<T>(), m, s, N, C, S);
      if (seen_mean) {
        const T count = static_cast<T>(N * S);
        batch_norm_track<T>(seen_mean, m, momentum, T(1));
        batch_norm_track<T>(seen_var, s, momentum, count / (count - 1));  // the unbiased variance
      }
    } else {
      std::copy_n(seen_mean.data<T>(), C, m);
      std::copy_n(seen_var.data<T>(), C, s);
    }
    for (int64_t c = 0; c < C; ++c) s[c] = T(1) / std::sqrt(s[c] + static_cast<T>(eps));
    kernels::batch_norm<T>(x.data<T>(), m, s, data_or_null<T>(gamma), data_or_null<T>(beta),
                           y.data<T>(), N, C, S);
  });

  return record(op, y, {x, Tensor(), Tensor(), gamma, beta},
                [x = Saved(x), gamma = Saved(gamma), mean, rstd, training, N, C, S](
                    const Tensor& dy, const Needs& needs) {
                  Tensor dx, dgamma = Tensor::empty({C}, dy.dtype()),
                             dbeta = Tensor::empty({C}, dy.dtype());
                  if (needs[0]) dx = Tensor::empty(dy.shape(), dy.dtype());
                  with_float(dy.dtype(), "batch_norm", [&](auto zero) {
                    using T = decltype(zero);
                    kernels::batch_norm_backward<T>(
                        x.get().data<T>(), mean.data<T>(), rstd.data<T>(),
                        data_or_null<T>(gamma.get()), dy.data<T>(), data_or_null<T>(dx),
                        dgamma.data<T>(), dbeta.data<T>(), training, N, C, S);
                  });
                  return Grads{dx, Tensor(), Tensor(), dgamma, dbeta};
                });
}
GU_OP(batch_norm,
      "x, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, "
      "eps=1e-05")

}  // namespace gu::ops
