#include "text/ids.hpp"

#include <algorithm>
#include <cstdlib>
#include <new>

namespace gu::text {

Ids::~Ids() { std::free(data_); }

void Ids::grow(std::size_t n) {
  const std::size_t wanted = std::max(size_ + n, capacity_ + capacity_ / 2 + 16);
  void* const grown = std::realloc(data_, wanted * sizeof(uint32_t));
  if (!grown) throw std::bad_alloc();
  data_ = static_cast<uint32_t*>(grown);
  capacity_ = wanted;
}

uint32_t* Ids::release() {
  uint32_t* given = std::exchange(data_, nullptr);
  if (void* const cut = std::realloc(given, std::max<std::size_t>(size_, 1) * sizeof(uint32_t))) {
    given = static_cast<uint32_t*>(cut);
  }
  size_ = capacity_ = 0;
  return given;
}

}  // namespace gu::text
