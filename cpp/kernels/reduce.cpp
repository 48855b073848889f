#include "kernels/reduce.hpp"

#include "kernels/row_blocks.hpp"

namespace gu::kernels {

namespace {

// What each reduction folds with: the value that changes nothing, the operation, and a whole row.
template <class T>
struct Add {
  static constexpr T start = T(0);
  T operator()(T a, T b) const { return a + b; }
  Vec<T> operator()(Vec<T> a, Vec<T> b) const { return a + b; }
  static T row(const T* x, int64_t n) { return sum(x, n); }
};

template <class T>
struct Max {
  static constexpr T start = -infinity<T>;
  T operator()(T a, T b) const { return nan_max(a, b); }
  Vec<T> operator()(Vec<T> a, Vec<T> b) const { return nan_max(a, b); }
  static T row(const T* x, int64_t n) { return fold_array(x, n, start, Max{}); }
};

template <class T>
struct Min {
  static constexpr T start = infinity<T>;
  T operator()(T a, T b) const { return nan_min(a, b); }
  Vec<T> operator()(Vec<T> a, Vec<T> b) const { return nan_min(a, b); }
  static T row(const T* x, int64_t n) { return fold_array(x, n, start, Min{}); }
};

// A long row is cut into chunks, so that one row can keep several threads busy.
constexpr int64_t chunk = 16384;

// Folds each chunk of each row: partial[r, k] = op over x[r, k * chunk ...].
template <class Op, class T>
void fold_chunks(const T* x, T* partial, int64_t rows, int64_t n, int64_t chunks) {
  // x: [rows, n];  partial: [rows, chunks]
  parallel_for(rows * chunks, row_grain(std::min(n, chunk)), [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t r = i / chunks, first = i % chunks * chunk;
      partial[i] = Op::row(x + r * n + first, std::min(chunk, n - first));
    }
  });
}

template <class Op, class T>
void fold_rows_to_scalars(const T* x, T* out, int64_t rows, int64_t n) {
  // x: [rows, n];  out: [rows]
  const int64_t chunks = std::max<int64_t>(1, ceil_div(n, chunk));
  if (chunks == 1) {
    fold_chunks<Op>(x, out, rows, n, 1);
    return;
  }
  const Scratch<T> partial(rows * chunks);
  fold_chunks<Op>(x, partial.data(), rows, n, chunks);
  for (int64_t r = 0; r < rows; ++r) out[r] = Op::row(partial.data() + r * chunks, chunks);
}

// out[c] = op over the rows of x[:, c]; four rows a pass, so that out is touched seldom.
template <class Op, class T>
void fold_columns(const T* x, T* out, int64_t n, int64_t C, int64_t stride) {
  // x: [n, C] with rows `stride` apart;  out: [C]
  const Op op;
  const auto op4 = [=](Vec<T> o, Vec<T> a, Vec<T> b, Vec<T> c, Vec<T> d) {
    return op(o, op(op(a, b), op(c, d)));
  };
  std::fill(out, out + C, Op::start);
  int64_t r = 0;
  for (; r + 4 <= n; r += 4) {
    const T* row = x + r * stride;
    map(C, out, op4, out, row, row + stride, row + 2 * stride, row + 3 * stride);
  }
  for (; r < n; ++r) map(C, out, op, out, x + r * stride);
}

template <class Op, class T>
void reduce(const T* x, T* out, int64_t outer, int64_t n, int64_t inner) {
  // x: [outer, n, inner];  out: [outer, inner]
  if (inner == 1) {
    fold_rows_to_scalars<Op>(x, out, outer, n);
    return;
  }
  const RowBlocks blocks(n);
  const int64_t count = std::max<int64_t>(1, blocks.count);
  const Scratch<T> scratch(count > 1 ? outer * count * inner : 0);
  T* const partial = count > 1 ? scratch.data() : out;
  parallel_for(outer * count, row_grain(blocks.size * inner), [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t o = i / count, first = blocks.begin(i % count), last = blocks.end(i % count);
      fold_columns<Op>(x + (o * n + first) * inner, partial + i * inner, last - first, inner,
                       inner);
    }
  });
  if (count == 1) return;
  constexpr int64_t strip = 256;
  const int64_t strips = ceil_div(inner, strip);
  parallel_for(outer * strips, row_grain(count * strip), [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t o = i / strips, c = i % strips * strip;
      fold_columns<Op>(partial + o * count * inner + c, out + o * inner + c, count,
                       std::min(strip, inner - c), inner);
    }
  });
}

