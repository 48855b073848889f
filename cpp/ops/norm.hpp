#pragma once
// What the normalizations check and share.

#include <optional>
#include <vector>

#include "core/tensor.hpp"

namespace gu::ops {

// x seen as R rows of C elements; C is the product of the last `axes` sizes.
struct NormRows {
  int64_t R, C, axes;
};

inline NormRows norm_rows(const char* op, const Tensor& x,
                          const std::vector<int64_t>& normalized_shape) {
  const Shape& shape = x.shape();
  size_t axes = normalized_shape.size();
  if (axes == 0 || axes > shape.size() ||
      !std::equal(normalized_shape.begin(), normalized_shape.end(), shape.end() - axes))
    fail<ShapeError>("[", op, "] normalized_shape must be the last sizes of x, but got ",
                     normalized_shape, " for x of shape ", shape);
  NormRows rows{1, 1, static_cast<int64_t>(axes)};
  for (size_t i = 0; i < shape.size(); ++i) (i < shape.size() - axes ? rows.R : rows.C) *= shape[i];
  return rows;
}

inline Tensor norm_parameter(const char* op, const char* name, const std::optional<Tensor>& p,
                             const std::vector<int64_t>& normalized_shape, DType dtype) {
  if (!p) return {};
  if (p->shape() != normalized_shape)
    fail<ShapeError>("[", op, "] ", name, " must have shape ", normalized_shape, ", but got ",
                     p->shape());
  if (p->dtype() != dtype)
    fail<DTypeError>("[", op, "] ", name, " must be ", gu::name(dtype), " like x, but got ",
                     gu::name(p->dtype()));
  return *p;
}

template <class T>
T* data_or_null(const Tensor& t) {
  return t.defined() ? t.data<T>() : nullptr;
}

}  // namespace gu::ops
