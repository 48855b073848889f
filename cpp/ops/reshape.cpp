// reshape, flatten, squeeze, unsqueeze: other axes over the same elements in the same order. They
// are free: the result shares the memory of x.

#include <algorithm>

#include "autograd/tape.hpp"
#include "core/registry.hpp"

namespace gu::ops {

namespace {

// x under another shape; the gradient comes back under its own.
Tensor reshaped(const char* op, const Tensor& x, Shape shape) {
  return record(op, x.alias(std::move(shape)), {x},
                [own = x.shape()](const Tensor& dy, const Needs&) { return Grads{dy.alias(own)}; });
}

}  // namespace

static Tensor reshape(const Tensor& x, const Shape& shape) {
  // x [...] -> y [shape]; a size of -1 is what is left
  Shape sizes = shape;
  const auto unknown = std::find(sizes.begin(), sizes.end(), -1);
  if (std::count(sizes.begin(), sizes.end(), -1) > 1)
    fail<ShapeError>("[reshape] at most one size may be -1, but got ", shape);
  if (std::any_of(sizes.begin(), sizes.end(), [](int64_t n) { return n < -1; }))
    fail<ShapeError>("[reshape] sizes must not be negative, but got ", shape);
  if (unknown != sizes.end()) {
    *unknown = 1;
    const int64_t known = count(sizes);
    if (known == 0 || x.size() % known != 0)
      fail<ShapeError>("[reshape] -1 must stand for a whole number of elements, but got ", shape,
                       " for ", x.size(), " elements");
    *unknown = x.size() / known;
  }
  if (count(sizes) != x.size())
    fail<ShapeError>("[reshape] sizes must multiply to ", x.size(), ", but got ", shape);
  return reshaped("reshape", x, sizes);
}
GU_OP(reshape, "x, shape")

static Tensor flatten(const Tensor& x, int64_t start_dim, int64_t end_dim) {
  // x [a, ..., b, c, ...] -> y [a * ... * b, c, ...]
  const int64_t first = resolve_axis("flatten", start_dim, x.dim());
  const int64_t last = resolve_axis("flatten", end_dim, x.dim());
  if (first > last)
    fail<ValueError>("[flatten] start_dim must not come after end_dim, but got ", start_dim,
                     " and ", end_dim);
  if (x.dim() == 0) return reshaped("flatten", x, {1});
  Shape shape(x.shape().begin(), x.shape().begin() + first);
  shape.push_back(1);
  for (int64_t d = first; d <= last; ++d) shape.back() *= x.size(d);
  shape.insert(shape.end(), x.shape().begin() + last + 1, x.shape().end());
  return reshaped("flatten", x, shape);
}
GU_OP(flatten, "x, start_dim=0, end_dim=-1")

static Tensor squeeze(const Tensor& x, const std::optional<Shape>& dim) {
  // x [..., 1, ...] -> y without the axes of size 1, all or those of dim; others stay
  std::vector<bool> chosen(static_cast<size_t>(x.dim()), !dim);
  if (dim)
    for (int64_t d : *dim) {
      const int64_t axis = resolve_axis("squeeze", d, x.dim());
      if (x.dim() > 0) chosen[axis] = true;
    }
  Shape shape;
  for (int64_t d = 0; d < x.dim(); ++d)
    if (!chosen[d] || x.size(d) != 1) shape.push_back(x.size(d));
  return reshaped("squeeze", x, shape);
}
GU_OP(squeeze, "x, dim=None")

static Tensor unsqueeze(const Tensor& x, int64_t dim) {
  // x [...] -> y with an axis of size 1 at dim
  Shape shape = x.shape();
  const int64_t at = resolve_axis("unsqueeze", dim, x.dim() + 1);
  shape.insert(shape.begin() + at, 1);
  return reshaped("unsqueeze", x, shape);
}
GU_OP(unsqueeze, "x, dim")

}  // namespace gu::ops
