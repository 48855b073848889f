// Softmax and log-softmax over the last axis of [R, C], or the middle one of [outer, n, inner].
//
// A row that is all -inf, or holds a +inf or a NaN, gives a row of NaN, as in PyTorch.
#pragma once

#include <cstdint>

namespace gu::kernels {

// y_c = e^(x_c - m) / sum_k e^(x_k - m), m the maximum of the row
template <class T>
void softmax(const T* x, T* y, int64_t R, int64_t C);
// x, y: [R, C]
template <class T>
void softmax_backward(const T* y, const T* dy, T* dx, int64_t R, int64_t C);
// y, dy, dx: [R, C]

// y_c = (x_c - m) - log sum_k e^(x_k - m)
template <class T>
void log_softmax(const T* x, T* y, int64_t R, int64_t C);
// x, y: [R, C]
template <class T>
void log_softmax_backward(const T* y, const T* dy, T* dx, int64_t R, int64_t C);
// y, dy, dx: [R, C]

// The same along the middle axis, down columns that stand side by side in vector registers.
template <class T>
void softmax_axis(const T* x, T* y, int64_t outer, int64_t n, int64_t inner);
// x, y: [outer, n, inner]
template <class T>
void softmax_axis_backward(const T* y, const T* dy, T* dx, int64_t outer, int64_t n, int64_t inner);
// y, dy, dx: [outer, n, inner]
template <class T>
void log_softmax_axis(const T* x, T* y, int64_t outer, int64_t n, int64_t inner);
// x, y: [outer, n, inner]
template <class T>
void log_softmax_axis_backward(const T* y, const T* dy, T* dx, int64_t outer, int64_t n,
                               int64_t inner);
// y, dy, dx: [outer, n, inner]

}  // namespace gu::kernels
