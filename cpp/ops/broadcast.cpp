#include "ops/broadcast.hpp"

#include "kernels/reduce.hpp"
#include "ops/reduction.hpp"

namespace gu::ops {

namespace {

[[noreturn]] void do_not_broadcast(const char* op, std::initializer_list<const Tensor*> operands) {
  std::string shapes;
  for (size_t i = 0; i < operands.size(); ++i) {
    if (i > 0) shapes += i + 1 < operands.size() ? ", " : " and ";
    shapes += str(operands.begin()[i]->shape());
  }
  fail<ShapeError>("[", op, "] shapes must broadcast, but got ", shapes);
}

}  // namespace

Shape broadcast_shape(const char* op, std::initializer_list<const Tensor*> operands) {
  Shape out;
  for (const Tensor* t : operands) {
    const Shape& shape = t->shape();
    if (shape.size() > out.size()) out.insert(out.begin(), shape.size() - out.size(), 1);
    for (size_t d = 0; d < shape.size(); ++d) {  // aligned at the last axis
      int64_t& size = out[out.size() - shape.size() + d];
      if (size == 1)
        size = shape[d];
      else if (shape[d] != 1 && shape[d] != size)
        do_not_broadcast(op, operands);
    }
  }
  return out;
}

Tensor sum_to(const Tensor& dy, const Shape& shape) {
  if (dy.shape() == shape) return dy;
  const size_t added = dy.shape().size() - shape.size();
  Axes axes(dy.shape().size());
  for (size_t d = 0; d < axes.size(); ++d)
    axes[d] = d < added || (shape[d - added] == 1 && dy.shape()[d] != 1);
  return sum_over(dy, axes).alias(shape);
}

Tensor expanded(const Tensor& x, const Shape& shape) {
  Tensor y = Tensor::empty(shape, x.dtype());
  with_any(x.dtype(), "expand", [&](auto zero) {
    using T = decltype(zero);
    broadcast_map<T>(
        shape, y.data<T>(), [](T value) { return value; }, x);
  });
  return y;
}

}  // namespace gu::ops
