// expand and repeat: a tensor several times over, along axes of size 1 or along any axis. Both
// copy.

#include <string>

#include "autograd/tape.hpp"
#include "core/registry.hpp"
#include "kernels/strided.hpp"
#include "ops/broadcast.hpp"
#include "ops/reduction.hpp"

namespace gu::ops {

namespace {

// y of these sizes, reading x with these strides; 0 repeats.
Tensor repeated(const Tensor& x, const Shape& sizes, const Shape& strides) {
  Tensor y = Tensor::empty(sizes, x.dtype());
  kernels::strided_copy(sizes, x.bytes(), strides, y.bytes(), kernels::contiguous_strides(sizes),
                        itemsize(x.dtype()));
  return y;
}

}  // namespace

static Tensor expand(const Tensor& x, const Shape& size) {
  // x [..., 1, ...] -> y [..., n, ...]; a size of -1 keeps that of x
  const Shape own = kernels::contiguous_strides(x.shape());
  const auto added = static_cast<int64_t>(size.size()) - x.dim();
  Shape sizes = size, strides(size.size(), 0);
  bool fits = added >= 0;
  for (int64_t d = 0; fits && d < x.dim(); ++d) {
    int64_t& n = sizes[added + d];
    if (n == -1) n = x.size(d);
    if (n == x.size(d))
      strides[added + d] = own[d];
    else
      fits = x.size(d) == 1;
  }
  for (int64_t n : sizes) fits = fits && n >= 0;
  if (!fits)
    fail<ShapeError>("[expand] shape ", x.shape(), " must broadcast to size, but got ", size);
  return record(
      "expand", repeated(x, sizes, strides), {x},
      [shape = x.shape()](const Tensor& dy, const Needs&) { return Grads{sum_to(dy, shape)}; });
}
GU_OP(expand, "x, size")

static Tensor repeat(const Tensor& x, const Shape& repeats) {
  // x [n0, n1, ...] -> y [r0 n0, r1 n1, ...]; x gets leading axes of size 1 where repeats are more
  const auto added = static_cast<int64_t>(repeats.size()) - x.dim();
  if (added < 0)
    fail<ShapeError>("[repeat] repeats must cover every axis of shape ", x.shape(), ", but got ",
                     repeats);
  const Shape own = kernels::contiguous_strides(x.shape());
  Shape shape, pairs, strides;  // pairs: r0, n0, r1, n1, ...
  Axes copies;
  for (int64_t d = 0; d < added + x.dim(); ++d) {
    const int64_t r = repeats[d], n = d < added ? 1 : x.size(d - added);
    if (r < 0) fail<ValueError>("[repeat] repeats must not be negative, but got ", repeats);
    if (n != 0 && r > (int64_t{1} << 59) / n)
      fail<ShapeError>("[repeat] sizes must multiply to less than 2^59, but got ", repeats);
    shape.push_back(r * n);
    pairs.insert(pairs.end(), {r, n});
    strides.insert(strides.end(), {0, d < added ? 0 : own[d - added]});
    copies.insert(copies.end(), {true, false});
  }
  count(pairs);  // refuses a product that overflows
  return record("repeat", repeated(x, pairs, strides).alias(shape), {x},
                [=, own = x.shape()](const Tensor& dy, const Needs&) {
                  return Grads{sum_over(dy.alias(pairs), copies).alias(own)};
                });
}
GU_OP(repeat, "x, repeats")

}  // namespace gu::ops
