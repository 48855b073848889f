// permute and transpose: the axes of x in another order, as a copy.

#include <numeric>
#include <utility>

#include "autograd/tape.hpp"
#include "core/registry.hpp"
#include "kernels/strided.hpp"

namespace gu::ops {

namespace {

// y[i0, i1, ...] has axis d of x at its place in `order`: y's axis k is x's axis order[k].
Tensor reordered(const Tensor& x, const Shape& order) {
  const auto strides = kernels::contiguous_strides(x.shape());
  Shape shape(order.size()), from(order.size());
  for (size_t k = 0; k < order.size(); ++k) {
    shape[k] = x.size(order[k]);
    from[k] = strides[order[k]];
  }
  Tensor y = Tensor::empty(shape, x.dtype());
  kernels::strided_copy(shape, x.bytes(), from, y.bytes(), kernels::contiguous_strides(shape),
                        itemsize(x.dtype()));
  return y;
}

Tensor record_reordered(const char* op, const Tensor& x, const Shape& order) {
  return record(op, reordered(x, order), {x}, [order](const Tensor& dy, const Needs&) {
    Shape back(order.size());
    for (size_t k = 0; k < order.size(); ++k) back[order[k]] = static_cast<int64_t>(k);
    return Grads{reordered(dy, back)};
  });
}

}  // namespace

static Tensor permute(const Tensor& x, const Shape& dims) {
  // x [n0, n1, ...] -> y [n_dims[0], n_dims[1], ...]
  Shape order;
  std::vector<bool> seen(static_cast<size_t>(x.dim()));
  bool every = static_cast<int64_t>(dims.size()) == x.dim();
  for (int64_t d : dims) {
    const int64_t axis = resolve_axis("permute", d, x.dim());
    every = every && x.dim() > 0 && !seen[axis];
    if (every) seen[axis] = true;
    order.push_back(axis);
  }
  if (!every)
    fail<ValueError>("[permute] dims must name each of the ", x.dim(), " axes once, but got ",
                     dims);
  return record_reordered("permute", x, order);
}
GU_OP(permute, "x, dims")

static Tensor transpose(const Tensor& x, int64_t dim0, int64_t dim1) {
  // x [..., a, ..., b, ...] -> y [..., b, ..., a, ...]
  const int64_t a = resolve_axis("transpose", dim0, x.dim());
  const int64_t b = resolve_axis("transpose", dim1, x.dim());
  Shape order(static_cast<size_t>(x.dim()));
  std::iota(order.begin(), order.end(), 0);
  if (x.dim() > 0) std::swap(order[a], order[b]);
  return record_reordered("transpose", x, order);
}
GU_OP(transpose, "x, dim0, dim1")

}  // namespace gu::ops
