#include "kernels/rms_norm.hpp"

#include "kernels/row_blocks.hpp"

namespace gu::kernels {

template <class T>
void rms_norm(const T* x, const T* gamma, T eps, T* y, T* rstd, int64_t R, int64_t C) {
  // x, y: [R, C];  gamma: [C];  rstd: [R]
  parallel_for(R, row_grain(C), [=](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const T* in = x + r * C;
      const T s = T(1) / std::sqrt(dot(in, in, C) / static_cast<T>(C) + eps);
      each_vec<T>(C, [=, out = y + r * C](int64_t c, auto lane) {
        Vec<T> v = lane.load(in + c) * s;
        if (gamma) v *= lane.load(gamma + c);
        lane.store(out + c, v);
      });
      rstd[r] = s;
    }
  });
}

template <class T>
void rms_norm_backward(const T* x, const T* gamma, const T* rstd, const T* dy, T* dx, T* dgamma,
                       int64_t R, int64_t C) {
  // x, dy, dx: [R, C];  gamma, dgamma: [C];  rstd: [R]
  // y = xhat * gamma, xhat = x * rstd. With dxhat = dy * gamma,
  // dx = rstd * (dxhat - xhat * mean(dxhat * xhat)).
  const RowBlocks blocks(R);
  const Scratch<T> partial(dgamma ? blocks.count * C : 0);
  T* const sums = partial.data();
  each_row_block(blocks, C, [=](int64_t block, int64_t begin, int64_t end) {
    T* const block_dgamma = sums + block * C;
    if (dgamma) std::fill(block_dgamma, block_dgamma + C, T(0));
    for (int64_t r = begin; r < end; ++r) {
      const T* in = x + r * C;
      const T* d = dy + r * C;
      const T s = rstd[r];
      Vec<T> sum_dxhat_xhat(T(0));
      each_vec<T>(C, [&](int64_t c, auto lane) {
        const Vec<T> dout_xhat = lane.load(d + c) * (lane.load(in + c) * s);
        sum_dxhat_xhat += gamma ? dout_xhat * lane.load(gamma + c) : dout_xhat;
        if (dgamma) lane.store(block_dgamma + c, lane.load(block_dgamma + c) + dout_xhat);
      });
      const T mean_dxhat_xhat = fold_sum(sum_dxhat_xhat) / static_cast<T>(C);
      each_vec<T>(C, [=, out = dx + r * C](int64_t c, auto lane) {
        Vec<T> dxhat = lane.load(d + c);
        if (gamma) dxhat *= lane.load(gamma + c);
        lane.store(out + c, s * (dxhat - lane.load(in + c) * s * mean_dxhat_xhat));
      });
    }
  });
  if (dgamma) add_partial_rows(sums, blocks.count, C, dgamma, C);
}

#define GU_INSTANTIATE(T)                                                  \
  template void rms_norm(const T*, const T*, T, T*, T*, int64_t, int64_t); \
  template void rms_norm_backward(const T*, const T*, const T*, const T*, T*, T*, int64_t, int64_t);
GU_INSTANTIATE(float)
GU_INSTANTIATE(double)
#undef GU_INSTANTIATE

}  // namespace gu::kernels
