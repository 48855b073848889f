// `ScalarValue`: autograd/scalar.hpp as a Python type.
//
// Written against CPython's own C interface: one addition takes some fifteen nanoseconds, and the
// dispatch of pybind11 alone costs more. A Python object holds its node, so a value is one
// allocation and its reference count is Python's; a result owns a reference to each operand.

#include <Python.h>

#include <cstddef>
#include <exception>
#include <new>
#include <stdexcept>

#include "autograd/scalar.hpp"
#include "bindings/bind.hpp"

namespace gu::scalar_binding {
namespace {

using scalar::Node;

struct Value {
  PyObject header;
  PyObject* label;  // str, or null for ""
  Value* next;      // while unused or about to be freed: a list
  Node node;
};

extern PyTypeObject type;

bool is_value(PyObject* object) { return Py_IS_TYPE(object, &type); }
Value* as_value(PyObject* object) { return reinterpret_cast<Value*>(object); }
PyObject* as_object(Value* value) { return reinterpret_cast<PyObject*>(value); }
Node& node_of(PyObject* object) { return as_value(object)->node; }

// The object that holds a node.
PyObject* owner(Node* node) {
  return reinterpret_cast<PyObject*>(reinterpret_cast<char*>(node) - offsetof(Value, node));
}

// Memory

// Freed objects that wait for reuse, at most 1.8 MB of them: a training step makes and frees a
// graph.
constexpr int kMaxUnused = 16384;
Value* unused = nullptr;
int unused_count = 0;

Value* allocate() {
  if (unused == nullptr) return static_cast<Value*>(PyObject_Malloc(sizeof(Value)));
  Value* self = unused;
  unused = self->next;
  --unused_count;
  return self;
}

void release(Value* self) {
  if (unused_count == kMaxUnused) return PyObject_Free(self);
  self->next = unused;
  unused = self;
  ++unused_count;
}

// Freeing a result may free its operands, and theirs. The nested calls only put their object on a
// list that the outermost one works off, so a chain of a million values needs no more stack than
// one.
void dealloc(PyObject* object) {
  static Value* doomed = nullptr;
  static bool freeing = false;
  as_value(object)->next = doomed;
  doomed = as_value(object);
  if (freeing) return;
  freeing = true;
  while (doomed != nullptr) {
    Value* self = doomed;
    doomed = self->next;
    for (int i = 0; i < self->node.arity; ++i) Py_DECREF(owner(self->node.operand[i]));
    Py_XDECREF(self->label);
    release(self);
  }
  freeing = false;
}

// Errors

// From a catch block: the C++ exception becomes the Python one of the same meaning.
PyObject* raise_current() {
  try {
    throw;
  } catch (const scalar::ZeroDivision& e) {
    PyErr_SetString(PyExc_ZeroDivisionError, e.what());
  } catch (const std::domain_error& e) {
    PyErr_SetString(PyExc_ValueError, e.what());
  } catch (const std::overflow_error& e) {
    PyErr_SetString(PyExc_OverflowError, e.what());
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  } catch (const std::exception& e) {
    PyErr_SetString(PyExc_RuntimeError, e.what());
  }
  return nullptr;
}

// A new object around the node that `build` returns, or null with its exception as a Python error.
// The node is constructed in place: a copy would cost a third of an addition.
template <class Build>
PyObject* make(Build build) {
  Value* self = allocate();
  if (self == nullptr) return PyErr_NoMemory();
  try {
    new (&self->node) Node(build());
  } catch (...) {
    release(self);
    return raise_current();
  }
  PyObject_Init(as_object(self), &type);
  self->label = nullptr;
  for (int i = 0; i < self->node.arity; ++i) Py_INCREF(owner(self->node.operand[i]));
  return as_object(self);
}

PyObject* make_leaf(double data) {
  return make([data] { return Node::leaf(data); });
}

// "<what> must be <wanted>, but got <type of object>"
void raise_type_error(const char* what, const char* wanted, PyObject* object) {
  PyObject* name = PyType_GetName(Py_TYPE(object));
  if (name == nullptr) return;
  PyErr_Format(PyExc_TypeError, "%s must be %s, but got %U", what, wanted, name);
  Py_DECREF(name);
}

// Reads a real number: float, int, NumPy's, a fraction; else false, with a Python error.
bool number(PyObject* object, const char* what, double& out) {
  static PyObject* real = nullptr;  // numbers.Real
  if (PyFloat_Check(object)) {
    out = PyFloat_AS_DOUBLE(object);
    return true;
  }
  if (!PyLong_Check(object)) {
    if (real == nullptr) {
      PyObject* numbers = PyImport_ImportModule("numbers");
      if (numbers == nullptr) return false;
      real = PyObject_GetAttrString(numbers, "Real");
      Py_DECREF(numbers);
      if (real == nullptr) return false;
    }
    const int is_real = PyObject_IsInstance(object, real);
    if (is_real == 0) raise_type_error(what, "a real number", object);
    if (is_real != 1) return false;
  }
  out = PyFloat_AsDouble(object);
  return !(out == -1.0 && PyErr_Occurred());
}

// Two operands. Python calls the slot with a Value on either side: x + 2 and 2 + x both come here.

template <Node (*apply)(Node&, Node&)>
PyObject* binary(PyObject* left, PyObject* right, const char* what) {
  const auto build = [&] { return apply(node_of(left), node_of(right)); };
  if (is_value(left) && is_value(right)) return make(build);
  PyObject*& other = is_value(left) ? right : left;
  double x;
  if (!number(other, what, x)) return nullptr;
  other = make_leaf(x);  // the number becomes a leaf of the graph, and the result keeps it
  if (other == nullptr) return nullptr;
  PyObject* out = make(build);
  Py_DECREF(other);
  return out;
}

PyObject* add(PyObject* left, PyObject* right) {
  return binary<scalar::add>(left, right, "[add] an operand that is not a Value");
}
PyObject* sub(PyObject* left, PyObject* right) {
  return binary<scalar::sub>(left, right, "[sub] an operand that is not a Value");
}
PyObject* mul(PyObject* left, PyObject* right) {
  return binary<scalar::mul>(left, right, "[mul] an operand that is not a Value");
}
PyObject* div(PyObject* left, PyObject* right) {
  return binary<scalar::div>(left, right, "[div] an operand that is not a Value");
}

PyObject* pow(PyObject* base, PyObject* exponent, PyObject* modulus) {
  if (modulus != Py_None) {  // pow(x, 2, 5)
    PyErr_SetString(PyExc_TypeError, "[pow] a modulus is not supported");
    return nullptr;
  }
  if (!is_value(base)) {  // 2 ** x
    raise_type_error("[pow] the exponent", "a real number", exponent);
    return nullptr;
  }
  double n;
  if (!number(exponent, "[pow] the exponent", n)) return nullptr;
  return make([&] { return scalar::pow(node_of(base), n); });
}

// One operand; as a number slot (-x) and as methods (x.exp()).

template <Node (*apply)(Node&)>
PyObject* unary(PyObject* self, PyObject* = nullptr) {
  return make([self] { return apply(node_of(self)); });
}

PyObject* neg(PyObject* self) { return unary<scalar::neg>(self); }

// Gradients

PyObject* backward(PyObject* self, PyObject*) try {
  scalar::backward(node_of(self));
  Py_RETURN_NONE;
} catch (...) {
  return raise_current();
}

PyObject* zero_grad(PyObject* self, PyObject*) try {
  scalar::zero_grad(node_of(self));
  Py_RETURN_NONE;
} catch (...) {
  return raise_current();
}

PyObject* reduce(PyObject*, PyObject*) {
  PyErr_SetString(
      PyExc_TypeError,
      "[Value] a node of a graph cannot be copied or pickled; keep its data and label instead");
  return nullptr;
}

// Construction and attributes

int set_label(PyObject* self, PyObject* label, void*) {
  if (label == nullptr) {
    PyErr_SetString(PyExc_AttributeError, "[Value] label cannot be deleted");
    return -1;
  }
  if (!PyUnicode_Check(label)) {
    raise_type_error("[Value] label", "a str", label);
    return -1;
  }
  PyObject* copy = PyUnicode_FromObject(label);  // exactly a str: a subclass could refer back to us
  if (copy == nullptr) return -1;
  Py_XSETREF(as_value(self)->label, copy);
  return 0;
}

PyObject* construct(PyObject* data, PyObject* label) {
  double x;
  if (!number(data, "[Value] data", x)) return nullptr;
  PyObject* self = make_leaf(x);
  if (self != nullptr && label != nullptr && set_label(self, label, nullptr) < 0) Py_CLEAR(self);
  return self;
}

PyObject* type_new(PyTypeObject*, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"data", "label", nullptr};
  PyObject *data, *label = nullptr;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O:Value", const_cast<char**>(names), &data,
                                   &label))
    return nullptr;
  return construct(data, label);
}

