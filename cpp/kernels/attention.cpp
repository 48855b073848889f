#include "kernels/attention.hpp"

#include "kernels/scratch.hpp"
#include "kernels/tile.hpp"

namespace gu::kernels {

namespace {

// Queries that share one pass over the keys.
constexpr int64_t query_block = 4 * tile_rows;

// Up to so many queries (decoding has one), keys and values are read where they lie.
constexpr int64_t few_queries = 4;

// Multiply-adds that are worth handing to another thread.
constexpr int64_t matmul_grain = 1 << 19;

// Lengths of rows in scratch memory, padded so that tiles need no tail.
template <class T>
int64_t padded_channels(int64_t D) {
  return round_up(D, lanes<T>);
}

// At least tile_rows more than Tk (see clear_beyond), and no multiple of the page size, which would
// put every row into the same cache sets.
template <class T>
int64_t padded_keys(int64_t Tk) {
  return round_up(Tk, 2 * lanes<T>) + 16;
}

// x as rows of length ld, times `factor`; what pads a row is zero.
template <class T>
void pack_rows(HeadRows<const T> x, int64_t b, int64_t h, int64_t t, int64_t rows, int64_t D,
               T factor, T* out) {
  // out: [rows, padded D]
  const int64_t ld = padded_channels<T>(D);
  const auto times = [=](Vec<T> v) { return v * factor; };
  for (int64_t r = 0; r < rows; ++r) {
    map(D, out + r * ld, times, x.row(b, h, t + r));
    std::fill(out + r * ld + D, out + (r + 1) * ld, T(0));
  }
}

// All of one head, transposed: keys run along the row.
template <class T>
void pack_transposed(HeadRows<const T> x, int64_t b, int64_t h, int64_t rows, int64_t D, T* out) {
  // out: [D, padded keys]
  const int64_t ld = padded_keys<T>(rows);
  transpose_block(x.row(b, h, 0), x.time, rows, D, out, ld);
  for (int64_t d = 0; d < D; ++d) std::fill(out + d * ld + rows, out + (d + 1) * ld, T(0));
}

// The queries [first, first + rows) of head h in batch row b, and what they may see.
template <class T>
struct QueryBlock {
  const Attention<T>& shape;
  int64_t b, h, first, rows;

  // Keys that row r sees: the first `visible(r)` ones.
  int64_t visible(int64_t r) const {
    if (!shape.causal) return shape.Tk;
    return std::clamp<int64_t>(first + r + shape.Tk - shape.Tq + 1, 0, shape.Tk);
  }

  // The first row that sees key j.
  int64_t first_row(int64_t j) const {
    if (!shape.causal) return 0;
    return std::clamp<int64_t>(j - (shape.Tk - shape.Tq) - first, 0, rows);
  }

  // out[r, j] = sum_d x[r, d] y[d, j] where row r sees key j; elsewhere nothing of value.
  void times_keys(const T* x, const T* y, int64_t D, T* out) const {
    // x: [rows, padded D];  y: [D, padded keys];  out: [rows, padded keys]
    constexpr int64_t panel = 2 * lanes<T>;
    const int64_t ldx = padded_channels<T>(D), ld = padded_keys<T>(shape.Tk);
    const int64_t keys = rows > 0 ? visible(rows - 1) : 0;
    for (int64_t j = 0; j < keys; j += panel) {
      const int64_t r = first_row(j) / tile_rows * tile_rows;
      block_matmul(rows - r, panel, D, x + r * ldx, ldx, int64_t{1}, y + j, ld, out + r * ld + j,
                   ld);
    }
  }

  // The same from keys as they lie in memory: for a few queries, packing would cost more than it
  // saves.
  void times_key_rows(const T* x, HeadRows<const T> k, int64_t kv, T* out) const {
    // x: [rows, padded D];  k: [B, Hkv, Tk, D];  out: [rows, padded keys]
    const int64_t ldx = padded_channels<T>(shape.D), ld = padded_keys<T>(shape.Tk);
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t j = 0; j < visible(r); ++j) {
        out[r * ld + j] = dot(x + r * ldx, k.row(b, kv, j), shape.D);
      }
    }
  }

  // out[r] = sum_j w[r, j] y[j] over the keys that row r sees
  void weigh_rows(const T* w, const T* y, int64_t ldy, int64_t D, T* out) const {
    // w: [rows, padded keys];  y: [Tk, padded D], rows ldy apart;  out: [rows, padded D]
    const int64_t ldw = padded_keys<T>(shape.Tk), ld = padded_channels<T>(D);
    for (int64_t r = 0; r < rows; r += tile_rows) {
      const int64_t m = std::min<int64_t>(tile_rows, rows - r);
      block_matmul(m, ld, visible(r + m - 1), w + r * ldw, ldw, int64_t{1}, y, ldy, out + r * ld,
                   ld);
    }
  }

