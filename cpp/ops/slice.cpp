// slice, select, flip, roll: the elements at evenly spaced places of each axis; one place of
// an axis; the order along axes reversed; axes turned round. All copy.

#include <algorithm>
#include <cstdlib>

#include "autograd/tape.hpp"
#include "core/registry.hpp"
#include "kernels/strided.hpp"

namespace gu::ops {

namespace {

// Places within a tensor: element `start`, and from there `sizes` by `strides`.
struct Places {
  int64_t start = 0;
  Shape sizes, strides;
};

Tensor take(const Tensor& x, const Places& at) {
  Tensor y = Tensor::empty(at.sizes, x.dtype());
  kernels::strided_copy(at.sizes, x.bytes() + at.start * itemsize(x.dtype()), at.strides, y.bytes(),
                        kernels::contiguous_strides(at.sizes), itemsize(x.dtype()));
  return y;
}

// A tensor of this shape with y at those places, zeros elsewhere.
Tensor put(const Tensor& y, const Places& at, const Shape& shape) {
  Tensor x =
      y.size() == count(shape) ? Tensor::empty(shape, y.dtype()) : Tensor::zeros(shape, y.dtype());
  kernels::strided_copy(at.sizes, y.bytes(), kernels::contiguous_strides(at.sizes),
                        x.bytes() + at.start * itemsize(y.dtype()), at.strides,
                        itemsize(y.dtype()));
  return x;
}

Tensor record_taken(const char* op, const Tensor& x, const Places& at) {
  return record(op, take(x, at), {x}, [at, shape = x.shape()](const Tensor& dy, const Needs&) {
    return Grads{put(dy, at, shape)};
  });
}

// y[..., (i + shift) % n, ...] = x[..., i, ...]
Tensor turned(const Tensor& x, AxisView v, int64_t shift) {
  // x: [outer, n, inner]
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  if (v.n == 0) return y;
  shift %= v.n;
  if (shift < 0) shift += v.n;
  const int64_t item = itemsize(x.dtype()), row = v.n * v.inner;
  const Shape strides{row, 1};
  const int64_t tail = shift * v.inner, head = row - tail;  // the last `shift` come first
  kernels::strided_copy({v.outer, tail}, x.bytes() + head * item, strides, y.bytes(), strides,
                        item);
  kernels::strided_copy({v.outer, head}, x.bytes(), strides, y.bytes() + tail * item, strides,
                        item);
  return y;
}

Tensor turned(Tensor x, const Shape& shifts, const Shape& axes, bool back) {
  for (size_t i = 0; i < shifts.size(); ++i) {
    const AxisView v = axes.empty() ? AxisView{1, x.size(), 1} : around(x.shape(), axes[i]);
    // Reduced before it is negated, which could overflow.
    const int64_t shift = v.n == 0 ? 0 : shifts[i] % v.n;
    x = turned(x, v, back ? -shift : shift);
  }
  return x;
}

}  // namespace

static Tensor slice(const Tensor& x, const Shape& starts, const Shape& stops,
                    const std::optional<Shape>& steps) {
  // x [n0, n1, ...] -> y [len(range(start0, stop0, step0)), ...]; axes without a range stay whole
  const auto ranges = static_cast<int64_t>(starts.size());
  if (stops.size() != starts.size() || (steps && steps->size() != starts.size()) ||
      ranges > x.dim())
    fail<ShapeError>("[slice] starts, stops and steps must be alike and at most ", x.dim(),
                     ", but got ", starts, ", ", stops, " and ", steps ? str(*steps) : "None");
  Places at{0, x.shape(), kernels::contiguous_strides(x.shape())};
  for (int64_t d = 0; d < ranges; ++d) {
    const int64_t n = x.size(d);
    if (steps && (*steps)[d] == 0) fail<ValueError>("[slice] steps must not be 0");
    const int64_t most = std::max<int64_t>(n, 1);  // a longer step takes one element, too
    const int64_t step = steps ? std::clamp((*steps)[d], -most, most) : 1;
    const int64_t low = step > 0 ? 0 : -1, high = step > 0 ? n : n - 1;
    for (int64_t end : {starts[d], stops[d]})
      if (end < low || end > high)
        fail<IndexError>("[slice] starts and stops must be in ", low, " to ", high, " along dim ",
                         d, ", but got ", starts[d], " and ", stops[d]);
    const int64_t length = step > 0 ? stops[d] - starts[d] : starts[d] - stops[d];
    at.sizes[d] = length <= 0 ? 0 : (length - 1) / std::abs(step) + 1;
    if (at.sizes[d] > 0) at.start += starts[d] * at.strides[d];
    at.strides[d] *= step;
  }
  return record_taken("slice", x, at);
}
GU_OP(slice, "x, starts, stops, steps=None")

static Tensor select(const Tensor& x, int64_t dim, int64_t index) {
  // x [..., n, ...] -> y without that axis
  if (x.dim() == 0) fail<ShapeError>("[select] a 0-d tensor has no axis to index");
  const int64_t axis = resolve_axis("select", dim, x.dim()), n = x.size(axis);
  if (index < -n || index >= n)
    fail<IndexError>("[select] index must be in ", -n, " to ", n - 1, ", but got ", index);
  Places at{0, x.shape(), kernels::contiguous_strides(x.shape())};
  at.start = (index < 0 ? index + n : index) * at.strides[axis];
  at.sizes.erase(at.sizes.begin() + axis);
  at.strides.erase(at.strides.begin() + axis);
  return record_taken("select", x, at);
}
GU_OP(select, "x, dim, index")

static Tensor flip(const Tensor& x, const Shape& dims) {
  // x [..., n, ...] -> y [..., n, ...]
  Places at{0, x.shape(), kernels::contiguous_strides(x.shape())};
  std::vector<bool> seen(static_cast<size_t>(x.dim()));
  for (int64_t d : dims) {
    const int64_t axis = resolve_axis("flip", d, x.dim());
    if (x.dim() == 0) continue;
    if (seen[axis]) fail<ValueError>("[flip] dims must name an axis once, but got ", dims);
    seen[axis] = true;
    at.start += std::max<int64_t>(x.size(axis) - 1, 0) * at.strides[axis];
    at.strides[axis] *= -1;
  }
  return record_taken("flip", x, at);
}
GU_OP(flip, "x, dims")

static Tensor roll(const Tensor& x, const Shape& shifts, const std::optional<Shape>& dims) {
  // x [..., n, ...] -> y [..., n, ...]; without dims, all elements in one row
  if (shifts.size() != (dims ? dims->size() : 1))
    fail<ShapeError>("[roll] shifts must be one for each dim, but got ", shifts, " for ",
                     dims ? str(*dims) : "None");
  Shape axes;
  if (dims)
    for (int64_t d : *dims) axes.push_back(resolve_axis("roll", d, x.dim()));
  Tensor y = shifts.empty() ? x.clone() : turned(x, shifts, axes, false);
  return record("roll", y, {x}, [=](const Tensor& dy, const Needs&) {
    return Grads{turned(dy, shifts, axes, true)};
  });
}
GU_OP(roll, "x, shifts, dims=None")

}  // namespace gu::ops
