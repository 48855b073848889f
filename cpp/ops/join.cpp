#include "ops/join.hpp"

#include "kernels/strided.hpp"

namespace gu::ops {

namespace {

// Copies between `part` and the place from `start` on along an axis of `whole`.
void copy_part(const Tensor& part, const Tensor& whole, int64_t axis, int64_t start, bool out) {
  // part [outer, n, inner], whole [outer, N, inner]
  const AxisView p = around(part.shape(), axis), w = around(whole.shape(), axis);
  const Shape sizes{p.outer, p.n * p.inner}, row{p.n * p.inner, 1}, rows{w.n * w.inner, 1};
  std::byte* at = whole.bytes() + start * w.inner * itemsize(whole.dtype());
  if (out)
    kernels::strided_copy(sizes, at, rows, part.bytes(), row, itemsize(part.dtype()));
  else
    kernels::strided_copy(sizes, part.bytes(), row, at, rows, itemsize(part.dtype()));
}

}  // namespace

Tensor part_of(const Tensor& x, int64_t axis, int64_t start, int64_t size) {
  Shape shape = x.shape();
  shape[axis] = size;
  Tensor part = Tensor::empty(shape, x.dtype());
  copy_part(part, x, axis, start, true);
  return part;
}

Tensor joined(const std::vector<Tensor>& parts, int64_t axis) {
  Shape shape = parts[0].shape();
  shape[axis] = 0;
  for (const Tensor& part : parts) shape[axis] += part.size(axis);
  Tensor whole = Tensor::empty(shape, parts[0].dtype());
  int64_t start = 0;
  for (const Tensor& part : parts) {
    copy_part(part, whole, axis, start, false);
    start += part.size(axis);
  }
  return whole;
}

}  // namespace gu::ops
