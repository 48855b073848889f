#include "kernels/layer_norm.hpp"

#include "kernels/row_blocks.hpp"

namespace gu::kernels {

template <class T>
void layer_norm(const T* x, const T* gamma, const T* beta, T eps, T* y, T* mean, T* rstd, int64_t R,
                int64_t C) {
  // x, y: [R, C];  gamma, beta: [C];  mean, rstd: [R]
  parallel_for(R, row_grain(C), [=](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const T* in = x + r * C;
      // Two passes: E[x^2] - E[x]^2 in one pass cancels when the mean is large.
      const T m = sum(in, C) / static_cast<T>(C);
      const auto square = [=](Vec<T> v) { return (v - m) * (v - m); };
      const T variance = sum_map<T>(C, square, in) / static_cast<T>(C);
      const T s = T(1) / std::sqrt(variance + eps);
      each_vec<T>(C, [=, out = y + r * C](int64_t c, auto lane) {
        Vec<T> v = (lane.load(in + c) - m) * s;
        if (gamma) v *= lane.load(gamma + c);
        if (beta) v += lane.load(beta + c);
        lane.store(out + c, v);
      });
      mean[r] = m;
      rstd[r] = s;
    }
  });
}

template <class T>
void layer_norm_backward(const T* x, const T* gamma, const T* mean, const T* rstd, const T* dy,
                         T* dx, T* dgamma, T* dbeta, int64_t R, int64_t C) {
  // x, dy, dx: [R, C];  gamma, dgamma, dbeta: [C];  mean, rstd: [R]
  // y = xhat * gamma + beta, xhat = (x - mean) * rstd. With dxhat = dy * gamma,
  // dx = rstd * (dxhat - mean(dxhat) - xhat * mean(dxhat * xhat)).
  const RowBlocks blocks(R);
  const bool parameters = dgamma || dbeta;
  const Scratch<T> partial(parameters ? blocks.count * 2 * C : 0);
  T* const sums = partial.data();
  each_row_block(blocks, C, [=](int64_t block, int64_t begin, int64_t end) {
    T* const block_dgamma = sums + block * 2 * C;
    T* const block_dbeta = block_dgamma + C;
    if (parameters) std::fill(block_dgamma, block_dgamma + 2 * C, T(0));
    for (int64_t r = begin; r < end; ++r) {
      const T* in = x + r * C;
      const T* d = dy + r * C;
      const T m = mean[r], s = rstd[r];
      Vec<T> sum_dxhat(T(0)), sum_dxhat_xhat(T(0));
      // Lanes beyond the end have dy = 0, so they add nothing.
      each_vec<T>(C, [&](int64_t c, auto lane) {
        const Vec<T> dout = lane.load(d + c);
        const Vec<T> dout_xhat = dout * ((lane.load(in + c) - m) * s);
        const Vec<T> g = gamma ? lane.load(gamma + c) : Vec<T>(T(1));
        sum_dxhat += dout * g;
        sum_dxhat_xhat += dout_xhat * g;
        if (parameters) {
          lane.store(block_dgamma + c, lane.load(block_dgamma + c) + dout_xhat);
          lane.store(block_dbeta + c, lane.load(block_dbeta + c) + dout);
        }
      });
      const T mean_dxhat = fold_sum(sum_dxhat) / static_cast<T>(C);
      const T mean_dxhat_xhat = fold_sum(sum_dxhat_xhat) / static_cast<T>(C);
      each_vec<T>(C, [=, out = dx + r * C](int64_t c, auto lane) {
        const Vec<T> xhat = (lane.load(in + c) - m) * s;
        Vec<T> dxhat = lane.load(d + c);
        if (gamma) dxhat *= lane.load(gamma + c);
        lane.store(out + c, s * (dxhat - mean_dxhat - xhat * mean_dxhat_xhat));
      });
    }
  });
  if (dgamma) add_partial_rows(sums, blocks.count, 2 * C, dgamma, C);
  if (dbeta) add_partial_rows(sums + C, blocks.count, 2 * C, dbeta, C);
}

#define GU_INSTANTIATE(T)                                                                         \
  template void layer_norm(const T*, const T*, const T*, T, T*, T*, T*, int64_t, int64_t);        \
  template void layer_norm_backward(const T*, const T*, const T*, const T*, const T*, T*, T*, T*, \
                                    int64_t, int64_t);
GU_INSTANTIATE(float)
GU_INSTANTIATE(double)
#undef GU_INSTANTIATE

}  // namespace gu::kernels
