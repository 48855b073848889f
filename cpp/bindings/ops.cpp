// Makes every registered op callable from Python: binds arguments by name, converts them by kind,
// releases the GIL, runs the op.

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <structmember.h>

#include <array>
#include <string>

#include "autograd/tape.hpp"
#include "bindings/bind.hpp"
#include "core/registry.hpp"

namespace py = pybind11;

namespace gu::bindings {

namespace {

constexpr size_t max_params = 20;

const char* kind_name(Kind kind) {
  switch (kind) {
    case Kind::tensor:
      return "a tensor";
    case Kind::boolean:
      return "a bool";
    case Kind::integer:
      return "an int";
    case Kind::number:
    case Kind::scalar:
      return "a number";
    case Kind::string:
      return "a string";
    case Kind::dtype:
      return "a dtype";
    case Kind::integers:
      return "an int or a sequence of ints";
    default:
      return "a sequence of tensors";
  }
}

// The same for programs: what Op.kinds lists.
const char* kind_id(Kind kind) {
  constexpr const char* ids[] = {"tensor", "bool",  "int",  "float",  "scalar",
                                 "str",    "dtype", "ints", "tensors"};
  return ids[static_cast<size_t>(kind)];
}

[[noreturn]] void wrong_type(const Op& op, const Param& param, py::handle value) {
  fail<TypeError>("[", op.name, "] ", param.name, " must be ", kind_name(param.kind),
                  param.optional ? " or None" : "", ", but got ", Py_TYPE(value.ptr())->tp_name);
}

PyTypeObject* tensor_type = nullptr;

// The tensor that a Python object holds; null for other objects. The class itself, which nearly
// every call brings, is spared pybind11's search for a type.
const Tensor* tensor_in(py::handle v) {
  if (Py_TYPE(v.ptr()) == tensor_type) {
    auto* held = reinterpret_cast<py::detail::instance*>(v.ptr());
    return held->get_value_and_holder().value_ptr<Tensor>();
  }
  return py::isinstance<Tensor>(v) ? &v.cast<const Tensor&>() : nullptr;
}

bool is_int(py::handle v) {
  return (PyLong_Check(v.ptr()) && !PyBool_Check(v.ptr())) ||
         (!PyFloat_Check(v.ptr()) && !PyBool_Check(v.ptr()) && !tensor_in(v) &&
          PyIndex_Check(v.ptr()));
}

int64_t to_int(const Op& op, const Param& param, py::handle v) {
  py::object index = py::reinterpret_steal<py::object>(PyNumber_Index(v.ptr()));
  int overflow = 0;
  long long value = index ? PyLong_AsLongLongAndOverflow(index.ptr(), &overflow) : -1;
  if (!index || overflow) {
    PyErr_Clear();
    fail<ValueError>("[", op.name, "] ", param.name, " must fit 64 bits, but got ",
                     py::str(v).cast<std::string>());
  }
  return value;
}

// The C-contiguous ndarray inside a tensor of the NumPy backend; nothing for other objects.
std::optional<py::object> reference_array(py::handle v) {
  if (tensor_in(v) || !py::hasattr(v, "_reference_array")) return std::nullopt;
  return v.attr("_reference_array")();
}

Value convert(const Op& op, const Param& param, py::handle v) {
  if (v.is_none() && param.optional) return {};
  switch (param.kind) {
    case Kind::tensor:
      if (const Tensor* t = tensor_in(v)) return *t;
      // Numbers stay as they are until the dtype of their partners is known.
      if (PyBool_Check(v.ptr())) return v.ptr() == Py_True;
      if (PyFloat_CheckExact(v.ptr())) return PyFloat_AS_DOUBLE(v.ptr());
      if (PyLong_Check(v.ptr())) return to_int(op, param, v);
      if (auto array = reference_array(v)) return tensor_from_python(*array, op.name.c_str(), true);
      if (py::hasattr(v, "__array__")) return tensor_from_python(v, op.name.c_str(), false);
      break;
    case Kind::boolean:
      if (PyBool_Check(v.ptr())) return v.ptr() == Py_True;
      break;
    case Kind::integer:
      if (is_int(v)) return to_int(op, param, v);
      break;
    case Kind::number:
      if (PyFloat_Check(v.ptr())) return PyFloat_AsDouble(v.ptr());
      if (is_int(v)) return static_cast<double>(to_int(op, param, v));
      break;
    case Kind::scalar:
      if (PyBool_Check(v.ptr())) return v.ptr() == Py_True;
      if (PyFloat_Check(v.ptr())) return PyFloat_AsDouble(v.ptr());
      if (is_int(v)) return to_int(op, param, v);
      break;
    case Kind::string:
      if (py::isinstance<py::str>(v)) return v.cast<std::string>();
      break;
    case Kind::dtype:
      return dtype_from_python(v, op.name.c_str());
    case Kind::integers: {
      std::vector<int64_t> values;
      if (is_int(v)) {
        values.push_back(to_int(op, param, v));
        return values;
      }
      if (!PySequence_Check(v.ptr()) || py::isinstance<py::str>(v)) break;
      for (py::handle element : v) {
        if (!is_int(element)) wrong_type(op, param, v);
        values.push_back(to_int(op, param, element));
      }
      return values;
    }
    case Kind::tensors: {
      std::vector<Tensor> values;
      if (!PySequence_Check(v.ptr()) || tensor_in(v)) break;
      for (py::handle element : v) {
        if (auto array = reference_array(element))
          values.push_back(tensor_from_python(*array, op.name.c_str(), true));
        else if (const Tensor* t = tensor_in(element))
          values.push_back(*t);
        else
          wrong_type(op, param, element);
      }
      return values;
    }
  }
  wrong_type(op, param, v);
}

// Gives plain numbers the dtype of the tensors beside them: x + 1 stays what x is.
void type_numbers(const Op& op, std::span<Value> args) {
  bool numbers = false;
  DType partner = DType::boolean;
  for (size_t i = 0; i < args.size(); ++i) {
    if (op.params[i].kind != Kind::tensor) continue;
    if (auto* t = std::get_if<Tensor>(&args[i]))
      partner = std::max(partner, t->dtype());
    else if (!std::holds_alternative<std::monostate>(args[i]))
      numbers = true;
  }
  if (!numbers) return;
  for (size_t i = 0; i < args.size(); ++i) {
    if (op.params[i].kind != Kind::tensor) continue;
    double value;
    DType own;
    if (auto* b = std::get_if<bool>(&args[i])) {
      args[i] = Tensor::scalar(*b);
      continue;
    } else if (auto* n = std::get_if<int64_t>(&args[i])) {
      if (partner <= DType::int64) {
        args[i] = Tensor::scalar(*n);
        continue;
      }
      value = static_cast<double>(*n);
      own = DType::int64;
    } else if (auto* d = std::get_if<double>(&args[i])) {
      value = *d;
      own = DType::float32;
    } else {
      continue;
    }
    if (std::max(partner, own) == DType::float64)
      args[i] = Tensor::scalar(value);
    else
      args[i] = Tensor::scalar(static_cast<float>(value));
  }
}

py::object to_python(Value& value) {
  if (auto* t = std::get_if<Tensor>(&value)) return py::cast(std::move(*t));
  if (auto* list = std::get_if<std::vector<Tensor>>(&value)) {
    py::tuple out(list->size());
    for (size_t i = 0; i < list->size(); ++i) out[i] = py::cast(std::move((*list)[i]));
    return out;
  }
  if (auto* n = std::get_if<int64_t>(&value)) return py::int_(*n);
  if (auto* d = std::get_if<double>(&value)) return py::float_(*d);
  if (auto* b = std::get_if<bool>(&value)) return py::bool_(*b);
  return py::none();
}

// A value as the NumPy references take it.
py::object to_reference(Value& value) {
  if (auto* t = std::get_if<Tensor>(&value)) return to_numpy(*t);
  if (auto* d = std::get_if<DType>(&value))
    return py::module_::import("numpy").attr("dtype")(name(*d));
  if (auto* s = std::get_if<std::string>(&value)) return py::str(*s);
  if (auto* ints = std::get_if<std::vector<int64_t>>(&value)) return py::tuple(py::cast(*ints));
  if (auto* list = std::get_if<std::vector<Tensor>>(&value)) {
    py::list out;
    for (Tensor& t : *list) out.append(to_numpy(t));
    return out;
  }
  return to_python(value);
}

// An op with what calling it from Python needs.
struct OpHandle {
  const Op* op;
  std::vector<PyObject*> names;  // of the parameters, interned as keywords in calls are

