// nll_loss: the negative log-likelihood of the classes that came, from log-probabilities.
//   loss_r = -weight_y x_ry

#include <algorithm>

#include "autograd/tape.hpp"
#include "core/registry.hpp"
#include "ops/norm.hpp"
#include "ops/targets.hpp"

namespace gu::ops {

ClassTargets check_class_targets(const char* op, const Tensor& x, const Tensor& target,
                                 const std::optional<Tensor>& weight, int64_t ignore_index,
                                 const std::string& reduction) {
  if (x.dim() == 0) fail<ShapeError>("[", op, "] x must be [V] or [N, V, ...], but got shape ()");
  const int64_t axis = x.dim() == 1 ? 0 : 1;
  ClassTargets found{around(x.shape(), axis), x.shape()};
  found.shape.erase(found.shape.begin() + axis);
  const int64_t V = found.view.n;
  if (target.shape() != found.shape)
    fail<ShapeError>("[", op, "] target must have shape ", found.shape, ", but got ",
                     target.shape());
  if (target.dtype() != DType::int64)
    fail<DTypeError>("[", op, "] target must be int64, but got ", name(target.dtype()));
  if (V == 0)
    fail<ShapeError>("[", op, "] x must have at least one class, but got shape ", x.shape());
  if (weight && weight->shape() != Shape{V})
    fail<ShapeError>("[", op, "] weight must have shape (", V, ",), but got ", weight->shape());
  if (weight && weight->dtype() != x.dtype())
    fail<DTypeError>("[", op, "] weight must be ", name(x.dtype()), " like x, but got ",
                     name(weight->dtype()));
  if (reduction != "mean" && reduction != "sum" && reduction != "none")
    fail<ValueError>("[", op, "] reduction must be 'mean', 'sum' or 'none', but got '", reduction,
                     "'");
  const int64_t* y = target.data<int64_t>();
  for (int64_t i = 0; i < target.size(); ++i)
    if ((y[i] < 0 || y[i] >= V) && y[i] != ignore_index)
      fail<IndexError>("[", op, "] target must be in 0 to ", V - 1, " or ignore_index ",
                       ignore_index, ", but got ", y[i], " at position ", i);
  return found;
}

static Tensor nll_loss(const Tensor& x, const Tensor& target, const std::optional<Tensor>& weight,
                       int64_t ignore_index, const std::string& reduction) {
  // x [N, V, ...], target [N, ...]; or x [V], target [] -> a scalar, or like target with 'none'
  const ClassTargets found =
      check_class_targets("nll_loss", x, target, weight, ignore_index, reduction);
  Tensor class_weight = weight.value_or(Tensor());
  // picked(r, i, w): row r is counted with weight w, and its log-probability is element i of x.
  const auto each_picked = [v = found.view, ignore_index]<class T>(const Tensor& classes,
                                                                   const T* w, auto picked) {
    const int64_t* y = classes.data<int64_t>();
    for (int64_t r = 0; r < classes.size(); ++r)
      if (y[r] != ignore_index)
        picked(r, (r / v.inner * v.n + y[r]) * v.inner + r % v.inner, w ? w[y[r]] : T(1));
  };
  Tensor losses = Tensor::zeros(found.shape, x.dtype()), result = losses;
  double total_weight = reduction == "mean" ? 0 : 1;
  with_float(x.dtype(), "nll_loss", [&](auto zero) {
    using T = decltype(zero);
    const T* in = x.data<T>();
    T* out = losses.data<T>();
    double sum = 0;
    each_picked(target, data_or_null<T>(class_weight), [&](int64_t r, int64_t i, T w) {
      out[r] = -w * in[i];
      sum += out[r];
      if (reduction == "mean") total_weight += w;
    });
    // Where no row counts, the mean is 0 / 0.
    if (reduction != "none") result = Tensor::scalar(static_cast<T>(sum / total_weight));
  });

  return record(
      "nll_loss", result, {x},
      [target = Saved(target), class_weight = Saved(class_weight), each_picked, total_weight,
       each = reduction == "none", shape = x.shape()](const Tensor& dy, const Needs&) {
        Tensor dx = Tensor::zeros(shape, dy.dtype());
        with_float(dy.dtype(), "nll_loss", [&](auto zero) {
          using T = decltype(zero);
          const T *d = dy.data<T>(), *w = data_or_null<T>(class_weight.get());
          each_picked(target.get(), w, [&](int64_t r, int64_t i, T w_y) {
            dx.data<T>()[i] = static_cast<T>(-w_y * d[each ? r : 0] / total_weight);
          });
        });
        return Grads{dx};
      });
}
GU_OP(nll_loss, "x, target, weight=None, ignore_index=-100, reduction='mean'")

}  // namespace gu::ops
