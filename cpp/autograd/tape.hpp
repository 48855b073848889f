#pragma once
// The tape: every differentiable op records a Node that knows its inputs and how to turn the
// gradient of its output into gradients of its inputs. backward() walks the nodes from the newest
// to the oldest.

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "core/tensor.hpp"

namespace gu::autograd {

struct Node;
using Hook =
    std::function<Tensor(const Tensor&)>;  // gets a gradient, returns it or its replacement
using Grads = std::vector<Tensor>;         // one per input; undefined means "no gradient"

// What the tape knows of a tensor. A leaf has no node: the user made it.
struct Meta {
  bool requires_grad = false;
  bool retains_grad = false;  // keep .grad although this is not a leaf
  Tensor grad;
  std::shared_ptr<Node> node;  // the op that made it
  size_t output = 0;           // which of the node's outputs it is
  std::vector<std::pair<int64_t, Hook>> hooks;
};

// needs[i]: whether anybody wants the gradient of input i.
class Needs {
 public:
  explicit Needs(const Node& node) : node_(node) {}
  bool operator[](size_t i) const;

 private:
  const Node& node_;
};

using Backward = std::function<Grads(const Grads& dys, const Needs& needs)>;

struct Node {
  std::string op;
  uint64_t sequence = 0;                      // later ops have larger numbers
  std::vector<std::shared_ptr<Meta>> inputs;  // null where an input needs no gradient
  std::vector<std::weak_ptr<Meta>> outputs;
  Backward backward;  // empty once it has run and its memory was freed
  ~Node();
};

bool grad_enabled();
void set_grad_enabled(bool on);
bool anomaly_enabled();
void set_anomaly_enabled(bool on);
// Throws a ValueError that names the op when anomaly mode is on and a value is NaN or infinite.
void check_finite(const std::string& op, const char* what, const Tensor& t);

struct NoGrad {  // nothing is recorded while one of these lives
  bool before = grad_enabled();
  NoGrad() { set_grad_enabled(false); }
  ~NoGrad() { set_grad_enabled(before); }
};

bool requires_grad(const Tensor& t);
template <class Tensors>
bool any_requires_grad(const Tensors& tensors) {
  if (!grad_enabled()) return false;
  for (const Tensor& t : tensors)
    if (t.defined() && requires_grad(t)) return true;
  return false;
}

// A tensor kept for backward, without its history. get() refuses it when it was written to since.
class Saved {
 public:
  Saved() = default;
  Saved(const Tensor& t) {  // NOLINT: implicit, so that a capture reads [x = Saved(x)]
    if (t.defined()) {
      tensor_ = t.alias();
      version_ = t.version();
    }
  }
  const Tensor& get() const;
  bool defined() const { return tensor_.defined(); }

 private:
  Tensor tensor_;
  uint32_t version_ = 0;
};

void record_node(std::string op, std::vector<Tensor>& outputs, const Tensor* inputs, size_t n,
                 Backward backward);

// Records that `y` was made from `inputs`. `backward` is dropped when nobody needs a gradient.
//   return record("exp", y, {x}, [y = Saved(y)](const Tensor& dy, const Needs&) { return
//   Grads{...}; });
template <class F>
Tensor record(const char* op, Tensor y, std::initializer_list<Tensor> inputs, F backward) {
  if (!is_float(y.dtype()) || !any_requires_grad(inputs)) return y;
  std::vector<Tensor> outputs{std::move(y)};
  record_node(op, outputs, inputs.begin(), inputs.size(),
              [backward = std::move(backward)](const Grads& dys, const Needs& needs) {
                return backward(dys[0], needs);
              });
  return outputs[0];
}

// The same for ops over a list of tensors.
template <class F>
Tensor record(const char* op, Tensor y, const std::vector<Tensor>& inputs, F backward) {
  if (!is_float(y.dtype()) || !any_requires_grad(inputs)) return y;
  std::vector<Tensor> outputs{std::move(y)};
  record_node(op, outputs, inputs.data(), inputs.size(),
              [backward = std::move(backward)](const Grads& dys, const Needs& needs) {
                return backward(dys[0], needs);
              });
  return outputs[0];
}

// Accumulates gradients of `roots` into the .grad of every leaf. Undefined root gradients mean
// ones.
void backward(const std::vector<Tensor>& roots, Grads root_grads, bool retain_graph);
// Returns gradients with respect to `inputs` instead; undefined where an input does not matter.
Grads gradients(const std::vector<Tensor>& roots, const std::vector<Tensor>& inputs,
                Grads root_grads, bool retain_graph);

// y += x, over the same shape and dtype.
void add_into(const Tensor& y, const Tensor& x);

}  // namespace gu::autograd

namespace gu {
// The names that op files use.
using autograd::Grads;
using autograd::Needs;
using autograd::record;
using autograd::Saved;
}  // namespace gu
