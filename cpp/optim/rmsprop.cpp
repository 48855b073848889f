#include "optim/rmsprop.hpp"

#include "optim/for_segments.hpp"

namespace gu::optim {

using kernels::each_vec;
using kernels::Vec;

template <class T>
void rmsprop_step(const std::vector<Segment<T>>& segments, const RmspropOptions& options) {
  const T lr = T(options.lr), alpha = T(options.alpha), take = T(1.0 - options.alpha);
  const T eps = T(options.eps), decay = T(options.weight_decay), momentum = T(options.momentum);
  const T sign = options.maximize ? T(-1) : T(1);
  const bool centered = options.centered;
  for_segments(segments, [=](const Segment<T>& s, int64_t begin, int64_t end) {
    T* const param = s.param + begin;
    const T* const grad = s.grad + begin;
    T* const square = s.state1 + begin;
    T* const buffer = momentum > T(0) ? s.state2 + begin : nullptr;
    T* const mean = centered ? s.state3 + begin : nullptr;
    each_vec<T>(end - begin, [=](int64_t i, auto lane) {
      const Vec<T> p = lane.load(param + i);
      const Vec<T> g = sign * lane.load(grad + i) + decay * p;
      const Vec<T> v = alpha * lane.load(square + i) + take * g * g;
      lane.store(square + i, v);
      Vec<T> spread = v;
      if (centered) {
        const Vec<T> m0 = lane.load(mean + i);
        const Vec<T> m = m0 + take * (g - m0);
        lane.store(mean + i, m);
        spread = v - m * m;
      }
      Vec<T> direction = g / (xsimd::sqrt(spread) + eps);
      if (momentum > T(0)) {
        direction += momentum * lane.load(buffer + i);
        lane.store(buffer + i, direction);
      }
      lane.store(param + i, p - lr * direction);
    });
  });
}

template void rmsprop_step(const std::vector<Segment<float>>&, const RmspropOptions&);
template void rmsprop_step(const std::vector<Segment<double>>&, const RmspropOptions&);

}  // namespace gu::optim
