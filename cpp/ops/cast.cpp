// cast: the same values in another element type; clone: a copy that the tape follows.

#include "ops/cast.hpp"

#include <bit>
#include <type_traits>

#include "autograd/tape.hpp"
#include "core/registry.hpp"
#include "core/threads.hpp"

namespace gu::ops {

namespace {

float widen(BFloat16 x) { return std::bit_cast<float>(static_cast<uint32_t>(x.bits) << 16); }

// To the nearest bfloat16, ties to even: adding half a unit, or just less where the last bit kept
// is 0, carries into the upper half exactly when the value must be rounded up.
BFloat16 narrow(float x) {
  const auto bits = std::bit_cast<uint32_t>(x);
  if (x != x) return {static_cast<uint16_t>((bits >> 16) | 0x40)};  // a carry could end in infinity
  return {static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16)};
}

// Toward zero; what an int64 cannot hold, NaN included, becomes its smallest value, as on x86.
template <class T>
int64_t truncate(T x) {
  constexpr T limit = T(9223372036854775808.0);  // 2^63
  return x >= -limit && x < limit ? static_cast<int64_t>(x) : INT64_MIN;
}

template <class To, class From>
To cast_element(From x) {
  if constexpr (std::is_same_v<From, BFloat16>) {
    return cast_element<To>(widen(x));
  } else if constexpr (std::is_same_v<To, BFloat16>) {
    return narrow(static_cast<float>(x));
  } else if constexpr (std::is_same_v<To, int64_t> && std::is_floating_point_v<From>) {
    return truncate(x);
  } else {
    return static_cast<To>(x);
  }
}

template <class F>
void with_stored(DType dtype, F&& f) {
  if (dtype == DType::bfloat16)
    f(BFloat16{});
  else
    with_any(dtype, "cast", f);
}

}  // namespace

Tensor converted(const Tensor& x, DType dtype) {
  if (x.dtype() == dtype) return x.clone();
  Tensor y = Tensor::empty(x.shape(), dtype);
  with_stored(x.dtype(), [&](auto from) {
    with_stored(dtype, [&](auto to) {
      using From = decltype(from);
      using To = decltype(to);
      const From* in = x.data<From>();
      To* out = y.data<To>();
      parallel_for(x.size(), 1 << 15, [=](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) out[i] = cast_element<To>(in[i]);
      });
    });
  });
  return y;
}

static Tensor cast(const Tensor& x, DType dtype) {
  return record(
      "cast", converted(x, dtype), {x},
      [from = x.dtype()](const Tensor& dy, const Needs&) { return Grads{to_dtype(dy, from)}; });
}
GU_OP(cast, "x, dtype")

Tensor to_dtype(const Tensor& x, DType dtype) { return x.dtype() == dtype ? x : cast(x, dtype); }

static Tensor clone(const Tensor& x) {
  return record("clone", x.clone(), {x}, [](const Tensor& dy, const Needs&) { return Grads{dy}; });
}
GU_OP(clone, "x")

}  // namespace gu::ops
