// Memory that belongs to somebody else may be read-only, a mapped file for example.
#pragma once

#include "core/tensor.hpp"

namespace gu::optim {

inline void check_writable(const char* op, const Tensor& t) {
  if (!t.storage()->writable()) fail<ValueError>("[", op, "] a tensor's memory is read-only");
}

}  // namespace gu::optim
