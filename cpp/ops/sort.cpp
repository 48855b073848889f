// sort, argsort, topk: elements in order along one axis, and where they came from. A NaN counts as
// larger than every number; equal elements keep their order.

#include <algorithm>

#include "autograd/tape.hpp"
#include "core/registry.hpp"
#include "core/threads.hpp"

namespace gu::ops {

namespace {

template <class T>
struct Ranked {
  T value;
  int64_t index;
};

// Whether a comes before b.
template <class T>
bool comes_first(const Ranked<T>& a, const Ranked<T>& b, bool descending) {
  // x != x only for a NaN
  const bool a_nan = a.value != a.value, b_nan = b.value != b.value;
  const bool less = b_nan ? !a_nan : a.value < b.value;
  const bool greater = a_nan ? !b_nan : a.value > b.value;
  if (less || greater) return descending ? greater : less;
  return a.index < b.index;
}

// row[:k] becomes the first k of n elements that lie `stride` apart, in order; row holds n.
template <class T>
void first_of(const T* x, int64_t n, int64_t stride, int64_t k, bool descending, Ranked<T>* row) {
  const auto before = [=](const Ranked<T>& a, const Ranked<T>& b) {
    return comes_first(a, b, descending);
  };
  if (k == 0) return;
  if (k > n / 8) {
    for (int64_t i = 0; i < n; ++i) row[i] = {x[i * stride], i};
    if (k < n) std::nth_element(row, row + k, row + n, before);
  } else {
    // A heap of the best so far with the last of them on top. Few elements ever get past it, and
    // the first comparison, which a NaN on either side passes, turns the others away.
    for (int64_t i = 0; i < k; ++i) row[i] = {x[i * stride], i};
    std::make_heap(row, row + k, before);
    for (int64_t i = k; i < n; ++i) {
      const T value = x[i * stride];
      if (descending ? value <= row[0].value : value >= row[0].value) continue;
      const Ranked<T> found{value, i};
      if (!before(found, row[0])) continue;
      std::pop_heap(row, row + k, before);
      row[k - 1] = found;
      std::push_heap(row, row + k, before);
    }
  }
  std::sort(row, row + k, before);
}

// The first k in order along an axis: values and indices [outer, k, inner] of x [outer, n, inner].
std::vector<Tensor> first_in_order(const char* op, const Tensor& x, int64_t axis, int64_t k,
                                   bool descending) {
  const AxisView v = around(x.shape(), axis);
  Shape shape = x.shape();
  if (!shape.empty()) shape[axis] = k;
  Tensor values = Tensor::empty(shape, x.dtype());
  Tensor indices = Tensor::empty(shape, DType::int64);
  with_any(x.dtype(), op, [&](auto zero) {
    using T = decltype(zero);
    const T* in = x.data<T>();
    T* out = values.data<T>();
    int64_t* at = indices.data<int64_t>();
    parallel_for(v.outer * v.inner, std::max<int64_t>(1, 4096 / std::max<int64_t>(v.n, 1)),
                 [=](int64_t begin, int64_t end) {
                   std::vector<Ranked<T>> row(static_cast<size_t>(v.n));
                   for (int64_t r = begin; r < end; ++r) {
                     const int64_t o = r / v.inner, i = r % v.inner;
                     first_of(in + o * v.n * v.inner + i, v.n, v.inner, k, descending, row.data());
                     for (int64_t j = 0; j < k; ++j) {
                       out[(o * k + j) * v.inner + i] = row[j].value;
                       at[(o * k + j) * v.inner + i] = row[j].index;
                     }
                   }
                 });
  });
  return {values, indices};
}

// Each gradient goes back to where its element came from.
std::vector<Tensor> record_ordered(const char* op, const Tensor& x, std::vector<Tensor> ordered,
                                   int64_t axis) {
  if (!is_float(x.dtype()) || !autograd::any_requires_grad(std::initializer_list<Tensor>{x}))
    return ordered;
  autograd::record_node(
      op, ordered, &x, 1,
      [op, axis, shape = x.shape(), indices = Saved(ordered[1])](const Grads& dys, const Needs&) {
        const Tensor dy = dys[0];
        Tensor dx = Tensor::zeros(shape, dy.dtype());
        const AxisView from = around(dy.shape(), axis), to = around(shape, axis);
        with_float(dy.dtype(), op, [&](auto zero) {
          using T = decltype(zero);
          const T* in = dy.data<T>();
          T* out = dx.data<T>();
          const int64_t* at = indices.get().template data<int64_t>();
          for (int64_t o = 0; o < from.outer; ++o)
            for (int64_t j = 0; j < from.n; ++j)
              for (int64_t i = 0; i < from.inner; ++i) {
                const int64_t e = (o * from.n + j) * from.inner + i;
                out[(o * to.n + at[e]) * to.inner + i] = in[e];
              }
        });
        return Grads{dx};
      });
  return ordered;
}

}  // namespace

static std::vector<Tensor> sort(const Tensor& x, int64_t dim, bool descending) {
  // x [..., n, ...] -> values, indices [..., n, ...]
  const int64_t axis = resolve_axis("sort", dim, x.dim());
  const int64_t n = around(x.shape(), axis).n;
  return record_ordered("sort", x, first_in_order("sort", x, axis, n, descending), axis);
}
GU_OP(sort, "x, dim=-1, descending=False")

static Tensor argsort(const Tensor& x, int64_t dim, bool descending) {
  // x [..., n, ...] -> indices [..., n, ...]
  const int64_t axis = resolve_axis("argsort", dim, x.dim());
  return first_in_order("argsort", x, axis, around(x.shape(), axis).n, descending)[1];
}
GU_OP(argsort, "x, dim=-1, descending=False")

static std::vector<Tensor> topk(const Tensor& x, int64_t k, int64_t dim, bool largest) {
  // x [..., n, ...] -> values, indices [..., k, ...]
  const int64_t axis = resolve_axis("topk", dim, x.dim());
  const int64_t n = around(x.shape(), axis).n;
  if (k < 0 || k > n)
    fail<ValueError>("[topk] k must be in 0 to ", n, ", the size of dim ", axis, ", but got ", k);
  if (x.dim() == 0 && k == 0) fail<ValueError>("[topk] k must be 1 for a 0-d tensor, but got 0");
  return record_ordered("topk", x, first_in_order("topk", x, axis, k, largest), axis);
}
GU_OP(topk, "x, k, dim=-1, largest=True")

}  // namespace gu::ops
