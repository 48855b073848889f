#include "kernels/embedding.hpp"

#include "kernels/simd.hpp"

namespace gu::kernels {

template <class T>
void gather_rows(const T* table, const int64_t* index, T* out, int64_t n, int64_t C) {
  // table: [V, C];  index: [n];  out: [n, C]
  parallel_for(n, row_grain(C), [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) std::copy_n(table + index[i] * C, C, out + i * C);
  });
}

template <class T>
void scatter_add_rows(const T* dout, const int64_t* index, T* dtable, int64_t n, int64_t C,
                      int64_t skip) {
  // dout: [n, C];  index: [n];  dtable: [V, C]
  // Split by column: two threads never meet in one element, however often an index repeats.
  constexpr int64_t strip = 2 * lanes<T>;
  const int64_t grain = std::max<int64_t>(1, row_grain(strip * n));
  parallel_for(ceil_div(C, strip), grain, [=](int64_t first, int64_t last) {
    const auto add = [](Vec<T> a, Vec<T> b) { return a + b; };
    const int64_t begin = first * strip, width = std::min(C, last * strip) - begin;
    for (int64_t i = 0; i < n; ++i) {
      if (index[i] == skip) continue;
      T* const row = dtable + index[i] * C + begin;
      map(width, row, add, row, dout + i * C + begin);
    }
  });
}

#define GU_INSTANTIATE(T)                                                    \
  template void gather_rows(const T*, const int64_t*, T*, int64_t, int64_t); \
  template void scatter_add_rows(const T*, const int64_t*, T*, int64_t, int64_t, int64_t);
GU_INSTANTIATE(float)
GU_INSTANTIATE(double)
#undef GU_INSTANTIATE

}  // namespace gu::kernels
