#include "optim/average.hpp"

#include "optim/for_segments.hpp"

namespace gu::optim {

using kernels::each_vec;
using kernels::Vec;

template <class T>
void average_step(const std::vector<Segment<T>>& segments, double weight) {
  const T w = T(weight);
  for_segments(segments, [=](const Segment<T>& s, int64_t begin, int64_t end) {
    T* const average = s.param + begin;
    const T* const now = s.grad + begin;
    each_vec<T>(end - begin, [=](int64_t i, auto lane) {
      const Vec<T> a = lane.load(average + i);
      lane.store(average + i, a + w * (lane.load(now + i) - a));
    });
  });
}

template void average_step(const std::vector<Segment<float>>&, double);
template void average_step(const std::vector<Segment<double>>&, double);

}  // namespace gu::optim
