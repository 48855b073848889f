// Working memory of a kernel, from the core's cache of freed blocks: 64-byte aligned, not
// initialized.
#pragma once

#include <cstdint>

#include "core/memory.hpp"

namespace gu::kernels {

// `const Scratch<float> rows(n);` gives rows.data()[0..n) until the end of the scope.
template <class T>
class Scratch {
 public:
  explicit Scratch(int64_t n)
      : bytes_(static_cast<std::size_t>(n) * sizeof(T)), data_(static_cast<T*>(allocate(bytes_))) {}
  ~Scratch() { deallocate(data_, bytes_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  T* data() const { return data_; }

 private:
  std::size_t bytes_;
  T* data_;
};

}  // namespace gu::kernels
