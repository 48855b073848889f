#include "autograd/tape.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <unordered_map>
#include <unordered_set>

#include "core/threads.hpp"

namespace gu::autograd {

namespace {
thread_local bool grad_mode = true;
thread_local std::string running_op;  // whose backward runs now, for messages
std::atomic<bool> anomaly_mode{false};
std::atomic<uint64_t> next_sequence{0};
}  // namespace

bool grad_enabled() { return grad_mode; }
void set_grad_enabled(bool on) { grad_mode = on; }
bool anomaly_enabled() { return anomaly_mode; }
void set_anomaly_enabled(bool on) { anomaly_mode = on; }

bool requires_grad(const Tensor& t) { return t.meta() && t.meta()->requires_grad; }

bool Needs::operator[](size_t i) const { return node_.inputs[i] != nullptr; }

void check_finite(const std::string& op, const char* what, const Tensor& t) {
  if (!anomaly_enabled() || !t.defined() || !is_float(t.dtype()) || t.dtype() == DType::bfloat16)
    return;
  with_float(t.dtype(), "anomaly", [&](auto zero) {
    using T = decltype(zero);
    const T* x = t.data<T>();
    for (int64_t i = 0; i < t.size(); ++i)
      if (!std::isfinite(x[i]))
        fail<ValueError>("[", op, "] ", what, " must be finite, but got ", x[i], " at element ", i,
                         " of ", t.shape());
  });
}

// A chain of nodes would be destroyed recursively, deeper than the stack. Instead each node hands
// its inputs to a list that the outermost destructor empties.
Node::~Node() {
  thread_local std::vector<std::shared_ptr<Meta>>* pending = nullptr;
  if (pending) {
    for (auto& input : inputs)
      if (input && input.use_count() == 1) pending->push_back(std::move(input));
    return;
  }
  std::vector<std::shared_ptr<Meta>> mine = std::move(inputs);
  pending = &mine;
  while (!mine.empty()) {
    auto meta = std::move(mine.back());
    mine.pop_back();
    meta.reset();
  }
  pending = nullptr;
}

const Tensor& Saved::get() const {
  if (tensor_.defined() && tensor_.version() != version_)
    fail<ValueError>("[", running_op, "] a tensor of shape ", tensor_.shape(),
                     " that backward needs was changed in place after it was saved");
  return tensor_;
}

void record_node(std::string op, std::vector<Tensor>& outputs, const Tensor* inputs, size_t n,
                 Backward backward) {
  auto node = std::make_shared<Node>();
  node->op = std::move(op);
  node->sequence = next_sequence++;
  node->backward = std::move(backward);
  node->inputs.resize(n);
  for (size_t i = 0; i < n; ++i)
    if (inputs[i].defined() && requires_grad(inputs[i])) node->inputs[i] = inputs[i].meta();
  for (size_t i = 0; i < outputs.size(); ++i) {
    auto meta = std::make_shared<Meta>();
    meta->requires_grad = is_float(outputs[i].dtype());
    meta->output = i;
    meta->node = node;
    node->outputs.push_back(meta);
    // An op that returns its input itself must not rewrite the input's history.
    if (outputs[i].meta()) outputs[i] = outputs[i].alias();
    outputs[i].set_meta(std::move(meta));
  }
}

void add_into(const Tensor& y, const Tensor& x) {
  with_float(y.dtype(), "backward", [&](auto zero) {
    using T = decltype(zero);
    T* a = y.data<T>();
    const T* b = x.data<T>();
    parallel_for(y.size(), 1 << 15, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) a[i] += b[i];
    });
  });
}

