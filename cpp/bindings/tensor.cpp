// The Tensor class in Python: construction, NumPy, scalars, in-place writes. Ops become methods in
// ops.cpp.

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstring>
#include <string>

#include "autograd/tape.hpp"
#include "bindings/bind.hpp"
#include "ops/cast.hpp"

namespace py = pybind11;

namespace gu::bindings {

namespace {

// What Python sees as gu.float32.
struct DTypeObject {
  DType dtype;
};

DType dtype_of_array(const py::array& a, const char* op) {
  py::dtype d = a.dtype();
  char kind = d.kind();
  int64_t size = d.itemsize();
  if (kind == 'f' && size == 4) return DType::float32;
  if (kind == 'f' && size == 8) return DType::float64;
  if (kind == 'f' && size == 2) return DType::float32;
  if (kind == 'b') return DType::boolean;
  if (kind == 'i' || (kind == 'u' && size < 8)) return DType::int64;
  fail<DTypeError>("[", op, "] data must be floats, integers or bools, but got dtype ",
                   py::str(static_cast<py::object>(d)).cast<std::string>());
}

py::dtype numpy_dtype(DType dtype) {
  if (dtype == DType::bfloat16)
    fail<DTypeError>("[numpy] NumPy has no bfloat16; convert with x.float() first");
  return py::dtype(name(dtype));
}

Tensor tensor_over(py::array array, DType dtype) {
  Shape shape(array.shape(), array.shape() + array.ndim());
  void* data = const_cast<void*>(array.data());
  bool writable = array.writeable();
  return Tensor::from_foreign(data, std::move(shape), dtype, keep(std::move(array)), writable);
}

void check_writable(const Tensor& t, const char* op) {
  if (!t.storage()->writable()) fail<ValueError>("[", op, "] the tensor's memory is read-only");
  if (autograd::grad_enabled() && autograd::requires_grad(t))
    fail<ValueError>("[", op,
                     "] the tape follows this tensor, so it cannot be written in place; "
                     "use gu.no_grad() or make a new tensor");
}

// x becomes `source`, element by element, broadcast and converted as NumPy does. A bool takes the
// truth of anything.
void write(const Tensor& t, const py::object& source, const char* op) {
  check_writable(t, op);
  t.bump_version();  // first: a write that fails half-way has changed something, too
  const char* casting = t.dtype() == DType::boolean ? "unsafe" : "same_kind";
  py::module_::import("numpy").attr("copyto")(to_numpy(t), source, py::arg("casting") = casting);
}

std::string repr(const Tensor& t) {
  std::string body;
  if (t.dtype() == DType::bfloat16) {
    body = "of shape " + str(t.shape());
  } else {
    py::object text = py::module_::import("numpy").attr("array2string")(
        to_numpy(t), py::arg("separator") = ", ", py::arg("prefix") = "tensor(",
        py::arg("precision") = 4, py::arg("suppress_small") = false);
    body = text.cast<std::string>();
  }
  std::string out = "tensor(" + body;
  if (t.size() == 0) out += ", shape=" + str(t.shape());
  if (t.dtype() != DType::float32 && t.dtype() != DType::boolean &&
      !(t.dtype() == DType::int64 && t.size() > 0))
    out += std::string(", dtype=groundup.") + name(t.dtype());
  if (t.meta() && t.meta()->node)
    out += ", grad_fn=<" + t.meta()->node->op + ">";
  else if (autograd::requires_grad(t))
    out += ", requires_grad=True";
  return out + ")";
}

py::tuple shape_tuple(const Shape& shape) {
  py::tuple t(shape.size());
  for (size_t i = 0; i < shape.size(); ++i) t[i] = py::int_(shape[i]);
  return t;
}

py::object item(const Tensor& t) {
  if (t.size() != 1)
    fail<ShapeError>("[item] the tensor must hold one element, but got shape ", t.shape());
  switch (t.dtype()) {
    case DType::boolean:
      return py::bool_(*t.data<bool>());
    case DType::int64:
      return py::int_(*t.data<int64_t>());
    case DType::float32:
      return py::float_(*t.data<float>());
    case DType::float64:
      return py::float_(*t.data<double>());
    default: {
      uint32_t bits = static_cast<uint32_t>(t.data<BFloat16>()->bits) << 16;
      float value;
      std::memcpy(&value, &bits, 4);
      return py::float_(value);
    }
  }
}

// What NumPy makes of Python values. Errors of the values themselves, such as a MemoryError or one
// that an __array__ raises, go through.
py::array as_array(const py::handle& data, const char* op) {
  try {
    return py::module_::import("numpy").attr("asarray")(data);
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_ValueError) && !error.matches(PyExc_TypeError)) throw;
    fail<TypeError>("[", op,
                    "] data must be a number, nested lists of equal length or an array, but got ",
                    Py_TYPE(data.ptr())->tp_name);
  }
}