  explicit OpHandle(const Op& o) : op(&o) {
    for (const Param& p : o.params) names.push_back(PyUnicode_InternFromString(p.name.c_str()));
  }
};

// The arguments of a call as the interpreter hands them over (its vectorcall protocol): `count`
// positional ones, then one for each of `keywords`, a tuple of names or null.
struct Arguments {
  PyObject* const* values;
  size_t count;
  PyObject* keywords;
};

// The arguments of one call: as Python gave them (null: not given), and converted.
struct Bound {
  std::array<py::handle, max_params> given{};
  std::array<Value, max_params> values;
  py::tuple gathered;  // keeps x.reshape(2, 3)'s tuple alive
};

size_t find_parameter(const OpHandle& h, PyObject* keyword) {
  for (size_t i = 0; i < h.names.size(); ++i)
    if (h.names[i] == keyword) return i;
  std::string word = py::str(keyword).cast<std::string>();
  if (word == "axis") word = "dim";  // NumPy's names
  if (word == "keepdims") word = "keepdim";
  for (size_t i = 0; i < h.names.size(); ++i)
    if (h.op->params[i].name == word) return i;
  fail<TypeError>("[", h.op->name, "] has no argument '", word, "'");
}

// x.reshape(2, 3) means x.reshape((2, 3)), and so does reshape(x, 2, 3): loose ints where the last
// argument that an op needs is a list of ints. In x.split(2, 1) the second int is an argument of
// its own.
bool takes_loose_ints(const Op& op, size_t at) {
  if (at >= op.params.size() || op.params[at].kind != Kind::integers || op.params[at].has_default)
    return false;
  if (at + 1 == op.params.size()) return true;
  const Param& next = op.params[at + 1];
  return next.has_default && next.kind != Kind::integer && next.kind != Kind::integers;
}

void bind_arguments(const OpHandle& h, const Arguments& args, Bound& bound) {
  const Op& op = *h.op;
  const size_t n = op.params.size();
  size_t given = 0;
  // A method's tensor comes first.
  const size_t first = n > 0 && op.params[0].kind == Kind::tensor ? 1 : 0;
  bool loose = args.count > first + 1 && takes_loose_ints(op, first);
  for (size_t i = first; loose && i < args.count; ++i) loose = is_int(args.values[i]);
  if (loose) {
    if (first == 1) bound.given[given++] = args.values[0];
    bound.gathered = py::tuple(args.count - first);
    for (size_t i = first; i < args.count; ++i)
      bound.gathered[i - first] = py::handle(args.values[i]);
    bound.given[given++] = bound.gathered;
  } else {
    if (args.count > n)
      fail<TypeError>("[", op.name, "] takes at most ", n, " arguments, but got ", args.count);
    for (; given < args.count; ++given) bound.given[given] = args.values[given];
  }
  const Py_ssize_t keywords = args.keywords ? PyTuple_GET_SIZE(args.keywords) : 0;
  for (Py_ssize_t k = 0; k < keywords; ++k) {
    const size_t i = find_parameter(h, PyTuple_GET_ITEM(args.keywords, k));
    if (bound.given[i])
      fail<TypeError>("[", op.name, "] got argument '", op.params[i].name, "' twice");
    bound.given[i] = args.values[args.count + static_cast<size_t>(k)];
  }
  for (size_t i = 0; i < n; ++i) {
    const Param& param = op.params[i];
    if (bound.given[i])
      bound.values[i] = convert(op, param, bound.given[i]);
    else if (param.has_default)
      bound.values[i] = param.default_value;
    else
      fail<TypeError>("[", op.name, "] needs the argument '", param.name, "'");
  }
  type_numbers(op, std::span<Value>(bound.values.data(), n));
}

py::object call(const OpHandle& h, const Arguments& args) {
  const Op& op = *h.op;
  Bound bound;
  bind_arguments(h, args, bound);
  std::span<Value> values(bound.values.data(), op.params.size());
  Value result;
  {
    py::gil_scoped_release release;
    result = op.call(values);
    if (autograd::anomaly_enabled()) {
      if (auto* t = std::get_if<Tensor>(&result)) autograd::check_finite(op.name, "result", *t);
      if (auto* list = std::get_if<std::vector<Tensor>>(&result))
        for (const Tensor& t : *list) autograd::check_finite(op.name, "result", t);
    }
    for (Value& value : values) value = {};  // tensors may be large; freeing them needs no GIL
  }
  return to_python(result);
}

// For the NumPy backend: binds and converts as call() does, but hands the values back, tensors as
// arrays. Returns (what was given, the values), both one a parameter.
py::tuple bind_only(const OpHandle& h, const py::args& args, const py::kwargs& kwargs) {
  std::vector<PyObject*> all;
  for (py::handle a : args) all.push_back(a.ptr());
  py::tuple keywords(kwargs.size());
  size_t k = 0;
  for (auto& [key, value] : kwargs) {
    keywords[k++] = key;
    all.push_back(value.ptr());
  }
  Bound bound;
  bind_arguments(h, {all.data(), args.size(), keywords.ptr()}, bound);
  size_t n = h.op->params.size();
  py::tuple given(n), values(n);
  for (size_t i = 0; i < n; ++i) {
    given[i] = bound.given[i] ? py::reinterpret_borrow<py::object>(bound.given[i]) : py::none();
    values[i] = to_reference(bound.values[i]);
  }
  return py::make_tuple(given, values);
}

// ---- the callable -------------------------------------------------------------------------------

// What Python calls. A pybind11 function would get a tuple and a dict made for each call; this
// takes the arguments where the interpreter has them. In a class it is a method: the interpreter
// then passes the tensor as the first argument.
struct Callable {
  PyObject ob_base;
  vectorcallfunc vectorcall;
  const OpHandle* op;
  bool reflected;  // y.__radd__(x) is add(x, y)
};

PyObject* run(PyObject* self, PyObject* const* args, size_t count, PyObject* keywords) {
  const auto* callable = reinterpret_cast<Callable*>(self);
  Arguments given{args, static_cast<size_t>(PyVectorcall_NARGS(count)), keywords};
  PyObject* swapped[2];
  if (callable->reflected && given.count == 2) {
    swapped[0] = args[1];
    swapped[1] = args[0];
    given.values = swapped;
  }
  try {
    return call(*callable->op, given).release().ptr();
  } catch (py::error_already_set& error) {
    error.restore();
  } catch (...) {
    py::detail::try_translate_exceptions();
  }
  return nullptr;
}

PyObject* bind_method(PyObject* self, PyObject* object, PyObject*) {
  if (object) return PyMethod_New(self, object);
  return Py_NewRef(self);
}

PyObject* callable_name(PyObject* self, void*) {
  return PyUnicode_FromString(reinterpret_cast<Callable*>(self)->op->op->name.c_str());
}

// The docstring is made from the specification, so it is read only when somebody asks.
PyObject* callable_doc(PyObject* self, void*) {
  try {
    py::object get = py::module_::import("groundup.ops").attr("get");
    py::object doc = get(reinterpret_cast<Callable*>(self)->op->op->name).attr("__doc__");
    return doc.release().ptr();
  } catch (py::error_already_set& error) {
    error.restore();
    return nullptr;
  }
}

py::object make_callable_type() {
  static PyMemberDef members[] = {
      {"__vectorcalloffset__", T_PYSSIZET, offsetof(Callable, vectorcall), READONLY, nullptr}, {}};
  static PyGetSetDef getters[] = {{"__name__", callable_name, nullptr, nullptr, nullptr},
                                  {"__doc__", callable_doc, nullptr, nullptr, nullptr},
                                  {}};
  PyType_Slot slots[] = {{Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
                         {Py_tp_descr_get, reinterpret_cast<void*>(bind_method)},
                         {Py_tp_members, members},
                         {Py_tp_getset, getters},
                         {0, nullptr}};
  PyType_Spec spec{"groundup._core.OpFunction", sizeof(Callable), 0,
                   Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_METHOD_DESCRIPTOR |
                       Py_TPFLAGS_DISALLOW_INSTANTIATION,
                   slots};
  py::object type = py::reinterpret_steal<py::object>(PyType_FromSpec(&spec));
  if (!type) throw py::error_already_set();
  return type;
}

py::object make_callable(const py::object& type, const OpHandle& op, bool reflected = false) {
  auto* callable = PyObject_New(Callable, reinterpret_cast<PyTypeObject*>(type.ptr()));
  if (!callable) throw py::error_already_set();
  callable->vectorcall = &run;
  callable->op = &op;
  callable->reflected = reflected;
  return py::reinterpret_steal<py::object>(reinterpret_cast<PyObject*>(callable));
}

std::string signature(const Op& op) {
  std::string text = op.name + "(";
  for (size_t i = 0; i < op.params.size(); ++i) {
    const Param& p = op.params[i];
    text += (i ? ", " : "") + p.name + (p.has_default ? "=" + p.default_text : "");
  }
  return text + ")";
}

// x + y is add(x, y); the second name, where there is one, is the reflected operator.
constexpr std::array<std::array<const char*, 3>, 19> operators = {{
    {"add", "__add__", "__radd__"},
    {"sub", "__sub__", "__rsub__"},
    {"mul", "__mul__", "__rmul__"},
    {"div", "__truediv__", "__rtruediv__"},
    {"floor_divide", "__floordiv__", "__rfloordiv__"},
    {"remainder", "__mod__", "__rmod__"},
    {"pow", "__pow__", "__rpow__"},
    {"matmul", "__matmul__", "__rmatmul__"},
    {"logical_and", "__and__", "__rand__"},
    {"logical_or", "__or__", "__ror__"},
    {"logical_not", "__invert__", ""},
    {"neg", "__neg__", ""},
    {"abs", "__abs__", ""},
    {"eq", "__eq__", ""},
    {"ne", "__ne__", ""},
    {"lt", "__lt__", ""},
    {"le", "__le__", ""},
    {"gt", "__gt__", ""},
    {"ge", "__ge__", ""},
}};

// One for each op, for as long as the process runs.
std::map<std::string, OpHandle>& handles() {
  static auto* all = new std::map<std::string, OpHandle>;
  return *all;
}

void bind_operators(py::module_& m, const py::object& callable_type) {
  py::object tensor = m.attr("Tensor");
  py::list names;
  auto add = [&](const char* op_name, const char* method, bool reflected) {
    auto found = handles().find(op_name);
    if (found == handles().end())
      throw std::logic_error(std::string(method) + ": there is no op " + op_name);
    tensor.attr(method) = make_callable(callable_type, found->second, reflected);
    names.append(py::make_tuple(op_name, method, reflected));
  };
  for (auto& [op_name, plain, reflected] : operators) {
    add(op_name, plain, false);
    if (*reflected) add(op_name, reflected, true);
  }
  m.attr("operators") = names;  // the NumPy backend gives its tensors the same ones
}

void bind(py::module_& m) {
  py::object callable_type = make_callable_type();
  py::class_<OpHandle>(m, "Op", "What is known of a compiled op; `function` calls it.")
      .def_property_readonly(
          "function",
          [callable_type](const OpHandle& h) { return make_callable(callable_type, h); })
      .def_property_readonly("name", [](const OpHandle& h) { return h.op->name; })
      .def_property_readonly("signature", [](const OpHandle& h) { return signature(*h.op); })
      .def_property_readonly("file", [](const OpHandle& h) { return h.op->file; })
      .def_property_readonly(
          "params",
          [](const OpHandle& h) {
            py::list out;
            for (const Param& p : h.op->params)
              out.append(
                  py::make_tuple(p.name, kind_id(p.kind), p.optional,
                                 p.has_default ? py::object(py::str(p.default_text)) : py::none()));
            return out;
          })
      .def("bind", &bind_only)
      .def_property_readonly("kinds",
                             [](const OpHandle& h) {
                               py::list out;
                               for (const Param& p : h.op->params) out.append(kind_id(p.kind));
                               return out;
                             })
      .def("__repr__", [](const OpHandle& h) { return "<op " + signature(*h.op) + ">"; });
  py::dict ops;
  py::object tensor = m.attr("Tensor");
  tensor_type = reinterpret_cast<PyTypeObject*>(tensor.ptr());
  for (auto& [name, op] : registry()) {
    if (op.params.size() > max_params) throw std::logic_error(name + ": too many parameters");
    const OpHandle& handle = handles().emplace(name, OpHandle(op)).first->second;
    ops[name.c_str()] = py::cast(&handle, py::return_value_policy::reference);
    // An op whose first parameter is a tensor called x is a method, too.
    if (!op.params.empty() && op.params[0].name == "x" && op.params[0].kind == Kind::tensor)
      tensor.attr(name.c_str()) = make_callable(callable_type, handle);
  }
  m.attr("ops") = ops;
  bind_operators(m, callable_type);
}

const Binder binder(&bind);

}  // namespace
}  // namespace gu::bindings
