// The tape in Python: requires_grad, backward, hooks, grad mode, ops written in Python, the graph
// to look at.

#include <pybind11/functional.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "autograd/tape.hpp"
#include "bindings/bind.hpp"

namespace py = pybind11;

namespace gu::bindings {

namespace {

using autograd::Meta;
using autograd::Node;

py::object optional_tensor(const Tensor& t) { return t.defined() ? py::cast(t) : py::none(); }

// `what` begins the message: "[backward] gradient".
Tensor tensor_or_none(const py::handle& value, const std::string& what) {
  if (value.is_none()) return {};
  if (!py::isinstance<Tensor>(value))
    fail<TypeError>(what, " must be a tensor or None, but got ", Py_TYPE(value.ptr())->tp_name);
  return value.cast<Tensor>();
}

void set_requires_grad(const Tensor& t, bool on) {
  if (on && !is_float(t.dtype()))
    fail<DTypeError>("[requires_grad] only float tensors have gradients, but got ",
                     name(t.dtype()));
  if (t.meta() && t.meta()->node) {
    if (on) return;
    fail<ValueError>("[requires_grad] only a leaf can stop requiring a gradient; use detach()");
  }
  if (on || t.meta()) autograd::meta_of(t).requires_grad = on;
}

autograd::RegisteredHook hook_from_python(int64_t id, py::function hook) {
  auto held = keep(std::move(hook));
  auto call = [function = held.get()](const Tensor& g) {
    py::gil_scoped_acquire gil;
    return tensor_or_none((*function)(g), "[register_hook] what a hook returns");
  };
  return {id, call, held};
}

// Removes a hook; the tensor may be gone by then.
struct HookHandle {
  std::weak_ptr<Meta> meta;
  int64_t id;
  void remove() const {
    if (auto m = meta.lock()) std::erase_if(m->hooks, [&](auto& hook) { return hook.id == id; });
  }
};

struct NodeHandle {
  std::shared_ptr<Node> node;
};

// A tensor as the graph knows it.
struct MetaHandle {
  std::shared_ptr<Meta> meta;
};

// One tensor or a sequence of them.
std::vector<Tensor> tensors_from_python(const py::object& value, const char* op) {
  if (py::isinstance<Tensor>(value)) return {value.cast<Tensor>()};
  if (!PySequence_Check(value.ptr()))
    fail<TypeError>("[", op, "] needs a tensor or a sequence of tensors, but got ",
                    Py_TYPE(value.ptr())->tp_name);
  std::vector<Tensor> out;
  for (py::handle element : value) {
    if (!py::isinstance<Tensor>(element))
      fail<TypeError>("[", op, "] needs tensors, but got ", Py_TYPE(element.ptr())->tp_name);
    out.push_back(element.cast<Tensor>());
  }
  return out;
}

// Gradients of several tensors: None for all, or one gradient or None each.
Grads grads_from_python(const py::object& value, const char* op) {
  const std::string what = "[" + std::string(op) + "] gradient";
  if (value.is_none()) return {};
  if (!PySequence_Check(value.ptr()) || py::isinstance<Tensor>(value))
    return {tensor_or_none(value, what)};
  Grads out;
  for (py::handle element : value) out.push_back(tensor_or_none(element, what));
  return out;
}

// Tensors, or what the graph knows of them.
std::vector<std::shared_ptr<Meta>> metas_from_python(const py::sequence& values, const char* op) {
  std::vector<std::shared_ptr<Meta>> out;
  for (py::handle v : values) {
    if (py::isinstance<MetaHandle>(v))
      out.push_back(v.cast<const MetaHandle&>().meta);
    else if (py::isinstance<Tensor>(v))
      out.push_back(v.cast<const Tensor&>().meta());
    else if (v.is_none())
      out.emplace_back();
    else
      fail<TypeError>("[", op, "] needs tensors, but got ", Py_TYPE(v.ptr())->tp_name);
  }
  return out;
}

// An op whose backward is Python: callback(needs, dys) returns one gradient or None an input.
// Returns new tensors over the memory of `outputs`.
py::tuple record_python(const std::string& op, const py::sequence& inputs,
                        const std::vector<Tensor>& outputs, py::function callback) {
  std::vector<Tensor> recorded;
  for (const Tensor& y : outputs) recorded.push_back(y.alias());
  auto metas = metas_from_python(inputs, op.c_str());
  bool any = false;
  for (auto& meta : metas) {
    if (meta && !meta->requires_grad) meta.reset();
    any = any || meta;
  }
  if (any && autograd::grad_enabled()) {
    const size_t n = metas.size();
    autograd::record_node(
        op, recorded, std::move(metas),
        [op, n, held = keep(std::move(callback))](const Grads& dys, const Needs& needs) {
          py::gil_scoped_acquire gil;
          py::tuple wanted(n), given(dys.size());
          for (size_t i = 0; i < n; ++i) wanted[i] = py::bool_(needs[i]);
          for (size_t i = 0; i < dys.size(); ++i) given[i] = optional_tensor(dys[i]);
          return grads_from_python((*held)(wanted, given), op.c_str());
        });
  }
  py::tuple out(recorded.size());
  for (size_t i = 0; i < recorded.size(); ++i) out[i] = py::cast(recorded[i]);
  return out;
}

py::object node_or_none(const std::shared_ptr<Node>& node) {
  return node ? py::cast(NodeHandle{node}) : py::none();
}

py::object meta_or_none(const std::shared_ptr<Meta>& meta) {
  return meta ? py::cast(MetaHandle{meta}) : py::none();
}

void bind_graph(py::module_& m) {
  py::class_<MetaHandle>(m, "Meta", "A tensor as the graph knows it: without its numbers.")
      .def_property_readonly("shape",
                             [](const MetaHandle& h) {
                               py::tuple shape(h.meta->shape.size());
                               for (size_t i = 0; i < h.meta->shape.size(); ++i)
                                 shape[i] = py::int_(h.meta->shape[i]);
                               return shape;
                             })
      .def_property_readonly("dtype",
                             [core = py::handle(m)](const MetaHandle& h) {
                               return py::object(core.attr(name(h.meta->dtype)));
                             })
      .def_property_readonly("grad_fn",
                             [](const MetaHandle& h) { return node_or_none(h.meta->node); })
      .def("__eq__",
           [](const MetaHandle& h, const py::object& other) {
             return py::isinstance<MetaHandle>(other) &&
                    other.cast<const MetaHandle&>().meta == h.meta;
           })
      .def("__hash__",
           [](const MetaHandle& h) { return reinterpret_cast<intptr_t>(h.meta.get()); });

  py::class_<NodeHandle>(m, "Node", "One recorded op.")
      .def_property_readonly("name", [](const NodeHandle& h) { return h.node->op; })
      .def_property_readonly("sequence", [](const NodeHandle& h) { return h.node->sequence; })
      .def_property_readonly(
          "inputs",
          [](const NodeHandle& h) {
            py::list out;
            for (auto& input : h.node->inputs) out.append(meta_or_none(input));
            return out;
          },
          "What each input is to the graph; None where no gradient flows.")
      .def_property_readonly(
          "outputs",
          [](const NodeHandle& h) {
            py::list out;
            for (auto& output : h.node->outputs) out.append(meta_or_none(output.lock()));
            return out;
          },
          "The same of each output; None where it is gone or has no gradient.")
      .def("__eq__",
           [](const NodeHandle& h, const py::object& other) {
             return py::isinstance<NodeHandle>(other) &&
                    other.cast<const NodeHandle&>().node == h.node;
           })
      .def("__hash__", [](const NodeHandle& h) { return reinterpret_cast<intptr_t>(h.node.get()); })
      .def("__repr__", [](const NodeHandle& h) { return "<" + h.node->op + ">"; });

  py::class_<Saved>(m, "Saved", "A tensor kept for backward, without its history.")
      .def(py::init<const Tensor&>(), py::arg("tensor"))
      .def(
          "get",
          [](const Saved& saved, const std::string& op) { return saved.get(op.c_str()).alias(); },
          py::arg("op"), "The tensor; a ValueError that names `op` if it was written to since.");
}

void bind(py::module_& m) {
  bind_graph(m);
  py::class_<HookHandle>(m, "HookHandle", "Returned by register_hook.")
      .def("remove", &HookHandle::remove, "Take the hook off; may be repeated.");

  auto tensor = py::reinterpret_borrow<py::class_<Tensor>>(m.attr("Tensor"));
  tensor.def_property("requires_grad", &autograd::requires_grad, &set_requires_grad)
      .def(
          "requires_grad_",
          [](py::object self, bool on) {
            set_requires_grad(self.cast<Tensor>(), on);
            return self;
          },
          py::arg("requires_grad") = true)
      .def_property(
          "grad", [](const Tensor& t) { return optional_tensor(autograd::grad_of(t)); },
          [](const Tensor& t, const py::object& value) {
            autograd::set_grad(t, tensor_or_none(value, "[grad] gradient"));
          })
      .def_property_readonly("is_leaf",
                             [](const Tensor& t) { return !t.meta() || !t.meta()->node; })
      .def_property_readonly(
          "grad_fn",
          [](const Tensor& t) { return node_or_none(t.meta() ? t.meta()->node : nullptr); })
      .def_property_readonly("_meta", [](const Tensor& t) { return meta_or_none(t.meta()); })
      .def(
          "retain_grad",
          [](const Tensor& t) {
            if (!autograd::requires_grad(t))
              fail<ValueError>("[retain_grad] the tensor must require a gradient");
            t.meta()->retains_grad = true;
          },
          "Keep .grad of this tensor, although it is not a leaf.")
      .def(
          "detach", [](const Tensor& t) { return t.alias(); },
          "The same memory without its history.")
      .def(
          "register_hook",
          [](const Tensor& t, py::function hook) {
            if (!autograd::requires_grad(t))
              fail<ValueError>("[register_hook] the tensor must require a gradient");
            static int64_t next_id = 0;
            t.meta()->hooks.push_back(hook_from_python(next_id, std::move(hook)));
            return HookHandle{t.meta(), next_id++};
          },
          py::arg("hook"),
          "Call hook(gradient) in backward; a tensor that it returns replaces the gradient.")
      .def(
          "backward",
          [](const Tensor& t, const py::object& gradient, bool retain_graph, bool create_graph) {
            if (create_graph)
              fail<ValueError>(
                  "[backward] gradients of gradients are not supported; create_graph must be "
                  "False");
            Tensor g = tensor_or_none(gradient, "[backward] gradient");
            py::gil_scoped_release release;
            autograd::backward({t}, {g}, retain_graph);
          },
          py::arg("gradient") = py::none(), py::arg("retain_graph") = false,
          py::arg("create_graph") = false,
          "Add the gradient of this tensor to .grad of every leaf under it.");

  m.def(
      "backward",
      [](const py::object& tensors, const py::object& grads, bool retain_graph) {
        auto roots = tensors_from_python(tensors, "backward");
        auto root_grads = grads_from_python(grads, "backward");
        py::gil_scoped_release release;
        autograd::backward(roots, root_grads, retain_graph);
      },
      py::arg("tensors"), py::arg("grad_tensors") = py::none(), py::arg("retain_graph") = false);
  m.def(
      "grad",
      [](const py::object& outputs, const py::sequence& inputs, const py::object& grad_outputs,
         bool retain_graph, uint64_t first_sequence) {
        auto roots = tensors_from_python(outputs, "grad");
        auto wanted = metas_from_python(inputs, "grad");
        auto root_grads = grads_from_python(grad_outputs, "grad");
        Grads result;
        {
          py::gil_scoped_release release;
          result = autograd::gradients(roots, wanted, std::move(root_grads), retain_graph,
                                       first_sequence);
          roots.clear();
        }
        py::tuple out(result.size());
        for (size_t i = 0; i < result.size(); ++i) out[i] = optional_tensor(result[i]);
        return out;
      },
      py::arg("outputs"), py::arg("inputs"), py::arg("grad_outputs") = py::none(),
      py::arg("retain_graph") = false, py::arg("first_sequence") = 0,
      "Gradients of `outputs` for each of `inputs`, None where an input does not matter.");
  m.def("next_sequence", &autograd::next_sequence, "The number that the next recorded op gets.");
  m.def(
      "dependencies",
      [](const std::vector<Tensor>& outputs, uint64_t first_sequence) {
        py::list out;
        for (auto& meta : autograd::dependencies(outputs, first_sequence))
          out.append(MetaHandle{meta});
        return out;
      },
      py::arg("outputs"), py::arg("first_sequence"),
      "Everything that requires a gradient, is older than `first_sequence` and led to `outputs`.");
  m.def("is_grad_enabled", &autograd::grad_enabled);
  m.def("set_grad_enabled", &autograd::set_grad_enabled, py::arg("on"));
  m.def("is_anomaly_enabled", &autograd::anomaly_enabled);
  m.def("set_anomaly_enabled", &autograd::set_anomaly_enabled, py::arg("on"));
  m.def("record", &record_python, py::arg("op"), py::arg("inputs"), py::arg("outputs"),
        py::arg("backward"),
        "Record an op whose backward(needs, dys) is Python; returns its outputs anew.");
}

const Binder binder(&bind);

}  // namespace
}  // namespace gu::bindings
