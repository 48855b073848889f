// Comparisons and logic, which give bools and have no gradient, and where, which chooses by one.

#include <bit>
#include <cmath>

#include "autograd/tape.hpp"
#include "core/registry.hpp"
#include "ops/broadcast.hpp"
#include "ops/cast.hpp"

namespace gu::ops {

namespace {

template <class F>
Tensor compare(const char* op, const Tensor& x, const Tensor& other, F f) {
  const DType dtype = std::max(x.dtype(), other.dtype());
  const Tensor a = to_dtype(x, dtype), b = to_dtype(other, dtype);
  Tensor y = Tensor::empty(broadcast_shape(op, {&a, &b}), DType::boolean);
  with_any(dtype, op, [&](auto zero) {
    using T = decltype(zero);
    broadcast_map<T, T>(y.shape(), y.data<bool>(), f, a, b);
  });
  return y;
}

// f of every element of a float tensor; `otherwise` for integers and bools, which are all finite.
template <class F>
Tensor classify(const char* op, const Tensor& x, bool otherwise, F f) {
  Tensor y = Tensor::empty(x.shape(), DType::boolean);
  with_any(x.dtype(), op, [&](auto zero) {
    using T = decltype(zero);
    bool* out = y.data<bool>();
    if constexpr (std::is_floating_point_v<T>)
      broadcast_map<T>(y.shape(), out, f, x);
    else
      std::fill_n(out, y.size(), otherwise);
  });
  return y;
}

// u or v, by a mask of bits: a branch on a random condition is mispredicted half of the time, and
// c ? u : v compiles to one.
template <class T>
T select(bool c, T u, T v) {
  using Bits = std::conditional_t<sizeof(T) == 8, uint64_t,
                                  std::conditional_t<sizeof(T) == 4, uint32_t, uint8_t>>;
  const Bits mask = static_cast<Bits>(-static_cast<Bits>(c));
  return std::bit_cast<T>(static_cast<Bits>((std::bit_cast<Bits>(u) & mask) |
                                            (std::bit_cast<Bits>(v) & static_cast<Bits>(~mask))));
}

template <class T>
Tensor choose(const Shape& shape, const Tensor& condition, const Tensor& a, const Tensor& b) {
  Tensor y = Tensor::empty(shape, dtype_of<T>);
  broadcast_map<bool, T, T>(
      shape, y.data<T>(), [](bool c, T u, T v) { return select(c, u, v); }, condition, a, b);
  return y;
}

}  // namespace

static Tensor eq(const Tensor& x, const Tensor& other) {
  return compare("eq", x, other, [](auto a, auto b) { return a == b; });
}
GU_OP(eq, "x, other")

static Tensor ne(const Tensor& x, const Tensor& other) {
  return compare("ne", x, other, [](auto a, auto b) { return a != b; });
}
GU_OP(ne, "x, other")

static Tensor lt(const Tensor& x, const Tensor& other) {
  return compare("lt", x, other, [](auto a, auto b) { return a < b; });
}
GU_OP(lt, "x, other")

static Tensor le(const Tensor& x, const Tensor& other) {
  return compare("le", x, other, [](auto a, auto b) { return a <= b; });
}
GU_OP(le, "x, other")

static Tensor gt(const Tensor& x, const Tensor& other) {
  return compare("gt", x, other, [](auto a, auto b) { return a > b; });
}
GU_OP(gt, "x, other")

static Tensor ge(const Tensor& x, const Tensor& other) {
  return compare("ge", x, other, [](auto a, auto b) { return a >= b; });
}
GU_OP(ge, "x, other")

// Everything but 0 is true.
static Tensor logical_and(const Tensor& x, const Tensor& other) {
  return compare("logical_and", x, other,
                 []<class T>(T a, T b) { return (a != T(0)) & (b != T(0)); });
}
GU_OP(logical_and, "x, other")

static Tensor logical_or(const Tensor& x, const Tensor& other) {
  return compare("logical_or", x, other,
                 []<class T>(T a, T b) { return (a != T(0)) | (b != T(0)); });
}
GU_OP(logical_or, "x, other")

static Tensor logical_not(const Tensor& x) {
  return compare("logical_not", x, x, []<class T>(T a, T) { return a == T(0); });
}
GU_OP(logical_not, "x")

static Tensor isnan(const Tensor& x) {
  return classify("isnan", x, false, [](auto v) { return v != v; });
}
GU_OP(isnan, "x")

static Tensor isinf(const Tensor& x) {
  return classify("isinf", x, false, [](auto v) { return std::isinf(v); });
}
GU_OP(isinf, "x")

static Tensor isfinite(const Tensor& x) {
  return classify("isfinite", x, true, [](auto v) { return std::isfinite(v); });
}
GU_OP(isfinite, "x")

static Tensor where(const Tensor& condition, const Tensor& x, const Tensor& other) {
  if (condition.dtype() != DType::boolean)
    fail<DTypeError>("[where] condition must be bool, but got ", name(condition.dtype()));
  const DType dtype = std::max(x.dtype(), other.dtype());
  const Tensor a = to_dtype(x, dtype), b = to_dtype(other, dtype);
  const Shape shape = broadcast_shape("where", {&condition, &a, &b});
  Tensor y = with_any(dtype, "where",
                      [&](auto zero) { return choose<decltype(zero)>(shape, condition, a, b); });
  return record(
      "where", y, {condition, a, b},
      [c = Saved(condition), as = a.shape(), bs = b.shape()](const Tensor& dy, const Needs& needs) {
        return with_float(dy.dtype(), "where", [&](auto zero) {
          using T = decltype(zero);
          const Tensor none = Tensor::scalar(T(0));
          Grads grads(3);
          if (needs[1]) grads[1] = sum_to(choose<T>(dy.shape(), c.get(), dy, none), as);
          if (needs[2]) grads[2] = sum_to(choose<T>(dy.shape(), c.get(), none, dy), bs);
          return grads;
        });
      });
}
GU_OP(where, "condition, x, other")

}  // namespace gu::ops
