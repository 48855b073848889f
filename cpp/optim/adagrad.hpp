// Adagrad: a step that shrinks with the sum of all squared gradients so far.
#pragma once

#include "optim/segments.hpp"

namespace gu::optim {

struct AdagradOptions {
  double lr = 1e-2;
  double lr_decay = 0.0;
  double weight_decay = 0.0;
  double eps = 1e-10;
  bool maximize = false;
};

// g = grad + weight_decay * param,  total += g^2
// param -= lr / (1 + (step - 1) lr_decay) * g / (sqrt(total) + eps)
template <class T>
void adagrad_step(const std::vector<Segment<T>>& segments, const AdagradOptions& options,
                  int64_t step);
// state1: total;  step counts from 1

}  // namespace gu::optim