  // out[j] += sum_r w[r, j] x[r] over the rows that see key j
  void add_to_keys(const T* w, const T* x, int64_t D, T* out) const {
    // w: [rows, padded keys];  x: [rows, padded D];  out: [Tk, padded D]
    const int64_t ldw = padded_keys<T>(shape.Tk), ld = padded_channels<T>(D);
    const int64_t keys = rows > 0 ? visible(rows - 1) : 0;
    for (int64_t j = 0; j < keys; j += tile_rows) {
      const int64_t r = first_row(j), m = std::min<int64_t>(tile_rows, keys - j);
      T* const sum = out + j * ld;
      block_matmul(m, ld, rows - r, w + r * ldw + j, int64_t{1}, ldw, x + r * ld, ld, sum, ld,
                   Start<T>{sum, ld});
    }
  }

  // Tiles read up to tile_rows keys more than a row sees: those weights must be zero.
  void clear_beyond(T* w, int64_t r) const {
    T* end = w + r * padded_keys<T>(shape.Tk) + visible(r);
    std::fill(end, end + tile_rows, T(0));
  }

  // Adds to the scores of row r all that is not q . k.
  void add_bias(T* score, int64_t r) const {
    // score: [visible(r)]
    const int64_t i = first + r, keys = visible(r);
    if (shape.bias.data) {
      const auto add = [](Vec<T> s, Vec<T> m) { return s + m; };
      map(keys, score, add, score, shape.bias.row(b, h, i));
    }
    if (shape.alibi_slope) {
      const T slope = shape.alibi_slope[h];
      const int64_t position = i + shape.Tk - shape.Tq;
      for (int64_t j = 0; j < keys; ++j) score[j] -= slope * static_cast<T>(std::abs(position - j));
    }
    if (shape.allowed.data) {
      const bool* allowed = shape.allowed.row(b, h, i);
      for (int64_t j = 0; j < keys; ++j) score[j] = allowed[j] ? score[j] : -infinity<T>;
    }
  }

  // factor[j] = 1 / (1 - dropout) where the weight of key j is kept in row r, 0 where it is dropped
  void dropout_factors(int64_t r, uint8_t* kept, T* factor) const {
    // kept, factor: [visible(r)]
    const int64_t row = (b * shape.H + h) * shape.Tq + first + r, keys = visible(r);
    const uint64_t skip = static_cast<uint64_t>(row) * blocks_for_bernoulli(shape.Tk);
    fill_bernoulli(kept, keys, 1.0 - shape.dropout, shape.dropout_key,
                   shape.dropout_counter + skip);
    const T scale = T(1.0 / (1.0 - shape.dropout));
    for (int64_t j = 0; j < keys; ++j) factor[j] = kept[j] ? scale : T(0);
  }
};

// score -> e^(score - shift); returns the sum.
template <class T>
T exp_row(T* score, int64_t n, T shift) {
  Vec<T> total(T(0));
  each_vec<T>(n, [&](int64_t j, auto lane) {
    const Vec<T> weight = vexp<T>(lane.load(score + j) - shift);
    lane.store(score + j, weight);
    total += lane.keep(weight);
  });
  return fold_sum(total);
}

template <class T>
T max_score(const T* score, int64_t n) {
  struct {
    T operator()(T a, T b) const { return nan_max(a, b); }
    Vec<T> operator()(Vec<T> a, Vec<T> b) const { return nan_max(a, b); }
  } op;
  return fold_array(score, n, -infinity<T>, op);
}

// Light and heavy blocks in turn (0, n-1, 1, n-2, ...): under a causal mask late blocks see more
// keys, and a run of blocks should cost about the same wherever it starts.
int64_t interleaved(int64_t i, int64_t n) { return i % 2 == 0 ? i / 2 : n - 1 - i / 2; }

}  // namespace

