#include "kernels/cross_entropy.hpp"

#include "kernels/simd.hpp"

namespace gu::kernels {

template <class T>
void cross_entropy(const T* logits, const int64_t* target, const T* weight, T* loss, T* lse,
                   int64_t R, int64_t V, CrossEntropyOptions options) {
  // logits: [R, V];  target, loss, lse: [R];  weight: [V] or null
  const T smoothing = static_cast<T>(options.label_smoothing);
  parallel_for(R, row_grain(V), [=](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const T* x = logits + r * V;
      const T max = shift_max(x, V);
      const auto exponential = [=](Vec<T> v) { return vexp<T>(v - max); };
      const T log_sum = std::log(sum_map<T>(V, exponential, x));
      lse[r] = max + log_sum;
      const int64_t y = target[r];
      if (y == options.ignore_index) {
        loss[r] = T(0);
        continue;
      }
      // (max - x) + log_sum, not lse - x: the first difference is exact when the two are close.
      const T nll = (weight ? weight[y] : T(1)) * ((max - x[y]) + log_sum);
      T total = (T(1) - smoothing) * nll;
      if (smoothing > T(0)) {
        const auto nll_of = [=](Vec<T> v) { return (max - v) + log_sum; };
        const auto weighted = [=](Vec<T> v, Vec<T> w) { return w * nll_of(v); };
        const T all = weight ? sum_map<T>(V, weighted, x, weight) : sum_map<T>(V, nll_of, x);
        total += smoothing / static_cast<T>(V) * all;
      }
      loss[r] = total;
    }
  });
}

template <class T>
T cross_entropy_total_weight(const int64_t* target, const T* weight, int64_t R,
                             int64_t ignore_index) {
  // target: [R];  weight: [V] or null
  double total = 0.0;
  for (int64_t r = 0; r < R; ++r) {
    if (target[r] != ignore_index) total += weight ? static_cast<double>(weight[target[r]]) : 1.0;
  }
  return static_cast<T>(total);
}

template <class T>
void cross_entropy_backward(const T* logits, const int64_t* target, const T* weight, const T* lse,
                            const T* dloss, T* dlogits, int64_t R, int64_t V,
                            CrossEntropyOptions options) {
  // logits, dlogits: [R, V];  target, lse, dloss: [R];  weight: [V] or null
  // loss = (1 - s) w_y (lse - x_y) + s/V sum_v w_v (lse - x_v), and dlse/dx_v = p_v = e^(x_v -
  // lse), so dx_v = ((1 - s) w_y + s/V sum w) p_v - s/V w_v - (1 - s) w_y [v = y].
  const T smoothing = static_cast<T>(options.label_smoothing);
  const T spread = smoothing / static_cast<T>(V);
  const T sum_weight = weight ? sum(weight, V) : static_cast<T>(V);
  parallel_for(R, row_grain(V), [=](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const T* x = logits + r * V;
      T* dx = dlogits + r * V;
      const int64_t y = target[r];
      if (y == options.ignore_index) {
        std::fill(dx, dx + V, T(0));
        continue;
      }
      const T shift = lse[r];
      const T hit = dloss[r] * (T(1) - smoothing) * (weight ? weight[y] : T(1));
      const T scale = hit + dloss[r] * spread * sum_weight;
      const T each = dloss[r] * spread;
      const auto unweighted = [=](Vec<T> v) { return scale * vexp<T>(v - shift) - each; };
      const auto weighted = [=](Vec<T> v, Vec<T> w) {
        return scale * vexp<T>(v - shift) - each * w;
      };
      if (smoothing > T(0) && weight) {
        map(V, dx, weighted, x, weight);
      } else {
        map(V, dx, unweighted, x);
      }
      dx[y] -= hit;
    }
  });
}

#define GU_INSTANTIATE(T)                                                                          \
  template void cross_entropy(const T*, const int64_t*, const T*, T*, T*, int64_t, int64_t,        \
                              CrossEntropyOptions);                                                \
  template T cross_entropy_total_weight(const int64_t*, const T*, int64_t, int64_t);               \
  template void cross_entropy_backward(const T*, const int64_t*, const T*, const T*, const T*, T*, \
                                       int64_t, int64_t, CrossEntropyOptions);
GU_INSTANTIATE(float)
GU_INSTANTIATE(double)
#undef GU_INSTANTIATE

}  // namespace gu::kernels
