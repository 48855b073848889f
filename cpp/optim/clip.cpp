#include "optim/clip.hpp"

#include <cmath>

#include "kernels/scratch.hpp"
#include "optim/for_segments.hpp"
#include "optim/writable.hpp"

namespace gu::optim {

using kernels::Vec;

namespace {

// Elements whose sum is one partial result. Blocks are cut from each tensor alone, so the result
// does not depend on who computes them.
constexpr int64_t kBlock = 4096;

// fold of f(x_i) over a block. Many accumulators, so that additions need not wait for each other.
template <class T, class F, class Fold>
double fold_block(const T* x, int64_t n, F f, Fold fold) {
  constexpr int64_t W = 32;
  double total[W] = {};
  int64_t i = 0;
  for (; i + W <= n; i += W) {
    for (int64_t j = 0; j < W; ++j) total[j] = fold(total[j], f(static_cast<double>(x[i + j])));
  }
  for (int64_t j = 0; i < n; ++i, ++j) total[j] = fold(total[j], f(static_cast<double>(x[i])));
  for (int64_t half = W / 2; half > 0; half /= 2) {
    for (int64_t j = 0; j < half; ++j) total[j] = fold(total[j], total[j + half]);
  }
  return total[0];
}

// The same over all tensors, from partial results in a fixed order.
template <class F, class Fold>
double fold_all(const std::vector<Tensor>& grads, F f, Fold fold) {
  std::vector<int64_t> first(grads.size() + 1, 0);  // block of each tensor
  for (size_t i = 0; i < grads.size(); ++i) {
    first[i + 1] = first[i] + kernels::ceil_div(grads[i].size(), kBlock);
  }
  const int64_t blocks = first.back();
  const kernels::Scratch<double> partial(blocks);
  parallel_for(blocks, kernels::row_grain(kBlock), [&](int64_t begin, int64_t end) {
    size_t i = std::upper_bound(first.begin(), first.end(), begin) - first.begin() - 1;
    for (int64_t b = begin; b < end; ++b) {
      while (b >= first[i + 1]) ++i;
      const int64_t from = (b - first[i]) * kBlock;
      with_float(grads[i].dtype(), "optim", [&](auto zero) {
        const auto* x = grads[i].data<decltype(zero)>() + from;
        partial.data()[b] = fold_block(x, std::min(kBlock, grads[i].size() - from), f, fold);
      });
    }
  });
  return fold_block(
      partial.data(), blocks, [](double x) { return x; }, fold);
}

// sum |unit(g)|^p
template <class Unit>
double power_sum(const std::vector<Tensor>& grads, double p, Unit unit) {
  const auto add = [](double a, double b) { return a + b; };
  if (p == 1.0)
    return fold_all(
        grads, [=](double g) { return std::abs(unit(g)); }, add);
  if (p == 2.0)
    return fold_all(
        grads, [=](double g) { return unit(g) * unit(g); }, add);
  return fold_all(
      grads, [=](double g) { return std::pow(std::abs(unit(g)), p); }, add);
}

double largest(const std::vector<Tensor>& grads) {
  return fold_all(
      grads, [](double g) { return std::abs(g); },
      [](double a, double b) { return kernels::nan_max(a, b); });
}

struct Piece {
  const Tensor* tensor;
  int64_t n;
};

// body(T* data, n) for contiguous pieces of all tensors
template <class F>
void for_tensors(const char* op, const std::vector<Tensor>& tensors, F body) {
  std::vector<Piece> pieces;
  for (const Tensor& t : tensors) {
    check_writable(op, t);
    pieces.push_back({&t, t.size()});
  }
  for_segments(pieces, [=](const Piece& piece, int64_t begin, int64_t end) {
    with_float(piece.tensor->dtype(), "optim",
               [&](auto zero) { body(piece.tensor->data<decltype(zero)>() + begin, end - begin); });
  });
  for (const Tensor& t : tensors) t.bump_version();
}

}  // namespace

double total_norm(const std::vector<Tensor>& grads, double p) {
  if (std::isinf(p)) return largest(grads);
  const double sum = power_sum(grads, p, [](double g) { return g; });
  constexpr double small = 1e-280, large = 1e300;  // between them no digit was lost
  if (sum > small && sum < large) return std::pow(sum, 1.0 / p);
  const double top = largest(grads);
  if (top == 0.0 || !std::isfinite(top)) return top;
  // Once more in units of about the largest: a power of two, so that scaling is exact, in two
  // halves, as the whole of it may be no double.
  int exponent;
  std::frexp(top, &exponent);
  const double half = std::ldexp(1.0, -exponent / 2);
  const double scaled = power_sum(grads, p, [=](double g) { return g * half * half; });
  return std::pow(scaled, 1.0 / p) / half / half;
}

void scale(const char* op, const std::vector<Tensor>& grads, double factor) {
  for_tensors(op, grads, [=](auto* g, int64_t n) {
    using T = std::remove_pointer_t<decltype(g)>;
    const Vec<T> by(static_cast<T>(factor));
    kernels::map(
        n, g, [=](Vec<T> x) { return x * by; }, g);
  });
}

void clamp(const char* op, const std::vector<Tensor>& grads, double limit) {
  for_tensors(op, grads, [=](auto* g, int64_t n) {
    using T = std::remove_pointer_t<decltype(g)>;
    const Vec<T> high(static_cast<T>(limit)), low = -high;
    kernels::map(
        n, g,
        [=](Vec<T> x) { return xsimd::select(x > high, high, xsimd::select(x < low, low, x)); }, g);
  });
}

}  // namespace gu::optim
