#pragma once
// The registry of ops. An op file ends with one line that makes its function callable from Python:
//   GU_OP(softmax, "x, dim=-1")
// The C++ types of the parameters say what is accepted; the string gives their names and defaults.

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "core/tensor.hpp"

namespace gu {

// A tensor or a number that becomes a tensor of its partner's dtype, as in x + 1.
using Value = std::variant<std::monostate, Tensor, bool, int64_t, double, std::string, DType,
                           std::vector<int64_t>, std::vector<Tensor>>;

// A number that keeps the type it has in Python, for ops whose result's dtype depends on it.
struct Scalar {
  std::variant<bool, int64_t, double> value;

  DType dtype() const {
    constexpr DType dtypes[] = {DType::boolean, DType::int64, DType::float32};
    return dtypes[value.index()];
  }
  template <class T>
  T as() const {
    return std::visit([](auto v) { return static_cast<T>(v); }, value);
  }
};

enum class Kind { tensor, boolean, integer, number, scalar, string, dtype, integers, tensors };

struct Param {
  std::string name;
  Kind kind;
  bool optional;  // accepts None
  bool has_default;
  Value default_value;  // monostate stands for None
  std::string default_text;
};

struct Op {
  std::string name;
  std::vector<Param> params;
  std::function<Value(std::span<Value>)> call;
  std::string file;  // "ops/softmax.cpp"
};

std::map<std::string, Op>& registry();
Value parse_default(const std::string& op, Kind kind, const std::string& text);
void register_op(Op op, const std::string& signature);

namespace detail {

template <class T>
struct Slot;  // how one C++ parameter type is fed from a Value
template <class T, Kind K>
struct PlainSlot {
  static constexpr Kind kind = K;
  static constexpr bool optional = false;
  static const T& get(Value& v) { return std::get<T>(v); }
};
template <>
struct Slot<Tensor> : PlainSlot<Tensor, Kind::tensor> {};
template <>
struct Slot<bool> : PlainSlot<bool, Kind::boolean> {};
template <>
struct Slot<int64_t> : PlainSlot<int64_t, Kind::integer> {};
template <>
struct Slot<double> : PlainSlot<double, Kind::number> {};
template <>
struct Slot<Scalar> {
  static constexpr Kind kind = Kind::scalar;
  static constexpr bool optional = false;
  static Scalar get(Value& v) {
    if (auto* b = std::get_if<bool>(&v)) return {*b};
    if (auto* n = std::get_if<int64_t>(&v)) return {*n};
    return {std::get<double>(v)};
  }
};
template <>
struct Slot<std::string> : PlainSlot<std::string, Kind::string> {};
template <>
struct Slot<DType> : PlainSlot<DType, Kind::dtype> {};
template <>
struct Slot<std::vector<int64_t>> : PlainSlot<std::vector<int64_t>, Kind::integers> {};
template <>
struct Slot<std::vector<Tensor>> : PlainSlot<std::vector<Tensor>, Kind::tensors> {};
template <class T>
struct Slot<std::optional<T>> {
  static constexpr Kind kind = Slot<T>::kind;
  static constexpr bool optional = true;
  static std::optional<T> get(Value& v) {
    if (std::holds_alternative<std::monostate>(v)) return std::nullopt;
    return Slot<T>::get(v);
  }
};

template <class R, class... Args, size_t... I>
Op make_op(const char* name, R (*fn)(Args...), const char* file, std::index_sequence<I...>) {
  Op op;
  op.name = name;
  op.file = file;
  (op.params.push_back(
       {"", Slot<std::decay_t<Args>>::kind, Slot<std::decay_t<Args>>::optional, false, {}, ""}),
   ...);
  op.call = [fn](std::span<Value> args) -> Value {
    (void)args;  // an op without parameters
    return Value(fn(Slot<std::decay_t<Args>>::get(args[I])...));
  };
  return op;
}

struct Registration {
  template <class R, class... Args>
  Registration(const char* name, R (*fn)(Args...), const char* signature, const char* file) {
    register_op(make_op(name, fn, file, std::index_sequence_for<Args...>{}), signature);
  }
};

}  // namespace detail

// Registers function `fn` under its own name, or under another one.
#define GU_OP(fn, signature) GU_OP_AS(fn, #fn, signature)
#define GU_OP_AS(fn, name, signature)                                                            \
  [[maybe_unused]] static const ::gu::detail::Registration registered_##fn(name, &fn, signature, \
                                                                           __FILE__);

}  // namespace gu
