#pragma once
// Checks of integer tensors that say which elements to take: the loops after them trust them.

#include "core/tensor.hpp"

namespace gu::ops {

// Throws unless `index` is int64 and all of its values are in [0, n), or in [-n, n) if negative
// ones count from the end.
void check_indices(const char* op, const char* what, const Tensor& index, int64_t n,
                   bool from_end = false);

}  // namespace gu::ops
