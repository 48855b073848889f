#pragma once
// What the binding files of text share.

#include <pybind11/pybind11.h>

#include "bindings/bind.hpp"

namespace gu::bindings {

struct Bytes {
  const uint8_t* data;
  size_t size;
};

// The UTF-8 of a str or the content of bytes, which must outlive the result. A lone surrogate is a
// ValueError.
Bytes bytes_of(const pybind11::handle& text, const char* op);

}  // namespace gu::bindings
