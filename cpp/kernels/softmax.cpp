#include "kernels/softmax.hpp"

#include "kernels/simd.hpp"

namespace gu::kernels {

namespace {

// Calls row(r) for every r on the thread that owns it.
template <class F>
void each_row(int64_t R, int64_t C, F row) {
  parallel_for(R, row_grain(C), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) row(r);
  });
}

}  // namespace

template <class T>
void softmax(const T* x, T* y, int64_t R, int64_t C) {
  // x, y: [R, C]
  each_row(R, C, [=](int64_t r) {
    const T* in = x + r * C;
    T* out = y + r * C;
    const T max = shift_max(in, C);
    const auto exponential = [=](Vec<T> v) { return vexp<T>(v - max); };
    map(C, out, exponential, in);
    const auto normalize = [scale = T(1) / sum(out, C)](Vec<T> v) { return v * scale; };
    map(C, out, normalize, out);
  });
}

template <class T>
void softmax_backward(const T* y, const T* dy, T* dx, int64_t R, int64_t C) {
  // y, dy, dx: [R, C];  dx = y (dy - sum(y dy))
  each_row(R, C, [=](int64_t r) {
    const T* p = y + r * C;
    const T* d = dy + r * C;
    const T mean = dot(p, d, C);
    const auto f = [=](Vec<T> a, Vec<T> b) { return a * (b - mean); };
    map(C, dx + r * C, f, p, d);
  });
}

template <class T>
void log_softmax(const T* x, T* y, int64_t R, int64_t C) {
  // x, y: [R, C]
  each_row(R, C, [=](int64_t r) {
    const T* in = x + r * C;
    const T max = shift_max(in, C);
    const auto exponential = [=](Vec<T> v) { return vexp<T>(v - max); };
    const T log_sum = std::log(sum_map<T>(C, exponential, in));
    const auto f = [=](Vec<T> v) { return (v - max) - log_sum; };
    map(C, y + r * C, f, in);
  });
}

template <class T>
void log_softmax_backward(const T* y, const T* dy, T* dx, int64_t R, int64_t C) {
  // y, dy, dx: [R, C];  dx = dy - e^y sum(dy)
  each_row(R, C, [=](int64_t r) {
    const T* d = dy + r * C;
    const T total = sum(d, C);
    const auto f = [=](Vec<T> a, Vec<T> b) { return b - vexp<T>(a) * total; };
    map(C, dx + r * C, f, y + r * C, d);
  });
}

#define GU_INSTANTIATE(T)                                                   \
  template void softmax(const T*, T*, int64_t, int64_t);                    \
  template void softmax_backward(const T*, const T*, T*, int64_t, int64_t); \
  template void log_softmax(const T*, T*, int64_t, int64_t);                \
  template void log_softmax_backward(const T*, const T*, T*, int64_t, int64_t);
GU_INSTANTIATE(float)
GU_INSTANTIATE(double)
#undef GU_INSTANTIATE

}  // namespace gu::kernels
