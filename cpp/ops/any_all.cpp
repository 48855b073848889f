// any and all: whether some or every element is true, that is, not 0.

#include <cstring>

#include "core/registry.hpp"
#include "ops/cast.hpp"
#include "ops/reduction.hpp"

namespace gu::ops {

namespace {

// Folds bools by `or`, starting from false, or by `and`, starting from true.
Tensor fold_bools(const char* op, const Tensor& x, const Dims& dim, bool keepdim, bool every) {
  const Axes axes = resolve_dims(op, dim, x.dim());
  const Tensor truth = x.dtype() == DType::boolean ? x : converted(x, DType::boolean);
  const Tensor y =
      fold_axes(truth, axes, [&](const Tensor& part, int64_t outer, int64_t n, int64_t inner) {
        // part: [outer, n, inner]
        Tensor out = Tensor::empty({outer, inner}, DType::boolean);
        const bool* in = part.data<bool>();
        bool* total = out.data<bool>();
        if (inner == 1) {  // a row is decided by the first byte that differs from `every`
          for (int64_t o = 0; o < outer; ++o)
            total[o] = (std::memchr(in + o * n, every ? 0 : 1, n) == nullptr) == every;
          return out;
        }
        std::fill_n(total, out.size(), every);
        for (int64_t o = 0; o < outer; ++o)
          for (int64_t k = 0; k < n; ++k)
            for (int64_t i = 0; i < inner; ++i) {
              bool& t = total[o * inner + i];
              const bool v = in[(o * n + k) * inner + i];
              t = every ? t & v : t | v;
            }
        return out;
      });
  return y.alias(reduced_shape(x.shape(), axes, keepdim));
}

}  // namespace

static Tensor any(const Tensor& x, const Dims& dim, bool keepdim) {
  return fold_bools("any", x, dim, keepdim, false);
}
GU_OP(any, "x, dim=None, keepdim=False")

static Tensor all(const Tensor& x, const Dims& dim, bool keepdim) {
  return fold_bools("all", x, dim, keepdim, true);
}
GU_OP(all, "x, dim=None, keepdim=False")

}  // namespace gu::ops
