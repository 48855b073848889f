// Averages of weights over the course of training (EMA, SWA).
#pragma once

#include "optim/segments.hpp"

namespace gu::optim {

// param += weight * (grad - param), where param is the average and grad the weights of now
template <class T>
void average_step(const std::vector<Segment<T>>& segments, double weight);

}  // namespace gu::optim