// The short way for Value(2.0), without a tuple of arguments.
PyObject* type_vectorcall(PyObject*, PyObject* const* args, std::size_t flagged_count,
                          PyObject* keywords) {
  const Py_ssize_t count = PyVectorcall_NARGS(flagged_count);
  if (keywords == nullptr && (count == 1 || count == 2))
    return construct(args[0], count == 2 ? args[1] : nullptr);
  PyObject* positional = PyTuple_New(count);
  PyObject* named = PyDict_New();
  bool ok = positional != nullptr && named != nullptr;
  for (Py_ssize_t i = 0; ok && i < count; ++i) PyTuple_SET_ITEM(positional, i, Py_NewRef(args[i]));
  const Py_ssize_t named_count = keywords == nullptr ? 0 : PyTuple_GET_SIZE(keywords);
  for (Py_ssize_t i = 0; ok && i < named_count; ++i)
    ok = PyDict_SetItem(named, PyTuple_GET_ITEM(keywords, i), args[count + i]) == 0;
  PyObject* self = ok ? type_new(&type, positional, named) : nullptr;
  Py_XDECREF(positional);
  Py_XDECREF(named);
  return self;
}

template <double Node::*field>
PyObject* get_number(PyObject* self, void*) {
  return PyFloat_FromDouble(node_of(self).*field);
}