// A hook often knows its tensor: h.register_hook(lambda g: print(h.shape, g)). That is a cycle
// through C++ objects, which Python's garbage collector sees only if it is shown the way.
traverseproc visit_attributes;
inquiry clear_attributes;

// The hooks of a tensor, where this Python object alone keeps them alive.
std::vector<autograd::RegisteredHook>* hooks_of(PyObject* self) {
  py::detail::value_and_holder holder =
      reinterpret_cast<py::detail::instance*>(self)->get_value_and_holder();
  if (!holder.holder_constructed()) return nullptr;
  const Tensor& t = *holder.value_ptr<Tensor>();
  if (!t.defined() || !t.unshared() || !t.meta() || t.meta().use_count() != 1) return nullptr;
  return &t.meta()->hooks;
}

int visit_tensor(PyObject* self, visitproc visit, void* arg) {
  if (auto* hooks = hooks_of(self))
    for (auto& hook : *hooks)
      if (hook.owner.use_count() == 1) Py_VISIT(static_cast<py::object*>(hook.owner.get())->ptr());
  return visit_attributes(self, visit, arg);
}

int clear_tensor(PyObject* self) {
  if (auto* hooks = hooks_of(self)) {
    auto last = std::move(*hooks);  // the list is empty before anything in it is released
    hooks->clear();
  }
  return clear_attributes(self);
}

void collect_cycles(PyHeapTypeObject* type) {
  visit_attributes = std::exchange(type->ht_type.tp_traverse, &visit_tensor);
  clear_attributes = std::exchange(type->ht_type.tp_clear, &clear_tensor);
}

