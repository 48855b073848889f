// Functions of one number, applied to every element: a line that computes y and a line that turns
// dy into dx.
//
// `x`, `y`, `dy` are vector registers of float32 or float64; kernels/simd.hpp makes the loops and
// splits them over threads. Functions that are themselves in integers (neg, abs, floor, …) keep an
// int64; the others compute integers and bools in float32, as PyTorch does.

#include "kernels/simd.hpp"  // first: it silences gcc's warnings about its own AVX-512 header

#include "autograd/tape.hpp"
#include "core/registry.hpp"
#include "kernels/activation.hpp"
#include "ops/cast.hpp"

namespace gu::ops {

namespace {

using kernels::Vec;

// out = f(in...) over float tensors of one shape.
template <class F, class... In>
Tensor map_floats(const char* op, F f, const Tensor& first, const In&... rest) {
  Tensor out = Tensor::empty(first.shape(), first.dtype());
  with_float(first.dtype(), op, [&](auto zero) {
    using T = decltype(zero);
    kernels::parallel_map(out.size(), out.data<T>(), f, first.data<T>(),
                          rest.template data<T>()...);
  });
  return out;
}

Tensor as_floats(const Tensor& x) { return is_float(x.dtype()) ? x : to_dtype(x, DType::float32); }

// y = f(x), and dx = df(x, dy) from the input.
template <class F, class D>
Tensor from_input(const char* op, const Tensor& x, F f, D df) {
  const Tensor in = as_floats(x);
  return record(op, map_floats(op, f, in), {in},
                [=, in = Saved(in)](const Tensor& dy, const Needs&) {
                  return Grads{map_floats(op, df, in.get(), dy)};
                });
}

// y = f(x), and dx = df(y, dy) from the output, which is often kept alive anyway.
template <class F, class D>
Tensor from_output(const char* op, const Tensor& x, F f, D df) {
  const Tensor in = as_floats(x);
  Tensor y = map_floats(op, f, in);
  return record(op, y, {in}, [=, y = Saved(y)](const Tensor& dy, const Needs&) {
    return Grads{map_floats(op, df, y.get(), dy)};
  });
}

template <class G>
Tensor map_integers(const Tensor& x, G g) {
  const Tensor in = to_dtype(x, DType::int64);
  Tensor y = Tensor::empty(in.shape(), DType::int64);
  const int64_t* from = in.data<int64_t>();
  int64_t* to = y.data<int64_t>();
  for (int64_t i = 0; i < y.size(); ++i) to[i] = g(from[i]);
  return y;
}

// y = f(x) for functions that map integers to integers: g is f in int64.
template <class F, class G, class D>
Tensor from_any(const char* op, const Tensor& x, F f, G g, D df) {
  return is_float(x.dtype()) ? from_input(op, x, f, df) : map_integers(x, g);
}

// In unsigned arithmetic, so that the smallest integer is its own negative.
int64_t negative(int64_t v) { return static_cast<int64_t>(0 - static_cast<uint64_t>(v)); }

constexpr auto same_integer = [](int64_t v) { return v; };
constexpr auto no_slope = []<class T>(Vec<T>, Vec<T>) { return Vec<T>(T(0)); };

template <class T>
constexpr T two_over_sqrt_pi = T(1.12837916709551257390);

}  // namespace

static Tensor neg(const Tensor& x) {
  if (x.dtype() == DType::boolean)
    fail<DTypeError>("[neg] a bool has no negative; use logical_not");
  return from_any(
      "neg", x, []<class T>(Vec<T> v) { return v * T(-1); }, negative,  // xsimd's -0 is 0 - 0 = +0
      []<class T>(Vec<T>, Vec<T> dy) { return dy * T(-1); });
}
GU_OP(neg, "x")

static Tensor abs(const Tensor& x) {
  return from_any(
      "abs", x, []<class T>(Vec<T> v) { return xsimd::abs(v); },
      [](int64_t v) { return v < 0 ? negative(v) : v; },
      []<class T>(Vec<T> v, Vec<T> dy) { return dy * xsimd::sign(v); });
}
GU_OP(abs, "x")

static Tensor sign(const Tensor& x) {
  return from_any(
      "sign", x, []<class T>(Vec<T> v) { return xsimd::sign(v); },
      [](int64_t v) { return static_cast<int64_t>((v > 0) - (v < 0)); }, no_slope);
}
GU_OP(sign, "x")

static Tensor expm1(const Tensor& x) {
  return from_output(
      "expm1", x, []<class T>(Vec<T> v) { return xsimd::expm1(v); },
      []<class T>(Vec<T> y, Vec<T> dy) { return dy * (y + T(1)); });
}
GU_OP(expm1, "x")

static Tensor log1p(const Tensor& x) {
  return from_input(
      "log1p", x, []<class T>(Vec<T> v) { return xsimd::log1p(v); },
      []<class T>(Vec<T> v, Vec<T> dy) { return dy / (v + T(1)); });
}
GU_OP(log1p, "x")

static Tensor sqrt(const Tensor& x) {
  return from_output(
      "sqrt", x, []<class T>(Vec<T> v) { return xsimd::sqrt(v); },
      []<class T>(Vec<T> y, Vec<T> dy) { return dy / (y + y); });
}
GU_OP(sqrt, "x")

static Tensor rsqrt(const Tensor& x) {
  return from_output(
      "rsqrt", x, []<class T>(Vec<T> v) { return T(1) / xsimd::sqrt(v); },
      []<class T>(Vec<T> y, Vec<T> dy) { return T(-0.5) * dy * (y * y * y); });
}
GU_OP(rsqrt, "x")

static Tensor square(const Tensor& x) {
  return from_any(
      "square", x, []<class T>(Vec<T> v) { return v * v; },
      [](int64_t v) {
        return static_cast<int64_t>(static_cast<uint64_t>(v) * static_cast<uint64_t>(v));
      },
      []<class T>(Vec<T> v, Vec<T> dy) { return dy * (v + v); });
}
GU_OP(square, "x")

static Tensor reciprocal(const Tensor& x) {
  return from_output(
      "reciprocal", x, []<class T>(Vec<T> v) { return T(1) / v; },
      []<class T>(Vec<T> y, Vec<T> dy) { return -dy * y * y; });
}
GU_OP(reciprocal, "x")

static Tensor sin(const Tensor& x) {
  return from_input(
      "sin", x, []<class T>(Vec<T> v) { return xsimd::sin(v); },
      []<class T>(Vec<T> v, Vec<T> dy) { return dy * xsimd::cos(v); });
}
GU_OP(sin, "x")

static Tensor cos(const Tensor& x) {
  return from_input(
      "cos", x, []<class T>(Vec<T> v) { return xsimd::cos(v); },
      []<class T>(Vec<T> v, Vec<T> dy) { return -dy * xsimd::sin(v); });
}
GU_OP(cos, "x")

static Tensor erf(const Tensor& x) {
  return from_input(
      "erf", x, []<class T>(Vec<T> v) { return kernels::verf(v); },
      []<class T>(Vec<T> v, Vec<T> dy) {
        return dy * two_over_sqrt_pi<T> * kernels::vexp<T>(-v * v);
      });
}
GU_OP(erf, "x")

static Tensor relu(const Tensor& x) {
  // A NaN is not at most 0, so it passes.
  return from_any(
      "relu", x,
      []<class T>(Vec<T> v) { return xsimd::select(v <= Vec<T>(T(0)), Vec<T>(T(0)), v); },
      [](int64_t v) { return v < 0 ? 0 : v; },
      []<class T>(Vec<T> v, Vec<T> dy) {
        return xsimd::select(v <= Vec<T>(T(0)), Vec<T>(T(0)), dy);
      });
}
GU_OP(relu, "x")

static Tensor leaky_relu(const Tensor& x, double negative_slope) {
  return from_input(
      "leaky_relu", x,
      [=]<class T>(Vec<T> v) { return xsimd::select(v > Vec<T>(T(0)), v, T(negative_slope) * v); },
      [=]<class T>(Vec<T> v, Vec<T> dy) {
        return xsimd::select(v > Vec<T>(T(0)), dy, T(negative_slope) * dy);
      });
}
GU_OP(leaky_relu, "x, negative_slope=0.01")

// Between two bounds, either of which may be missing. NaN stays NaN; where min > max, y is max.
static Tensor clamp(const Tensor& x, const std::optional<Scalar>& min,
                    const std::optional<Scalar>& max) {
  if (!min && !max) fail<ValueError>("[clamp] min or max must be given");
  const bool whole =
      (!min || min->dtype() <= DType::int64) && (!max || max->dtype() <= DType::int64);
  if (!is_float(x.dtype()) && whole) {
    const int64_t low = min ? min->as<int64_t>() : INT64_MIN;
    const int64_t high = max ? max->as<int64_t>() : INT64_MAX;
    return map_integers(x, [=](int64_t v) { return std::min(std::max(v, low), high); });
  }
  const double low = min ? min->as<double>() : -kernels::infinity<double>;
  const double high = max ? max->as<double>() : kernels::infinity<double>;
  return from_input(
      "clamp", x,
      [=]<class T>(Vec<T> v) {
        const Vec<T> raised = xsimd::select(v < Vec<T>(T(low)), Vec<T>(T(low)), v);
        return xsimd::select(raised > Vec<T>(T(high)), Vec<T>(T(high)), raised);
      },
      [=]<class T>(Vec<T> v, Vec<T> dy) {
        return xsimd::select(v >= Vec<T>(T(low)) && v <= Vec<T>(T(high)), dy, Vec<T>(T(0)));
      });
}
GU_OP(clamp, "x, min=None, max=None")

// ---- from kernels: forward(x, y, n) and backward(x or y, dy, dx, n) ---------------------------

namespace {

enum class Saves { input, output };  // what backward reads as `in`

template <class F, class D>
Tensor from_kernel(const char* op, Saves saves, const Tensor& x, F forward, D backward) {
  const Tensor in = as_floats(x);
  Tensor y = Tensor::empty(in.shape(), in.dtype());
  with_float(in.dtype(), op, [&](auto zero) {
    using T = decltype(zero);
    forward(static_cast<const T*>(in.data<T>()), y.data<T>(), y.size());
  });
  const Saved saved(saves == Saves::input ? in : y);
  return record(op, y, {in}, [=](const Tensor& dy, const Needs&) {
    Tensor dx = Tensor::empty(dy.shape(), dy.dtype());
    with_float(dy.dtype(), op, [&](auto zero) {
      using T = decltype(zero);
      backward(static_cast<const T*>(saved.get().data<T>()), static_cast<const T*>(dy.data<T>()),
               dx.data<T>(), dx.size());
    });
    return Grads{dx};
  });
}

}  // namespace

static Tensor exp(const Tensor& x) {
  return from_kernel(
      "exp", Saves::output, x, [](auto... args) { kernels::exp(args...); },
      [](auto... args) { kernels::exp_backward(args...); });
}
GU_OP(exp, "x")

static Tensor log(const Tensor& x) {
  return from_kernel(
      "log", Saves::input, x, [](auto... args) { kernels::log(args...); },
      [](auto... args) { kernels::log_backward(args...); });
}
GU_OP(log, "x")

static Tensor tanh(const Tensor& x) {
  return from_kernel(
      "tanh", Saves::output, x, [](auto... args) { kernels::tanh(args...); },
      [](auto... args) { kernels::tanh_backward(args...); });
}
GU_OP(tanh, "x")

static Tensor sigmoid(const Tensor& x) {
  return from_kernel(
      "sigmoid", Saves::output, x, [](auto... args) { kernels::sigmoid(args...); },
      [](auto... args) { kernels::sigmoid_backward(args...); });
}
GU_OP(sigmoid, "x")

static Tensor silu(const Tensor& x) {
  return from_kernel(
      "silu", Saves::input, x, [](auto... args) { kernels::silu(args...); },
      [](auto... args) { kernels::silu_backward(args...); });
}
GU_OP(silu, "x")

static Tensor gelu(const Tensor& x, const std::string& approximate) {
  if (approximate == "none")
    return from_kernel(
        "gelu", Saves::input, x, [](auto... args) { kernels::gelu(args...); },
        [](auto... args) { kernels::gelu_backward(args...); });
  if (approximate == "tanh")
    return from_kernel(
        "gelu", Saves::input, x, [](auto... args) { kernels::gelu_tanh(args...); },
        [](auto... args) { kernels::gelu_tanh_backward(args...); });
  fail<ValueError>("[gelu] approximate must be 'none' or 'tanh', but got '", approximate, "'");
}
GU_OP(gelu, "x, approximate='none'")

static Tensor elu(const Tensor& x, double alpha) {
  return from_kernel(
      "elu", Saves::input, x,
      [=]<class T>(const T* in, T* y, int64_t n) { kernels::elu(in, y, n, T(alpha)); },
      [=]<class T>(const T* in, const T* dy, T* dx, int64_t n) {
        kernels::elu_backward(in, dy, dx, n, T(alpha));
      });
}
GU_OP(elu, "x, alpha=1.0")

static Tensor softplus(const Tensor& x, double beta, double threshold) {
  return from_kernel(
      "softplus", Saves::input, x,
      [=]<class T>(const T* in, T* y, int64_t n) {
        kernels::softplus(in, y, n, T(beta), T(threshold));
      },
      [=]<class T>(const T* in, const T* dy, T* dx, int64_t n) {
        kernels::softplus_backward(in, dy, dx, n, T(beta), T(threshold));
      });
}
GU_OP(softplus, "x, beta=1.0, threshold=20.0")

// ---- rounding ---------------------------------------------------------------------------------

// Constant between their steps: the gradient is 0.
static Tensor floor(const Tensor& x) {
  return from_any(
      "floor", x, []<class T>(Vec<T> v) { return xsimd::floor(v); }, same_integer, no_slope);
}
GU_OP(floor, "x")

static Tensor ceil(const Tensor& x) {
  return from_any(
      "ceil", x, []<class T>(Vec<T> v) { return xsimd::ceil(v); }, same_integer, no_slope);
}
GU_OP(ceil, "x")

static Tensor round(const Tensor& x) {
  return from_any(
      "round", x, []<class T>(Vec<T> v) { return xsimd::nearbyint(v); }, same_integer, no_slope);
}
GU_OP(round, "x")

}  // namespace gu::ops
