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

Meta& meta_of(const Tensor& t) {
  if (!t.meta()) t.set_meta(std::make_shared<Meta>());
  return *t.meta();
}

py::object optional_tensor(const Tensor& t) { return t.defined() ? py::cast(t) : py::none(); }

Tensor tensor_or_none(const py::object& value) {
  return value.is_none() ? Tensor() : value.cast<Tensor>();
}

void set_requires_grad(const Tensor& t, bool on) {
  if (on && !is_float(t.dtype()))
    fail<DTypeError>("[requires_grad] only float tensors have gradients, but got ",
                     name(t.dtype()));
  if (t.meta() && t.meta()->node) {
    if (on) return;
    fail<ValueError>("[requires_grad] only a leaf can stop requiring a gradient; use detach()");
  }
  if (on || t.meta()) meta_of(t).requires_grad = on;
}

void set_grad(const Tensor& t, const py::object& value) {
  Tensor g = tensor_or_none(value);
  if (g.defined() && g.shape() != t.shape())
    fail<ShapeError>("[grad] gradient must have the shape ", t.shape(), ", but got ", g.shape());
  if (g.defined() && g.dtype() != t.dtype())
    fail<DTypeError>("[grad] gradient must be ", name(t.dtype()), ", but got ", name(g.dtype()));
  if (g.defined() || t.meta()) meta_of(t).grad = g.defined() ? g.alias() : g;
}

autograd::Hook hook_from_python(py::function hook) {
  auto held = keep(std::move(hook));
  return [held](const Tensor& g) {
    py::gil_scoped_acquire gil;
    return tensor_or_none((*held)(g));
  };
}

// Removes a hook; the tensor may be gone by then.
struct HookHandle {
  std::weak_ptr<Meta> meta;
  int64_t id;
  void remove() const {
    if (auto m = meta.lock()) std::erase_if(m->hooks, [&](auto& hook) { return hook.first == id; });
  }
};

std::vector<Tensor> tensors_from_python(const py::object& value, const char* op) {
  if (py::isinstance<Tensor>(value)) return {value.cast<Tensor>()};
  std::vector<Tensor> out;
  for (py::handle element : value) {
    if (!element.is_none() && !py::isinstance<Tensor>(element))
      fail<TypeError>("[", op, "] needs tensors, but got ", Py_TYPE(element.ptr())->tp_name);
    out.push_back(element.is_none() ? Tensor() : element.cast<Tensor>());
  }
  return out;
}

Grads grads_from_python(const py::object& value, const char* op) {
  return value.is_none() ? Grads{} : tensors_from_python(value, op);
}

// An op whose backward is Python: callback(needs, *dys) returns one gradient or None an input.
py::tuple record_python(const std::string& op, const std::vector<Tensor>& inputs,
                        const std::vector<Tensor>& outputs, py::function callback) {
  std::vector<Tensor> recorded;
  for (const Tensor& y : outputs) recorded.push_back(y.alias());
  if (autograd::any_requires_grad(inputs)) {
    auto held = keep(std::move(callback));
    size_t n = inputs.size();
    autograd::record_node(
        op, recorded, inputs.data(), n, [=](const Grads& dys, const Needs& needs) {
          py::gil_scoped_acquire gil;
          py::tuple wanted(n), given(dys.size());
          for (size_t i = 0; i < n; ++i) wanted[i] = py::bool_(needs[i]);
          for (size_t i = 0; i < dys.size(); ++i) given[i] = optional_tensor(dys[i]);
          py::object result = (*held)(wanted, *given);
          Grads dxs = tensors_from_python(result, op.c_str());
          if (dxs.size() != n)
            fail<ValueError>("[", op, "] backward must return one gradient an input (", n,
                             "), but got ", dxs.size());
          for (size_t i = 0; i < n; ++i)
            if (dxs[i].defined() && dxs[i].shape() != inputs[i].shape())
              fail<ShapeError>("[", op, "] backward must return a gradient of shape ",
                               inputs[i].shape(), ", but got ", dxs[i].shape());
          return dxs;
        });
  }
  py::tuple out(recorded.size());
  for (size_t i = 0; i < recorded.size(); ++i) out[i] = py::cast(recorded[i]);
  return out;
}

struct NodeHandle {
  std::shared_ptr<Node> node;
};

