// RMSprop: the gradient divided by a running root mean square of itself.
#pragma once

#include "optim/segments.hpp"

namespace gu::optim {

struct RmspropOptions {
  double lr = 1e-2;
  double alpha = 0.99;
  double eps = 1e-8;
  double weight_decay = 0.0;
  double momentum = 0.0;
  bool maximize = false;
  bool centered = false;  // divide by the standard deviation: subtract the squared running mean
};

// g = grad + weight_decay * param
// v = alpha v + (1 - alpha) g^2,  mean = alpha mean + (1 - alpha) g
// direction = g / (sqrt(v [- mean^2]) + eps)
// param -= lr * direction, or buf = momentum * buf + direction, param -= lr * buf
template <class T>
void rmsprop_step(const std::vector<Segment<T>>& segments, const RmspropOptions& options);
// state1: v;  state2: buf (only with momentum);  state3: mean (only if centered)

}  // namespace gu::optim
