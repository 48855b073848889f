#include "autograd/scalar.hpp"

#include <charconv>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace gu::scalar {
namespace {

Node unary(Op op, double data, Node& a, double da) {
  return {.data = data, .operand = {&a, nullptr}, .local_grad = {da, 0.0}, .op = op, .arity = 1};
}

Node binary(Op op, double data, Node& a, double da, Node& b, double db) {
  return {.data = data, .operand = {&a, &b}, .local_grad = {da, db}, .op = op, .arity = 2};
}

// Six digits, as Python's f"{x:g}" has them, whatever the locale.
std::string text(double x) {
  if (std::isnan(x)) return "nan";  // never "-nan"
  char buffer[32];
  return {buffer,
          std::to_chars(buffer, buffer + sizeof buffer, x, std::chars_format::general, 6).ptr};
}

bool is_whole(double x) { return std::isfinite(x) && std::floor(x) == x; }

// pow, where a finite base and exponent with an infinite result is an error, as in Python.
double checked_pow(double x, double n, double original_n) {
  const double y = std::pow(x, n);
  if (std::isinf(y) && std::isfinite(x) && std::isfinite(n))
    throw std::overflow_error("[pow] the result or its gradient is too large: " + text(x) + " ** " +
                              text(original_n));
  return y;
}

}  // namespace

// Two operands

Node add(Node& a, Node& b) { return binary(Op::kAdd, a.data + b.data, a, 1.0, b, 1.0); }

Node sub(Node& a, Node& b) { return binary(Op::kSub, a.data - b.data, a, 1.0, b, -1.0); }

Node mul(Node& a, Node& b) { return binary(Op::kMul, a.data * b.data, a, b.data, b, a.data); }

Node div(Node& a, Node& b) {
  if (b.data == 0.0)
    throw ZeroDivision("[div] the divisor must not be zero, but got " + text(a.data) + " / " +
                       text(b.data));
  const double quotient = a.data / b.data;
  return binary(Op::kDiv, quotient, a, 1.0 / b.data, b, -quotient / b.data);
}

Node pow(Node& a, double n) {
  const double x = a.data;
  if (x == 0.0 && n < 0.0)
    throw ZeroDivision("[pow] zero needs an exponent of at least zero, but got " + text(x) +
                       " ** " + text(n));
  if (x < 0.0 && !is_whole(n))
    throw std::domain_error("[pow] a negative base needs a whole exponent, but got " + text(x) +
                            " ** " + text(n));
  double slope;
  if (n == 0.0) {
    slope = 0.0;
  } else if (x == 0.0 && n < 1.0) {
    slope = std::numeric_limits<double>::infinity();  // a root is vertical at zero
  } else {
    slope = n == 2.0 ? 2.0 * x : n * checked_pow(x, n - 1.0, n);  // a square needs one pow, not two
  }
  Node out = unary(Op::kPow, checked_pow(x, n, n), a, slope);
  out.exponent = n;
  return out;
}

// One operand

Node neg(Node& a) { return unary(Op::kNeg, -a.data, a, -1.0); }

Node exp(Node& a) {
  const double e = std::exp(a.data);
  if (std::isinf(e) && std::isfinite(a.data))
    throw std::overflow_error("[exp] the result is too large: exp(" + text(a.data) + ")");
  return unary(Op::kExp, e, a, e);
}

Node log(Node& a) {
  if (a.data <= 0.0)
    throw std::domain_error("[log] the argument must be positive, but got " + text(a.data));
  return unary(Op::kLog, std::log(a.data), a, 1.0 / a.data);
}

Node tanh(Node& a) {
  const double t = std::tanh(a.data);
  return unary(Op::kTanh, t, a, 1.0 - t * t);
}

Node relu(Node& a) {
  const bool off = a.data <= 0.0;  // the gradient at zero is taken to be zero
  return unary(Op::kRelu, off ? 0.0 : a.data, a, off ? 0.0 : 1.0);
}

Node sigmoid(Node& a) {
  const double e = std::exp(-std::abs(a.data));  // the exponent is never positive: no overflow
  const double s = a.data >= 0.0 ? 1.0 / (1.0 + e) : e / (1.0 + e);
  return unary(Op::kSigmoid, s, a, s * (1.0 - s));
}

std::string op_name(const Node& node) {
  switch (node.op) {
    case Op::kLeaf:
      return "";
    case Op::kAdd:
      return "+";
    case Op::kSub:
      return "-";
    case Op::kMul:
      return "*";
    case Op::kDiv:
      return "/";
    case Op::kPow:
      return "**" + text(node.exponent);
    case Op::kNeg:
      return "neg";
    case Op::kExp:
      return "exp";
    case Op::kLog:
      return "log";
    case Op::kTanh:
      return "tanh";
    case Op::kRelu:
      return "relu";
    case Op::kSigmoid:
      return "sigmoid";
  }
  return "";
}

// Gradients

namespace {

// The results among everything root was computed from, operands before those that use them, root
// last. Leaves are left out: they have nothing to pass on. Depth first with a stack of its own, as
// a chain of a million nodes would overflow the machine's. A node carries the number of the last
// walk that saw it, so no set of pointers is kept and nothing has to be cleared.
std::vector<Node*> topological_order(Node& root) {
  static std::uint64_t walks = 0;
  const std::uint64_t walk = ++walks;
  struct Frame {
    Node* node;
    int open;  // operands still to visit; the right one goes first, as in the reference
  };
  std::vector<Node*> order;
  std::vector<Frame> stack;
  const auto enter = [&](Node& node) {
    if (node.arity == 0 || node.walk == walk) return;
    node.walk = walk;
    stack.push_back({&node, node.arity});
  };
  enter(root);
  while (!stack.empty()) {
    Frame& top = stack.back();
    if (top.open > 0) {
      enter(*top.node->operand[--top.open]);
    } else {
      order.push_back(top.node);
      stack.pop_back();
    }
  }
  return order;
}

}  // namespace

void backward(Node& root) {
  const std::vector<Node*> order = topological_order(root);
  for (Node* node : order) node->grad = 0.0;  // starts afresh, or old gradients would flow on again
  root.grad += 1.0;                           // d root / d root
  for (auto it = order.rbegin(); it != order.rend(); ++it) {
    Node& node = **it;
    for (int i = 0; i < node.arity; ++i)
      node.operand[i]->grad += node.local_grad[i] * node.grad;  // the chain rule
  }
}

void zero_grad(Node& root) {
  root.grad = 0.0;
  for (Node* node : topological_order(root))
    for (int i = 0; i < node->arity; ++i) node->operand[i]->grad = 0.0;
}

}  // namespace gu::scalar
