// Reductions of the middle axis of a view [outer, n, inner] -> [outer, inner].
//
// inner == 1 reduces rows, outer == 1 sums columns (the gradient of a bias). How the work is cut
// depends on the shape alone, so the result is the same for any number of threads. max, min and
// their indices let a NaN win, as NumPy and PyTorch do; of equal values the first one counts.
#pragma once

#include <cstdint>

namespace gu::kernels {

// Pairwise over blocks: the rounding error grows with log n.
template <class T>
void reduce_sum(const T* x, T* out, int64_t outer, int64_t n, int64_t inner);
// x: [outer, n, inner];  out: [outer, inner], here and below

template <class T>
void reduce_max(const T* x, T* out, int64_t outer, int64_t n, int64_t inner);
template <class T>
void reduce_min(const T* x, T* out, int64_t outer, int64_t n, int64_t inner);

// n must not be 0.
template <class T>
void reduce_argmax(const T* x, int64_t* out, int64_t outer, int64_t n, int64_t inner);
template <class T>
void reduce_argmin(const T* x, int64_t* out, int64_t outer, int64_t n, int64_t inner);

// out = log sum e^x, shifted by the maximum; -inf where every x is -inf, +inf where one is +inf.
template <class T>
void reduce_logsumexp(const T* x, T* out, int64_t outer, int64_t n, int64_t inner);

// dx = dout e^(x - out)
template <class T>
void reduce_logsumexp_backward(const T* x, const T* out, const T* dout, T* dx, int64_t outer,
                               int64_t n, int64_t inner);
// x, dx: [outer, n, inner];  out, dout: [outer, inner]

}  // namespace gu::kernels