// `what` is the message's beginning, "[Value] data".
template <double Node::*field>
int set_number(PyObject* self, PyObject* value, void* what) {
  if (value == nullptr) {
    PyErr_Format(PyExc_AttributeError, "%s cannot be deleted", static_cast<const char*>(what));
    return -1;
  }
  double x;
  if (!number(value, static_cast<const char*>(what), x)) return -1;
  node_of(self).*field = x;
  return 0;
}

PyObject* get_label(PyObject* self, void*) {
  PyObject* label = as_value(self)->label;
  return label != nullptr ? Py_NewRef(label) : PyUnicode_FromString("");
}

PyObject* get_op(PyObject* self, void*) try {
  return PyUnicode_FromString(scalar::op_name(node_of(self)).c_str());
} catch (...) {
  return raise_current();
}

PyObject* get_prev(PyObject* self, void*) {
  const Node& node = node_of(self);
  PyObject* operands = PyTuple_New(node.arity);
  for (int i = 0; operands != nullptr && i < node.arity; ++i)
    PyTuple_SET_ITEM(operands, i, Py_NewRef(owner(node.operand[i])));
  return operands;
}

PyObject* get_local_grads(PyObject* self, void*) {
  const auto& [da, db] = node_of(self).local_grad;
  switch (node_of(self).arity) {
    case 0:
      return PyTuple_New(0);
    case 1:
      return Py_BuildValue("(d)", da);
    default:
      return Py_BuildValue("(dd)", da, db);
  }
}

