// Tensors made from nothing but a size: constants, sequences, random numbers.
//
// Random ops reserve blocks of the process's stream (core/rng.hpp) before they draw, so a number
// depends on the seed and on how many were drawn before, not on threads.

#include <cmath>

#include "autograd/tape.hpp"
#include "core/registry.hpp"
#include "core/rng.hpp"
#include "ops/cast.hpp"

namespace gu::ops {

namespace {

// fill(out, n) writes a tensor of any dtype; a bfloat16 is rounded from a float32.
template <class F>
Tensor filled(const char* op, const Shape& shape, DType dtype, F fill) {
  if (dtype == DType::bfloat16)
    return converted(filled(op, shape, DType::float32, fill), DType::bfloat16);
  Tensor y = Tensor::empty(shape, dtype);
  with_any(dtype, op, [&](auto zero) { fill(y.data<decltype(zero)>(), y.size()); });
  return y;
}

// f(i) for i = 0, 1, …, computed in double.
template <class F>
Tensor sequence(const char* op, int64_t n, DType dtype, F f) {
  Tensor y = filled(op, {n}, DType::float64, [&]<class T>(T* out, int64_t size) {
    for (int64_t i = 0; i < size; ++i) out[i] = static_cast<T>(f(i));
  });
  return converted(y, dtype);
}

Tensor constant(const char* op, const Shape& shape, DType dtype, const Scalar& value) {
  const Tensor one = std::visit([](auto v) { return Tensor::scalar(v); }, value.value);
  return filled(op, shape, dtype, [&]<class T>(T* out, int64_t n) {
    std::fill_n(out, n, *converted(one, dtype_of<T>).template data<T>());
  });
}

// The new tensor as a leaf that wants a gradient, or as it is.
Tensor leaf(Tensor t, bool requires_grad) {
  if (!requires_grad) return t;
  if (!is_float(t.dtype()))
    fail<DTypeError>("[requires_grad] only float tensors have gradients, but got ",
                     name(t.dtype()));
  autograd::meta_of(t).requires_grad = true;
  return t;
}

Tensor uniform(const char* op, const Shape& shape, DType dtype) {
  Tensor y = Tensor::empty(shape, dtype);
  with_float(dtype, op, [&](auto zero) {
    using T = decltype(zero);
    const RandomState s = default_generator().advance(blocks_for_uniform<T>(y.size()));
    fill_uniform(y.data<T>(), y.size(), s.seed, s.counter);
  });
  return y;
}

Tensor normal(const char* op, const Shape& shape, DType dtype) {
  Tensor y = Tensor::empty(shape, dtype);
  with_float(dtype, op, [&](auto zero) {
    using T = decltype(zero);
    const RandomState s = default_generator().advance(blocks_for_normal(y.size()));
    fill_normal(y.data<T>(), y.size(), s.seed, s.counter);
  });
  return y;
}

// How many of start, start + step, … lie before end.
int64_t steps_between(const Scalar& start, const Scalar& end, const Scalar& step, bool whole) {
  if (whole) {
    const __int128 span = __int128{end.as<int64_t>()} - start.as<int64_t>();
    const __int128 by = step.as<int64_t>();
    return static_cast<int64_t>(
        std::min<__int128>((span + by + (by > 0 ? -1 : 1)) / by, __int128{1} << 62));
  }
  const double n = std::ceil((end.as<double>() - start.as<double>()) / step.as<double>());
  return static_cast<int64_t>(std::min(n, 0x1p62));
}

}  // namespace

static Tensor zeros(const Shape& size, DType dtype, bool requires_grad) {
  return leaf(Tensor::zeros(size, dtype), requires_grad);
}
GU_OP(zeros, "size, dtype='float32', requires_grad=False")

// Zeros, too: memory as it was left would show values of tensors that are gone, and two runs would
// differ.
static Tensor empty(const Shape& size, DType dtype, bool requires_grad) {
  return zeros(size, dtype, requires_grad);
}
GU_OP(empty, "size, dtype='float32', requires_grad=False")

static Tensor ones(const Shape& size, DType dtype, bool requires_grad) {
  return leaf(constant("ones", size, dtype, {int64_t{1}}), requires_grad);
}
GU_OP(ones, "size, dtype='float32', requires_grad=False")

static Tensor full(const Shape& size, const Scalar& fill_value, std::optional<DType> dtype,
                   bool requires_grad) {
  return leaf(constant("full", size, dtype.value_or(fill_value.dtype()), fill_value),
              requires_grad);
}
GU_OP(full, "size, fill_value, dtype=None, requires_grad=False")

static Tensor zeros_like(const Tensor& x, std::optional<DType> dtype, bool requires_grad) {
  return zeros(x.shape(), dtype.value_or(x.dtype()), requires_grad);
}
GU_OP(zeros_like, "x, dtype=None, requires_grad=False")

static Tensor ones_like(const Tensor& x, std::optional<DType> dtype, bool requires_grad) {
  return ones(x.shape(), dtype.value_or(x.dtype()), requires_grad);
}
GU_OP(ones_like, "x, dtype=None, requires_grad=False")

static Tensor full_like(const Tensor& x, const Scalar& fill_value, std::optional<DType> dtype,
                        bool requires_grad) {
  return full(x.shape(), fill_value, dtype.value_or(x.dtype()), requires_grad);
}
GU_OP(full_like, "x, fill_value, dtype=None, requires_grad=False")

static Tensor eye(int64_t n, std::optional<int64_t> m, DType dtype, bool requires_grad) {
  const int64_t columns = m.value_or(n);
  Tensor y = filled("eye", {n, columns}, dtype, [&]<class T>(T* out, int64_t size) {
    std::fill_n(out, size, T(0));
    for (int64_t i = 0; i < std::min(n, columns); ++i) out[i * columns + i] = T(1);
  });
  return leaf(y, requires_grad);
}
GU_OP(eye, "n, m=None, dtype='float32', requires_grad=False")

static Tensor arange(const Scalar& start, const std::optional<Scalar>& end, const Scalar& step,
                     std::optional<DType> dtype, bool requires_grad) {
  const Scalar first = end ? start : Scalar{int64_t{0}}, last = end ? *end : start;
  const DType widest = std::max({first.dtype(), last.dtype(), step.dtype(), DType::int64});
  const double span = last.as<double>() - first.as<double>(), by = step.as<double>();
  if (!std::isfinite(span) || !std::isfinite(by))
    fail<ValueError>("[arange] start, end and step must be finite");
  if (by == 0) fail<ValueError>("[arange] step must not be 0");
  if (span != 0 && (span < 0) != (by < 0))
    fail<ValueError>("[arange] step must lead from start towards end");
  const int64_t n = steps_between(first, last, step, widest == DType::int64);
  // Multiplied, not added up: a sum would carry every rounding on.
  Tensor y;
  if (widest == DType::int64)
    y = filled("arange", {n}, dtype.value_or(widest), [&]<class T>(T* out, int64_t size) {
      for (int64_t i = 0; i < size; ++i)
        out[i] = static_cast<T>(first.as<int64_t>() + i * step.as<int64_t>());
    });
  else
    y = sequence("arange", n, dtype.value_or(widest),
                 [&](int64_t i) { return first.as<double>() + static_cast<double>(i) * by; });
  return leaf(y, requires_grad);
}
GU_OP(arange, "start, end=None, step=1, dtype=None, requires_grad=False")

static Tensor linspace(double start, double end, int64_t steps, DType dtype, bool requires_grad) {
  if (steps < 0) fail<ValueError>("[linspace] steps must not be negative, but got ", steps);
  const double step = steps > 1 ? (end - start) / static_cast<double>(steps - 1) : 0;
  // From both ends, so that the last one is `end` exactly.
  Tensor y = sequence("linspace", steps, dtype, [=](int64_t i) {
    return 2 * i < steps ? start + static_cast<double>(i) * step
                         : end - static_cast<double>(steps - 1 - i) * step;
  });
  return leaf(y, requires_grad);
}
GU_OP(linspace, "start, end, steps, dtype='float32', requires_grad=False")

static Tensor rand(const Shape& size, DType dtype, bool requires_grad) {
  return leaf(uniform("rand", size, dtype), requires_grad);
}
GU_OP(rand, "size, dtype='float32', requires_grad=False")

static Tensor randn(const Shape& size, DType dtype, bool requires_grad) {
  return leaf(normal("randn", size, dtype), requires_grad);
}
GU_OP(randn, "size, dtype='float32', requires_grad=False")

static Tensor rand_like(const Tensor& x, std::optional<DType> dtype, bool requires_grad) {
  return leaf(uniform("rand_like", x.shape(), dtype.value_or(x.dtype())), requires_grad);
}
GU_OP(rand_like, "x, dtype=None, requires_grad=False")

static Tensor randn_like(const Tensor& x, std::optional<DType> dtype, bool requires_grad) {
  return leaf(normal("randn_like", x.shape(), dtype.value_or(x.dtype())), requires_grad);
}
GU_OP(randn_like, "x, dtype=None, requires_grad=False")

static Tensor randint(int64_t low, int64_t high, const Shape& size) {
  if (low >= high)
    fail<ValueError>("[randint] low must be less than high, but got ", low, " and ", high);
  Tensor y = Tensor::empty(size, DType::int64);
  const RandomState s = default_generator().advance(blocks_for_integers(y.size()));
  fill_integers(y.data<int64_t>(), y.size(), low, high, s.seed, s.counter);
  return y;
}
GU_OP(randint, "low, high, size")

// 1 with the probability that x gives, else 0.
static Tensor bernoulli(const Tensor& x) {
  return with_float(x.dtype(), "bernoulli", [&](auto zero) {
    using T = decltype(zero);
    const T* p = x.data<T>();
    for (int64_t i = 0; i < x.size(); ++i)
      if (!(p[i] >= T(0) && p[i] <= T(1)))
        fail<ValueError>("[bernoulli] probabilities must be in 0 to 1, but element ", i, " is not");
    Tensor y = uniform("bernoulli", x.shape(), x.dtype());
    T* out = y.data<T>();
    for (int64_t i = 0; i < y.size(); ++i) out[i] = out[i] < p[i] ? T(1) : T(0);
    return y;
  });
}
GU_OP(bernoulli, "x")

}  // namespace gu::ops
