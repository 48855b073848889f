#pragma once
// Conversion between element types, as other ops use it.

#include "core/tensor.hpp"

namespace gu::ops {

// x in another dtype, recorded on the tape; x itself where it has that dtype.
Tensor to_dtype(const Tensor& x, DType dtype);

// The same without the tape, always into new memory.
Tensor converted(const Tensor& x, DType dtype);

}  // namespace gu::ops