template <class T>
void attention(const Attention<T>& shape, HeadRows<const T> q, HeadRows<const T> k,
               HeadRows<const T> v, HeadRows<T> out, T* lse) {
  // q: [B, H, Tq, D];  k: [B, Hkv, Tk, D];  v: [B, Hkv, Tk, Dv];  out: [B, H, Tq, Dv]
  // lse: [B, H, Tq]
  const int64_t B = shape.B, H = shape.H, Hkv = shape.Hkv, Tq = shape.Tq, Tk = shape.Tk;
  const int64_t D = shape.D, Dv = shape.Dv;
  const int64_t ld_keys = padded_keys<T>(Tk), ld_d = padded_channels<T>(D),
                ld_v = padded_channels<T>(Dv);
  const int64_t blocks = ceil_div(Tq, query_block);
  const int64_t cost = std::min(Tq, query_block) * Tk * (D + Dv);
  const bool dropout = shape.dropout > 0.0;
  const bool pack_keys = Tq > few_queries;
  const bool pack_values = pack_keys || Dv != ld_v;  // a tile reads whole registers
  const auto run = [&](int64_t begin, int64_t end) {
    const Scratch<T> keys(pack_keys ? D * ld_keys : 0), values(pack_values ? Tk * ld_v : 0),
        queries(query_block * ld_d), scores(query_block * ld_keys), sums(query_block * ld_v),
        factors(dropout ? Tk : 0);
    const Scratch<uint8_t> kept(dropout ? Tk : 0);
    int64_t packed = -1;
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t b = unit / (H * blocks), h = unit / blocks % H, kv = h / (H / Hkv);
      if (packed != b * Hkv + kv) {
        if (pack_keys) pack_transposed(k, b, kv, Tk, D, keys.data());
        if (pack_values) pack_rows(v, b, kv, 0, Tk, Dv, T(1), values.data());
        packed = b * Hkv + kv;
      }
      const int64_t first = interleaved(unit % blocks, blocks) * query_block;
      const QueryBlock<T> block{shape, b, h, first, std::min(query_block, Tq - first)};
      pack_rows(q, b, h, first, block.rows, D, shape.scale, queries.data());
      if (pack_keys) {
        block.times_keys(queries.data(), keys.data(), D, scores.data());
      } else {
        block.times_key_rows(queries.data(), k, kv, scores.data());
      }
      T row_sum[query_block];
      T* const row_lse = lse + (b * H + h) * Tq + first;  // at first the rows' maxima
      for (int64_t r = 0; r < block.rows; ++r) {
        T* const score = scores.data() + r * ld_keys;
        const int64_t n = block.visible(r);
        block.add_bias(score, r);
        const T max = max_score(score, n);
        row_lse[r] = max;
        if (max == -infinity<T>) {
          std::fill(score, score + n, T(0));
          row_sum[r] = T(1);
        } else {
          row_sum[r] = exp_row(score, n, max);
        }
        if (dropout) {
          block.dropout_factors(r, kept.data(), factors.data());
          const auto times = [](Vec<T> w, Vec<T> f) { return w * f; };
          map(n, score, times, score, factors.data());
        }
        block.clear_beyond(scores.data(), r);
      }
      const auto plus_log = [](Vec<T> m, Vec<T> total) { return m + xsimd::log(total); };
      map(block.rows, row_lse, plus_log, row_lse, row_sum);
      if (pack_values) {
        block.weigh_rows(scores.data(), values.data(), ld_v, Dv, sums.data());
      } else {
        block.weigh_rows(scores.data(), v.row(b, kv, 0), v.time, Dv, sums.data());
      }
      for (int64_t r = 0; r < block.rows; ++r) {
        const auto normalize = [s = T(1) / row_sum[r]](Vec<T> x) { return x * s; };
        map(Dv, out.row(b, h, first + r), normalize, sums.data() + r * ld_v);
      }
    }
  };
  parallel_for(B * H * blocks, std::max<int64_t>(1, matmul_grain / std::max<int64_t>(1, cost)),
               run);
}