void bind(py::module_& m) {
  py::class_<DTypeObject>(m, "dtype", "The element type of a tensor.")
      .def_property_readonly("name", [](DTypeObject d) { return name(d.dtype); })
      .def_property_readonly("itemsize", [](DTypeObject d) { return itemsize(d.dtype); })
      .def_property_readonly("is_floating_point", [](DTypeObject d) { return is_float(d.dtype); })
      .def("__repr__", [](DTypeObject d) { return std::string("groundup.") + name(d.dtype); })
      .def("__reduce__",
           [](DTypeObject d) {
             return py::make_tuple(py::module_::import("groundup").attr("dtype"),
                                   py::make_tuple(name(d.dtype)));
           })
      .def(py::init([](const py::object& value) {
             return DTypeObject{dtype_from_python(value, "dtype")};
           }),
           py::arg("name"))
      .def("__eq__",
           [](DTypeObject d, const py::object& other) {
             try {
               return d.dtype == dtype_from_python(other, "dtype");
             } catch (const DTypeError&) {
               return false;
             }
           })
      .def("__hash__", [](DTypeObject d) { return static_cast<int>(d.dtype); });
  for (DType d : {DType::boolean, DType::int64, DType::bfloat16, DType::float32, DType::float64})
    m.attr(d == DType::boolean ? "bool_" : name(d)) = DTypeObject{d};

  py::class_<Tensor> tensor(m, "Tensor", py::dynamic_attr(), py::custom_type_setup(&collect_cycles),
                            "A contiguous, row-major array with an optional gradient.");
  tensor.attr("__array_priority__") = 1000;
  tensor
      .def(py::init([](const py::object& data, const py::object& dtype, bool requires_grad) {
             // Read by NumPy first where a dtype is given: a float asked for in float64 must not
             // become a float32 on its way.
             bool typed = !dtype.is_none() && !py::isinstance<Tensor>(data);
             Tensor t =
                 tensor_from_python(typed ? as_array(data, "tensor") : data, "tensor", false);
             if (!dtype.is_none() && t.dtype() != dtype_from_python(dtype, "tensor"))
               t = ops::converted(t, dtype_from_python(dtype, "tensor"));
             if (requires_grad) py::cast(t).attr("requires_grad_")();
             return t;
           }),
           py::arg("data"), py::arg("dtype") = py::none(), py::arg("requires_grad") = false)
      .def_property_readonly("shape", [](const Tensor& t) { return shape_tuple(t.shape()); })
      .def(
          "size",
          [](const Tensor& t, const py::object& dim) -> py::object {
            if (dim.is_none()) return shape_tuple(t.shape());
            if (t.dim() == 0) fail<IndexError>("[size] a 0-d tensor has no axes");
            return py::int_(t.size(resolve_axis("size", dim.cast<int64_t>(), t.dim())));
          },
          py::arg("dim") = py::none())
      .def_property_readonly("ndim", &Tensor::dim)
      .def("dim", &Tensor::dim)
      .def("numel", [](const Tensor& t) { return t.size(); })
      .def_property_readonly("nbytes", &Tensor::nbytes)
      .def_property_readonly("dtype", [](const Tensor& t) { return DTypeObject{t.dtype()}; })
      .def("data_ptr", [](const Tensor& t) { return reinterpret_cast<uintptr_t>(t.bytes()); })
      .def_property_readonly("_version", &Tensor::version)
      .def("__len__",
           [](const Tensor& t) {
             if (t.dim() == 0) fail<TypeError>("[len] a 0-d tensor has no length");
             return t.size(0);
           })
      .def("__repr__", &repr)
      .def("__hash__", [](const Tensor& t) { return reinterpret_cast<intptr_t>(&t.shape()); })
      .def("item", &item)
      .def("__float__", [](const Tensor& t) { return py::float_(item(t)); })
      .def("__int__", [](const Tensor& t) { return py::int_(item(t)); })
      .def("__index__",
           [](const Tensor& t) {
             if (t.dtype() != DType::int64)
               fail<TypeError>("[index] only an int64 tensor can be an index, but got ",
                               name(t.dtype()));
             return py::int_(item(t));
           })
      .def("__bool__",
           [](const Tensor& t) {
             if (t.size() != 1)
               fail<ValueError>("[bool] only one element has a truth value, but got shape ",
                                t.shape());
             return static_cast<bool>(py::bool_(item(t)));
           })
      .def("tolist", [](const Tensor& t) { return to_numpy(t).attr("tolist")(); })
      .def("numpy", &to_numpy, "The same memory as an ndarray.")
      .def(
          "__array__",
          [](const Tensor& t, const py::object& dtype, const py::object& copy) {
            py::object a = to_numpy(t);
            bool must_copy = !copy.is_none() && copy.cast<bool>();
            bool may_copy = copy.is_none() || must_copy;
            bool same =
                dtype.is_none() || py::object(a.attr("dtype")).equal(py::dtype::from_args(dtype));
            if (same) return must_copy ? a.attr("copy")() : a;
            if (!may_copy)
              fail<ValueError>("[array] another dtype needs a copy, but copy is False");
            return a.attr("astype")(dtype);
          },
          py::arg("dtype") = py::none(), py::arg("copy") = py::none())
      .def(
          "copy_",
          [](py::object self, const py::object& source) {
            write(self.cast<Tensor>(), source, "copy_");
            return self;
          },
          py::arg("source"), "Write `source` into this tensor, broadcast.")
      .def(
          "fill_",
          [](py::object self, const py::object& value) {
            write(self.cast<Tensor>(), value, "fill_");
            return self;
          },
          py::arg("value"))
      .def("zero_",
           [](py::object self) {
             const Tensor& t = self.cast<const Tensor&>();
             check_writable(t, "zero_");
             t.bump_version();
             if (t.size() > 0) std::memset(t.bytes(), 0, static_cast<size_t>(t.nbytes()));
             return self;
           })
      .def("__setitem__", [](const Tensor& t, const py::object& key, const py::object& value) {
        check_writable(t, "setitem");
        t.bump_version();
        to_numpy(t)[key] = value;
      });
  for (const char* op : {"add", "subtract", "multiply", "divide"}) {
    // add_, sub_, mul_, div_: NumPy's own loops, in place.
    std::string short_name = std::string(op).substr(0, 3) + "_";
    tensor.def(
        short_name.c_str(),
        [op, short_name](py::object self, const py::object& other) {
          const Tensor& t = self.cast<const Tensor&>();
          check_writable(t, short_name.c_str());
          t.bump_version();
          py::module_::import("numpy").attr(op)(to_numpy(t), other, py::arg("out") = to_numpy(t),
                                                py::arg("casting") = "same_kind");
          return self;
        },
        py::arg("other"));
  }
  m.def(
      "from_numpy",
      [](const py::object& array) { return tensor_from_python(array, "from_numpy", true); },
      py::arg("array"), "A tensor over the memory of a C-contiguous ndarray.");
}

