// concat and stack: several tensors behind one another, along an axis they have or a new one.

#include <string>

#include "autograd/tape.hpp"
#include "core/registry.hpp"
#include "ops/cast.hpp"
#include "ops/join.hpp"

namespace gu::ops {

namespace {

// The tensors in the latest of their dtypes.
std::vector<Tensor> alike(const char* op, const std::vector<Tensor>& tensors) {
  if (tensors.empty()) fail<ValueError>("[", op, "] at least one tensor must be given");
  DType dtype = tensors[0].dtype();
  for (const Tensor& t : tensors) dtype = std::max(dtype, t.dtype());
  std::vector<Tensor> out;
  for (const Tensor& t : tensors) out.push_back(to_dtype(t, dtype));
  return out;
}

// Records y, whose slices along `axis` are `parts` as [..., n_i, ...]. Gradients get the shape of
// their part, without the axis if the parts do not have it.
Tensor record_joined(const char* op, const Tensor& y, const std::vector<Tensor>& inputs,
                     const std::vector<int64_t>& sizes, int64_t axis) {
  std::vector<Shape> shapes;
  for (const Tensor& t : inputs) shapes.push_back(t.shape());
  return record(op, y, inputs, [=](const Tensor& dy, const Needs& needs) {
    Grads grads(shapes.size());
    int64_t start = 0;
    for (size_t i = 0; i < grads.size(); ++i) {
      if (needs[i]) grads[i] = part_of(dy, axis, start, sizes[i]).alias(shapes[i]);
      start += sizes[i];
    }
    return grads;
  });
}

}  // namespace

static Tensor concat(const std::vector<Tensor>& tensors, int64_t dim) {
  // tensors [..., n_i, ...] -> y [..., sum n_i, ...]
  const std::vector<Tensor> parts = alike("concat", tensors);
  const Shape& first = parts[0].shape();
  if (first.empty()) fail<ShapeError>("[concat] 0-d tensors have no axis to join along; use stack");
  const int64_t axis = resolve_axis("concat", dim, parts[0].dim());
  std::vector<int64_t> sizes;
  for (const Tensor& t : parts) {
    Shape expected = first;
    if (t.dim() == parts[0].dim()) expected[axis] = t.size(axis);
    if (t.shape() != expected)
      fail<ShapeError>("[concat] shapes must agree but along dim ", axis, ", but got ", first,
                       " and ", t.shape());
    sizes.push_back(t.size(axis));
  }
  return record_joined("concat", joined(parts, axis), parts, sizes, axis);
}
GU_OP(concat, "tensors, dim=0")

static Tensor stack(const std::vector<Tensor>& tensors, int64_t dim) {
  // n tensors [...] -> y [..., n, ...]
  const std::vector<Tensor> inputs = alike("stack", tensors);
  Shape shape = inputs[0].shape();
  const int64_t axis = resolve_axis("stack", dim, inputs[0].dim() + 1);
  shape.insert(shape.begin() + axis, 1);
  std::vector<Tensor> parts;
  for (const Tensor& t : inputs) {
    if (t.shape() != inputs[0].shape())
      fail<ShapeError>("[stack] shapes must agree, but got ", inputs[0].shape(), " and ",
                       t.shape());
    parts.push_back(t.alias(shape));
  }
  return record_joined("stack", joined(parts, axis), inputs, std::vector<int64_t>(parts.size(), 1),
                       axis);
}
GU_OP(stack, "tensors, dim=0")

}  // namespace gu::ops
