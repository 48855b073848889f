// pad: a constant around x; a negative width cuts off instead.

#include <algorithm>

#include "autograd/tape.hpp"
#include "core/registry.hpp"
#include "kernels/strided.hpp"

namespace gu::ops {

namespace {

// What x and its padded form have in common, and where it begins in each.
struct PadOverlap {
  Shape sizes, margins, x_strides, y_strides;
  int64_t x_start = 0, y_start = 0;  // in elements

  PadOverlap(const Shape& x, const Shape& y, const Shape& before) {
    x_strides = kernels::contiguous_strides(x);
    y_strides = kernels::contiguous_strides(y);
    for (size_t d = 0; d < x.size(); ++d) {
      const int64_t skip = std::max<int64_t>(-before[d], 0);
      const int64_t margin = std::min(std::max<int64_t>(before[d], 0), y[d]);
      margins.push_back(margin);
      sizes.push_back(std::max<int64_t>(std::min(x[d] - skip, y[d] - margin), 0));
      x_start += skip * x_strides[d];
      y_start += margin * y_strides[d];
    }
  }

  // Writes *value around what x has in y: first before and after it along the first axis, then,
  // where that left a gap, along the second, and so on.
  template <class T>
  void surround(const Tensor& y, const T* value) const {
    const Shape still(sizes.size(), 0);
    Shape region = y.shape();
    int64_t start = 0;
    for (size_t d = 0; d < sizes.size(); ++d) {
      const int64_t margin = margins[d];
      region[d] = margin;
      T* const at = y.data<T>() + start;
      kernels::strided_copy(region, value, still, at, y_strides, sizeof(T));
      region[d] = y.size(d) - margin - sizes[d];
      kernels::strided_copy(region, value, still, at + (margin + sizes[d]) * y_strides[d],
                            y_strides, sizeof(T));
      region[d] = sizes[d];
      start += margin * y_strides[d];
    }
  }

  void copy(const Tensor& x, const Tensor& y, bool forward) const {
    const int64_t item = itemsize(x.dtype());
    std::byte *in = x.bytes() + x_start * item, *out = y.bytes() + y_start * item;
    if (forward)
      kernels::strided_copy(sizes, in, x_strides, out, y_strides, item);
    else
      kernels::strided_copy(sizes, out, y_strides, in, x_strides, item);
  }
};

}  // namespace

static Tensor pad(const Tensor& x, const Shape& pad, const std::string& mode, const Scalar& value) {
  // x [..., n, ...] -> y [..., before + n + after, ...]; pad holds (before, after) of the last
  // axis, then of the one before it
  if (mode != "constant") fail<ValueError>("[pad] mode must be 'constant', but got '", mode, "'");
  if (pad.size() % 2 != 0 || static_cast<int64_t>(pad.size()) > 2 * x.dim())
    fail<ShapeError>("[pad] pad must hold two numbers for each of at most ", x.dim(),
                     " axes, but got ", pad);
  if (is_float(value.dtype()) && !is_float(x.dtype()))
    fail<DTypeError>("[pad] value must be an int for ", name(x.dtype()), " x, but got a float");
  Shape shape = x.shape(), before(shape.size(), 0);
  for (size_t i = 0; i < pad.size(); i += 2) {
    const size_t axis = shape.size() - 1 - i / 2;
    constexpr int64_t most = int64_t{1} << 59;
    if (std::max(pad[i], pad[i + 1]) > most || std::min(pad[i], pad[i + 1]) < -shape[axis] ||
        pad[i] + pad[i + 1] < -shape[axis])
      fail<ShapeError>("[pad] sizes must not become negative or beyond 2^59, but got pad ", pad,
                       " for shape ", x.shape());
    before[axis] = pad[i];
    shape[axis] += pad[i] + pad[i + 1];
  }
  Tensor y = Tensor::empty(shape, x.dtype());
  const PadOverlap overlap(x.shape(), shape, before);
  overlap.copy(x, y, true);
  with_any(x.dtype(), "pad", [&](auto zero) {
    using T = decltype(zero);
    const T constant = value.as<T>();
    overlap.surround(y, &constant);
  });
  return record("pad", y, {x}, [overlap, own = x.shape()](const Tensor& dy, const Needs&) {
    // What was cut off gets nothing back.
    Tensor dx = count(overlap.sizes) == count(own) ? Tensor::empty(own, dy.dtype())
                                                   : Tensor::zeros(own, dy.dtype());
    overlap.copy(dx, dy, false);
    return Grads{dx};
  });
}
GU_OP(pad, "x, pad, mode='constant', value=0")

}  // namespace gu::ops
