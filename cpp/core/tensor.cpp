#include "core/tensor.hpp"

#include <cstring>
#include <limits>

#include "core/memory.hpp"
#include "core/threads.hpp"

namespace gu {

int64_t count(const Shape& shape) {
  int64_t n = 1;
  for (int64_t size : shape) {
    if (size < 0) fail<ShapeError>("[tensor] sizes must not be negative, but got ", shape);
    // Room for 8-byte elements, so that byte counts never overflow either.
    if (size != 0 && n > std::numeric_limits<int64_t>::max() / 16 / size)
      fail<ShapeError>("[tensor] sizes must multiply to less than 2^59, but got ", shape);
    n *= size;
  }
  return n;
}

Storage::Storage(int64_t bytes)
    : data_(static_cast<std::byte*>(allocate(static_cast<size_t>(bytes)))), bytes_(bytes) {}

Storage::Storage(void* foreign, int64_t bytes, std::shared_ptr<void> owner, bool writable)
    : data_(static_cast<std::byte*>(foreign)),
      bytes_(bytes),
      writable_(writable),
      foreign_(true),
      owner_(std::move(owner)) {}

Storage::~Storage() {
  if (!foreign_) deallocate(data_, static_cast<size_t>(bytes_));
}

Tensor Tensor::empty(Shape shape, DType dtype) {
  auto impl = std::make_shared<Impl>();
  impl->size = count(shape);
  impl->shape = std::move(shape);
  impl->dtype = dtype;
  impl->storage = std::make_shared<Storage>(impl->size * itemsize(dtype));
  return Tensor(std::move(impl));
}

Tensor Tensor::zeros(Shape shape, DType dtype) {
  Tensor t = empty(std::move(shape), dtype);
  if (t.size() > 0) std::memset(t.bytes(), 0, static_cast<size_t>(t.nbytes()));
  return t;
}

Tensor Tensor::from_foreign(void* data, Shape shape, DType dtype, std::shared_ptr<void> owner,
                            bool writable) {
  auto impl = std::make_shared<Impl>();
  impl->size = count(shape);
  impl->shape = std::move(shape);
  impl->dtype = dtype;
  impl->storage =
      std::make_shared<Storage>(data, impl->size * itemsize(dtype), std::move(owner), writable);
  return Tensor(std::move(impl));
}

Tensor Tensor::alias(Shape shape) const {
  if (count(shape) != size())
    fail<ShapeError>("[reshape] sizes must multiply to ", size(), ", but got ", shape);
  return alias(std::move(shape), 0);
}

Tensor Tensor::alias(Shape shape, int64_t start) const {
  int64_t n = count(shape);
  if (start < 0 || start + n > size())
    fail<IndexError>("[tensor] elements ", start, " to ", start + n, " must lie in 0 to ", size());
  auto impl = std::make_shared<Impl>();
  impl->storage = impl_->storage;
  impl->offset = impl_->offset + start;
  impl->size = n;
  impl->shape = std::move(shape);
  impl->dtype = impl_->dtype;
  return Tensor(std::move(impl));
}

Tensor Tensor::clone() const {
  Tensor t = empty(shape(), dtype());
  parallel_for(nbytes(), 1 << 18, [&](int64_t begin, int64_t end) {
    std::memcpy(t.bytes() + begin, bytes() + begin, static_cast<size_t>(end - begin));
  });
  return t;
}

int64_t resolve_axis(const char* op, int64_t axis, int64_t dim) {
  int64_t axes = dim == 0 ? 1 : dim;  // as in PyTorch, a 0-d tensor accepts axes 0 and -1
  if (axis < -axes || axis >= axes)
    fail<IndexError>("[", op, "] dim must be in ", -axes, " to ", axes - 1, ", but got ", axis);
  return axis < 0 ? axis + axes : axis;
}

AxisView around(const Shape& shape, int64_t axis) {
  AxisView v{1, shape.empty() ? 1 : shape[axis], 1};
  for (int64_t i = 0; i < static_cast<int64_t>(shape.size()); ++i) {
    if (i < axis) v.outer *= shape[i];
    if (i > axis) v.inner *= shape[i];
  }
  return v;
}

}  // namespace gu