// The first position of `value` in x, where a NaN stands for any NaN; n if there is none.
template <class T>
int64_t find_first(const T* x, int64_t n, T value) {
  int64_t i = 0;
  if (value == value) {
    for (; i + lanes<T> <= n && !xsimd::any(load(x + i) == Vec<T>(value)); i += lanes<T>) {
    }
    while (i < n && x[i] != value) ++i;
  } else {
    while (i < n && x[i] == x[i]) ++i;
  }
  return i;
}

template <class Op, class T>
void arg_of_rows(const T* x, int64_t* out, int64_t rows, int64_t n) {
  // x: [rows, n];  out: [rows]
  const int64_t chunks = ceil_div(n, chunk);
  const Scratch<T> scratch(rows * chunks);
  T* const partial = scratch.data();
  fold_chunks<Op>(x, partial, rows, n, chunks);
  parallel_for(rows, row_grain(std::min(n, chunk)), [=](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const T* best = partial + r * chunks;
      const T value = Op::row(best, chunks);
      const int64_t first = find_first(best, chunks, value) * chunk;
      out[r] = first + find_first(x + r * n + first, n - first, value);
    }
  });
}

template <class Op, class T>
void arg_of_columns(const T* x, int64_t* out, int64_t outer, int64_t n, int64_t inner) {
  // x: [outer, n, inner];  out: [outer, inner]
  constexpr int64_t strip = 64;
  const int64_t strips = ceil_div(inner, strip);
  parallel_for(outer * strips, row_grain(n * strip), [=](int64_t begin, int64_t end) {
    const Op op;
    T best[strip];
    for (int64_t i = begin; i < end; ++i) {
      const int64_t o = i / strips, c = i % strips * strip, width = std::min(strip, inner - c);
      const T* row = x + o * n * inner + c;
      int64_t* index = out + o * inner + c;
      std::copy(row, row + width, best);
      std::fill(index, index + width, int64_t{0});
      for (int64_t r = 1; r < n; ++r) {
        row += inner;
        for (int64_t j = 0; j < width; ++j) {
          // Better: the fold moves to the new value, and neither tie nor a second NaN does that.
          const T winner = op(best[j], row[j]);
          const bool better = winner != best[j] && best[j] == best[j];
          best[j] = better ? winner : best[j];
          index[j] = better ? r : index[j];
        }
      }
    }
  });
}

template <class Op, class T>
void reduce_arg(const T* x, int64_t* out, int64_t outer, int64_t n, int64_t inner) {
  if (inner == 1) {
    arg_of_rows<Op>(x, out, outer, n);
  } else {
    arg_of_columns<Op>(x, out, outer, n, inner);
  }
}

// An infinite maximum must not be subtracted: inf - inf is NaN where log sum e^x is that infinity.
template <class T>
T finite_shift(T max) {
  return std::isinf(max) ? T(0) : max;
}

template <class T>
void logsumexp_of_rows(const T* x, T* out, int64_t rows, int64_t n) {
  // x: [rows, n];  out: [rows]
  parallel_for(rows, row_grain(n), [=](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const T shift = finite_shift(shift_max(x + r * n, n));
      const auto exponential = [=](Vec<T> v) { return xsimd::exp(v - shift); };
      out[r] = shift + std::log(sum_map<T>(n, exponential, x + r * n));
    }
  });
}

