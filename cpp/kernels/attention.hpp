// Scaled dot-product attention without the Tq x Tk matrix of weights.
//
//   out_i = sum_j w_ij v_j,  w_i = softmax_j(scale q_i . k_j + bias_ij)
//
// Query head h reads key/value head h / (H / Hkv): one to one, grouped, or a single one for all. A
// row that may attend to nothing gives zeros, forward and backward, as in PyTorch; a NaN or +inf
// score gives a row of NaN.
#pragma once

#include <cstdint>

#include "core/rng.hpp"

namespace gu::kernels {

// Where row (b, h, t) of a tensor lies. Strides are in elements and channels are contiguous, so the
// same kernel reads [B, H, T, D], [B, T, H, D] and one third of a merged [B, T, 3 H D].
template <class T>
struct HeadRows {
  T* data;
  int64_t batch, head, time;

  T* row(int64_t b, int64_t h, int64_t t) const { return data + b * batch + h * head + t * time; }
};

// A mask whose row (b, h, i) holds one value a key; a stride of 0 repeats.
template <class M>
struct MaskRows {
  const M* data = nullptr;
  int64_t batch = 0, head = 0, query = 0;

  const M* row(int64_t b, int64_t h, int64_t i) const {
    return data + b * batch + h * head + i * query;
  }
};

template <class T>
struct Attention {
  int64_t B, H, Hkv, Tq, Tk, D, Dv;  // H % Hkv == 0
  T scale;
  // Query i attends to keys j <= i + Tk - Tq: the last query to every key, as with a key/value
  // cache. (PyTorch's is_causal aligns the first query instead, which differs when Tq != Tk.)
  bool causal = false;
  MaskRows<T> bias = {};           // added to the scores
  MaskRows<bool> allowed = {};     // true where the query may attend
  const T* alibi_slope = nullptr;  // [H]: bias -slope_h |i + Tk - Tq - j|
  // Each weight becomes 0 with this probability and is divided by 1 - dropout otherwise. Row r of
  // the B H Tq rows draws with fill_bernoulli(..., Tk, 1 - dropout, key, counter + r * per_row)
  // where per_row = blocks_for_bernoulli(Tk); backward draws the same again.
  double dropout = 0.0;
  uint64_t dropout_key = 0, dropout_counter = 0;
};

// Blocks of the random stream that one call with dropout uses.
template <class T>
uint64_t attention_dropout_blocks(const Attention<T>& shape) {
  return static_cast<uint64_t>(shape.B * shape.H * shape.Tq) * blocks_for_bernoulli(shape.Tk);
}

template <class T>
void attention(const Attention<T>& shape, HeadRows<const T> q, HeadRows<const T> k,
               HeadRows<const T> v, HeadRows<T> out, T* lse);
// q: [B, H, Tq, D];  k: [B, Hkv, Tk, D];  v: [B, Hkv, Tk, Dv];  out: [B, H, Tq, Dv];
// lse: [B, H, Tq], the log-sum-exp of every row of scores, kept for backward

// Recomputes the weights from lse. dq, dk, dv are written, not added to.
template <class T>
void attention_backward(const Attention<T>& shape, HeadRows<const T> q, HeadRows<const T> k,
                        HeadRows<const T> v, HeadRows<const T> out, const T* lse,
                        HeadRows<const T> dout, HeadRows<T> dq, HeadRows<T> dk, HeadRows<T> dv);

}  // namespace gu::kernels
