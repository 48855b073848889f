#include "kernels/strided.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "core/threads.hpp"
#include "kernels/tile.hpp"

namespace gu::kernels {

namespace {

struct Axis {
  int64_t size, src, dst;  // strides in elements
};

// Axes of size 1 left out, the rest ordered from the largest step in dst to the smallest, and
// neighbours that both sides walk as one merged into one.
std::vector<Axis> merged_axes(const std::vector<int64_t>& sizes, const std::vector<int64_t>& src,
                              const std::vector<int64_t>& dst) {
  std::vector<Axis> axes;
  for (size_t d = 0; d < sizes.size(); ++d)
    if (sizes[d] != 1) axes.push_back({sizes[d], src[d], dst[d]});
  std::stable_sort(axes.begin(), axes.end(),
                   [](const Axis& a, const Axis& b) { return std::abs(a.dst) > std::abs(b.dst); });
  std::vector<Axis> merged;
  for (const Axis& axis : axes) {
    if (!merged.empty()) {
      Axis& last = merged.back();
      if (last.src == axis.src * axis.size && last.dst == axis.dst * axis.size) {
        last = {last.size * axis.size, axis.src, axis.dst};
        continue;
      }
    }
    merged.push_back(axis);
  }
  if (merged.empty()) merged.push_back({1, 1, 1});
  return merged;
}

// A block of a matrix is transposed while it is in the cache. Its rows are one cache line of
// floats: where rows lie a power of two apart, all lines of a block compete for the same few
// places, and with longer rows they are thrown out before they were used up.
constexpr int64_t block = 16;
// A long run is cut into pieces of this many elements, so that threads can share it.
constexpr int64_t piece = 1 << 15;

template <class T>
void copy_run(int64_t n, const T* src, int64_t src_stride, T* dst, int64_t dst_stride) {
  if (dst_stride == 1 && src_stride == 1) {
    std::memcpy(dst, src, static_cast<size_t>(n) * sizeof(T));
  } else if (dst_stride == 1 && src_stride == 0) {
    std::fill_n(dst, n, *src);
  } else if (dst_stride == 1 && src_stride == -1) {
    std::reverse_copy(src - (n - 1), src + 1, dst);
  } else {
    for (int64_t i = 0; i < n; ++i) dst[i * dst_stride] = src[i * src_stride];
  }
}

// Walks the outer axes [begin, end) of their linear index; body(src, dst) at each.
template <class T, class F>
void each_outer(const std::vector<Axis>& outer, int64_t begin, int64_t end, const T* src, T* dst,
                F body) {
  std::vector<int64_t> index(outer.size());
  int64_t rest = begin;
  for (size_t d = outer.size(); d-- > 0;) {
    index[d] = rest % outer[d].size;
    rest /= outer[d].size;
    src += index[d] * outer[d].src;
    dst += index[d] * outer[d].dst;
  }
  for (int64_t o = begin; o < end; ++o) {
    body(src, dst);
    for (size_t d = outer.size(); d-- > 0;) {
      src += outer[d].src;
      dst += outer[d].dst;
      if (++index[d] < outer[d].size) break;
      src -= outer[d].size * outer[d].src;
      dst -= outer[d].size * outer[d].dst;
      index[d] = 0;
    }
  }
}

int64_t product(const std::vector<Axis>& axes) {
  int64_t n = 1;
  for (const Axis& axis : axes) n *= axis.size;
  return n;
}

template <class T>
void copy(std::vector<Axis> axes, const T* src, T* dst) {
  const Axis inner = axes.back();
  axes.pop_back();
  // The axis along which src is contiguous, where it is not the inner one.
  auto fast = std::find_if(axes.begin(), axes.end(), [](const Axis& a) { return a.src == 1; });
  if (inner.dst == 1 && inner.src != 1 && inner.src != 0 && fast != axes.end()) {
    const Axis row = *fast;
    axes.erase(fast);
    const int64_t strips = (row.size + block - 1) / block, outer = product(axes);
    const int64_t grain = std::max<int64_t>(1, piece / (block * inner.size));
    parallel_for(outer * strips, grain, [&](int64_t begin, int64_t end) {
      // Each outer index has `strips` strips of rows; a part may begin and end within one.
      const int64_t first = begin / strips, last = (end + strips - 1) / strips;
      int64_t at = first * strips;
      each_outer(axes, first, last, src, dst, [&](const T* from, T* to) {
        const int64_t low = std::max(begin, at) - at, high = std::min(end, at + strips) - at;
        for (int64_t s = low; s < high; ++s) {
          const int64_t i = s * block, rows = std::min(block, row.size - i);
          for (int64_t j = 0; j < inner.size; j += block)
            transpose_block(from + j * inner.src + i, inner.src, std::min(block, inner.size - j),
                            rows, to + i * row.dst + j, row.dst);
        }
        at += strips;
      });
    });
    return;
  }
  Axis run = inner;
  if (run.size > piece) {  // pieces become an outer axis; the last may be shorter
    const int64_t pieces = run.size / piece, rest = run.size % piece;
    if (rest > 0) {
      std::vector<Axis> end = axes;
      end.push_back({rest, run.src, run.dst});
      copy(end, src + pieces * piece * run.src, dst + pieces * piece * run.dst);
    }
    axes.push_back({pieces, piece * run.src, piece * run.dst});
    run.size = piece;
  }
  parallel_for(
      product(axes), std::max<int64_t>(1, piece / run.size), [&](int64_t begin, int64_t end) {
        each_outer(axes, begin, end, src, dst,
                   [&](const T* from, T* to) { copy_run(run.size, from, run.src, to, run.dst); });
      });
}

}  // namespace

void strided_copy(const std::vector<int64_t>& sizes, const void* src,
                  const std::vector<int64_t>& src_strides, void* dst,
                  const std::vector<int64_t>& dst_strides, int64_t itemsize) {
  if (std::find(sizes.begin(), sizes.end(), 0) != sizes.end()) return;
  const std::vector<Axis> axes = merged_axes(sizes, src_strides, dst_strides);
  const auto run = [&](auto zero) {
    using T = decltype(zero);
    copy(axes, static_cast<const T*>(src), static_cast<T*>(dst));
  };
  // Nothing is computed with the elements, so any type of their size will do.
  if (itemsize == 1) run(uint8_t{});
  if (itemsize == 2) run(uint16_t{});
  if (itemsize == 4) run(uint32_t{});
  if (itemsize == 8) run(uint64_t{});
}

std::vector<int64_t> contiguous_strides(const std::vector<int64_t>& sizes) {
  std::vector<int64_t> strides(sizes.size(), 1);
  for (size_t d = sizes.size(); d-- > 1;) strides[d - 1] = strides[d] * sizes[d];
  return strides;
}

}  // namespace gu::kernels
