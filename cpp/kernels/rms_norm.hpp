// Root-mean-square normalization of the rows of [R, C]: layer norm without the mean.
#pragma once

#include <cstdint>

namespace gu::kernels {

// y = x * rstd * gamma, rstd = 1 / sqrt(mean(x^2) + eps). gamma may be null; rstd is kept for
// backward.
template <class T>
void rms_norm(const T* x, const T* gamma, T eps, T* y, T* rstd, int64_t R, int64_t C);
// x, y: [R, C];  gamma: [C];  rstd: [R]

// dgamma may be null; gamma may be null if it was in forward.
template <class T>
void rms_norm_backward(const T* x, const T* gamma, const T* rstd, const T* dy, T* dx, T* dgamma,
                       int64_t R, int64_t C);
// x, dy, dx: [R, C];  gamma, dgamma: [C];  rstd: [R]

}  // namespace gu::kernels
