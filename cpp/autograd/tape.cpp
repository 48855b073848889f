#include "autograd/tape.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <mutex>
#include <unordered_map>
#include <unordered_set>

#include "core/threads.hpp"

namespace gu::autograd {

namespace {

thread_local bool grad_mode = true;
std::atomic<bool> anomaly_mode{false};
std::atomic<uint64_t> next_number{0};

// Threads may share leaves, and even a graph: whoever changes a .grad or takes a node's function
// holds this. Nothing is released under it, as that could need the GIL.
std::mutex shared_state;

// Whose backward runs on this thread, for messages. A backward may start another one.
thread_local const std::string* running_op = nullptr;
struct RunningOp {
  const std::string* before = running_op;
  explicit RunningOp(const std::string& op) { running_op = &op; }
  ~RunningOp() { running_op = before; }
};

}  // namespace

bool grad_enabled() { return grad_mode; }
void set_grad_enabled(bool on) { grad_mode = on; }
bool anomaly_enabled() { return anomaly_mode; }
void set_anomaly_enabled(bool on) { anomaly_mode = on; }

Meta& meta_of(const Tensor& t) {
  if (!t.meta()) {
    auto meta = std::make_shared<Meta>();
    meta->dtype = t.dtype();
    meta->shape = t.shape();
    t.set_meta(std::move(meta));
  }
  return *t.meta();
}

bool requires_grad(const Tensor& t) { return t.meta() && t.meta()->requires_grad; }

bool Needs::operator[](size_t i) const {
  const Meta* input = node_.inputs[i].get();
  return input && (!wanted_ || wanted_->contains(input));
}

void check_finite(const std::string& op, const char* what, const Tensor& t) {
  if (!anomaly_enabled() || !t.defined() || !is_float(t.dtype()) || t.dtype() == DType::bfloat16)
    return;
  with_float(t.dtype(), "anomaly", [&](auto zero) {
    using T = decltype(zero);
    const T* x = t.data<T>();
    for (int64_t i = 0; i < t.size(); ++i) {
      if (std::isfinite(x[i])) continue;
      const char* got = std::isnan(x[i]) ? "nan" : x[i] > 0 ? "inf" : "-inf";
      fail<ValueError>("[", op, "] ", what, " must be finite, but got ", got, " at element ", i,
                       " of ", t.shape());
    }
  });
}

// A chain of nodes would be destroyed recursively, deeper than the stack. Instead each node hands
// what leads to older nodes to a list that the outermost destructor empties: its inputs, and its
// function, which may hold Python objects that hold tensors.
Node::~Node() {
  struct Remains {
    std::shared_ptr<Meta> input;
    Backward backward;
  };
  thread_local std::vector<Remains>* pending = nullptr;
  std::vector<Remains> mine;
  const bool outermost = !pending;
  if (outermost) pending = &mine;
  if (backward) pending->push_back({nullptr, std::move(backward)});
  for (auto& input : inputs)
    if (input && input.use_count() == 1) pending->push_back({std::move(input), nullptr});
  if (!outermost) return;
  while (!mine.empty()) {
    Remains last = std::move(mine.back());  // dies at the end of the round, and may add to the list
    mine.pop_back();
  }
  pending = nullptr;
}

const Tensor& Saved::get(const char* op) const {
  if (tensor_.defined() && tensor_.version() != version_)
    fail<ValueError>("[",
                     op           ? op
                     : running_op ? *running_op
                                  : "backward",
                     "] a tensor of shape ", tensor_.shape(),
                     " that backward needs was changed in place after it was saved");
  return tensor_;
}

void record_node(std::string op, std::vector<Tensor>& outputs,
                 std::vector<std::shared_ptr<Meta>> inputs, Backward backward) {
  auto node = std::make_shared<Node>();
  node->op = std::move(op);
  node->sequence = next_number++;
  node->backward = std::move(backward);
  node->inputs = std::move(inputs);
  node->outputs.resize(outputs.size());
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (!is_float(outputs[i].dtype())) continue;
    // An op that returns its input itself must not rewrite the input's history.
    if (outputs[i].meta()) outputs[i] = outputs[i].alias();
    Meta& meta = meta_of(outputs[i]);
    meta.requires_grad = true;
    meta.node = node;
    node->outputs[i] = outputs[i].meta();
  }
}

void record_node(std::string op, std::vector<Tensor>& outputs, const Tensor* inputs, size_t n,
                 Backward backward) {
  std::vector<std::shared_ptr<Meta>> metas(n);
  for (size_t i = 0; i < n; ++i)
    if (inputs[i].defined() && requires_grad(inputs[i])) metas[i] = inputs[i].meta();
  record_node(std::move(op), outputs, std::move(metas), std::move(backward));
}

uint64_t next_sequence() { return next_number; }

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

void check_grad(const std::string& what, const Tensor& g, const Shape& shape, DType dtype) {
  if (g.shape() != shape)
    fail<ShapeError>(what, " must have the shape ", shape, " of its tensor, but got ", g.shape());
  if (g.dtype() != dtype)
    fail<DTypeError>(what, " must be ", name(dtype), " like its tensor, but got ", name(g.dtype()));
}

