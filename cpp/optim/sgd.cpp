#include "optim/sgd.hpp"

#include "optim/for_segments.hpp"

namespace gu::optim {

using kernels::each_vec;
using kernels::Vec;

template <class T>
void sgd_step(const std::vector<Segment<T>>& segments, const SgdOptions& options, bool first_step) {
  const T lr = T(options.lr), momentum = T(options.momentum), decay = T(options.weight_decay);
  // The first buffer is the gradient itself, undampened.
  const T keep = first_step ? T(0) : momentum;
  const T take = first_step ? T(1) : T(1.0 - options.dampening);
  const T sign = options.maximize ? T(-1) : T(1);
  const bool nesterov = options.nesterov;
  for_segments(segments, [=](const Segment<T>& s, int64_t begin, int64_t end) {
    T* const param = s.param + begin;
    const T* const grad = s.grad + begin;
    if (momentum == T(0)) {
      each_vec<T>(end - begin, [=](int64_t i, auto lane) {
        const Vec<T> p = lane.load(param + i);
        lane.store(param + i, p - lr * (sign * lane.load(grad + i) + decay * p));
      });
      return;
    }
    T* const buffer = s.state1 + begin;
    each_vec<T>(end - begin, [=](int64_t i, auto lane) {
      const Vec<T> p = lane.load(param + i);
      const Vec<T> g = sign * lane.load(grad + i) + decay * p;
      const Vec<T> old = first_step ? Vec<T>(T(0)) : lane.load(buffer + i);
      const Vec<T> buf = keep * old + take * g;
      lane.store(buffer + i, buf);
      lane.store(param + i, p - lr * (nesterov ? g + momentum * buf : buf));
    });
  });
}

template void sgd_step(const std::vector<Segment<float>>&, const SgdOptions&, bool);
template void sgd_step(const std::vector<Segment<double>>&, const SgdOptions&, bool);

}  // namespace gu::optim
