// Optimizer steps over flat memory: the parameters of a model as a list of segments.
//
// All segments of a step share one parallel loop over their total length, so a thousand small
// tensors cost one hand-off to the threads.
#pragma once

#include <cstdint>
#include <vector>

namespace gu::optim {

// A parameter, its gradient, and the optimizer's memory of it: n elements each.
template <class T>
struct Segment {
  T* param;
  const T* grad;
  T* state1;
  T* state2;
  int64_t n;
  T* state3 = nullptr;
};

}  // namespace gu::optim