PyObject* repr(PyObject* self) {
  PyObject* data = get_number<&Node::data>(self, nullptr);
  PyObject* grad = get_number<&Node::grad>(self, nullptr);
  PyObject* text = data != nullptr && grad != nullptr
                       ? PyUnicode_FromFormat("Value(data=%R, grad=%R)", data, grad)
                       : nullptr;
  Py_XDECREF(data);
  Py_XDECREF(grad);
  return text;
}

// The type

PyNumberMethods as_number = {};
PyMethodDef methods[] = {
    {"exp", unary<scalar::exp>, METH_NOARGS, "exp($self, /)\n--\n\ne to the power of this value."},
    {"log", unary<scalar::log>, METH_NOARGS, "log($self, /)\n--\n\nNatural logarithm."},
    {"tanh", unary<scalar::tanh>, METH_NOARGS, "tanh($self, /)\n--\n\nHyperbolic tangent."},
    {"relu", unary<scalar::relu>, METH_NOARGS,
     "relu($self, /)\n--\n\nThis value where it is positive, else zero."},
    {"sigmoid", unary<scalar::sigmoid>, METH_NOARGS, "sigmoid($self, /)\n--\n\n1 / (1 + exp(-x))."},
    {"backward", backward, METH_NOARGS,
     "backward($self, /)\n--\n\n"
     "Add d self / d leaf to the grad of every leaf, and set the grad of the values between.\n\n"
     "A second call adds to the leaves again: gradients of a batch accumulate."},
    {"zero_grad", zero_grad, METH_NOARGS,
     "zero_grad($self, /)\n--\n\n"
     "Set grad to zero here and in every value this one was computed from."},
    {"__reduce__", reduce, METH_NOARGS, nullptr},
    {nullptr, nullptr, 0, nullptr},
};
char data_name[] = "[Value] data";
char grad_name[] = "[Value] grad";
PyGetSetDef attributes[] = {
    {"data", get_number<&Node::data>, set_number<&Node::data>, "The number.", data_name},
    {"grad", get_number<&Node::grad>, set_number<&Node::grad>,
     "d result / d self, after result.backward().", grad_name},
    {"label", get_label, set_label, "A name for drawings.", nullptr},
    {"op", get_op, nullptr, "What made this value, \"\" for a leaf.", nullptr},
    {"_prev", get_prev, nullptr, "The operands it was made from.", nullptr},
    {"_local_grads", get_local_grads, nullptr, "d self / d operand, one for each operand.",
     nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

// A static type: its objects need not count references to it. It takes no part in garbage
// collection, as operands are fixed when a value is made and a graph can therefore hold no cycle.
PyTypeObject type = [] {
  PyTypeObject t = {};
  t.ob_base = {PyObject_HEAD_INIT(nullptr) 0};
  t.tp_name = "groundup.scalar.Value";
  t.tp_basicsize = sizeof(Value);
  t.tp_flags = Py_TPFLAGS_DEFAULT;
  t.tp_doc =
      "Value(data, label='')\n--\n\n"
      "A scalar in a graph of scalars: its number, and after `backward` its gradient.";
  t.tp_dealloc = dealloc;
  t.tp_repr = repr;
  t.tp_as_number = &as_number;
  t.tp_methods = methods;
  t.tp_getset = attributes;
  t.tp_new = type_new;
  t.tp_vectorcall = type_vectorcall;
  as_number.nb_add = add;
  as_number.nb_subtract = sub;
  as_number.nb_multiply = mul;
  as_number.nb_true_divide = div;
  as_number.nb_power = pow;
  as_number.nb_negative = neg;
  return t;
}();

void bind_scalar(pybind11::module_& module) {
  if (PyType_Ready(&type) < 0) throw pybind11::error_already_set();
  module.attr("ScalarValue") =
      pybind11::reinterpret_borrow<pybind11::object>(reinterpret_cast<PyObject*>(&type));
}

const Binder binder(bind_scalar);

}  // namespace
}  // namespace gu::scalar_binding