template <class T>
void logsumexp_of_columns(const T* x, T* out, int64_t outer, int64_t n, int64_t inner) {
  // x: [outer, n, inner];  out: [outer, inner]
  constexpr int64_t strip = 256;
  const int64_t strips = ceil_div(inner, strip);
  parallel_for(outer * strips, row_grain(n * strip), [=](int64_t begin, int64_t end) {
    const auto add_exponential = [](Vec<T> t, Vec<T> v, Vec<T> s) { return t + xsimd::exp(v - s); };
    T shift[strip], total[strip];
    for (int64_t i = begin; i < end; ++i) {
      const int64_t o = i / strips, c = i % strips * strip, width = std::min(strip, inner - c);
      const T* first = x + o * n * inner + c;
      fold_columns<Max<T>>(first, shift, n, width, inner);
      for (int64_t j = 0; j < width; ++j) shift[j] = finite_shift(shift[j]);
      std::fill(total, total + width, T(0));
      for (int64_t r = 0; r < n; ++r) {
        map(width, total, add_exponential, total, first + r * inner, shift);
      }
      for (int64_t j = 0; j < width; ++j) {
        out[o * inner + c + j] = shift[j] + std::log(total[j]);
      }
    }
  });
}

}  // namespace

template <class T>
void reduce_sum(const T* x, T* out, int64_t outer, int64_t n, int64_t inner) {
  reduce<Add<T>>(x, out, outer, n, inner);
}

template <class T>
void reduce_max(const T* x, T* out, int64_t outer, int64_t n, int64_t inner) {
  reduce<Max<T>>(x, out, outer, n, inner);
}

template <class T>
void reduce_min(const T* x, T* out, int64_t outer, int64_t n, int64_t inner) {
  reduce<Min<T>>(x, out, outer, n, inner);
}

template <class T>
void reduce_argmax(const T* x, int64_t* out, int64_t outer, int64_t n, int64_t inner) {
  reduce_arg<Max<T>>(x, out, outer, n, inner);
}

template <class T>
void reduce_argmin(const T* x, int64_t* out, int64_t outer, int64_t n, int64_t inner) {
  reduce_arg<Min<T>>(x, out, outer, n, inner);
}

template <class T>
void reduce_logsumexp(const T* x, T* out, int64_t outer, int64_t n, int64_t inner) {
  // x: [outer, n, inner];  out: [outer, inner]
  if (inner == 1) {
    logsumexp_of_rows(x, out, outer, n);
  } else {
    logsumexp_of_columns(x, out, outer, n, inner);
  }
}

template <class T>
void reduce_logsumexp_backward(const T* x, const T* out, const T* dout, T* dx, int64_t outer,
                               int64_t n, int64_t inner) {
  // x, dx: [outer, n, inner];  out, dout: [outer, inner]
  // out = log sum_k e^(x_k), so dx = dout e^(x - out)
  if (inner == 1) {
    parallel_for(outer, row_grain(n), [=](int64_t begin, int64_t end) {
      for (int64_t o = begin; o < end; ++o) {
        const T shift = out[o], d = dout[o];
        const auto f = [=](Vec<T> v) { return d * xsimd::exp(v - shift); };
        map(n, dx + o * n, f, x + o * n);
      }
    });
    return;
  }
  const auto f = [](Vec<T> v, Vec<T> s, Vec<T> d) { return d * xsimd::exp(v - s); };
  parallel_for(outer * n, row_grain(inner), [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t o = i / n;
      map(inner, dx + i * inner, f, x + i * inner, out + o * inner, dout + o * inner);
    }
  });
}

#define GU_INSTANTIATE(T)                                                                     \
  template void reduce_sum(const T*, T*, int64_t, int64_t, int64_t);                          \
  template void reduce_max(const T*, T*, int64_t, int64_t, int64_t);                          \
  template void reduce_min(const T*, T*, int64_t, int64_t, int64_t);                          \
  template void reduce_argmax(const T*, int64_t*, int64_t, int64_t, int64_t);                 \
  template void reduce_argmin(const T*, int64_t*, int64_t, int64_t, int64_t);                 \
  template void reduce_logsumexp(const T*, T*, int64_t, int64_t, int64_t);                    \
  template void reduce_logsumexp_backward(const T*, const T*, const T*, T*, int64_t, int64_t, \
                                          int64_t);
GU_INSTANTIATE(float)
GU_INSTANTIATE(double)
#undef GU_INSTANTIATE

}  // namespace gu::kernels
