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

// Each block of rows finds its best rows, counted within the block so that a T holds them exactly;
// then the blocks are compared in order.
template <class Op, class T>
void arg_of_columns(const T* x, int64_t* out, int64_t outer, int64_t n, int64_t inner) {
  // x: [outer, n, inner];  out: [outer, inner]
  const RowBlocks blocks(n);
  const int64_t count = blocks.count;
  const Scratch<T> best_scratch(outer * count * inner), row_scratch(outer * count * inner);
  T* const best = best_scratch.data();
  T* const best_row = row_scratch.data();  // both [outer, count, inner]
  const auto find = [=](int64_t begin, int64_t end) {
    const Op op;
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = blocks.begin(i % count), rows = blocks.end(i % count) - first;
      const T* block = x + (i / count * n + first) * inner;
      T* value = best + i * inner;
      T* index = best_row + i * inner;
      std::copy_n(block, inner, value);
      std::fill_n(index, inner, T(0));
      for (int64_t r = 1; r < rows; ++r) {
        each_vec<T>(inner, [=](int64_t c, auto lane) {
          const Vec<T> old = lane.load(value + c);
          const Vec<T> winner = op(old, lane.load(block + r * inner + c));
          // Equal: a tie, where the first row stays. Not equal: better, unless old was a NaN.
          const auto stays = (winner == old) || xsimd::isnan(old);
          lane.store(value + c, winner);
          lane.store(index + c, xsimd::select(stays, lane.load(index + c), Vec<T>(T(r))));
        });
      }
    }
  };
  parallel_for(outer * count, row_grain(blocks.size * inner), find);
  const auto compare = [=](int64_t begin, int64_t end) {
    const Op op;
    for (int64_t i = begin; i < end; ++i) {
      const int64_t o = i / inner, c = i % inner;
      T value = best[o * count * inner + c];
      int64_t winner_block = 0;
      for (int64_t b = 1; b < count; ++b) {
        const T winner = op(value, best[(o * count + b) * inner + c]);
        if (winner != value && value == value) winner_block = b;
        value = winner;
      }
      const T row = best_row[(o * count + winner_block) * inner + c];
      out[i] = blocks.begin(winner_block) + static_cast<int64_t>(row);
    }
  };
  parallel_for(outer * inner, row_grain(count), compare);
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
      const auto exponential = [=](Vec<T> v) { return vexp<T>(v - shift); };
      out[r] = shift + std::log(sum_map<T>(n, exponential, x + r * n));
    }
  });
}

template <class T>
void logsumexp_of_columns(const T* x, T* out, int64_t outer, int64_t n, int64_t inner) {
  // x: [outer, n, inner];  out: [outer, inner]
  const RowBlocks blocks(n);
  const int64_t count = blocks.count;
  const Scratch<T> shift_scratch(outer * inner), partial_scratch(outer * count * inner);
  T* const shift = shift_scratch.data();      // [outer, inner]
  T* const partial = partial_scratch.data();  // [outer, count, inner]
  reduce<Max<T>>(x, shift, outer, n, inner);
  for (int64_t i = 0; i < outer * inner; ++i) shift[i] = finite_shift(shift[i]);
  const auto add = [](Vec<T> t, Vec<T> v, Vec<T> s) { return t + vexp<T>(v - s); };
  const auto sum_block = [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t o = i / count, b = i % count;
      T* const total = partial + i * inner;
      std::fill_n(total, inner, T(0));
      for (int64_t r = blocks.begin(b); r < blocks.end(b); ++r) {
        map(inner, total, add, total, x + (o * n + r) * inner, shift + o * inner);
      }
    }
  };
  parallel_for(outer * count, row_grain(blocks.size * inner), sum_block);
  reduce<Add<T>>(partial, out, outer, count, inner);
  for (int64_t i = 0; i < outer * inner; ++i) out[i] = shift[i] + std::log(out[i]);
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
        const auto f = [=](Vec<T> v) { return d * vexp<T>(v - shift); };
        map(n, dx + o * n, f, x + o * n);
      }
    });
    return;
  }
  const auto f = [](Vec<T> v, Vec<T> s, Vec<T> d) { return d * vexp<T>(v - s); };
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