Tensor without_history(Tensor t) { return t.meta() ? t.alias() : std::move(t); }

Tensor run_hooks(const Meta& meta, Tensor g) {
  if (meta.hooks.empty()) return g;
  auto hooks = meta.hooks;  // a hook may remove itself
  for (auto& hook : hooks) {
    Tensor replaced = hook.call(g);
    if (!replaced.defined()) continue;
    check_grad("[register_hook] gradient", replaced, meta.shape, meta.dtype);
    g = without_history(std::move(replaced));
  }
  return g;
}

// meta.grad += g. A gradient that is there is added to in place: it may be part of a larger buffer.
void add_to_grad(Meta& meta, Tensor g) {
  // Others may see the memory of g, or write to it as it flows on.
  if (!g.unique()) g = g.clone();
  Tensor old;
  std::scoped_lock lock(shared_state);
  if (!meta.grad.defined()) {
    meta.grad = std::move(g);
  } else if (meta.grad.storage()->writable()) {
    add_into(meta.grad, g);
    meta.grad.bump_version();
  } else {
    add_into(g, meta.grad);
    old = std::exchange(meta.grad, std::move(g));  // released after the lock
  }
}

// The function of a node, for one use. Without `retain` what it saved is gone after that.
Backward take(Node& node, bool retain) {
  std::scoped_lock lock(shared_state);
  Backward function = retain ? node.backward : std::exchange(node.backward, nullptr);
  if (!function)
    fail<ValueError>("[", node.op,
                     "] the graph was freed by an earlier backward; pass retain_graph=True to the "
                     "first one to keep it");
  return function;
}

using Nodes = std::vector<std::shared_ptr<Node>>;

// Every node from `first_sequence` on under these tensors, the newest first. An op is always newer
// than the ops that made its inputs, so this order is topological.
Nodes nodes_under(const std::vector<Tensor>& tensors, uint64_t first_sequence) {
  Nodes nodes;
  std::unordered_set<const Node*> seen;
  auto add = [&](const std::shared_ptr<Node>& node) {
    if (node && node->sequence >= first_sequence && seen.insert(node.get()).second)
      nodes.push_back(node);
  };
  for (const Tensor& t : tensors)
    if (t.meta()) add(t.meta()->node);
  for (size_t i = 0; i < nodes.size(); ++i) {
    std::shared_ptr<Node> node = nodes[i];  // the list moves as it grows
    for (auto& input : node->inputs)
      if (input) add(input->node);
  }
  std::sort(nodes.begin(), nodes.end(), [](auto& a, auto& b) { return a->sequence > b->sequence; });
  return nodes;
}

struct Walk {
  std::unordered_map<const Meta*, Tensor> grads;
  std::vector<Meta*> order;  // the keys of grads in the order they came, whether still there or not

  void add(Meta* meta, Tensor g) {
    auto [found, fresh] = grads.try_emplace(meta);
    if (fresh) order.push_back(meta);
    accumulate(found->second, std::move(g));
  }
};

