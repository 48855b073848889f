#include "ops/indices.hpp"

#include <algorithm>
#include <atomic>
#include <string>

#include "core/threads.hpp"

namespace gu::ops {

namespace {

// Where element i of a tensor is, as Python writes an index: 3, or (1, 3).
std::string position(const Shape& shape, int64_t i) {
  Shape index(shape.size());
  for (size_t d = shape.size(); d-- > 0;) {
    index[d] = i % shape[d];
    i /= shape[d];
  }
  return index.size() == 1 ? std::to_string(index[0]) : str(index);
}

}  // namespace

void check_indices(const char* op, const char* what, const Tensor& index, int64_t n,
                   bool from_end) {
  if (index.dtype() != DType::int64)
    fail<DTypeError>("[", op, "] ", what, " must be int64, but got ", name(index.dtype()));
  const int64_t* ids = index.data<int64_t>();
  const int64_t least = from_end ? -n : 0;
  std::atomic<bool> wrong{false};
  parallel_for(index.size(), 1 << 15, [&](int64_t begin, int64_t end) {
    bool any = false;  // without a way out, so that the loop compiles to vector code
    for (int64_t i = begin; i < end; ++i) any |= ids[i] < least || ids[i] >= n;
    if (any) wrong = true;
  });
  if (!wrong) return;
  const int64_t* first =
      std::find_if(ids, ids + index.size(), [=](int64_t id) { return id < least || id >= n; });
  fail<IndexError>("[", op, "] ", what, " must be in ", least, " to ", n - 1, ", but got ", *first,
                   " at position ", position(index.shape(), first - ids));
}

}  // namespace gu::ops
