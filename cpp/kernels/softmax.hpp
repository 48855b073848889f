// Softmax and log-softmax over the last axis of [R, C].
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

}  // namespace gu::kernels
