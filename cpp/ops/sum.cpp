// sum and mean over any axes.

#include <numeric>

#include "autograd/tape.hpp"
#include "core/registry.hpp"
#include "kernels/reduce.hpp"
#include "ops/broadcast.hpp"
#include "ops/cast.hpp"
#include "ops/reduction.hpp"

namespace gu::ops {

Axes resolve_dims(const char* op, const Dims& dim, int64_t axes) {
  if (!dim || dim->empty()) return Axes(axes, true);
  Axes reduced(axes, false);
  for (int64_t d : *dim) {
    const int64_t axis = resolve_axis(op, d, axes);
    if (axes == 0) continue;
    if (reduced[axis]) fail<ValueError>("[", op, "] dim must name every axis once, but got ", *dim);
    reduced[axis] = true;
  }
  return reduced;
}

Shape reduced_shape(const Shape& shape, const Axes& axes, bool keepdim) {
  Shape out;
  for (size_t d = 0; d < shape.size(); ++d) {
    if (!axes[d])
      out.push_back(shape[d]);
    else if (keepdim)
      out.push_back(1);
  }
  return out;
}

int64_t reduced_count(const Shape& shape, const Axes& axes) {
  int64_t n = 1;
  for (size_t d = 0; d < shape.size(); ++d) n *= axes[d] ? shape[d] : 1;
  return n;
}

namespace {

void sum_integers(const int64_t* x, int64_t* out, int64_t outer, int64_t n, int64_t inner) {
  // x: [outer, n, inner];  out: [outer, inner];  unsigned, so that overflow wraps around
  const auto* in = reinterpret_cast<const uint64_t*>(x);
  auto* total = reinterpret_cast<uint64_t*>(out);
  if (inner == 1) {
    for (int64_t o = 0; o < outer; ++o)
      total[o] = std::accumulate(in + o * n, in + (o + 1) * n, uint64_t{0});
    return;
  }
  std::fill_n(total, outer * inner, uint64_t{0});
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t k = 0; k < n; ++k)
      for (int64_t i = 0; i < inner; ++i) total[o * inner + i] += in[(o * n + k) * inner + i];
}

}  // namespace

Tensor sum_over(const Tensor& x, const Axes& axes) {
  return fold_axes(x, axes, [](const Tensor& part, int64_t outer, int64_t n, int64_t inner) {
    Tensor out = Tensor::empty({outer, inner}, part.dtype());
    if (part.dtype() == DType::int64)
      sum_integers(part.data<int64_t>(), out.data<int64_t>(), outer, n, inner);
    else
      with_float(part.dtype(), "sum", [&](auto zero) {
        using T = decltype(zero);
        kernels::reduce_sum(part.data<T>(), out.data<T>(), outer, n, inner);
      });
    return out;
  });
}

static Tensor sum(const Tensor& x, const Dims& dim, bool keepdim) {
  const Axes axes = resolve_dims("sum", dim, x.dim());
  const Tensor terms = x.dtype() == DType::boolean ? to_dtype(x, DType::int64) : x;
  Tensor y = sum_over(terms, axes).alias(reduced_shape(x.shape(), axes, keepdim));
  return record("sum", y, {x}, [axes, shape = x.shape()](const Tensor& dy, const Needs&) {
    return Grads{expanded(with_kept_axes(dy, shape, axes), shape)};
  });
}
GU_OP(sum, "x, dim=None, keepdim=False")

static Tensor mean(const Tensor& x, const Dims& dim, bool keepdim) {
  const Axes axes = resolve_dims("mean", dim, x.dim());
  const auto n = static_cast<double>(reduced_count(x.shape(), axes));
  return with_float(x.dtype(), "mean", [&](auto zero) {
    using T = decltype(zero);
    const auto divide = [n](const Tensor& t) {
      Tensor out = Tensor::empty(t.shape(), t.dtype());
      broadcast_map<T>(
          t.shape(), out.data<T>(), [n = T(n)](T v) { return v / n; }, t);
      return out;
    };
    Tensor y = divide(sum_over(x, axes)).alias(reduced_shape(x.shape(), axes, keepdim));
    return record("mean", y, {x}, [=, shape = x.shape()](const Tensor& dy, const Needs&) {
      return Grads{expanded(with_kept_axes(divide(dy), shape, axes), shape)};
    });
  });
}
GU_OP(mean, "x, dim=None, keepdim=False")

}  // namespace gu::ops
