#include "optim/adam.hpp"

#include <cmath>

#include "optim/for_segments.hpp"

namespace gu::optim {

using kernels::each_vec;
using kernels::Vec;

template <class T>
void adam_step(const std::vector<Segment<T>>& segments, const AdamOptions& options, int64_t step) {
  // Scalars are computed in double: 1 - beta2^step loses digits in float.
  const double correction1 = 1.0 - std::pow(options.beta1, static_cast<double>(step));
  const double correction2 = 1.0 - std::pow(options.beta2, static_cast<double>(step));
  const T rate = T(options.lr / correction1);
  const T inverse_root = T(1.0 / std::sqrt(correction2));
  const T take1 = T(1.0 - options.beta1), beta2 = T(options.beta2), take2 = T(1.0 - options.beta2);
  const T eps = T(options.eps);
  const T shrink = options.decoupled ? T(1.0 - options.lr * options.weight_decay) : T(1);
  const T decay = options.decoupled ? T(0) : T(options.weight_decay);
  const T sign = options.maximize ? T(-1) : T(1);
  const bool amsgrad = options.amsgrad;
  for_segments(segments, [=](const Segment<T>& s, int64_t begin, int64_t end) {
    T* const param = s.param + begin;
    const T* const grad = s.grad + begin;
    T* const first = s.state1 + begin;
    T* const second = s.state2 + begin;
    T* const largest = amsgrad ? s.state3 + begin : nullptr;
    each_vec<T>(end - begin, [=](int64_t i, auto lane) {
      const Vec<T> p = lane.load(param + i) * shrink;
      const Vec<T> g = sign * lane.load(grad + i) + decay * p;
      const Vec<T> m0 = lane.load(first + i);
      const Vec<T> m = m0 + take1 * (g - m0);
      const Vec<T> v = beta2 * lane.load(second + i) + take2 * g * g;
      lane.store(first + i, m);
      lane.store(second + i, v);
      Vec<T> bound = v;
      if (amsgrad) {
        bound = kernels::nan_max(lane.load(largest + i), v);
        lane.store(largest + i, bound);
      }
      lane.store(param + i, p - rate * m / (xsimd::sqrt(bound) * inverse_root + eps));
    });
  });
}

template void adam_step(const std::vector<Segment<float>>&, const AdamOptions&, int64_t);
template void adam_step(const std::vector<Segment<double>>&, const AdamOptions&, int64_t);

}  // namespace gu::optim
