#include "kernels/batch_norm.hpp"

#include "kernels/scratch.hpp"
#include "kernels/simd.hpp"

namespace gu::kernels {

namespace {

// What a channel's constants are in a register: one value, or those of neighbouring channels.
template <class T>
struct OneChannel {
  int64_t c;
  Vec<T> operator()(const T* p) const { return Vec<T>(p[c]); }
};
template <class T, class Lane>
struct EachChannel {
  int64_t c;
  Lane lane;
  Vec<T> operator()(const T* p) const { return lane.load(p + c); }
};

// body(i, lane, at) for every register of [N, C, S]: lane.load(x + i) are elements, at(p) is what
// the [C] array p holds for the channels of these elements.
template <class T, class F>
void each_element(int64_t N, int64_t C, int64_t S, F body) {
  if (S == 1) {
    parallel_for(N, row_grain(C), [=](int64_t begin, int64_t end) {
      for (int64_t n = begin; n < end; ++n) {
        each_vec<T>(C, [=](int64_t c, auto lane) {
          body(n * C + c, lane, EachChannel<T, decltype(lane)>{c, lane});
        });
      }
    });
    return;
  }
  parallel_for(N * C, row_grain(S), [=](int64_t begin, int64_t end) {
    for (int64_t run = begin; run < end; ++run) {
      const OneChannel<T> at{run % C};
      each_vec<T>(S, [=](int64_t s, auto lane) { body(run * S + s, lane, at); });
    }
  });
}

// out[c] = the sum of f(i, lane, at), as above, over batch and positions. Sums of `piece` terms a
// lane are added in double, so that the rounding error does not grow with the batch.
template <class T, class F>
void sum_channels(int64_t N, int64_t C, int64_t S, T* out, F f) {
  constexpr int64_t piece = 64, W = lanes<T>;
  if (S == 1) {
    parallel_for(ceil_div(C, W), row_grain(N * W), [=](int64_t begin, int64_t end) {
      const int64_t first = begin * W;
      each_vec<T>(std::min(C, end * W) - first, [=](int64_t offset, auto lane) {
        const int64_t c = first + offset;
        const EachChannel<T, decltype(lane)> at{c, lane};
        double total[W] = {};
        for (int64_t n = 0; n < N; n += piece) {
          Vec<T> sum(T(0));
          for (int64_t i = n; i < std::min(N, n + piece); ++i) sum += f(i * C + c, lane, at);
          alignas(64) T part[W];
          store(part, sum);
          for (int64_t w = 0; w < W; ++w) total[w] += static_cast<double>(part[w]);
        }
        for (int64_t w = 0; w < std::min(W, C - c); ++w) out[c + w] = static_cast<T>(total[w]);
      });
    });
    return;
  }
  parallel_for(C, row_grain(N * S), [=](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c) {
      const OneChannel<T> at{c};
      double total = 0;
      for (int64_t n = 0; n < N; ++n) {
        for (int64_t s = 0; s < S; s += piece * W) {
          Vec<T> sum(T(0));
          const int64_t start = (n * C + c) * S + s;
          each_vec<T>(std::min(piece * W, S - s), [&, start](int64_t i, auto lane) {
            sum += lane.keep(f(start + i, lane, at));
          });
          total += static_cast<double>(fold_sum(sum));
        }
      }
      out[c] = static_cast<T>(total);
    }
  });
}

}  // namespace

template <class T>
void channel_moments(const T* x, T* mean, T* variance, int64_t N, int64_t C, int64_t S) {
  // x: [N, C, S];  mean, variance: [C]
  const T count = static_cast<T>(N * S);
  sum_channels(N, C, S, mean, [=](int64_t i, auto lane, auto) { return lane.load(x + i); });
  for (int64_t c = 0; c < C; ++c) mean[c] /= count;
  // A second pass, as E[x^2] - E[x]^2 cancels when the mean is large.
  sum_channels(N, C, S, variance, [=](int64_t i, auto lane, auto at) {
    const Vec<T> distance = lane.load(x + i) - at(mean);
    return distance * distance;
  });
  for (int64_t c = 0; c < C; ++c) variance[c] /= count;
}

template <class T>
void batch_norm(const T* x, const T* mean, const T* rstd, const T* gamma, const T* beta, T* y,
                int64_t N, int64_t C, int64_t S) {
  // x, y: [N, C, S];  mean, rstd, gamma, beta: [C]
  each_element<T>(N, C, S, [=](int64_t i, auto lane, auto at) {
    Vec<T> v = (lane.load(x + i) - at(mean)) * at(rstd);
    if (gamma) v *= at(gamma);
    if (beta) v += at(beta);
    lane.store(y + i, v);
  });
}

template <class T>
void batch_norm_backward(const T* x, const T* mean, const T* rstd, const T* gamma, const T* dy,
                         T* dx, T* dgamma, T* dbeta, bool of_batch, int64_t N, int64_t C,
                         int64_t S) {
  // x, dy, dx: [N, C, S];  mean, rstd, gamma, dgamma, dbeta: [C]
  // y = xhat * gamma + beta, xhat = (x - mean) * rstd
  sum_channels(N, C, S, dbeta, [=](int64_t i, auto lane, auto) { return lane.load(dy + i); });
  sum_channels(N, C, S, dgamma, [=](int64_t i, auto lane, auto at) {
    return lane.load(dy + i) * ((lane.load(x + i) - at(mean)) * at(rstd));
  });
  if (!dx) return;
  if (!of_batch) {
    each_element<T>(N, C, S, [=](int64_t i, auto lane, auto at) {
      Vec<T> d = lane.load(dy + i) * at(rstd);
      if (gamma) d *= at(gamma);
      lane.store(dx + i, d);
    });
    return;
  }
  // Mean and variance depend on every element of the channel, hence the two corrections:
  // dx = gamma * rstd * (dy - mean(dy) - xhat * mean(dy * xhat)).
  const T count = static_cast<T>(N * S);
  each_element<T>(N, C, S, [=](int64_t i, auto lane, auto at) {
    const Vec<T> xhat = (lane.load(x + i) - at(mean)) * at(rstd);
    Vec<T> d = at(rstd) * (lane.load(dy + i) - (at(dbeta) + xhat * at(dgamma)) / count);
    if (gamma) d *= at(gamma);
    lane.store(dx + i, d);
  });
}

#define GU_INSTANTIATE(T)                                                                          \
  template void channel_moments(const T*, T*, T*, int64_t, int64_t, int64_t);                      \
  template void batch_norm(const T*, const T*, const T*, const T*, const T*, T*, int64_t, int64_t, \
                           int64_t);                                                               \
  template void batch_norm_backward(const T*, const T*, const T*, const T*, const T*, T*, T*, T*,  \
                                    bool, int64_t, int64_t, int64_t);
GU_INSTANTIATE(float)
GU_INSTANTIATE(double)
#undef GU_INSTANTIATE

}  // namespace gu::kernels
