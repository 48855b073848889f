#include "optim/adagrad.hpp"

#include "optim/for_segments.hpp"

namespace gu::optim {

using kernels::each_vec;
using kernels::Vec;

template <class T>
void adagrad_step(const std::vector<Segment<T>>& segments, const AdagradOptions& options,
                  int64_t step) {
  const T rate = T(options.lr / (1.0 + static_cast<double>(step - 1) * options.lr_decay));
  const T decay = T(options.weight_decay), eps = T(options.eps);
  const T sign = options.maximize ? T(-1) : T(1);
  for_segments(segments, [=](const Segment<T>& s, int64_t begin, int64_t end) {
    T* const param = s.param + begin;
    const T* const grad = s.grad + begin;
    T* const total = s.state1 + begin;
    each_vec<T>(end - begin, [=](int64_t i, auto lane) {
      const Vec<T> p = lane.load(param + i);
      const Vec<T> g = sign * lane.load(grad + i) + decay * p;
      const Vec<T> t = lane.load(total + i) + g * g;
      lane.store(total + i, t);
      lane.store(param + i, p - rate * g / (xsimd::sqrt(t) + eps));
    });
  });
}

template void adagrad_step(const std::vector<Segment<float>>&, const AdagradOptions&, int64_t);
template void adagrad_step(const std::vector<Segment<double>>&, const AdagradOptions&, int64_t);

}  // namespace gu::optim
