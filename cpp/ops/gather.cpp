// gather, scatter_add, index_select: elements, or whole slices, by index along one axis.

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "autograd/tape.hpp"
#include "core/registry.hpp"
#include "core/threads.hpp"
#include "kernels/embedding.hpp"
#include "kernels/strided.hpp"
#include "ops/indices.hpp"

namespace gu::ops {

namespace {

constexpr int64_t gather_grain = 1 << 14;  // elements that are worth a thread

// Walks the elements of an index tensor [..., m, ...] beside those of a table [..., n, ...] that it
// points to along `axis`, in runs along the last axis: element i of a run belongs to
// table[base + i * step + index[i] * stride].
struct IndexedRuns {
  Shape sizes;    // of the index
  Shape strides;  // of the table
  int64_t axis;

  IndexedRuns(const Tensor& index, const Shape& table, int64_t dim)
      : sizes(index.shape()), strides(kernels::contiguous_strides(table)), axis(dim) {}

  bool along_run() const { return axis + 1 == static_cast<int64_t>(sizes.size()); }
  int64_t run() const { return sizes.back(); }
  int64_t runs() const { return run() == 0 ? 0 : count(sizes) / run(); }
  // Runs whose elements can only meet among themselves: those with the same axes before `axis`.
  int64_t runs_together() const {
    int64_t n = 1;
    for (size_t d = axis; d + 1 < sizes.size(); ++d) n *= sizes[d];
    return n;
  }

