#pragma once
// The element types of a tensor.

#include <cstdint>
#include <string>

#include "core/errors.hpp"

namespace gu {

// In the order of promotion: an op over two types computes in the later one.
enum class DType : uint8_t { boolean, int64, bfloat16, float32, float64 };

// Storage of a bfloat16, the upper half of a float32. It is stored and converted, never computed
// in.
struct BFloat16 {
  uint16_t bits;
};

constexpr int64_t itemsize(DType dtype) {
  switch (dtype) {
    case DType::boolean:
      return 1;
    case DType::bfloat16:
      return 2;
    case DType::float32:
      return 4;
    default:
      return 8;
  }
}

constexpr const char* name(DType dtype) {
  switch (dtype) {
    case DType::boolean:
      return "bool";
    case DType::int64:
      return "int64";
    case DType::bfloat16:
      return "bfloat16";
    case DType::float32:
      return "float32";
    default:
      return "float64";
  }
}

constexpr bool is_float(DType dtype) { return dtype >= DType::bfloat16; }

template <class T>
constexpr DType dtype_of = DType::float64;
template <>
inline constexpr DType dtype_of<bool> = DType::boolean;
template <>
inline constexpr DType dtype_of<int64_t> = DType::int64;
template <>
inline constexpr DType dtype_of<BFloat16> = DType::bfloat16;
template <>
inline constexpr DType dtype_of<float> = DType::float32;

// Calls f(float{}) or f(double{}); every other type is an error that names the op.
template <class F>
decltype(auto) with_float(DType dtype, const char* op, F&& f) {
  if (dtype == DType::float32) return f(float{});
  if (dtype == DType::float64) return f(double{});
  fail<DTypeError>("[", op, "] dtype must be float32 or float64, but got ", name(dtype));
}

// Calls f with a zero of the C++ type that holds any dtype but bfloat16.
template <class F>
decltype(auto) with_any(DType dtype, const char* op, F&& f) {
  switch (dtype) {
    case DType::boolean:
      return f(bool{});
    case DType::int64:
      return f(int64_t{});
    case DType::float32:
      return f(float{});
    case DType::float64:
      return f(double{});
    default:
      fail<DTypeError>("[", op, "] bfloat16 is only stored; convert with x.float() first");
  }
}

}  // namespace gu
