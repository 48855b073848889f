#pragma once
// The ids that an encoder makes.

#include <cstddef>
#include <cstdint>
#include <utility>

namespace gu::text {

// Ids that grow: memory comes from malloc, so that an array may take it over.
class Ids {
 public:
  Ids() = default;
  Ids(Ids&& other) noexcept { swap(other); }
  Ids& operator=(Ids&& other) noexcept {
    swap(other);
    return *this;
  }
  ~Ids();

  uint32_t* data() { return data_; }
  const uint32_t* data() const { return data_; }
  std::size_t size() const { return size_; }
  void shrink(std::size_t size) { size_ = size; }
  void push(uint32_t id) {
    need(1);
    data_[size_++] = id;
  }
  // Room for n more; returns where they go.
  uint32_t* need(std::size_t n) {
    if (capacity_ - size_ < n) grow(n);
    return data_ + size_;
  }
  void added(std::size_t n) { size_ += n; }
  // Gives the memory away, cut to size: free() it.
  uint32_t* release();

 private:
  void grow(std::size_t n);
  void swap(Ids& other) {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
  }
  uint32_t* data_ = nullptr;
  std::size_t size_ = 0, capacity_ = 0;
};

}  // namespace gu::text
