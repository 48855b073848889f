// Copies between two layouts of the same elements: the loop of permute, slice, flip, concat, split,
// pad and expand.
#pragma once

#include <cstdint>
#include <vector>

namespace gu::kernels {

// dst[i · dst_strides] = src[i · src_strides] for every index i within `sizes`. Strides are in
// elements of `itemsize` bytes (1, 2, 4 or 8) and may be negative; a source stride of 0 repeats.
// No two indices may meet in one element of dst, and dst must not overlap src.
void strided_copy(const std::vector<int64_t>& sizes, const void* src,
                  const std::vector<int64_t>& src_strides, void* dst,
                  const std::vector<int64_t>& dst_strides, int64_t itemsize);

// The strides of a contiguous array.
std::vector<int64_t> contiguous_strides(const std::vector<int64_t>& sizes);

}  // namespace gu::kernels
