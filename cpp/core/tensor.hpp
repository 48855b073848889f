#pragma once
// Tensor: a contiguous, row-major, 64-byte aligned array. A Tensor is a handle; copies of it share
// memory.

#include <xtensor/xadapt.hpp>

#include <memory>
#include <optional>
#include <vector>

#include "core/dtype.hpp"
#include "core/errors.hpp"

namespace gu {

using Shape = std::vector<int64_t>;

// Number of elements; refuses negative sizes and products that overflow.
int64_t count(const Shape& shape);

// Raw memory from the caching allocator, or memory that belongs to somebody else.
class Storage {
 public:
  explicit Storage(int64_t bytes);
  Storage(void* foreign, int64_t bytes, std::shared_ptr<void> owner, bool writable);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  std::byte* data() const { return data_; }
  int64_t bytes() const { return bytes_; }
  bool writable() const { return writable_; }
  // Counts in-place writes, so that the tape notices when a value it saved was changed.
  uint32_t version = 0;

 private:
  std::byte* data_;
  int64_t bytes_;
  bool writable_ = true;
  bool foreign_ = false;
  std::shared_ptr<void> owner_;
};

namespace autograd {
struct Meta;  // what the tape knows of a tensor; see autograd/tape.hpp
}

class Tensor {
 public:
  Tensor() = default;  // undefined: "no tensor"

  // Memory is not initialised.
  static Tensor empty(Shape shape, DType dtype);
  static Tensor zeros(Shape shape, DType dtype);
  template <class T>
  static Tensor scalar(T value) {
    Tensor t = empty({}, dtype_of<T>);
    *t.data<T>() = value;
    return t;
  }
  // A tensor over memory that `owner` keeps alive.
  static Tensor from_foreign(void* data, Shape shape, DType dtype, std::shared_ptr<void> owner,
                             bool writable);

  bool defined() const { return impl_ != nullptr; }
  explicit operator bool() const { return defined(); }

  const Shape& shape() const { return impl_->shape; }
  int64_t dim() const { return static_cast<int64_t>(impl_->shape.size()); }
  int64_t size() const { return impl_->size; }
  // Size along an axis; negative axes count from the end. The axis must exist.
  int64_t size(int64_t axis) const { return impl_->shape[axis < 0 ? axis + dim() : axis]; }
  DType dtype() const { return impl_->dtype; }
  int64_t nbytes() const { return size() * itemsize(dtype()); }
  const std::shared_ptr<Storage>& storage() const { return impl_->storage; }
  int64_t offset() const { return impl_->offset; }  // in elements

  template <class T>
  T* data() const {
    return reinterpret_cast<T*>(impl_->storage->data()) + impl_->offset;
  }
  std::byte* bytes() const { return impl_->storage->data() + impl_->offset * itemsize(dtype()); }

  // The memory as an xtensor of the same shape.
  template <class T>
  auto view() const {
    return xt::adapt(data<T>(), static_cast<size_t>(size()), xt::no_ownership(),
                     std::vector<size_t>(shape().begin(), shape().end()));
  }
  // The memory as an xtensor of another shape, for example rows: view<T>({R, C}).
  template <class T, size_t N>
  auto view(const int64_t (&sizes)[N]) const {
    std::array<size_t, N> shape;
    for (size_t i = 0; i < N; ++i) shape[i] = static_cast<size_t>(sizes[i]);
    return xt::adapt(data<T>(), static_cast<size_t>(size()), xt::no_ownership(), shape);
  }

  // Shares memory; not recorded on the tape. Sizes must multiply to size().
  Tensor alias(Shape shape) const;
  Tensor alias() const { return alias(shape()); }
  // Shares the memory of `shape` elements from element `start`.
  Tensor alias(Shape shape, int64_t start) const;
  Tensor clone() const;  // a copy of the memory; not recorded

  // True when there is no other handle to this tensor; others may still share its memory.
  bool unshared() const { return impl_.use_count() == 1; }
  // True when nothing else can see this memory, so that it may be written in place.
  bool unique() const { return impl_.use_count() == 1 && impl_->storage.use_count() == 1; }
  void bump_version() const { ++impl_->storage->version; }
  uint32_t version() const { return impl_->storage->version; }

  const std::shared_ptr<autograd::Meta>& meta() const { return impl_->meta; }
  void set_meta(std::shared_ptr<autograd::Meta> meta) const { impl_->meta = std::move(meta); }

 private:
  struct Impl {
    std::shared_ptr<Storage> storage;
    int64_t offset = 0;
    Shape shape;
    int64_t size = 0;
    DType dtype = DType::float32;
    std::shared_ptr<autograd::Meta> meta;
  };
  explicit Tensor(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<Impl> impl_;
};

// Resolves a possibly negative axis of a tensor with `dim` axes, or throws an IndexError that names
// the op.
int64_t resolve_axis(const char* op, int64_t axis, int64_t dim);

// [outer, n, inner]: a shape seen around one axis. A 0-d shape counts as [1, 1, 1].
struct AxisView {
  int64_t outer, n, inner;
};
AxisView around(const Shape& shape, int64_t axis);

}  // namespace gu