namespace {

void accumulate(Tensor& total, Tensor g) {
  if (!total.defined()) {
    total = std::move(g);
  } else if (total.unique()) {
    add_into(total, g);
  } else {
    total = total.clone();
    add_into(total, g);
  }
}

Tensor ones_like(const Tensor& t) {
  Tensor one = Tensor::empty(t.shape(), t.dtype());
  with_float(t.dtype(), "backward", [&](auto zero) {
    using T = decltype(zero);
    std::fill_n(one.data<T>(), one.size(), T(1));
  });
  return one;
}

void check_grad(const std::string& op, const Tensor& g, const Tensor& t) {
  if (g.shape() != t.shape())
    fail<ShapeError>("[", op, "] gradient must have the shape ", t.shape(),
                     " of its tensor, but got ", g.shape());
  if (g.dtype() != t.dtype())
    fail<DTypeError>("[", op, "] gradient must be ", name(t.dtype()), " like its tensor, but got ",
                     name(g.dtype()));
}

Tensor run_hooks(const Meta& meta, Tensor g) {
  auto hooks = meta.hooks;  // a hook may remove itself
  for (auto& [id, hook] : hooks) {
    Tensor replaced = hook(g);
    if (!replaced.defined()) continue;
    check_grad("register_hook", replaced, g);
    g = std::move(replaced);
  }
  return g;
}

// Walks the graph under `roots`; returns the finished gradient of every leaf and of `wanted`.
std::unordered_map<Meta*, Tensor> walk(const std::vector<Tensor>& roots, Grads root_grads,
                                       bool retain_graph, const std::unordered_set<Meta*>& wanted) {
  if (root_grads.empty()) root_grads.resize(roots.size());
  if (root_grads.size() != roots.size())
    fail<ValueError>("[backward] one gradient per tensor must be given, but got ",
                     root_grads.size(), " for ", roots.size());
  std::unordered_map<Meta*, Tensor> grads;
  std::vector<std::shared_ptr<Node>> nodes;
  for (size_t i = 0; i < roots.size(); ++i) {
    const Tensor& root = roots[i];
    if (!requires_grad(root))
      fail<ValueError>(
          "[backward] the tensor must require a gradient, but it depends on none that does");
    if (!root_grads[i].defined()) {
      if (root.size() != 1)
        fail<ShapeError>("[backward] only a scalar has an implied gradient; pass one of shape ",
                         root.shape());
      root_grads[i] = ones_like(root);
    }
    check_grad("backward", root_grads[i], root);
    accumulate(grads[root.meta().get()], root_grads[i].alias());
    if (root.meta()->node) nodes.push_back(root.meta()->node);
  }

  std::unordered_set<Node*> seen;
  for (auto& node : nodes) seen.insert(node.get());
  for (size_t i = 0; i < nodes.size(); ++i)  // the list grows while we walk it
    for (auto& input : nodes[i]->inputs)
      if (input && input->node && seen.insert(input->node.get()).second)
        nodes.push_back(input->node);
  // An op is always newer than the ops that made its inputs, so this order is topological.
  std::sort(nodes.begin(), nodes.end(), [](auto& a, auto& b) { return a->sequence > b->sequence; });
  nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());

  for (auto& node : nodes) {
    Grads dys(node->outputs.size());
    bool any = false;
    for (size_t i = 0; i < dys.size(); ++i) {
      auto meta = node->outputs[i].lock();
      auto found = meta ? grads.find(meta.get()) : grads.end();
      if (found == grads.end()) continue;
      dys[i] = run_hooks(*meta, std::move(found->second));
      if (meta->retains_grad) {
        // Own memory: later ops may write into the gradient that flows on.
        Tensor kept = dys[i].clone();
        accumulate(meta->grad, std::move(kept));
      }
      if (wanted.contains(meta.get()))
        found->second = dys[i];
      else
        grads.erase(found);
      any = true;
    }
    if (!any) continue;
    if (!node->backward)
      fail<ValueError>("[", node->op,
                       "] the graph was freed by an earlier backward; pass "
                       "retain_graph=True to the first one to keep it");
    running_op = node->op;
    Grads dxs = node->backward(dys, Needs(*node));
    dys.clear();
    if (!retain_graph) node->backward = nullptr;
    for (size_t i = 0; i < dxs.size(); ++i) {
      if (!dxs[i].defined() || !node->inputs[i]) continue;
      check_finite(node->op, "gradient", dxs[i]);
      accumulate(grads[node->inputs[i].get()], std::move(dxs[i]));
    }
  }
  return grads;
}

}  // namespace

void backward(const std::vector<Tensor>& roots, Grads root_grads, bool retain_graph) {
  NoGrad no_grad;
  // `grads` names leaves by address: the graph under `roots` keeps them alive.
  auto grads = walk(roots, std::move(root_grads), retain_graph, {});
  for (auto& [meta, g] : grads) {
    if (meta->node) continue;
    g = run_hooks(*meta, std::move(g));
    if (!meta->grad.defined() && !g.unique()) g = g.clone();
    accumulate(meta->grad, std::move(g));
  }
}

Grads gradients(const std::vector<Tensor>& roots, const std::vector<Tensor>& inputs,
                Grads root_grads, bool retain_graph) {
  NoGrad no_grad;
  std::unordered_set<Meta*> wanted;
  for (const Tensor& input : inputs) {
    if (!requires_grad(input)) fail<ValueError>("[grad] every input must require a gradient");
    wanted.insert(input.meta().get());
  }
  auto grads = walk(roots, std::move(root_grads), retain_graph, wanted);
  Grads result;
  for (const Tensor& input : inputs) {
    auto found = grads.find(input.meta().get());
    if (found == grads.end()) {
      result.emplace_back();
    } else {
      Tensor g = found->second;
      result.push_back(input.meta()->node ? g.clone() : run_hooks(*input.meta(), g).clone());
    }
  }
  return result;
}

}  // namespace gu::autograd
