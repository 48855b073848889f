// Stochastic gradient descent, with momentum and Nesterov's variant.
#pragma once

#include "optim/segments.hpp"

namespace gu::optim {

struct SgdOptions {
  double lr;
  double momentum = 0.0;
  double dampening = 0.0;
  double weight_decay = 0.0;
  bool nesterov = false;
  bool maximize = false;  // climb: use -grad, here and in the other optimizers
};

// g = grad + weight_decay * param
// buf = g on the first step of a segment, else momentum * buf + (1 - dampening) * g
// param -= lr * (nesterov ? g + momentum * buf : buf), or lr * g without momentum
template <class T>
void sgd_step(const std::vector<Segment<T>>& segments, const SgdOptions& options, bool first_step);
// state1: buf (only with momentum)

}  // namespace gu::optim
