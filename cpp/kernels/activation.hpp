// Activation functions whose cost is arithmetic, not memory: forward and backward over n elements.
//
// Every function runs on all threads and allows its output to be one of its inputs. Infinite and
// NaN inputs give what the formula gives in IEEE arithmetic, as in PyTorch.
#pragma once

#include <cstdint>

namespace gu::kernels {

// y = x Phi(x), Phi the normal distribution function (through erf)
template <class T>
void gelu(const T* x, T* y, int64_t n);
template <class T>
void gelu_backward(const T* x, const T* dy, T* dx, int64_t n);

// y = x sigmoid(2u), u = sqrt(2/pi) (x + 0.044715 x^3): equal to x/2 (1 + tanh u)
template <class T>
void gelu_tanh(const T* x, T* y, int64_t n);
template <class T>
void gelu_tanh_backward(const T* x, const T* dy, T* dx, int64_t n);

// y = x sigmoid(x)
template <class T>
void silu(const T* x, T* y, int64_t n);
template <class T>
void silu_backward(const T* x, const T* dy, T* dx, int64_t n);

// y = 1 / (1 + e^-x); backward from the output
template <class T>
void sigmoid(const T* x, T* y, int64_t n);
template <class T>
void sigmoid_backward(const T* y, const T* dy, T* dx, int64_t n);

// y = tanh x; backward from the output
template <class T>
void tanh(const T* x, T* y, int64_t n);
template <class T>
void tanh_backward(const T* y, const T* dy, T* dx, int64_t n);

// y = e^x; backward from the output
template <class T>
void exp(const T* x, T* y, int64_t n);
template <class T>
void exp_backward(const T* y, const T* dy, T* dx, int64_t n);

// y = log x; backward from the input
template <class T>
void log(const T* x, T* y, int64_t n);
template <class T>
void log_backward(const T* x, const T* dy, T* dx, int64_t n);

// y = log(1 + e^(beta x)) / beta, and y = x where beta x > threshold
template <class T>
void softplus(const T* x, T* y, int64_t n, T beta, T threshold);
template <class T>
void softplus_backward(const T* x, const T* dy, T* dx, int64_t n, T beta, T threshold);

// y = x where x > 0, alpha (e^x - 1) elsewhere
template <class T>
void elu(const T* x, T* y, int64_t n, T alpha);
template <class T>
void elu_backward(const T* x, const T* dy, T* dx, int64_t n, T alpha);

}  // namespace gu::kernels
