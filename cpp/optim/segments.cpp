#include "optim/segments.hpp"

#include "kernels/scratch.hpp"
#include "optim/for_segments.hpp"

namespace gu::optim {

using kernels::Vec;

namespace {

// sum of squares of a block, each lane in double precision
double block_squares(const double* x, int64_t n) { return kernels::dot(x, x, n); }

double block_squares(const float* x, int64_t n) {
  double sum[8] = {};
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    for (int64_t j = 0; j < 8; ++j) sum[j] += static_cast<double>(x[i + j]) * x[i + j];
  }
  for (; i < n; ++i) sum[i % 8] += static_cast<double>(x[i]) * x[i];
  return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

}  // namespace

template <class T>
double squared_norm(const std::vector<Segment<T>>& segments) {
  // Blocks are cut from each segment alone; their sums are added in order, whoever computed them.
  constexpr int64_t block = 4096;
  std::vector<int64_t> first(segments.size() + 1, 0);  // block of each segment
  for (std::size_t i = 0; i < segments.size(); ++i) {
    first[i + 1] = first[i] + kernels::ceil_div(segments[i].n, block);
  }
  const int64_t blocks = first.back();
  const kernels::Scratch<double> partial(blocks);
  parallel_for(
      blocks, kernels::row_grain(block), [&, sums = partial.data()](int64_t begin, int64_t end) {
        std::size_t i = std::upper_bound(first.begin(), first.end(), begin) - first.begin() - 1;
        for (int64_t b = begin; b < end; ++b) {
          while (b >= first[i + 1]) ++i;
          const int64_t from = (b - first[i]) * block;
          sums[b] = block_squares(segments[i].grad + from, std::min(block, segments[i].n - from));
        }
      });
  return kernels::sum(partial.data(), blocks);
}

template <class T>
void scale(const std::vector<Span<T>>& spans, T factor) {
  for_segments(spans, [=](const Span<T>& s, int64_t begin, int64_t end) {
    const auto times = [=](Vec<T> g) { return g * factor; };
    kernels::map(end - begin, s.data + begin, times, s.data + begin);
  });
}

template double squared_norm(const std::vector<Segment<float>>&);
template double squared_norm(const std::vector<Segment<double>>&);
template void scale(const std::vector<Span<float>>&, float);
template void scale(const std::vector<Span<double>>&, double);

}  // namespace gu::optim
