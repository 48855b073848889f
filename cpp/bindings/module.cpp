// The extension module: errors, build facts, then every Binder of the other files.

#include "bindings/bind.hpp"

#include <cblas.h>

#include <map>
#include <string>

#include "core/memory.hpp"
#include "core/threads.hpp"

namespace py = pybind11;

namespace gu::bindings {

namespace {

void bind_errors(py::module_& m) {
  // Functions with the GIL held run this; each C++ type maps to the class a Python reader expects.
  static PyObject* shape_error = PyErr_NewExceptionWithDoc(
      "groundup.ShapeError", "Sizes that do not fit each other.", PyExc_ValueError, nullptr);
  static PyObject* dtype_error = PyErr_NewExceptionWithDoc(
      "groundup.DTypeError", "An element type that an op does not take.", PyExc_TypeError, nullptr);
  m.add_object("ShapeError", py::reinterpret_borrow<py::object>(shape_error));
  m.add_object("DTypeError", py::reinterpret_borrow<py::object>(dtype_error));
  py::register_local_exception_translator([](std::exception_ptr error) {
    try {
      if (error) std::rethrow_exception(error);
    } catch (const ShapeError& e) {
      PyErr_SetString(shape_error, e.what());
    } catch (const DTypeError& e) {
      PyErr_SetString(dtype_error, e.what());
    } catch (const ValueError& e) {
      PyErr_SetString(PyExc_ValueError, e.what());
    } catch (const IndexError& e) {
      PyErr_SetString(PyExc_IndexError, e.what());
    } catch (const TypeError& e) {
      PyErr_SetString(PyExc_TypeError, e.what());
    }
  });
}

}  // namespace
}  // namespace gu::bindings

PYBIND11_MODULE(GROUNDUP_MODULE, m) {
  using namespace gu;
  m.doc() = "The C++ core of groundup, compiled for one micro-architecture level.";
  m.attr("isa") = GROUNDUP_ISA;
  m.attr("compiler") = __VERSION__;
  m.attr("blas") = std::string(openblas_get_config()) + " " + openblas_get_corename();
  bindings::bind_errors(m);
  m.def("num_threads", &num_threads, "Threads that ops may use.");
  m.def("set_num_threads", &set_num_threads, py::arg("n"),
        "Set the threads that ops may use, 1 to 256.");
  m.def(
      "memory_stats",
      [] {
        MemoryStats s = memory_stats();
        py::dict d;
        d["live"] = s.live;
        d["peak"] = s.peak;
        d["cached"] = s.cached;
        d["allocations"] = s.allocations;
        d["hits"] = s.hits;
        return d;
      },
      "Bytes of tensor memory: live, peak and cached; and how many allocations the cache served.");
  m.def("reset_peak_memory", &reset_peak, "Start measuring peak memory anew.");
  m.def("empty_cache", &empty_cache, "Give cached memory back to the system.");
  for (auto& [order, bind] : bindings::Binder::all()) bind(m);
}
