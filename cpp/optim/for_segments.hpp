// The loop that the optimizers share: one split of the threads over segments laid end to end.
#pragma once

#include <algorithm>
#include <vector>

#include "kernels/simd.hpp"
#include "optim/segments.hpp"

namespace gu::optim {

// body(segment, begin, end) for pieces [begin, end) of segments that together cover all of them
// once.
template <class S, class F>
void for_segments(const std::vector<S>& segments, F body) {
  std::vector<int64_t> start(segments.size() + 1, 0);  // of each segment, counted over all elements
  for (std::size_t i = 0; i < segments.size(); ++i) start[i + 1] = start[i] + segments[i].n;
  parallel_for(start.back(), kernels::elementwise_grain, [&](int64_t begin, int64_t end) {
    std::size_t i = std::upper_bound(start.begin(), start.end(), begin) - start.begin() - 1;
    for (; i < segments.size() && start[i] < end; ++i) {
      const int64_t from = std::max(begin, start[i]) - start[i];
      const int64_t to = std::min(end, start[i + 1]) - start[i];
      if (from < to) body(segments[i], from, to);
    }
  });
}

}  // namespace gu::optim
