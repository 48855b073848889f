// exp: y = e^x.

#include "autograd/tape.hpp"
#include "core/registry.hpp"

#include <xtensor/xmath.hpp>
#include <xtensor/xnoalias.hpp>

namespace gu::ops {

static Tensor exp(const Tensor& x) {
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  with_float(x.dtype(), "exp", [&](auto zero) {
    using T = decltype(zero);
    auto out = y.view<T>({y.size()});
    xt::noalias(out) = xt::exp(x.view<T>({x.size()}));
  });
  return record("exp", y, {x}, [y = Saved(y)](const Tensor& dy, const Needs&) {
    Tensor dx = Tensor::empty(dy.shape(), dy.dtype());
    with_float(dy.dtype(), "exp", [&](auto zero) {
      using T = decltype(zero);
      auto out = dx.view<T>({dy.size()});
      xt::noalias(out) = dy.view<T>({dy.size()}) * y.get().view<T>({dy.size()});
    });
    return Grads{dx};
  });
}
GU_OP(exp, "x")

}  // namespace gu::ops
