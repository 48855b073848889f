#pragma once
// A binding file registers one function with a static Binder; module.cpp runs them all at import.

#include <pybind11/pybind11.h>

#include <map>
#include <memory>

#include "core/tensor.hpp"

namespace gu::bindings {

struct Binder {
  using Function = void (*)(pybind11::module_&);
  // Lower orders run first: the Tensor class (0) is there when others add to it.
  explicit Binder(Function bind, int order = 1) { all().emplace(order, bind); }
  static std::multimap<int, Function>& all() {
    static std::multimap<int, Function> functions;
    return functions;
  }
};

// A Python object that C++ keeps: it may be released on any thread, with or without the GIL.
inline std::shared_ptr<pybind11::object> keep(pybind11::object object) {
  return {new pybind11::object(std::move(object)), [](pybind11::object* held) {
            if (Py_IsInitialized()) {
              pybind11::gil_scoped_acquire gil;
              delete held;
            }  // after the interpreter ended there is nothing left to release
          }};
}

// A tensor from anything that NumPy can read; copies unless `share`. Lists of Python floats become
// float32.
Tensor tensor_from_python(const pybind11::handle& data, const char* op, bool share);
// The tensor as an ndarray over the same memory.
pybind11::object to_numpy(const Tensor& t);
// "float32", gu.float32, np.float32, float … as a DType.
DType dtype_from_python(const pybind11::handle& value, const char* op);

}  // namespace gu::bindings

namespace gu {
using bindings::Binder;
}
