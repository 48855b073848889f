#pragma once
// Parts of a tensor along one axis, taken and put together; without the tape.

#include <vector>

#include "core/tensor.hpp"

namespace gu::ops {

// x[..., start : start + size, ...], a copy.
Tensor part_of(const Tensor& x, int64_t axis, int64_t start, int64_t size);

// The parts behind one another along `axis`; at least one, all alike otherwise.
Tensor joined(const std::vector<Tensor>& parts, int64_t axis);

}  // namespace gu::ops
