// Adam and AdamW: steps scaled by running estimates of the gradient's first two moments.
#pragma once

#include "optim/segments.hpp"

namespace gu::optim {

struct AdamOptions {
  double lr = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0.0;
  bool decoupled = false;  // AdamW: decay shrinks the parameter and stays out of the moments
  bool amsgrad = false;    // divide by the largest second moment so far
  bool maximize = false;
};

// Adam:  g = grad + weight_decay * param;   AdamW:  param *= 1 - lr * weight_decay, g = grad
// m = beta1 m + (1 - beta1) g,  v = beta2 v + (1 - beta2) g^2
// param -= lr / (1 - beta1^step) * m / (sqrt(v) / sqrt(1 - beta2^step) + eps)
template <class T>
void adam_step(const std::vector<Segment<T>>& segments, const AdamOptions& options, int64_t step);
// state1: m;  state2: v;  state3: the largest v (only with amsgrad);  step counts from 1

}  // namespace gu::optim