const Binder binder(&bind, 0);

}  // namespace

py::object to_numpy(const Tensor& t) {
  py::dtype dtype = numpy_dtype(t.dtype());
  // The array owns a handle to the tensor's storage, not to its history.
  auto* storage = new std::shared_ptr<Storage>(t.storage());
  py::capsule owner(storage, [](void* p) { delete static_cast<std::shared_ptr<Storage>*>(p); });
  py::array array(dtype, std::vector<py::ssize_t>(t.shape().begin(), t.shape().end()), t.bytes(),
                  owner);
  if (!t.storage()->writable()) array.attr("flags").attr("writeable") = false;
  return array;
}

Tensor tensor_from_python(const py::handle& data, const char* op, bool share) {
  if (py::isinstance<Tensor>(data)) {
    Tensor t = data.cast<Tensor>();
    return share ? t : t.clone();
  }
  bool is_array = py::isinstance<py::array>(data);
  py::array array = as_array(data, op);
  DType dtype = dtype_of_array(array, op);
  bool exact = array.dtype().kind() != 'f' || array.itemsize() != 2;
  // Python's floats carry no width; the default is float32, as in PyTorch. NumPy scalars keep
  // theirs.
  bool typed = is_array || py::hasattr(data, "dtype");
  if (!typed && dtype == DType::float64) dtype = DType::float32;
  py::dtype wanted = numpy_dtype(dtype);
  if (share) {
    bool same = exact && array.dtype().equal(wanted);
    bool contiguous = (array.flags() & py::array::c_style) &&
                      (array.flags() & py::detail::npy_api::NPY_ARRAY_ALIGNED_);
    if (!is_array || !same || !contiguous)
      fail<ValueError>("[", op,
                       "] only an aligned C-contiguous ndarray of a supported dtype can be shared; "
                       "use gu.tensor to copy");
    return tensor_over(std::move(array), dtype);
  }
  py::array converted = py::module_::import("numpy").attr("ascontiguousarray")(array, wanted);
  // ascontiguousarray makes 0-d arrays 1-d.
  Tensor t = Tensor::empty(Shape(array.shape(), array.shape() + array.ndim()), dtype);
  if (t.size() > 0) std::memcpy(t.bytes(), converted.data(), static_cast<size_t>(t.nbytes()));
  return t;
}

DType dtype_from_python(const py::handle& value, const char* op) {
  if (py::isinstance<DTypeObject>(value)) return value.cast<DTypeObject>().dtype;
  if (value.is(py::handle(reinterpret_cast<PyObject*>(&PyFloat_Type)))) return DType::float32;
  if (value.is(py::handle(reinterpret_cast<PyObject*>(&PyLong_Type)))) return DType::int64;
  if (value.is(py::handle(reinterpret_cast<PyObject*>(&PyBool_Type)))) return DType::boolean;
  std::string text;
  if (py::isinstance<py::str>(value)) {
    text = value.cast<std::string>();
  } else if (py::isinstance<py::dtype>(value)) {
    text = py::str(value).cast<std::string>();
  } else if (py::hasattr(value, "__name__")) {  // np.float32
    text = py::str(value.attr("__name__")).cast<std::string>();
    if (text == "bool_") text = "bool";
  } else {
    text = py::repr(value).cast<std::string>();
  }
  for (DType d : {DType::boolean, DType::int64, DType::bfloat16, DType::float32, DType::float64})
    if (text == name(d)) return d;
  fail<DTypeError>("[", op, "] dtype must be bool, int64, bfloat16, float32 or float64, but got ",
                   text);
}

}  // namespace gu::bindings
