#pragma once
// The tape: every differentiable op records a Node that knows its inputs and how to turn the
// gradient of its output into gradients of its inputs. backward() walks the nodes from the newest
// to the oldest.

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "core/tensor.hpp"

namespace gu::autograd {

struct Node;
using Hook =
    std::function<Tensor(const Tensor&)>;  // gets a gradient, returns it or its replacement
using Grads = std::vector<Tensor>;         // one per input; undefined means "no gradient"

struct RegisteredHook {
  int64_t id;
  Hook call;
  std::shared_ptr<void> owner;  // what `call` stands for: bindings keep their object here
};

// What the tape knows of a tensor. A leaf has no node: the user made it.
struct Meta {
  bool requires_grad = false;
  bool retains_grad = false;  // keep .grad although this is not a leaf
  DType dtype = DType::float32;
  Shape shape;  // of the tensor, as its gradient must have it
  Tensor grad;
  std::shared_ptr<Node> node;  // the op that made it
  std::vector<RegisteredHook> hooks;
};
// The Meta of a tensor, made if it has none yet.
Meta& meta_of(const Tensor& t);

// needs[i]: whether anybody wants the gradient of input i.
class Needs {
 public:
  // With `wanted`, only inputs on the way to one of these are.
  explicit Needs(const Node& node, const std::unordered_set<const Meta*>* wanted = nullptr)
      : node_(node), wanted_(wanted) {}
  bool operator[](size_t i) const;

 private:
  const Node& node_;
  const std::unordered_set<const Meta*>* wanted_;
};

using Backward = std::function<Grads(const Grads& dys, const Needs& needs)>;

struct Node {
  std::string op;
  uint64_t sequence = 0;                      // later ops have larger numbers
  std::vector<std::shared_ptr<Meta>> inputs;  // null where an input needs no gradient
  std::vector<std::weak_ptr<Meta>> outputs;   // none where an output has no gradient
  Backward backward;                          // empty once it has run and its memory was freed
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
  // `op` names the op in the message; by default it is the one whose backward runs.
  const Tensor& get(const char* op = nullptr) const;
  bool defined() const { return tensor_.defined(); }

 private:
  Tensor tensor_;
  uint32_t version_ = 0;
};

void record_node(std::string op, std::vector<Tensor>& outputs, const Tensor* inputs, size_t n,
                 Backward backward);
// The same where the inputs are known by what the tape knows of them, null for those without a
// gradient.
void record_node(std::string op, std::vector<Tensor>& outputs,
                 std::vector<std::shared_ptr<Meta>> inputs, Backward backward);

// Records that `y` was made from `inputs`. `backward` is dropped when nobody needs a gradient.
//   return record("exp", y, {x},
//                 [y = Saved(y)](const Tensor& dy, const Needs&) { return Grads{...}; });
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
// ones. Where an op fails, no leaf is touched.
void backward(const std::vector<Tensor>& roots, Grads root_grads, bool retain_graph);
// Returns gradients with respect to `inputs` instead; undefined where an input does not matter.
// Runs only the ops between the two, and none older than `first_sequence`.
Grads gradients(const std::vector<Tensor>& roots, const std::vector<std::shared_ptr<Meta>>& inputs,
                Grads root_grads, bool retain_graph, uint64_t first_sequence = 0);

// The number that the next op will get.
uint64_t next_sequence();
// Everything older than `first_sequence` that `outputs` were computed from and that requires a
// gradient, each once.
std::vector<std::shared_ptr<Meta>> dependencies(const std::vector<Tensor>& outputs,
                                                uint64_t first_sequence);

// The accumulated gradient; undefined where there is none.
Tensor grad_of(const Tensor& t);
// Replaces it, or with an undefined `g` drops it. Shares the memory of `g`.
void set_grad(const Tensor& t, Tensor g);

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
