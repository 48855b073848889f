// Normalization of channels: x seen as [N, C, S], each of the C channels over batch and positions.
// S is the product of all sizes behind the channels; it is 1 for a batch of vectors.
#pragma once

#include <cstdint>

namespace gu::kernels {

// Mean and variance of every channel; the variance divides by N S, which must not be 0.
template <class T>
void channel_moments(const T* x, T* mean, T* variance, int64_t N, int64_t C, int64_t S);
// x: [N, C, S];  mean, variance: [C]

// y = (x - mean) * rstd * gamma + beta. gamma and beta may be null.
template <class T>
void batch_norm(const T* x, const T* mean, const T* rstd, const T* gamma, const T* beta, T* y,
                int64_t N, int64_t C, int64_t S);
// x, y: [N, C, S];  mean, rstd, gamma, beta: [C]

// The gradient, where mean and rstd came from x itself (of_batch) or are constants. gamma may be
// null if it was in forward, dx if nobody wants it.
template <class T>
void batch_norm_backward(const T* x, const T* mean, const T* rstd, const T* gamma, const T* dy,
                         T* dx, T* dgamma, T* dbeta, bool of_batch, int64_t N, int64_t C,
                         int64_t S);
// x, dy, dx: [N, C, S];  mean, rstd, gamma, dgamma, dbeta: [C]

}  // namespace gu::kernels
