#pragma once
// Backpropagation over single numbers: the engine behind `gu.scalar.Value`.
//
// A Node keeps its operands and the local gradient towards each: backward() is then nothing but the
// chain rule along the graph. Who allocates nodes keeps the operands of a living node alive (the
// binding lets Python's reference counts do that), so this file knows neither memory nor Python.
// Specification: python/groundup/reference/scalar.py. Both give equal bits, errors included.

#include <cstdint>
#include <stdexcept>
#include <string>

namespace gu::scalar {

struct ZeroDivision : std::domain_error {
  using std::domain_error::domain_error;
};

enum class Op : std::uint8_t {
  kLeaf,
  kAdd,
  kSub,
  kMul,
  kDiv,
  kPow,
  kNeg,
  kExp,
  kLog,
  kTanh,
  kRelu,
  kSigmoid
};

struct Node {
  double data = 0.0;
  double grad = 0.0;
  Node* operand[2] = {nullptr, nullptr};
  double local_grad[2] = {0.0, 0.0};  // d data / d operand[i]->data
  double exponent = 0.0;              // of kPow
  std::uint64_t walk = 0;             // the last walk that came by, see topological_order
  Op op = Op::kLeaf;
  std::uint8_t arity = 0;  // operands in use

  static Node leaf(double data) { return {.data = data}; }
};

Node add(Node& a, Node& b);
Node sub(Node& a, Node& b);
Node mul(Node& a, Node& b);
Node div(Node& a, Node& b);   // throws ZeroDivision
Node pow(Node& a, double n);  // throws ZeroDivision, std::domain_error, std::overflow_error
Node neg(Node& a);
Node exp(Node& a);  // throws std::overflow_error
Node log(Node& a);  // throws std::domain_error
Node tanh(Node& a);
Node relu(Node& a);
Node sigmoid(Node& a);

// "+", "**2", "relu" … as a drawing shows it; "" for a leaf.
std::string op_name(const Node& node);

// Adds d root / d leaf to the gradient of every leaf; sets that of the values in between.
void backward(Node& root);
// Zeroes the gradient of root and of everything it was computed from.
void zero_grad(Node& root);
// Both mark nodes as they go: one thread at a time (the binding holds the GIL).

}  // namespace gu::scalar
