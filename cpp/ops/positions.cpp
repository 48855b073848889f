// Where a token stands: rotary positions turn queries and keys, ALiBi lowers scores with distance,
// sinusoids are added to embeddings.

#include <cmath>

#include "autograd/tape.hpp"
#include "core/registry.hpp"
#include "kernels/simd.hpp"

namespace gu::ops {

namespace {

// Which rows of cosines and sines a row of x is turned by.
struct RotaryPlan {
  int64_t rows, T, D, per_batch;  // per_batch rows of x share the positions of one sequence
  bool interleaved;
};

// y = x turned: each pair (a, b) to (a cos - b sin, b cos + a sin); the other way round if `back`.
Tensor rotary_turn(const Tensor& x, const Tensor& cosines, const Tensor& sines, RotaryPlan plan,
                   bool back) {
  // x, y: [rows, D];  cosines, sines: [T, D/2] or [B, T, D/2]
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  with_float(x.dtype(), "rotary", [&](auto zero) {
    using T = decltype(zero);
    const int64_t half = plan.D / 2;
    parallel_for(plan.rows, kernels::row_grain(plan.D), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const int64_t position = r / plan.per_batch * plan.T + r % plan.T;
        const T* c = cosines.data<T>() + position * half;
        const T* s = sines.data<T>() + position * half;
        const T* in = x.data<T>() + r * plan.D;
        T* out = y.data<T>() + r * plan.D;
        if (plan.interleaved) {
          for (int64_t i = 0; i < half; ++i) {
            const T a = in[2 * i], b = in[2 * i + 1], sine = back ? -s[i] : s[i];
            out[2 * i] = a * c[i] - b * sine;
            out[2 * i + 1] = b * c[i] + a * sine;
          }
        } else {
          kernels::each_vec<T>(half, [=](int64_t i, auto lane) {
            const auto a = lane.load(in + i), b = lane.load(in + half + i),
                       cosine = lane.load(c + i);
            const auto sine = back ? -lane.load(s + i) : lane.load(s + i);
            lane.store(out + i, a * cosine - b * sine);
            lane.store(out + half + i, b * cosine + a * sine);
          });
        }
      }
    });
  });
  return y;
}

}  // namespace

static Tensor rotary(const Tensor& x, int64_t start, double base, bool interleaved,
                     const std::optional<Tensor>& positions) {
  // x [..., T, D], or [B, ..., T, D] with positions [B, T] -> y like x
  if (x.dim() < 2 || x.size(-1) % 2 != 0)
    fail<ShapeError>("[rotary] x must be [..., T, D] with an even D, but got shape ", x.shape());
  if (!(base > 0)) fail<ValueError>("[rotary] base must be positive, but got ", base);
  const int64_t T_ = x.size(-2), D = x.size(-1), rows = D ? x.size() / D : 0;
  RotaryPlan plan{rows, T_, D, std::max<int64_t>(rows, 1), interleaved};
  int64_t count = T_;
  if (positions) {
    const bool each = positions->dim() == 2;  // every sequence has its own
    if (positions->shape() != (each ? Shape{x.size(0), T_} : Shape{T_}) || (each && x.dim() < 3))
      fail<ShapeError>("[rotary] positions must be [T] or [B, T] for x [B, ..., T, D], but got ",
                       positions->shape(), " for x of shape ", x.shape());
    if (positions->dtype() != DType::int64)
      fail<DTypeError>("[rotary] positions must be int64, but got ", name(positions->dtype()));
    count = positions->size();
    if (each) plan.per_batch = std::max<int64_t>(rows / std::max<int64_t>(x.size(0), 1), 1);
  }
  Tensor cosines = Tensor::empty({count, D / 2}, x.dtype()), sines = cosines.clone();
  with_float(x.dtype(), "rotary", [&](auto zero) {
    using T = decltype(zero);
    for (int64_t i = 0; i < D / 2; ++i) {
      const double frequency =
          std::pow(base, -2.0 * static_cast<double>(i) / static_cast<double>(D));
      for (int64_t p = 0; p < count; ++p) {
        const int64_t position = positions ? positions->data<int64_t>()[p] : start + p;
        const double angle = static_cast<double>(position) * frequency;
        cosines.data<T>()[p * (D / 2) + i] = static_cast<T>(std::cos(angle));
        sines.data<T>()[p * (D / 2) + i] = static_cast<T>(std::sin(angle));
      }
    }
  });
  // A rotation's gradient is the rotation back.
  return record("rotary", rotary_turn(x, cosines, sines, plan, false), {x},
                [cosines, sines, plan](const Tensor& dy, const Needs&) {
                  return Grads{rotary_turn(dy, cosines, sines, plan, true)};
                });
}
GU_OP(rotary, "x, start=0, base=10000.0, interleaved=False, positions=None")

// 2^(-8/n), 2^(-16/n), ...; where n is no power of two, those of the power below, then every other
// one of the power above.
static Tensor alibi_slopes(int64_t n_head, DType dtype) {
  // -> [H]
  if (n_head < 1) fail<ValueError>("[alibi_slopes] n_head must be positive, but got ", n_head);
  Tensor slopes = Tensor::empty({n_head}, dtype);
  int64_t power = 1;
  while (power <= n_head / 2) power *= 2;
  with_float(dtype, "alibi_slopes", [&](auto zero) {
    using T = decltype(zero);
    for (int64_t h = 0; h < n_head; ++h) {
      const double exponent =
          h < power ? static_cast<double>(h + 1) : static_cast<double>(h - power) + 0.5;
      slopes.data<T>()[h] = static_cast<T>(std::exp2(-8 * exponent / static_cast<double>(power)));
    }
  });
  return slopes;
}
GU_OP(alibi_slopes, "n_head, dtype='float32'")

static Tensor sinusoidal_positions(int64_t n_positions, int64_t n_embd, double base, DType dtype) {
  // -> [n_positions, n_embd], sines in even columns and cosines in odd ones
  if (n_positions < 0 || n_embd < 0)
    fail<ShapeError>("[sinusoidal_positions] sizes must not be negative, but got ", n_positions,
                     " and ", n_embd);
  if (!(base > 0)) fail<ValueError>("[sinusoidal_positions] base must be positive, but got ", base);
  Tensor waves = Tensor::empty({n_positions, n_embd}, dtype);
  with_float(dtype, "sinusoidal_positions", [&](auto zero) {
    using T = decltype(zero);
    for (int64_t c = 0; c < n_embd; ++c) {
      const double frequency =
          std::pow(base, -static_cast<double>(c / 2 * 2) / static_cast<double>(n_embd));
      for (int64_t p = 0; p < n_positions; ++p) {
        const double angle = static_cast<double>(p) * frequency;
        waves.data<T>()[p * n_embd + c] = static_cast<T>(c % 2 ? std::cos(angle) : std::sin(angle));
      }
    }
  });
  return waves;
}
GU_OP(sinusoidal_positions, "n_positions, n_embd, base=10000.0, dtype='float32'")

}  // namespace gu::ops