template <class T>
void attention_backward(const Attention<T>& shape, HeadRows<const T> q, HeadRows<const T> k,
                        HeadRows<const T> v, HeadRows<const T> out, const T* lse,
                        HeadRows<const T> dout, HeadRows<T> dq, HeadRows<T> dk, HeadRows<T> dv) {
  // With s = scale q.k + bias and w = e^(s - lse):
  //   out_i = sum_j w_ij v_j   so  dv_j = sum_i w_ij dout_i,  dw_ij = dout_i . v_j
  //   w_i = softmax(s_i)       so  ds_ij = w_ij (dw_ij - dout_i . out_i)
  //   s_ij = scale q_i . k_j   so  dq_i = scale sum_j ds_ij k_j,  dk_j = sum_i ds_ij scale q_i
  // With dropout, out_i = sum_j f_ij w_ij v_j: f scales the weights in dv, and dw in ds.
  // One thread owns a key/value head and all the query heads that read it, so that sums into dk and
  // dv have one order.
  const int64_t B = shape.B, H = shape.H, Hkv = shape.Hkv, Tq = shape.Tq, Tk = shape.Tk;
  const int64_t D = shape.D, Dv = shape.Dv;
  const int64_t ld_keys = padded_keys<T>(Tk), ld_d = padded_channels<T>(D),
                ld_v = padded_channels<T>(Dv);
  const bool dropout = shape.dropout > 0.0;
  const int64_t group = Hkv > 0 ? H / Hkv : 0;
  const int64_t cost = group * Tq * Tk * (3 * D + 2 * Dv);
  const auto run = [&](int64_t begin, int64_t end) {
    const Scratch<T> keys(D * ld_keys), values(Dv * ld_keys), key_rows(Tk * ld_d),
        queries(query_block * ld_d), douts(query_block * ld_v), weights(query_block * ld_keys),
        dscores(query_block * ld_keys), dqueries(query_block * ld_d), dkeys(Tk * ld_d),
        dvalues(Tk * ld_v), factors(dropout ? Tk : 0);
    const Scratch<uint8_t> kept(dropout ? Tk : 0);
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t b = unit / Hkv, kv = unit % Hkv;
      pack_transposed(k, b, kv, Tk, D, keys.data());
      pack_transposed(v, b, kv, Tk, Dv, values.data());
      pack_rows(k, b, kv, 0, Tk, D, T(1), key_rows.data());
      std::fill_n(dkeys.data(), Tk * ld_d, T(0));
      std::fill_n(dvalues.data(), Tk * ld_v, T(0));
      for (int64_t h = kv * group; h < (kv + 1) * group; ++h) {
        for (int64_t first = 0; first < Tq; first += query_block) {
          const QueryBlock<T> block{shape, b, h, first, std::min(query_block, Tq - first)};
          pack_rows(q, b, h, first, block.rows, D, shape.scale, queries.data());
          pack_rows(dout, b, h, first, block.rows, Dv, T(1), douts.data());
          block.times_keys(queries.data(), keys.data(), D, weights.data());
          block.times_keys(douts.data(), values.data(), Dv, dscores.data());
          for (int64_t r = 0; r < block.rows; ++r) {
            T* const weight = weights.data() + r * ld_keys;
            T* const dscore = dscores.data() + r * ld_keys;
            const int64_t n = block.visible(r);
            const T shift = lse[(b * H + h) * Tq + first + r];
            if (shift == -infinity<T>) {
              std::fill(weight, weight + n, T(0));
              std::fill(dscore, dscore + n, T(0));
            } else {
              block.add_bias(weight, r);
              const T delta = dot(douts.data() + r * ld_v, out.row(b, h, first + r), Dv);
              const T* const factor = dropout ? factors.data() : nullptr;
              if (dropout) block.dropout_factors(r, kept.data(), factors.data());
              each_vec<T>(n, [=](int64_t j, auto lane) {
                const Vec<T> w = vexp<T>(lane.load(weight + j) - shift);
                Vec<T> dw = lane.load(dscore + j), dropped = w;
                if (factor) {
                  dw *= lane.load(factor + j);
                  dropped *= lane.load(factor + j);
                }
                lane.store(weight + j, dropped);
                lane.store(dscore + j, w * (dw - delta));
              });
            }
            block.clear_beyond(weights.data(), r);
            block.clear_beyond(dscores.data(), r);
          }
          block.add_to_keys(weights.data(), douts.data(), Dv, dvalues.data());
          block.add_to_keys(dscores.data(), queries.data(), D, dkeys.data());
          block.weigh_rows(dscores.data(), key_rows.data(), ld_d, D, dqueries.data());
          for (int64_t r = 0; r < block.rows; ++r) {
            const auto times = [s = shape.scale](Vec<T> x) { return x * s; };
            map(D, dq.row(b, h, first + r), times, dqueries.data() + r * ld_d);
          }
        }
      }
      for (int64_t j = 0; j < Tk; ++j) {
        std::copy_n(dkeys.data() + j * ld_d, D, dk.row(b, kv, j));
        std::copy_n(dvalues.data() + j * ld_v, Dv, dv.row(b, kv, j));
      }
    }
  };
  parallel_for(B * Hkv, std::max<int64_t>(1, matmul_grain / std::max<int64_t>(1, cost)), run);
}

#define GU_INSTANTIATE(T)                                                                     \
  template void attention(const Attention<T>&, HeadRows<const T>, HeadRows<const T>,          \
                          HeadRows<const T>, HeadRows<T>, T*);                                \
  template void attention_backward(const Attention<T>&, HeadRows<const T>, HeadRows<const T>, \
                                   HeadRows<const T>, HeadRows<const T>, const T*,            \
                                   HeadRows<const T>, HeadRows<T>, HeadRows<T>, HeadRows<T>);
GU_INSTANTIATE(float)
GU_INSTANTIATE(double)
#undef GU_INSTANTIATE

}  // namespace gu::kernels
