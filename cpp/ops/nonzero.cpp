// nonzero: where a tensor is not zero. one_hot: ids as rows that are zero but for a single one.

#include <algorithm>
#include <limits>

#include "core/registry.hpp"
#include "ops/indices.hpp"

namespace gu::ops {

static Tensor nonzero(const Tensor& x) {
  // x [...] with d axes -> y [n, d] int64, in the order of memory
  return with_any(x.dtype(), "nonzero", [&](auto zero) {
    using T = decltype(zero);
    const T* in = x.data<T>();
    const int64_t n = x.size() - std::count(in, in + x.size(), T(0)), d = x.dim();
    Tensor y = Tensor::empty({n, d}, DType::int64);
    int64_t* out = y.data<int64_t>();
    if (d == 0) return y;
    for (int64_t i = 0; i < x.size(); ++i) {
      if (in[i] == T(0)) continue;
      int64_t rest = i;
      for (int64_t axis = d; axis-- > 0; rest /= x.size(axis)) out[axis] = rest % x.size(axis);
      out += d;
    }
    return y;
  });
}
GU_OP(nonzero, "x")

static Tensor one_hot(const Tensor& x, int64_t num_classes) {
  // x [...] int64 -> y [..., C] int64; -1 classes: one more than the largest id
  if (x.dtype() != DType::int64)
    fail<DTypeError>("[one_hot] x must be int64, but got ", name(x.dtype()));
  int64_t C = num_classes;
  const int64_t* ids = x.data<int64_t>();
  if (C == -1) {
    if (x.size() == 0) fail<ValueError>("[one_hot] num_classes must be given where x is empty");
    C = *std::max_element(ids, ids + x.size());
    C = std::max<int64_t>(C, 0);  // a negative id fails below
    if (C < std::numeric_limits<int64_t>::max()) ++C;
  }
  if (C < 1) fail<ValueError>("[one_hot] num_classes must be positive or -1, but got ", C);
  check_indices("one_hot", "x", x, C);
  Shape shape = x.shape();
  shape.push_back(C);
  Tensor y = Tensor::zeros(shape, DType::int64);
  for (int64_t i = 0; i < x.size(); ++i) y.data<int64_t>()[i * C + ids[i]] = 1;
  return y;
}
GU_OP(one_hot, "x, num_classes=-1")

}  // namespace gu::ops
