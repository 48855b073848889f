// cross_entropy: how surprised a distribution of logits is by the class that came; log-softmax and
// negative log-likelihood in one pass.
//   loss_r = log sum_v exp(x_rv) - x_ry

#include "kernels/cross_entropy.hpp"

#include <string>

#include "autograd/tape.hpp"
#include "core/registry.hpp"
#include "ops/axis_last.hpp"

namespace gu::ops {

namespace {

// Every target must be a class or ignore_index: the kernel trusts them.
void check_targets(const Tensor& target, int64_t V, int64_t ignore_index) {
  const int64_t* y = target.data<int64_t>();
  for (int64_t i = 0; i < target.size(); ++i)
    if ((y[i] < 0 || y[i] >= V) && y[i] != ignore_index)
      fail<IndexError>("[cross_entropy] target must be in 0 to ", V - 1, " or ignore_index ",
                       ignore_index, ", but got ", y[i], " at position ", i);
}

}  // namespace

static Tensor cross_entropy(const Tensor& x, const Tensor& target,
                            const std::optional<Tensor>& weight, int64_t ignore_index,
                            const std::string& reduction, double label_smoothing) {
  // x [N, V, ...], target [N, ...]; or x [V], target [] -> a scalar, or like target with 'none'
  if (x.dim() == 0)
    fail<ShapeError>("[cross_entropy] x must be [V] or [N, V, ...], but got shape ()");
  const int64_t axis = x.dim() == 1 ? 0 : 1;
  const AxisView v = around(x.shape(), axis);
  const int64_t N = v.outer * v.inner, V = v.n;  // rows of logits, and classes
  Shape expected = x.shape();
  expected.erase(expected.begin() + axis);
  if (target.shape() != expected)
    fail<ShapeError>("[cross_entropy] target must have shape ", expected, ", but got ",
                     target.shape());
  if (target.dtype() != DType::int64)
    fail<DTypeError>("[cross_entropy] target must be int64, but got ", name(target.dtype()));
  if (V == 0)
    fail<ShapeError>("[cross_entropy] x must have at least one class, but got shape ", x.shape());
  if (weight && weight->shape() != Shape{V})
    fail<ShapeError>("[cross_entropy] weight must have shape (", V, ",), but got ",
                     weight->shape());
  if (weight && weight->dtype() != x.dtype())
    fail<DTypeError>("[cross_entropy] weight must be ", name(x.dtype()), " like x, but got ",
                     name(weight->dtype()));
  if (reduction != "mean" && reduction != "sum" && reduction != "none")
    fail<ValueError>("[cross_entropy] reduction must be 'mean', 'sum' or 'none', but got '",
                     reduction, "'");
  if (!(label_smoothing >= 0 && label_smoothing <= 1))
    fail<ValueError>("[cross_entropy] label_smoothing must be in 0 to 1, but got ",
                     label_smoothing);
  check_targets(target, V, ignore_index);

  kernels::CrossEntropyOptions options{ignore_index, label_smoothing};
  Tensor class_weight = weight.value_or(Tensor());
  Tensor losses = Tensor::empty(expected, x.dtype()), lse = Tensor::empty({N}, x.dtype());
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
