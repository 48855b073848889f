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
  // Changes p, m and v up to the division, which amsgrad does by another v.
  const auto moments = [=](Vec<T>& p, Vec<T> grad, Vec<T>& m, Vec<T>& v) {
    p *= shrink;
    const Vec<T> g = sign * grad + decay * p;
    m += take1 * (g - m);
    v = beta2 * v + take2 * g * g;
  };
  const auto moved = [=](Vec<T> p, Vec<T> m, Vec<T> bound) {
    return p - rate * m / (xsimd::sqrt(bound) * inverse_root + eps);
  };
  for_segments(segments, [=](const Segment<T>& s, int64_t begin, int64_t end) {
    T* param = s.param + begin;
    const T* grad = s.grad + begin;
    T* first = s.state1 + begin;
    T* second = s.state2 + begin;
    T* largest = amsgrad ? s.state3 + begin : nullptr;
    int64_t i = 0;
    // Large models are bound by memory, which likes several lines of one array in a row.
    constexpr int64_t U = 4, W = kernels::lanes<T>;
    for (; !amsgrad && i + U * W <= end - begin; i += U * W) {
      Vec<T> p[U], g[U], m[U], v[U];
      for (int64_t u = 0; u < U; ++u) p[u] = kernels::load(param + i + u * W);
      for (int64_t u = 0; u < U; ++u) g[u] = kernels::load(grad + i + u * W);
      for (int64_t u = 0; u < U; ++u) m[u] = kernels::load(first + i + u * W);
      for (int64_t u = 0; u < U; ++u) v[u] = kernels::load(second + i + u * W);
      for (int64_t u = 0; u < U; ++u) {
        moments(p[u], g[u], m[u], v[u]);
        p[u] = moved(p[u], m[u], v[u]);
      }
      for (int64_t u = 0; u < U; ++u) kernels::store(param + i + u * W, p[u]);
      for (int64_t u = 0; u < U; ++u) kernels::store(first + i + u * W, m[u]);
      for (int64_t u = 0; u < U; ++u) kernels::store(second + i + u * W, v[u]);
    }
    param += i, grad += i, first += i, second += i;
    if (amsgrad) largest += i;
    each_vec<T>(end - begin - i, [=](int64_t k, auto lane) {
      Vec<T> p = lane.load(param + k), m = lane.load(first + k), v = lane.load(second + k);
      moments(p, lane.load(grad + k), m, v);
      lane.store(first + k, m);
      lane.store(second + k, v);
      Vec<T> bound = v;
      if (amsgrad) {
        bound = kernels::nan_max(lane.load(largest + k), v);
        lane.store(largest + k, bound);
      }
      lane.store(param + k, moved(p, m, bound));
    });
  });
}

template void adam_step(const std::vector<Segment<float>>&, const AdamOptions&, int64_t);
template void adam_step(const std::vector<Segment<double>>&, const AdamOptions&, int64_t);

}  // namespace gu::optim
