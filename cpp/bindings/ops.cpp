// Makes every registered op callable from Python: binds arguments by name, converts them by kind,
// releases the GIL, runs the op.

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

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

bool is_int(py::handle v) {
  return (PyLong_Check(v.ptr()) && !PyBool_Check(v.ptr())) ||
         (!PyFloat_Check(v.ptr()) && !PyBool_Check(v.ptr()) && !py::isinstance<Tensor>(v) &&
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
  if (py::isinstance<Tensor>(v) || !py::hasattr(v, "_reference_array")) return std::nullopt;
  return v.attr("_reference_array")();
}

Value convert(const Op& op, const Param& param, py::handle v) {
  if (v.is_none() && param.optional) return {};
  switch (param.kind) {
    case Kind::tensor:
      if (py::isinstance<Tensor>(v)) return v.cast<Tensor>();
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
      if (!PySequence_Check(v.ptr()) || py::isinstance<Tensor>(v)) break;
      for (py::handle element : v) {
        if (auto array = reference_array(element))
          values.push_back(tensor_from_python(*array, op.name.c_str(), true));
        else if (py::isinstance<Tensor>(element))
          values.push_back(element.cast<Tensor>());
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

// The arguments of one call: as Python gave them (null: not given), and converted.
struct Bound {
  std::array<py::handle, max_params> given{};
  std::array<Value, max_params> values;
  py::tuple gathered;  // keeps x.reshape(2, 3)'s tuple alive
};

// `self`, where given, is the first argument.
void bind_arguments(const Op& op, py::handle self, const py::args& args, const py::kwargs& kwargs,
                    Bound& bound) {
  size_t n = op.params.size(), given = 0;
  if (self) bound.given[given++] = self;
  // x.reshape(2, 3) means x.reshape((2, 3)), and so does reshape(x, 2, 3): loose ints where the
  // last argument that an op needs is a list of ints. In x.split(2, 1) the second int is an
  // argument of its own.
  const size_t before = !self && n > 0 && op.params[0].kind == Kind::tensor ? 1 : 0;
  const size_t list = given + before;
  bool loose = args.size() > before + 1 && list < n && op.params[list].kind == Kind::integers &&
               !op.params[list].has_default &&
               (list + 1 == n ||
                (op.params[list + 1].has_default && op.params[list + 1].kind != Kind::integer &&
                 op.params[list + 1].kind != Kind::integers));
  for (size_t i = before; loose && i < args.size(); ++i) loose = is_int(args[i]);
  if (loose) {
    if (before) bound.given[given++] = args[0];
    bound.gathered = args[py::slice(static_cast<py::ssize_t>(before), {}, {})];
    bound.given[given++] = bound.gathered;
  } else {
    if (args.size() + given > n)
      fail<TypeError>("[", op.name, "] takes at most ", n, " arguments, but got ",
                      args.size() + given);
    for (py::handle a : args) bound.given[given++] = a;
  }
  for (auto& [key, value] : kwargs) {
    std::string word = py::str(key).cast<std::string>();
    if (word == "axis") word = "dim";  // NumPy's names
    if (word == "keepdims") word = "keepdim";
    size_t i = 0;
    while (i < n && op.params[i].name != word) ++i;
    if (i == n) fail<TypeError>("[", op.name, "] has no argument '", word, "'");
    if (bound.given[i]) fail<TypeError>("[", op.name, "] got argument '", word, "' twice");
    bound.given[i] = value;
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

py::object call(const Op& op, py::handle self, const py::args& args, const py::kwargs& kwargs) {
  Bound bound;
  bind_arguments(op, self, args, kwargs, bound);
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
py::tuple bind_only(const Op& op, const py::args& args, const py::kwargs& kwargs) {
  Bound bound;
  bind_arguments(op, {}, args, kwargs, bound);
  size_t n = op.params.size();
  py::tuple given(n), values(n);
  for (size_t i = 0; i < n; ++i) {
    given[i] = bound.given[i] ? py::reinterpret_borrow<py::object>(bound.given[i]) : py::none();
    values[i] = to_reference(bound.values[i]);
  }
  return py::make_tuple(given, values);
}

struct OpHandle {
  const Op* op;
};

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

void bind_operators(py::module_& m) {
  py::object tensor = m.attr("Tensor");
  py::list names;
  auto add = [&](const char* op_name, const char* method, bool reflected) {
    auto found = registry().find(op_name);
    if (found == registry().end())
      throw std::logic_error(std::string(method) + ": there is no op " + op_name);
    const Op* op = &found->second;
    tensor.attr(method) = py::cpp_function(
        [op, reflected](const py::object& self, const py::args& args) {
          py::args given = args;
          if (reflected)
            given = py::reinterpret_steal<py::args>(py::make_tuple(args[0], self).release());
          return call(*op, reflected ? py::handle() : py::handle(self), given, py::kwargs());
        },
        py::name(method), py::is_method(tensor));
    names.append(py::make_tuple(op_name, method, reflected));
  };
  for (auto& [op_name, plain, reflected] : operators) {
    add(op_name, plain, false);
    if (*reflected) add(op_name, reflected, true);
  }
  m.attr("operators") = names;  // the NumPy backend gives its tensors the same ones
}

void bind(py::module_& m) {
  py::class_<OpHandle>(m, "Op", "A compiled op.")
      .def("__call__", [](const OpHandle& h, const py::args& args,
                          const py::kwargs& kwargs) { return call(*h.op, {}, args, kwargs); })
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
      .def("bind", [](const OpHandle& h, const py::args& args,
                      const py::kwargs& kwargs) { return bind_only(*h.op, args, kwargs); })
      .def_property_readonly("kinds",
                             [](const OpHandle& h) {
                               py::list out;
                               for (const Param& p : h.op->params) out.append(kind_id(p.kind));
                               return out;
                             })
      .def("__repr__", [](const OpHandle& h) { return "<op " + signature(*h.op) + ">"; });
  py::dict ops;
  py::object tensor = m.attr("Tensor");
  for (auto& [name, op] : registry()) {
    if (op.params.size() > max_params) throw std::logic_error(name + ": too many parameters");
    ops[name.c_str()] = OpHandle{&op};
    // An op whose first parameter is a tensor called x is a method, too.
    if (op.params.empty() || op.params[0].name != "x" || op.params[0].kind != Kind::tensor)
      continue;
    const Op* target = &op;
    tensor.attr(name.c_str()) = py::cpp_function(
        [target](const py::object& self, const py::args& args, const py::kwargs& kwargs) {
          return call(*target, self, args, kwargs);
        },
        py::name(name.c_str()), py::is_method(tensor));
  }
  m.attr("ops") = ops;
  bind_operators(m);
}

const Binder binder(&bind);

}  // namespace
}  // namespace gu::bindings
