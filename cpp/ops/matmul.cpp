// matmul: matrix products over all leading axes, which broadcast.
//   y[..., i, j] = sum_p x[..., i, p] other[..., p, j]
//
// Nothing is transposed in memory: forward and both gradients are products of x, other and dy as
// they lie, with layout flags. x [..., k] times one matrix is a single product over all rows of x.

#include <algorithm>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "autograd/tape.hpp"
#include "core/registry.hpp"
#include "kernels/gemm.hpp"
#include "ops/cast.hpp"

namespace gu::ops {

namespace {

// An operand as a stack of matrices [batch..., rows, columns] of which op() takes the transpose.
struct Matrices {
  Tensor tensor;
  bool transposed;

  int64_t rows() const { return tensor.size(transposed ? -1 : -2); }
  int64_t columns() const { return tensor.size(transposed ? -2 : -1); }
  int64_t ld() const { return std::max<int64_t>(tensor.size(-1), 1); }
  int64_t matrix_size() const { return tensor.size(-2) * tensor.size(-1); }
  Shape batch() const { return Shape(tensor.shape().begin(), tensor.shape().end() - 2); }
};

// The shape that two batch shapes broadcast to; nothing if they do not.
std::optional<Shape> common_batch(const Shape& a, const Shape& b) {
  const auto& [shorter, longer] = a.size() < b.size() ? std::tie(a, b) : std::tie(b, a);
  Shape out = longer;
  for (size_t i = 0; i < shorter.size(); ++i) {  // aligned at the last axis
    int64_t& size = out[out.size() - shorter.size() + i];
    if (size == 1)
      size = shorter[i];
    else if (shorter[i] != 1 && shorter[i] != size)
      return std::nullopt;
  }
  return out;
}

// One batch axis: how far each operand moves along it, in matrices.
struct BatchAxis {
  int64_t size, a, b, c;
};

// The batch axes of three stacks that broadcast, innermost first; axes that all of them walk evenly
// are merged.
std::vector<BatchAxis> batch_axes(const Shape& a, const Shape& b, const Shape& c) {
  std::vector<BatchAxis> axes;
  const size_t most = std::max({a.size(), b.size(), c.size()});
  int64_t step_a = 1, step_b = 1, step_c = 1;
  const auto next = [](const Shape& shape, size_t from_end, int64_t& step, int64_t& size) {
    const int64_t own = from_end < shape.size() ? shape[shape.size() - 1 - from_end] : 1;
    const int64_t stride = own == 1 ? 0 : step;
    if (own != 1) size = own;
    step *= own;
    return stride;
  };
  for (size_t i = 0; i < most; ++i) {
    BatchAxis axis{1, 0, 0, 0};
    axis.a = next(a, i, step_a, axis.size);
    axis.b = next(b, i, step_b, axis.size);
    axis.c = next(c, i, step_c, axis.size);
    if (axis.size == 1) continue;
    if (!axes.empty()) {
      BatchAxis& last = axes.back();
      if (axis.a == last.a * last.size && axis.b == last.b * last.size &&
          axis.c == last.c * last.size) {
        last.size *= axis.size;
        continue;
      }
    }
    axes.push_back(axis);
  }
  if (axes.empty()) axes.push_back({1, 0, 0, 0});
  return axes;
}

// c = op(a) op(b) for all matrices; where c stands still along a batch axis, products are summed.
template <class T>
void multiply(const Matrices& a, const Matrices& b, const Tensor& c) {
  // op(a) [..., m, k], op(b) [..., k, n] -> c [..., m, n]
  const int64_t m = c.size(-2), n = c.size(-1), k = a.columns(), ldc = std::max<int64_t>(n, 1);
  const auto axes = batch_axes(a.batch(), b.batch(), Shape(c.shape().begin(), c.shape().end() - 2));
  const BatchAxis inner = axes.front();
  int64_t outer = 1;
  bool sums = false;
  for (const BatchAxis& axis : axes) {
    outer *= axis.size;
    sums |= axis.c == 0 && axis.size != 1;
  }
  if (sums || outer == 0) std::fill_n(c.data<T>(), c.size(), T(0));
  if (outer == 0) return;
  outer /= inner.size;

  const T beta = sums ? T(1) : T(0);
  std::vector<int64_t> index(axes.size());
  for (int64_t o = 0; o < outer; ++o) {
    const T *a_o = a.tensor.data<T>(), *b_o = b.tensor.data<T>();
    T* c_o = c.data<T>();
    for (size_t d = 1; d < axes.size(); ++d) {
      a_o += index[d] * axes[d].a * a.matrix_size();
      b_o += index[d] * axes[d].b * b.matrix_size();
      c_o += index[d] * axes[d].c * m * n;
    }
    const int64_t stride_a = inner.a * a.matrix_size(), stride_b = inner.b * b.matrix_size();
    if (inner.c != 0 || inner.size == 1) {
      batched_gemm<T>(inner.size, a.transposed, b.transposed, m, n, k, T(1), a_o, a.ld(), stride_a,
                      b_o, b.ld(), stride_b, beta, c_o, ldc, inner.c * m * n);
    } else {
      for (int64_t i = 0; i < inner.size; ++i)
        gemm<T>(a.transposed, b.transposed, m, n, k, T(1), a_o + i * stride_a, a.ld(),
                b_o + i * stride_b, b.ld(), beta, c_o, ldc);
    }
    for (size_t d = 1; d < axes.size() && ++index[d] == axes[d].size; ++d) index[d] = 0;
  }
}

// The gradient for the matrices of one operand, summed where it was broadcast.
Tensor product_into(const Shape& shape, const Matrices& a, const Matrices& b) {
  Tensor c = Tensor::empty(shape, a.tensor.dtype());
  with_float(c.dtype(), "matmul", [&](auto zero) { multiply<decltype(zero)>(a, b, c); });
  return c;
}

std::string matmul_shapes(const Tensor& x, const Tensor& other, bool transpose_x,
                          bool transpose_other) {
  return str(x.shape()) + (transpose_x ? ".mT" : "") + " @ " + str(other.shape()) +
         (transpose_other ? ".mT" : "");
}

}  // namespace

static Tensor matmul(const Tensor& x, const Tensor& other, bool transpose_x, bool transpose_other) {
  // x [..., m, k], other [..., k, n] -> y [..., m, n]; a vector is a row on the left, a column on
  // the right
  if (x.dim() == 0 || other.dim() == 0)
    fail<ShapeError>("[matmul] x and other must have at least 1 axis, but got ",
                     matmul_shapes(x, other, transpose_x, transpose_other));
  if ((transpose_x && x.dim() == 1) || (transpose_other && other.dim() == 1))
    fail<ShapeError>("[matmul] what is transposed must have at least 2 axes, but got ",
                     matmul_shapes(x, other, transpose_x, transpose_other));
  for (const Tensor* t : {&x, &other})
    if (t->dtype() != DType::float32 && t->dtype() != DType::float64)
      fail<DTypeError>("[matmul] x and other must be float32 or float64, but got ", name(x.dtype()),
                       " and ", name(other.dtype()));
  const DType dtype = std::max(x.dtype(), other.dtype());
  const Tensor left = to_dtype(x, dtype), right = to_dtype(other, dtype);

  Matrices a{x.dim() == 1 ? left.alias({1, x.size()}) : left.alias(), transpose_x};
  Matrices b{other.dim() == 1 ? right.alias({other.size(), 1}) : right.alias(), transpose_other};
  if (a.columns() != b.rows())
    fail<ShapeError>("[matmul] inner sizes must agree, but got ",
                     matmul_shapes(x, other, transpose_x, transpose_other));
  const std::optional<Shape> batch = common_batch(a.batch(), b.batch());
  if (!batch)
    fail<ShapeError>("[matmul] batch axes must broadcast, but got ",
                     matmul_shapes(x, other, transpose_x, transpose_other));
  Shape shape = *batch;
  if (x.dim() > 1) shape.push_back(a.rows());
  if (other.dim() > 1) shape.push_back(b.columns());

  // Rows of all matrices of x times one matrix: a single large product.
  if (!a.transposed && count(b.batch()) == 1) {
    a.tensor = a.tensor.alias({count(a.batch()) * a.rows(), a.columns()});
    b.tensor = b.tensor.alias({b.tensor.size(-2), b.tensor.size(-1)});
  }
  Shape stacked = *common_batch(a.batch(), b.batch());
  stacked.push_back(a.rows());
  stacked.push_back(b.columns());
  Tensor y = product_into(stacked, a, b);

  // Each operand is saved for the gradient of the other one only.
  const Saved saved_a = autograd::requires_grad(right) ? Saved(a.tensor) : Saved();
  const Saved saved_b = autograd::requires_grad(left) ? Saved(b.tensor) : Saved();
  return record(
      "matmul", y.alias(shape), {left, right},
      [=, ta = transpose_x, tb = transpose_other, a_shape = a.tensor.shape(),
       b_shape = b.tensor.shape(), x_shape = x.shape(),
       other_shape = other.shape()](const Tensor& gradient, const Needs& needs) {
        // y = A B, so dA = dy B^T and dB = A^T dy; of a transposed operand the transposes of these
        Grads grads(2);
        const Matrices dy{gradient.alias(stacked), false}, dy_t{dy.tensor, true};
        if (needs[0]) {
          const Matrices B{saved_b.get(), tb}, B_t{saved_b.get(), !tb};
          grads[0] =
              (ta ? product_into(a_shape, B, dy_t) : product_into(a_shape, dy, B_t)).alias(x_shape);
        }
        if (needs[1]) {
          const Matrices A{saved_a.get(), ta}, A_t{saved_a.get(), !ta};
          grads[1] = (tb ? product_into(b_shape, dy_t, A) : product_into(b_shape, A_t, dy))
                         .alias(other_shape);
        }
        return grads;
      });
}
GU_OP(matmul, "x, other, transpose_x=False, transpose_other=False")

}  // namespace gu::ops
