// dropout: in training, each element is zeroed with probability p and the others grow to make up.
//   y = x * keep / (1 - p), keep 1 with probability 1 - p and else 0

#include "autograd/tape.hpp"
#include "core/registry.hpp"
#include "core/rng.hpp"
#include "core/threads.hpp"

namespace gu::ops {

namespace {

// y = x where keep is 1, times scale; 0 elsewhere, even where x is infinite.
Tensor dropout_apply(const Tensor& x, const Tensor& keep, double p) {
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  const uint8_t* kept = reinterpret_cast<const uint8_t*>(keep.bytes());
  with_float(x.dtype(), "dropout", [&](auto zero) {
    using T = decltype(zero);
    const T scale = static_cast<T>(1 / (1 - p));
    parallel_for(x.size(), 1 << 14, [=, in = x.data<T>(), out = y.data<T>()](int64_t i, int64_t n) {
      for (; i < n; ++i) out[i] = kept[i] ? in[i] * scale : T(0);
    });
  });
  return y;
}

}  // namespace

static Tensor dropout(const Tensor& x, double p, bool training) {
  // x [...] -> y [...]
  if (!(p >= 0 && p <= 1)) fail<ValueError>("[dropout] p must be in 0 to 1, but got ", p);
  with_float(x.dtype(), "dropout", [](auto) {});
  if (!training || p == 0)
    return record("dropout", x.alias(), {x},
                  [](const Tensor& dy, const Needs&) { return Grads{dy}; });
  // A byte an element is kept: drawing again in backward would cost more than reading it.
  Tensor keep = Tensor::empty(x.shape(), DType::boolean);
  const RandomState s = default_generator().advance(blocks_for_bernoulli(x.size()));
  fill_bernoulli(reinterpret_cast<uint8_t*>(keep.bytes()), x.size(), 1 - p, s.seed, s.counter);
  return record(
      "dropout", dropout_apply(x, keep, p), {x},
      [keep, p](const Tensor& dy, const Needs&) { return Grads{dropout_apply(dy, keep, p)}; });
}
GU_OP(dropout, "x, p=0.5, training=True")

}  // namespace gu::ops
