// Cross-entropy of logits [R, V] with integer targets: log-softmax and negative log-likelihood in
// one pass, without the [R, V] matrix of log-probabilities.
//
// With s the label smoothing, w the class weights (all 1 if null), lse_r = log sum_v e^(x_rv), and
// y the target of row r,
//   loss_r = (1 - s) w_y (lse_r - x_ry) + s/V sum_v w_v (lse_r - x_rv),
// and loss_r = 0 where y == ignore_index. Targets must be in [0, V) or equal ignore_index: the
// caller checks. A row that is all -inf, or holds a +inf or a NaN, has a NaN loss, as in PyTorch.
#pragma once

#include <cstdint>

namespace gu::kernels {

struct CrossEntropyOptions {
  int64_t ignore_index = -100;
  double label_smoothing = 0.0;
};

template <class T>
void cross_entropy(const T* logits, const int64_t* target, const T* weight, T* loss, T* lse,
                   int64_t R, int64_t V, CrossEntropyOptions options);
// logits: [R, V];  target, loss, lse: [R];  weight: [V] or null

// What the mean divides by: the sum of w_y over the rows that count (their number if weight is
// null).
template <class T>
T cross_entropy_total_weight(const int64_t* target, const T* weight, int64_t R,
                             int64_t ignore_index);
// target: [R];  weight: [V] or null

// dloss[r] is the gradient that reaches the loss of row r (1 / total weight, for a mean).
// Ignored rows get zeros, whatever their logits hold. dlogits may be logits.
template <class T>
void cross_entropy_backward(const T* logits, const int64_t* target, const T* weight, const T* lse,
                            const T* dloss, T* dlogits, int64_t R, int64_t V,
                            CrossEntropyOptions options);
// logits, dlogits: [R, V];  target, lse, dloss: [R];  weight: [V] or null

}  // namespace gu::kernels