py::object node_or_none(const std::shared_ptr<Node>& node) {
  return node ? py::cast(NodeHandle{node}) : py::none();
}

void bind(py::module_& m) {
  py::class_<HookHandle>(m, "HookHandle", "Returned by register_hook.")
      .def("remove", &HookHandle::remove);

  py::class_<NodeHandle>(m, "Node", "One recorded op.")
      .def_property_readonly("name", [](const NodeHandle& h) { return h.node->op; })
      .def_property_readonly("sequence", [](const NodeHandle& h) { return h.node->sequence; })
      .def_property_readonly("inputs",
                             [](const NodeHandle& h) {
                               // A Node for a computed input, a tensor id for a leaf, None where no
                               // gradient flows.
                               py::list out;
                               for (auto& input : h.node->inputs) {
                                 if (!input)
                                   out.append(py::none());
                                 else if (input->node)
                                   out.append(NodeHandle{input->node});
                                 else
                                   out.append(reinterpret_cast<uintptr_t>(input.get()));
                               }
                               return out;
                             })
      .def("__eq__", [](const NodeHandle& a, const NodeHandle& b) { return a.node == b.node; })
      .def("__hash__", [](const NodeHandle& h) { return reinterpret_cast<intptr_t>(h.node.get()); })
      .def("__repr__", [](const NodeHandle& h) { return "<" + h.node->op + ">"; });

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
          "grad",
          [](const Tensor& t) { return optional_tensor(t.meta() ? t.meta()->grad : Tensor()); },
          &set_grad)
      .def_property_readonly("is_leaf",
                             [](const Tensor& t) { return !t.meta() || !t.meta()->node; })
      .def_property_readonly(
          "grad_fn",
          [](const Tensor& t) { return node_or_none(t.meta() ? t.meta()->node : nullptr); })
      .def_property_readonly(
          "_leaf_id", [](const Tensor& t) { return reinterpret_cast<uintptr_t>(t.meta().get()); })
      .def("retain_grad",
           [](const Tensor& t) {
             if (!autograd::requires_grad(t))
               fail<ValueError>("[retain_grad] the tensor does not require a gradient");
             meta_of(t).retains_grad = true;
           })
      .def(
          "detach", [](const Tensor& t) { return t.alias(); },
          "The same memory without its history.")
      .def(
          "register_hook",
          [](const Tensor& t, py::function hook) {
            if (!autograd::requires_grad(t))
              fail<ValueError>("[register_hook] the tensor does not require a gradient");
            static int64_t next_id = 0;
            meta_of(t).hooks.emplace_back(next_id, hook_from_python(std::move(hook)));
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
            Tensor g = tensor_or_none(gradient);
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
      [](const py::object& outputs, const py::object& inputs, const py::object& grad_outputs,
         bool retain_graph, bool create_graph, bool allow_unused) {
        if (create_graph)
          fail<ValueError>(
              "[grad] gradients of gradients are not supported; create_graph must be False");
        auto roots = tensors_from_python(outputs, "grad");
        auto leaves = tensors_from_python(inputs, "grad");
        auto root_grads = grads_from_python(grad_outputs, "grad");
        Grads result;
        {
          py::gil_scoped_release release;
          result = autograd::gradients(roots, leaves, root_grads, retain_graph);
        }
        py::tuple out(result.size());
        for (size_t i = 0; i < result.size(); ++i) {
          if (!result[i].defined() && !allow_unused)
            fail<ValueError>("[grad] input ", i,
                             " does not matter for the outputs; pass allow_unused=True "
                             "to get None for it");
          out[i] = optional_tensor(result[i]);
        }
        return out;
      },
      py::arg("outputs"), py::arg("inputs"), py::arg("grad_outputs") = py::none(),
      py::arg("retain_graph") = false, py::arg("create_graph") = false,
      py::arg("allow_unused") = false);
  m.def("is_grad_enabled", &autograd::grad_enabled);
  m.def("set_grad_enabled", &autograd::set_grad_enabled, py::arg("on"));
  m.def("is_anomaly_enabled", &autograd::anomaly_enabled);
  m.def("set_anomaly_enabled", &autograd::set_anomaly_enabled, py::arg("on"));
  m.def("record", &record_python, py::arg("op"), py::arg("inputs"), py::arg("outputs"),
        py::arg("backward"));
}

const Binder binder(&bind);

}  // namespace
}  // namespace gu::bindings
