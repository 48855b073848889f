// The norm of all gradients together, and its limits. Tensors may be float32 and float64, mixed.
#pragma once

#include <vector>

#include "core/tensor.hpp"

namespace gu::optim {

// (sum |g|^p)^(1/p) over all elements, in double precision; p = infinity gives max |g|. p > 0.
// Equal for any number of threads. Neither overflows nor underflows where the result does not.
double total_norm(const std::vector<Tensor>& grads, double p);

// g *= factor;  `op` is named where a gradient is read-only
void scale(const char* op, const std::vector<Tensor>& grads, double factor);

// g = min(max(g, -limit), limit); a NaN stays
void clamp(const char* op, const std::vector<Tensor>& grads, double limit);

}  // namespace gu::optim
