// Arithmetic of two tensors with broadcasting: add, sub, mul, div, pow, maximum, minimum,
// floor_divide, remainder.
//
// Both are converted to the later of their dtypes first. What is written here is a function of two
// numbers and its two derivatives; broadcast.hpp makes the loops, sum_to undoes the broadcasting in
// backward.

#include <cmath>

#include "autograd/tape.hpp"
#include "core/registry.hpp"
#include "ops/broadcast.hpp"
#include "ops/cast.hpp"

namespace gu::ops {

namespace {

// f over two tensors of one dtype.
template <class T, class F>
Tensor map2(const char* op, const Tensor& a, const Tensor& b, F f) {
  Tensor y = Tensor::empty(broadcast_shape(op, {&a, &b}), dtype_of<T>);
  broadcast_map<T, T>(y.shape(), y.data<T>(), f, a, b);
  return y;
}

template <class F>
Tensor map2_float(const char* op, const Tensor& a, const Tensor& b, F f) {
  return with_float(a.dtype(), op, [&](auto zero) { return map2<decltype(zero)>(op, a, b, f); });
}

template <class F>
Tensor map2_any(const char* op, const Tensor& a, const Tensor& b, F f) {
  return with_any(a.dtype(), op, [&](auto zero) { return map2<decltype(zero)>(op, a, b, f); });
}

// Integers wrap around where they overflow, as in NumPy; in C++ only unsigned ones do.
template <class T>
using Wrapping = std::conditional_t<std::is_same_v<T, int64_t>, uint64_t, T>;

constexpr auto plus = []<class T>(T a, T b) { return T(Wrapping<T>(a) + Wrapping<T>(b)); };
constexpr auto minus = []<class T>(T a, T b) { return T(Wrapping<T>(a) - Wrapping<T>(b)); };
constexpr auto times = []<class T>(T a, T b) { return T(Wrapping<T>(a) * Wrapping<T>(b)); };
constexpr auto over = []<class T>(T a, T b) { return a / b; };
constexpr auto larger = []<class T>(T a, T b) { return a > b || a != a ? a : b; };  // NaN wins
constexpr auto smaller = []<class T>(T a, T b) { return a < b || a != a ? a : b; };

Tensor product(const Tensor& a, const Tensor& b) { return map2_float("mul", a, b, times); }

// Two tensors in the dtype that an op over both computes in.
std::pair<Tensor, Tensor> promoted(const Tensor& x, const Tensor& other, DType least) {
  const DType dtype = std::max({x.dtype(), other.dtype(), least});
  return {to_dtype(x, dtype), to_dtype(other, dtype)};
}

// Records y = f(a, b), where slope_a(a, b) and slope_b(a, b) are the derivatives of f by a and b.
template <class A, class B>
Tensor record_slopes(const char* op, Tensor y, const Tensor& a, const Tensor& b, A slope_a,
                     B slope_b) {
  return record(
      op, y, {a, b}, [=, a = Saved(a), b = Saved(b)](const Tensor& dy, const Needs& needs) {
        Grads grads(2);
        if (needs[0])
          grads[0] =
              sum_to(product(dy, map2_float(op, a.get(), b.get(), slope_a)), a.get().shape());
        if (needs[1])
          grads[1] =
              sum_to(product(dy, map2_float(op, a.get(), b.get(), slope_b)), b.get().shape());
        return grads;
      });
}

void refuse_zero_divisor(const char* op, const Tensor& b) {
  if (b.dtype() != DType::int64) return;
  const int64_t* divisor = b.data<int64_t>();
  if (std::find(divisor, divisor + b.size(), 0) != divisor + b.size())
    fail<ValueError>("[", op, "] integers must not be divided by 0");
}

// The quotient rounded down, as Python's //.
int64_t floor_quotient(int64_t a, int64_t b) {
  if (b == -1)
    return minus(int64_t{0}, a);  // the smallest integer has no negative: a / b would trap
  const int64_t quotient = a / b;
  return quotient - (a % b != 0 && (a < 0) != (b < 0));
}

// From the remainder, which is exact: rounding a / b first could step over an integer.
template <class T>
T floor_quotient(T a, T b) {
  if (b == T(0)) return a / b;
  T rest = std::fmod(a, b);
  T quotient = (a - rest) / b;
  if (rest != T(0) && (b < T(0)) != (rest < T(0))) quotient -= T(1);
  if (quotient == T(0)) return std::copysign(T(0), a / b);
  const T down = std::floor(quotient);
  return quotient - down > T(0.5) ? down + T(1) : down;
}

// The rest of that division; it has the sign of b, as Python's %.
int64_t floor_rest(int64_t a, int64_t b) {
  if (b == -1) return 0;
  const int64_t rest = a % b;
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

template <class T>
T floor_rest(T a, T b) {
  const T rest = std::fmod(a, b);
  if (rest == T(0)) return std::copysign(T(0), b);
  return (rest < T(0)) != (b < T(0)) ? rest + b : rest;
}

int64_t power(int64_t base, int64_t exponent) {
  uint64_t result = 1;
  for (auto square = static_cast<uint64_t>(base); exponent > 0; exponent /= 2) {
    if (exponent % 2) result *= square;
    square *= square;
  }
  return static_cast<int64_t>(result);
}

template <class T>
T power(T base, T exponent) {
  return std::pow(base, exponent);
}

// x ** 2 and its like are far cheaper than a power with any exponent.
template <class T>
Tensor float_power(const Tensor& a, const Tensor& b) {
  if (b.dim() == 0) {
    const T exponent = *b.data<T>();
    const auto map = [&](auto f) { return map2<T>("pow", a, b, f); };
    if (exponent == T(2)) return map([](T x, T) { return x * x; });
    if (exponent == T(3)) return map([](T x, T) { return x * x * x; });
    if (exponent == T(-1)) return map([](T x, T) { return T(1) / x; });
  }
  return map2<T>("pow", a, b, [](T x, T y) { return power(x, y); });
}

}  // namespace

static Tensor add(const Tensor& x, const Tensor& other) {
  auto [a, b] = promoted(x, other, DType::boolean);
  Tensor y = map2_any("add", a, b, plus);
  return record(
      "add", y, {a, b}, [a = a.shape(), b = b.shape()](const Tensor& dy, const Needs& needs) {
        return Grads{needs[0] ? sum_to(dy, a) : Tensor(), needs[1] ? sum_to(dy, b) : Tensor()};
      });
}
GU_OP(add, "x, other")

static Tensor sub(const Tensor& x, const Tensor& other) {
  if (x.dtype() == DType::boolean && other.dtype() == DType::boolean)
    fail<DTypeError>("[sub] two bools have no difference; compare them with ne");
  auto [a, b] = promoted(x, other, DType::boolean);
  Tensor y = map2_any("sub", a, b, minus);
  return record("sub", y, {a, b},
                [a = a.shape(), b = b.shape()](const Tensor& dy, const Needs& needs) {
                  Grads grads(2);
                  if (needs[0]) grads[0] = sum_to(dy, a);
                  if (needs[1]) {
                    const Tensor total = sum_to(dy, b);
                    grads[1] = map2_float("sub", total, total, []<class T>(T d, T) { return -d; });
                  }
                  return grads;
                });
}
GU_OP(sub, "x, other")

static Tensor mul(const Tensor& x, const Tensor& other) {
  auto [a, b] = promoted(x, other, DType::boolean);
  Tensor y = map2_any("mul", a, b, times);
  // Each factor is saved for the gradient of the other one only.
  return record(
      "mul", y, {a, b},
      [as = a.shape(), bs = b.shape(), a = autograd::requires_grad(b) ? Saved(a) : Saved(),
       b = autograd::requires_grad(a) ? Saved(b) : Saved()](const Tensor& dy, const Needs& needs) {
        return Grads{needs[0] ? sum_to(product(dy, b.get()), as) : Tensor(),
                     needs[1] ? sum_to(product(dy, a.get()), bs) : Tensor()};
      });
}
GU_OP(mul, "x, other")

static Tensor div(const Tensor& x, const Tensor& other) {
  const bool whole = !is_float(x.dtype()) && !is_float(other.dtype());
  auto [a, b] = promoted(x, other, whole ? DType::float32 : DType::boolean);
  Tensor y = map2_float("div", a, b, over);
  return record("div", y, {a, b},
                [as = a.shape(), y = autograd::requires_grad(b) ? Saved(y) : Saved(), b = Saved(b)](
                    const Tensor& dy, const Needs& needs) {
                  // y = a / b, so dy/da = 1 / b and dy/db = -a / b^2 = -y (1 / b)
                  Grads grads(2);
                  const Tensor da = map2_float("div", dy, b.get(), over);
                  if (needs[0]) grads[0] = sum_to(da, as);
                  if (needs[1]) {
                    const auto slope = []<class T>(T value, T d) { return -value * d; };
                    grads[1] = sum_to(map2_float("div", y.get(), da, slope), b.get().shape());
                  }
                  return grads;
                });
}
GU_OP(div, "x, other")

static Tensor pow(const Tensor& x, const Tensor& exponent) {
  auto [a, b] = promoted(x, exponent, DType::int64);
  if (a.dtype() == DType::int64) {
    const int64_t* e = b.data<int64_t>();
    for (int64_t i = 0; i < b.size(); ++i)
      if (e[i] < 0)
        fail<ValueError>("[pow] integers must have exponents of at least 0, but got ", e[i]);
    return map2<int64_t>("pow", a, b, [](int64_t u, int64_t v) { return power(u, v); });
  }
  Tensor y =
      with_float(a.dtype(), "pow", [&](auto zero) { return float_power<decltype(zero)>(a, b); });
  // y = a^b: dy/da = b a^(b-1), which is 0 for b = 0; dy/db = a^b log a, which tends to 0 at a = 0.
  return record_slopes(
      "pow", y, a, b,
      []<class T>(T u, T v) {
        if (v == T(2)) return v * u;
        return v == T(0) ? T(0) : v * std::pow(u, v - T(1));
      },
      []<class T>(T u, T v) {
        return u == T(0) && v >= T(0) ? T(0) : std::pow(u, v) * std::log(u);
      });
}
GU_OP(pow, "x, exponent")

// The gradient goes to the operand that was chosen; equal ones share it.
static Tensor maximum(const Tensor& x, const Tensor& other) {
  auto [a, b] = promoted(x, other, DType::boolean);
  return record_slopes(
      "maximum", map2_any("maximum", a, b, larger), a, b,
      []<class T>(T u, T v) { return u == v ? T(0.5) : T(!(u < v)); },
      []<class T>(T u, T v) { return u == v ? T(0.5) : T(!(v < u)); });
}
GU_OP(maximum, "x, other")

static Tensor minimum(const Tensor& x, const Tensor& other) {
  auto [a, b] = promoted(x, other, DType::boolean);
  return record_slopes(
      "minimum", map2_any("minimum", a, b, smaller), a, b,
      []<class T>(T u, T v) { return u == v ? T(0.5) : T(!(u > v)); },
      []<class T>(T u, T v) { return u == v ? T(0.5) : T(!(v > u)); });
}
GU_OP(minimum, "x, other")

// Constant between its jumps, so it has no gradient.
static Tensor floor_divide(const Tensor& x, const Tensor& other) {
  auto [a, b] = promoted(x, other, DType::int64);
  refuse_zero_divisor("floor_divide", b);
  if (a.dtype() == DType::int64)
    return map2<int64_t>("floor_divide", a, b,
                         [](int64_t u, int64_t v) { return floor_quotient(u, v); });
  return map2_float("floor_divide", a, b, []<class T>(T u, T v) { return floor_quotient(u, v); });
}
GU_OP(floor_divide, "x, other")

static Tensor remainder(const Tensor& x, const Tensor& other) {
  auto [a, b] = promoted(x, other, DType::int64);
  refuse_zero_divisor("remainder", b);
  if (a.dtype() == DType::int64)
    return map2<int64_t>("remainder", a, b, [](int64_t u, int64_t v) { return floor_rest(u, v); });
  Tensor y = map2_float("remainder", a, b, []<class T>(T u, T v) { return floor_rest(u, v); });
  // y = a - b floor(a / b), where the floor is constant between its jumps
  return record_slopes(
      "remainder", y, a, b, []<class T>(T, T) { return T(1); },
      []<class T>(T u, T v) { return -floor_quotient(u, v); });
}
GU_OP(remainder, "x, other")

}  // namespace gu::ops
