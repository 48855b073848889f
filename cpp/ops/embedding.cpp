// embedding: a row of a table for each id.
//   y[..., :] = weight[ids[...], :]

#include "kernels/embedding.hpp"

#include "autograd/tape.hpp"
#include "core/registry.hpp"
#include "ops/indices.hpp"

namespace gu::ops {

static Tensor embedding(const Tensor& ids, const Tensor& weight) {
  // ids [...], weight [V, C] -> y [..., C]
  if (weight.dim() != 2)
    fail<ShapeError>("[embedding] weight must be [V, C], but got shape ", weight.shape());
  const int64_t V = weight.size(0), C = weight.size(1);
  check_indices("embedding", "ids", ids, V);
  Shape shape = ids.shape();
  shape.push_back(C);
  Tensor y = Tensor::empty(shape, weight.dtype());
  with_float(weight.dtype(), "embedding", [&](auto zero) {
    using T = decltype(zero);
    kernels::gather_rows<T>(weight.data<T>(), ids.data<int64_t>(), y.data<T>(), ids.size(), C);
  });
  return record("embedding", y, {ids, weight},
                [ids = Saved(ids), V, C](const Tensor& dy, const Needs&) {
                  // Rows of the table that several ids share add up what comes back from each.
                  Tensor dweight = Tensor::zeros({V, C}, dy.dtype());
                  with_float(dy.dtype(), "embedding", [&](auto zero) {
                    using T = decltype(zero);
                    kernels::scatter_add_rows<T>(dy.data<T>(), ids.get().data<int64_t>(),
                                                 dweight.data<T>(), ids.get().size(), C);
                  });
                  return Grads{Tensor(), dweight};
                });
}
GU_OP(embedding, "ids, weight")

}  // namespace gu::ops