  // body(first element of the run in the index, base, step, stride)
  template <class F>
  void each(int64_t begin, int64_t end, F body) const {
    for (int64_t r = begin; r < end; ++r) {
      int64_t base = 0, rest = r;
      for (size_t d = sizes.size() - 1; d-- > 0;) {
        if (static_cast<int64_t>(d) != axis) base += rest % sizes[d] * strides[d];
        rest /= sizes[d];
      }
      body(r * run(), base, int64_t{along_run() ? 0 : 1}, strides[axis]);
    }
  }
};

template <class T>
void gather_runs(const IndexedRuns& runs, const int64_t* index, const T* table, T* out) {
  parallel_for(runs.runs(), std::max<int64_t>(1, gather_grain / std::max<int64_t>(runs.run(), 1)),
               [&](int64_t begin, int64_t end) {
                 runs.each(begin, end, [&](int64_t at, int64_t base, int64_t step, int64_t stride) {
                   const T* from = table + base;
                   for (int64_t i = 0; i < runs.run(); ++i)
                     out[at + i] = from[i * step + index[at + i] * stride];
                 });
               });
}

// table[...] += src, in the order of the index: the same for any number of threads.
template <class T>
void scatter_add_runs(const IndexedRuns& runs, const int64_t* index, const T* src, T* table) {
  const auto add = [&](int64_t begin, int64_t end, int64_t first, int64_t last) {
    runs.each(begin, end, [&](int64_t at, int64_t base, int64_t step, int64_t stride) {
      T* to = table + base;
      for (int64_t i = first; i < last; ++i) to[i * step + index[at + i] * stride] += src[at + i];
    });
  };
  const int64_t n = runs.runs(), together = runs.runs_together();
  if (n == 0) return;
  if (runs.axis == 0 && !runs.along_run()) {  // columns do not meet
    parallel_for(runs.run(), std::max<int64_t>(1, gather_grain / n),
                 [&](int64_t first, int64_t last) { add(0, n, first, last); });
  } else {
    parallel_for(
        n / together, std::max<int64_t>(1, gather_grain / (together * runs.run())),
        [&](int64_t begin, int64_t end) { add(begin * together, end * together, 0, runs.run()); });
  }
}

// Checks index against a table of this shape; returns the axis.
int64_t check_gather(const char* op, const Tensor& x, int64_t dim, const Tensor& index) {
  if (x.dim() == 0) fail<ShapeError>("[", op, "] a 0-d tensor has no axis to index");
  const int64_t axis = resolve_axis(op, dim, x.dim());
  bool fits = index.dim() == x.dim();
  for (int64_t d = 0; fits && d < x.dim(); ++d) fits = d == axis || index.size(d) <= x.size(d);
  if (!fits)
    fail<ShapeError>(
        "[", op, "] index must have the axes of x, and no more along them than x but along dim ",
        axis, ", but got ", index.shape(), " for ", x.shape());
  check_indices(op, "index", index, x.size(axis));
  return axis;
}

// Whole slices of x [outer, n, inner] at `index` [m].
Tensor selected(const Tensor& x, int64_t axis, const Tensor& index) {
  const AxisView v = around(x.shape(), axis);
  Shape shape = x.shape();
  shape[axis] = index.size();
  Tensor y = Tensor::empty(shape, x.dtype());
  const int64_t m = index.size(), bytes = v.inner * itemsize(x.dtype());
  const int64_t* at = index.data<int64_t>();
  const std::byte* in = x.bytes();
  std::byte* out = y.bytes();
  const auto copy = [&](auto size) {
    const auto row = static_cast<size_t>(size);  // a constant for single elements
    parallel_for(v.outer * m, std::max<int64_t>(1, 8 * gather_grain / std::max<int64_t>(bytes, 1)),
                 [=](int64_t begin, int64_t end) {
                   for (int64_t r = begin; r < end; ++r)
                     std::memcpy(out + r * bytes, in + (r / m * v.n + at[r % m]) * bytes, row);
                 });
  };
  if (bytes == 4)
    copy(std::integral_constant<int64_t, 4>());
  else if (bytes == 8)
    copy(std::integral_constant<int64_t, 8>());
  else if (bytes > 0)
    copy(bytes);
  return y;
}

// The gradient of selected(): slices that were taken several times add up.
Tensor selected_backward(const Tensor& dy, const Shape& shape, int64_t axis, const Tensor& index) {
  const AxisView v = around(shape, axis);
  Tensor dx = Tensor::zeros(shape, dy.dtype());
  const int64_t m = index.size();
  const int64_t* at = index.data<int64_t>();
  with_float(dy.dtype(), "index_select", [&](auto zero) {
    using T = decltype(zero);
    const T* in = dy.data<T>();
    T* out = dx.data<T>();
    if (v.outer == 1) return kernels::scatter_add_rows<T>(in, at, out, m, v.inner);
    parallel_for(v.outer, std::max<int64_t>(1, gather_grain / std::max<int64_t>(m * v.inner, 1)),
                 [=](int64_t begin, int64_t end) {
                   for (int64_t o = begin; o < end; ++o)
                     for (int64_t k = 0; k < m; ++k) {
                       const T* row = in + (o * m + k) * v.inner;
                       T* to = out + (o * v.n + at[k]) * v.inner;
                       for (int64_t i = 0; i < v.inner; ++i) to[i] += row[i];
                     }
                 });
  });
  return dx;
}

Tensor gathered(const Tensor& x, int64_t axis, const Tensor& index) {
  Tensor y = Tensor::empty(index.shape(), x.dtype());
  with_any(x.dtype(), "gather", [&](auto zero) {
    using T = decltype(zero);
    gather_runs<T>({index, x.shape(), axis}, index.data<int64_t>(), x.data<T>(), y.data<T>());
  });
  return y;
}

// x += src at index, in place.
void add_at(const Tensor& x, int64_t axis, const Tensor& index, const Tensor& src) {
  with_any(x.dtype(), "scatter_add", [&](auto zero) {
    using T = decltype(zero);
    scatter_add_runs<T>({index, x.shape(), axis}, index.data<int64_t>(), src.data<T>(),
                        x.data<T>());
  });
}

}  // namespace

static Tensor gather(const Tensor& x, int64_t dim, const Tensor& index) {
  // x [..., n, ...], index [..., m, ...] -> y [..., m, ...]
  const int64_t axis = check_gather("gather", x, dim, index);
  return record("gather", gathered(x, axis, index), {x},
                [axis, index = Saved(index), shape = x.shape()](const Tensor& dy, const Needs&) {
                  Tensor dx = Tensor::zeros(shape, dy.dtype());
                  add_at(dx, axis, index.get(), dy);
                  return Grads{dx};
                });
}
GU_OP(gather, "x, dim, index")

static Tensor scatter_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& src) {
  // x [..., n, ...], index and src [..., m, ...] -> y [..., n, ...]
  const int64_t axis = check_gather("scatter_add", x, dim, index);
  if (src.shape() != index.shape())
    fail<ShapeError>("[scatter_add] src must have the shape ", index.shape(), " of index, but got ",
                     src.shape());
  if (src.dtype() != x.dtype())
    fail<DTypeError>("[scatter_add] src must be ", name(x.dtype()), " like x, but got ",
                     name(src.dtype()));
  Tensor y = x.clone();
  add_at(y, axis, index, src);
  return record("scatter_add", y, {x, src},
                [axis, index = Saved(index)](const Tensor& dy, const Needs& needs) {
                  return Grads{dy, needs[1] ? gathered(dy, axis, index.get()) : Tensor()};
                });
}
GU_OP(scatter_add, "x, dim, index, src")

static Tensor index_select(const Tensor& x, int64_t dim, const Tensor& index) {
  // x [..., n, ...], index [m] -> y [..., m, ...]
  if (x.dim() == 0) fail<ShapeError>("[index_select] a 0-d tensor has no axis to index");
  const int64_t axis = resolve_axis("index_select", dim, x.dim());
  if (index.dim() > 1)
    fail<ShapeError>("[index_select] index must have at most 1 axis, but got shape ",
                     index.shape());
  check_indices("index_select", "index", index, x.size(axis));
  return record("index_select", selected(x, axis, index), {x},
                [axis, index = Saved(index), shape = x.shape()](const Tensor& dy, const Needs&) {
                  return Grads{selected_backward(dy, shape, axis, index.get())};
                });
}
GU_OP(index_select, "x, dim, index")

}  // namespace gu::ops
