// tril and triu: the lower and the upper triangle of matrices, zeros elsewhere.

#include "autograd/tape.hpp"
#include "core/registry.hpp"
#include "core/threads.hpp"

namespace gu::ops {

namespace {

// Keeps columns [0, r + diagonal] of row r, or the others and column r + diagonal.
Tensor triangle(const char* op, const Tensor& x, int64_t diagonal, bool lower) {
  // x: [..., R, C]
  if (x.dim() < 2)
    fail<ShapeError>("[", op, "] x must have at least 2 axes, but got shape ", x.shape());
  const int64_t R = x.size(-2), C = x.size(-1);
  Tensor y = Tensor::zeros(x.shape(), x.dtype());
  with_any(x.dtype(), op, [&](auto zero) {
    using T = decltype(zero);
    const T* in = x.data<T>();
    T* out = y.data<T>();
    const int64_t rows = C > 0 ? x.size() / C : 0;
    parallel_for(rows, std::max<int64_t>(1, (1 << 15) / std::max<int64_t>(C, 1)),
                 [=](int64_t begin, int64_t end) {
                   for (int64_t i = begin; i < end; ++i) {
                     // Clamped first: the sum with a huge diagonal would overflow.
                     const int64_t d = std::clamp(diagonal, -R, C);
                     const int64_t at = std::clamp<int64_t>(i % R + d + (lower ? 1 : 0), 0, C);
                     const int64_t first = lower ? 0 : at, last = lower ? at : C;
                     std::copy(in + i * C + first, in + i * C + last, out + i * C + first);
                   }
                 });
  });
  return y;
}

Tensor record_triangle(const char* op, const Tensor& x, int64_t diagonal, bool lower) {
  return record(op, triangle(op, x, diagonal, lower), {x}, [=](const Tensor& dy, const Needs&) {
    return Grads{triangle(op, dy, diagonal, lower)};
  });
}

}  // namespace

static Tensor tril(const Tensor& x, int64_t diagonal) {
  return record_triangle("tril", x, diagonal, true);
}
GU_OP(tril, "x, diagonal=0")

static Tensor triu(const Tensor& x, int64_t diagonal) {
  return record_triangle("triu", x, diagonal, false);
}
GU_OP(triu, "x, diagonal=0")

}  // namespace gu::ops
