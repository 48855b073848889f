// Layer normalization of the rows of [R, C].
#pragma once

#include <cstdint>

namespace gu::kernels {

// y = (x - mean) * rstd * gamma + beta, rstd = 1 / sqrt(variance + eps), the variance over C and
// not C - 1. gamma and beta may be null. mean and rstd are kept for backward.
template <class T>
void layer_norm(const T* x, const T* gamma, const T* beta, T eps, T* y, T* mean, T* rstd, int64_t R,
                int64_t C);
// x, y: [R, C];  gamma, beta: [C];  mean, rstd: [R]

// dgamma and dbeta may be null; gamma may be null if it was in forward.
template <class T>
void layer_norm_backward(const T* x, const T* gamma, const T* mean, const T* rstd, const T* dy,
                         T* dx, T* dgamma, T* dbeta, int64_t R, int64_t C);
// x, dy, dx: [R, C];  gamma, dgamma, dbeta: [C];  mean, rstd: [R]

}  // namespace gu::kernels
