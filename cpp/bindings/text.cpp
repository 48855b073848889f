// Tokenizers: text in as str or bytes, ids out as arrays or lists.

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <string>
#include <vector>

#include "bindings/text.hpp"
#include "text/split.hpp"

namespace py = pybind11;

namespace gu::bindings {

Bytes bytes_of(const py::handle& text, const char* op) {
  if (PyUnicode_Check(text.ptr())) {
    Py_ssize_t size = 0;
    const char* data = PyUnicode_AsUTF8AndSize(text.ptr(), &size);
    if (data == nullptr) {
      PyErr_Clear();
      const Py_ssize_t length = PyUnicode_GetLength(text.ptr());
      for (Py_ssize_t i = 0; i < length; ++i) {
        const Py_UCS4 c = PyUnicode_ReadChar(text.ptr(), i);
        if (c >= 0xd800 && c < 0xe000) {
          char hex[8];
          std::snprintf(hex, sizeof(hex), "%04X", static_cast<unsigned>(c));
          fail<ValueError>("[", op, "] text must be Unicode, but got the lone surrogate U+", hex,
                           " at position ", i);
        }
      }
      throw py::error_already_set();
    }
    return {reinterpret_cast<const uint8_t*>(data), static_cast<size_t>(size)};
  }
  if (PyBytes_Check(text.ptr())) {
    return {reinterpret_cast<const uint8_t*>(PyBytes_AS_STRING(text.ptr())),
            static_cast<size_t>(PyBytes_GET_SIZE(text.ptr()))};
  }
  fail<TypeError>("[", op, "] text must be a str or bytes, but got ", Py_TYPE(text.ptr())->tp_name);
}

namespace {

py::array_t<int64_t> split_offsets(const std::string& pattern, const py::object& text) {
  const text::Pattern p = text::pattern_from_name(pattern);
  const Bytes bytes = bytes_of(text, "split");
  std::vector<int64_t> ends{0};
  {
    py::gil_scoped_release release;
    text::split(p, bytes.data, bytes.size,
                [&](const uint8_t*, const uint8_t* end) { ends.push_back(end - bytes.data); });
  }
  return py::array_t<int64_t>(static_cast<py::ssize_t>(ends.size()), ends.data());
}

void bind(py::module_& m) {
  m.def("split_offsets", &split_offsets, py::arg("pattern"), py::arg("text"),
        "The byte offsets at which a text's pieces begin, and its size.");
}

const Binder binder(&bind);

}  // namespace
}  // namespace gu::bindings
