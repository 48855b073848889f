// split, chunk, unbind: a tensor cut along one axis. Backward writes one gradient of the whole.

#include <algorithm>
#include <numeric>

#include "autograd/tape.hpp"
#include "core/registry.hpp"
#include "ops/join.hpp"

namespace gu::ops {

namespace {

// The parts of x with these sizes along `axis`; each under `shapes[i]`, if given.
std::vector<Tensor> cut(const char* op, const Tensor& x, int64_t axis, const Shape& sizes,
                        const std::vector<Shape>& shapes = {}) {
  std::vector<Tensor> parts;
  int64_t start = 0;
  for (size_t i = 0; i < sizes.size(); ++i) {
    Tensor part = part_of(x, axis, start, sizes[i]);
    parts.push_back(shapes.empty() ? part : part.alias(shapes[i]));
    start += sizes[i];
  }
  if (!is_float(x.dtype()) || !autograd::any_requires_grad(std::initializer_list<Tensor>{x}))
    return parts;
  autograd::record_node(
      op, parts, &x, 1, [=, shape = x.shape(), dtype = x.dtype()](const Grads& dys, const Needs&) {
        std::vector<Tensor> whole;
        for (size_t i = 0; i < sizes.size(); ++i) {
          Shape own = shape;
          own[axis] = sizes[i];
          // Nothing came back for a part that nobody used.
          whole.push_back(dys[i].defined() ? dys[i].alias(own) : Tensor::zeros(own, dtype));
        }
        return Grads{joined(whole, axis)};
      });
  return parts;
}

int64_t axis_to_cut(const char* op, const Tensor& x, int64_t dim) {
  if (x.dim() == 0) fail<ShapeError>("[", op, "] a 0-d tensor has no axis to cut");
  return resolve_axis(op, dim, x.dim());
}

// Sizes of parts of `size`, the last one what is left; one empty part of an empty axis.
Shape even_parts(int64_t n, int64_t size) {
  Shape sizes;
  for (int64_t start = 0; start < n; start += size) sizes.push_back(std::min(size, n - start));
  if (sizes.empty()) sizes.push_back(0);
  return sizes;
}

}  // namespace

static std::vector<Tensor> split(const Tensor& x, const Shape& split_size_or_sections,
                                 int64_t dim) {
  // x [..., n, ...] -> parts [..., n_i, ...]; one size stands for all parts
  const int64_t axis = axis_to_cut("split", x, dim);
  Shape sizes = split_size_or_sections;
  if (std::any_of(sizes.begin(), sizes.end(), [](int64_t n) { return n < 0; }))
    fail<ValueError>("[split] sizes must not be negative, but got ", sizes);
  const int64_t n = x.size(axis);
  if (sizes.size() == 1) {
    if (sizes[0] == 0 && n > 0)
      fail<ValueError>("[split] the size of parts must be positive, but got 0");
    sizes = even_parts(n, std::max<int64_t>(sizes[0], 1));
  }
  // Subtracting cannot overflow where adding up may.
  int64_t left = n;
  for (int64_t size : sizes) left = size <= left ? left - size : -1;
  if (left != 0)
    fail<ShapeError>("[split] sizes must add up to ", n, " along dim ", axis, ", but got ", sizes);
  return cut("split", x, axis, sizes);
}
GU_OP(split, "x, split_size_or_sections, dim=0")

static std::vector<Tensor> chunk(const Tensor& x, int64_t chunks, int64_t dim) {
  // x [..., n, ...] -> at most `chunks` parts of ceil(n / chunks), the last one smaller
  const int64_t axis = axis_to_cut("chunk", x, dim);
  if (chunks < 1) fail<ValueError>("[chunk] chunks must be at least 1, but got ", chunks);
  const int64_t n = x.size(axis), size = n / chunks + (n % chunks != 0);
  return cut("chunk", x, axis, even_parts(n, std::max<int64_t>(size, 1)));
}
GU_OP(chunk, "x, chunks, dim=0")

static std::vector<Tensor> unbind(const Tensor& x, int64_t dim) {
  // x [..., n, ...] -> n tensors without the axis
  const int64_t axis = axis_to_cut("unbind", x, dim);
  Shape shape = x.shape();
  shape.erase(shape.begin() + axis);
  const auto n = static_cast<size_t>(x.size(axis));
  return cut("unbind", x, axis, Shape(n, 1), std::vector<Shape>(n, shape));
}
GU_OP(unbind, "x, dim=0")

}  // namespace gu::ops
