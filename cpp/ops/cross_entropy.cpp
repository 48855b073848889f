// cross_entropy: how surprised a distribution of logits is by the class that came; log-softmax and
// negative log-likelihood in one pass.
//   loss_r = log sum_v exp(x_rv) - x_ry

#include "kernels/cross_entropy.hpp"

#include <string>

#include "autograd/tape.hpp"
#include "core/registry.hpp"
#include "ops/axis_last.hpp"
#include "ops/targets.hpp"

namespace gu::ops {

static Tensor cross_entropy(const Tensor& x, const Tensor& target,
                            const std::optional<Tensor>& weight, int64_t ignore_index,
                            const std::string& reduction, double label_smoothing) {
  // x [N, V, ...], target [N, ...]; or x [V], target [] -> a scalar, or like target with 'none'
  const ClassTargets found =
      check_class_targets("cross_entropy", x, target, weight, ignore_index, reduction);
  const AxisView v = found.view;
  const int64_t N = v.outer * v.inner, V = v.n;  // rows of logits, and classes
  if (!(label_smoothing >= 0 && label_smoothing <= 1))
    fail<ValueError>("[cross_entropy] label_smoothing must be in 0 to 1, but got ",
                     label_smoothing);

  kernels::CrossEntropyOptions options{ignore_index, label_smoothing};
  Tensor class_weight = weight.value_or(Tensor());
  Tensor losses = Tensor::empty(found.shape, x.dtype()), lse = Tensor::empty({N}, x.dtype());
  Tensor rows = x;          // [N, V]
  double total_weight = 1;  // what the mean divides by
  Tensor result = losses;
  with_float(x.dtype(), "cross_entropy", [&](auto zero) {
    using T = decltype(zero);
    const T* w = class_weight.defined() ? class_weight.data<T>() : nullptr;
    if (v.inner != 1) {
      rows = Tensor::empty({N, V}, x.dtype());
      axis_last(x.data<T>(), rows.data<T>(), v);
    }
    kernels::cross_entropy<T>(rows.data<T>(), target.data<int64_t>(), w, losses.data<T>(),
                              lse.data<T>(), N, V, options);
    if (reduction == "none") return;
    if (reduction == "mean")
      total_weight =
          kernels::cross_entropy_total_weight<T>(target.data<int64_t>(), w, N, ignore_index);
    double sum = 0;
    for (int64_t r = 0; r < N; ++r) sum += losses.data<T>()[r];
    result = Tensor::scalar(static_cast<T>(sum / total_weight));
  });

  return record(
      "cross_entropy", result, {x},
      [rows = Saved(rows), target = Saved(target), class_weight = Saved(class_weight), lse, options,
       total_weight, shape = x.shape(), each = reduction == "none", v, N,
       V](const Tensor& dy, const Needs&) {
        Tensor dx = Tensor::empty(shape, dy.dtype());
        with_float(dy.dtype(), "cross_entropy", [&](auto zero) {
          using T = decltype(zero);
          Tensor dlosses = dy;  // one a row
          if (!each) {
            dlosses = Tensor::empty({N}, dy.dtype());
            std::fill_n(dlosses.data<T>(), N, static_cast<T>(*dy.data<T>() / total_weight));
          }
          const Tensor& w = class_weight.get();
          Tensor drows = v.inner == 1 ? dx : Tensor::empty({N, V}, dy.dtype());
          kernels::cross_entropy_backward<T>(rows.get().data<T>(), target.get().data<int64_t>(),
                                             w.defined() ? w.data<T>() : nullptr, lse.data<T>(),
                                             dlosses.data<T>(), drows.data<T>(), N, V, options);
          if (v.inner != 1) axis_back(drows.data<T>(), dx.data<T>(), v);
        });
        return Grads{dx};
      });
}
GU_OP(cross_entropy,
      "x, target, weight=None, ignore_index=-100, reduction='mean', label_smoothing=0.0")

}  // namespace gu::ops