// Walks the graph under `roots`; returns the gradient of every leaf and of `wanted`, or with
// `wanted` only of these. Addresses in it are good as long as the roots and `wanted` live.
Walk walk(const char* caller, const std::vector<Tensor>& roots, Grads root_grads, bool retain_graph,
          const std::unordered_set<const Meta*>* wanted, uint64_t first_sequence) {
  if (root_grads.empty()) root_grads.resize(roots.size());
  if (root_grads.size() != roots.size())
    fail<ValueError>("[", caller, "] one gradient per tensor must be given, but got ",
                     root_grads.size(), " for ", roots.size());
  Walk walk;
  for (size_t i = 0; i < roots.size(); ++i) {
    const Tensor& root = roots[i];
    if (!requires_grad(root))
      fail<ValueError>("[", caller,
                       "] the tensor must require a gradient, but it depends on none that does");
    if (!root_grads[i].defined()) {
      if (root.size() != 1)
        fail<ShapeError>("[", caller, "] only a scalar has an implied gradient; pass one of shape ",
                         root.shape());
      root_grads[i] = ones_like(root);
    }
    check_grad("[" + std::string(caller) + "] gradient", root_grads[i], root.shape(), root.dtype());
    walk.add(root.meta().get(), root_grads[i].alias());
  }
  root_grads.clear();

  const Nodes nodes = nodes_under(roots, first_sequence);
  // What leads to something wanted, from the oldest node up.
  std::unordered_set<const Meta*> useful;
  if (wanted) {
    useful = *wanted;
    for (auto node = nodes.rbegin(); node != nodes.rend(); ++node) {
      bool any = false;
      for (auto& input : (*node)->inputs) any = any || (input && useful.contains(input.get()));
      if (!any) continue;
      for (auto& output : (*node)->outputs)
        if (auto meta = output.lock()) useful.insert(meta.get());
    }
  }

  for (auto& node : nodes) {
    Needs needs(*node, wanted ? &useful : nullptr);
    Grads dys(node->outputs.size());
    bool any = false, needed = false;
    for (size_t i = 0; i < node->inputs.size(); ++i) needed = needed || needs[i];
    for (size_t i = 0; i < dys.size(); ++i) {
      auto meta = node->outputs[i].lock();
      auto found = meta ? walk.grads.find(meta.get()) : walk.grads.end();
      if (found == walk.grads.end()) continue;
      const bool keep = wanted && wanted->contains(meta.get());
      if (!needed && !keep) continue;
      // Taken out first: a hook may start another walk, and the map must own nothing twice.
      Tensor g = std::move(found->second);
      walk.grads.erase(found);
      g = run_hooks(*meta, std::move(g));
      if (meta->retains_grad) add_to_grad(*meta, g.clone());
      if (keep) walk.grads[meta.get()] = g;
      dys[i] = std::move(g);
      any = true;
    }
    if (!any || !needed) continue;
    RunningOp running(node->op);
    Grads dxs = take(*node, retain_graph)(dys, needs);
    dys.clear();
    if (dxs.size() != node->inputs.size())
      fail<ValueError>("[", node->op, "] backward must return one gradient an input (",
                       node->inputs.size(), "), but got ", dxs.size());
    for (size_t i = 0; i < dxs.size(); ++i) {
      if (!dxs[i].defined() || !needs[i]) continue;
      Meta& input = *node->inputs[i];
      if (dxs[i].shape() != input.shape || dxs[i].dtype() != input.dtype)
        check_grad("[" + node->op + "] gradient " + std::to_string(i), dxs[i], input.shape,
                   input.dtype);
      check_finite(node->op, "gradient", dxs[i]);
      walk.add(&input, without_history(std::move(dxs[i])));
    }
  }
  return walk;
}

}  // namespace

void backward(const std::vector<Tensor>& roots, Grads root_grads, bool retain_graph) {
  NoGrad no_grad;
  Walk done = walk("backward", roots, std::move(root_grads), retain_graph, nullptr, 0);
  for (Meta* meta : done.order) {
    auto found = done.grads.find(meta);
    if (meta->node || found == done.grads.end()) continue;
    Tensor g = std::move(found->second);
    done.grads.erase(found);
    add_to_grad(*meta, run_hooks(*meta, std::move(g)));
  }
}

Grads gradients(const std::vector<Tensor>& roots, const std::vector<std::shared_ptr<Meta>>& inputs,
                Grads root_grads, bool retain_graph, uint64_t first_sequence) {
  NoGrad no_grad;
  std::unordered_set<const Meta*> wanted;
  for (auto& input : inputs) {
    if (!input || !input->requires_grad)
      fail<ValueError>("[grad] every input must require a gradient");
    wanted.insert(input.get());
  }
  Walk done = walk("grad", roots, std::move(root_grads), retain_graph, &wanted, first_sequence);
  std::unordered_map<const Meta*, Tensor> finished;
  Grads result;
  for (auto& input : inputs) {
    if (auto before = finished.find(input.get()); before != finished.end()) {
      result.push_back(before->second.clone());  // asked for twice
      continue;
    }
    auto found = done.grads.find(input.get());
    if (found == done.grads.end()) {
      result.emplace_back();
      continue;
    }
    Tensor g = std::move(found->second);
    done.grads.erase(found);
    // Hooks of what another op made have run on the way.
    if (!input->node && first_sequence == 0) g = run_hooks(*input, std::move(g));
    if (!g.unique()) g = g.clone();
    finished[input.get()] = g;
    result.push_back(std::move(g));
  }
  return result;
}

std::vector<std::shared_ptr<Meta>> dependencies(const std::vector<Tensor>& outputs,
                                                uint64_t first_sequence) {
  std::vector<std::shared_ptr<Meta>> found;
  std::unordered_set<const Meta*> seen;
  auto add = [&](const std::shared_ptr<Meta>& meta) {
    const bool older = meta && (!meta->node || meta->node->sequence < first_sequence);
    if (older && meta->requires_grad && seen.insert(meta.get()).second) found.push_back(meta);
  };
  for (const Tensor& output : outputs) add(output.meta());
  for (auto& node : nodes_under(outputs, first_sequence))
    for (auto& input : node->inputs) add(input);
  return found;
}

Tensor grad_of(const Tensor& t) {
  if (!t.meta()) return {};
  std::scoped_lock lock(shared_state);
  return t.meta()->grad;
}

void set_grad(const Tensor& t, Tensor g) {
  if (!g.defined() && !t.meta()) return;
  if (g.defined()) {
    check_grad("[grad] gradient", g, t.shape(), t.dtype());
    g = g.alias();
  }
  Meta& meta = meta_of(t);
  std::scoped_lock lock(shared_state);
  std::swap(meta.grad, g);  // the old one is released after the lock
}

}  // namespace gu::autograd
