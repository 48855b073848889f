// Attention: each query takes the mean of the values, weighed by how well their keys answer it.
//   out_i = sum_j w_ij v_j,  w_i = softmax_j(scale q_i . k_j)
// fused_attention takes queries, keys and values apart, packed_attention as one matrix product
// leaves them.

#include "kernels/attention.hpp"

#include <algorithm>
#include <cmath>

#include "autograd/tape.hpp"
#include "core/registry.hpp"
#include "core/rng.hpp"
#include "ops/broadcast.hpp"

namespace gu::ops {

namespace {

using kernels::HeadRows;

// What one call attends over, apart from the memory itself.
struct AttentionCall {
  const char* op;
  int64_t B, H, Hkv, Tq, Tk, D, Dv;
  double scale;
  bool causal;
  Saved bias, allowed, slopes;  // [*, *, *, Tk] with sizes of 1 repeated; [H]
  int64_t mask_strides[3] = {0, 0, 0};
  double dropout = 0;
  RandomState stream = {};  // where the dropout of this call begins
};

template <class T>
kernels::Attention<T> kernel_shape(const AttentionCall& c) {
  kernels::Attention<T> a{c.B, c.H, c.Hkv, c.Tq, c.Tk, c.D, c.Dv, static_cast<T>(c.scale)};
  a.causal = c.causal;
  const int64_t* s = c.mask_strides;
  if (c.bias.defined()) a.bias = {c.bias.get().data<T>(), s[0], s[1], s[2]};
  if (c.allowed.defined()) a.allowed = {c.allowed.get().data<bool>(), s[0], s[1], s[2]};
  if (c.slopes.defined()) a.alibi_slope = c.slopes.get().data<T>();
  a.dropout = c.dropout;
  a.dropout_key = c.stream.seed;
  a.dropout_counter = c.stream.counter;
  return a;
}

// [B, H, T, D] in memory, from element `start`.
template <class T>
HeadRows<T> separate_heads(const Tensor& t, int64_t H, int64_t T_, int64_t D) {
  return {t.data<std::remove_const_t<T>>(), H * T_ * D, T_ * D, D};
}

// Heads of D channels side by side in rows of `width` channels: [B, T, width].
template <class T>
HeadRows<T> merged_heads(const Tensor& t, int64_t T_, int64_t width, int64_t D, int64_t first) {
  return {t.data<std::remove_const_t<T>>() + first, T_ * width, D, width};
}

// `wanted` is the shape that the mask is broadcast to: [..., H, Tq, Tk].
void set_mask(AttentionCall& c, const Tensor& mask, DType dtype, const Shape& wanted) {
  if (mask.dtype() != DType::boolean && mask.dtype() != dtype)
    fail<DTypeError>("[", c.op, "] mask must be bool or ", name(dtype), ", but got ",
                     name(mask.dtype()));
  if (autograd::requires_grad(mask) && autograd::grad_enabled())
    fail<ValueError>("[", c.op, "] a mask that requires a gradient is not supported");
  const size_t axes = wanted.size(), batch_axes = axes - std::min<size_t>(axes, 3);
  Shape shape = mask.shape();
  bool fits = shape.size() <= axes;
  if (fits) shape.insert(shape.begin(), axes - shape.size(), 1);
  for (size_t d = 0; fits && d < axes; ++d) fits = shape[d] == 1 || shape[d] == wanted[d];
  if (!fits)
    fail<ShapeError>("[", c.op, "] mask must broadcast to ", wanted, ", but got shape ",
                     mask.shape());

  // The kernel repeats the whole batch, all heads or all queries without a copy, but reads a value
  // a key; and several batch axes count as one, so it needs all of them or none.
  Tensor rows = mask.alias(shape);
  shape.back() = c.Tk;
  const auto batch_end = shape.begin() + static_cast<int64_t>(batch_axes);
  const bool one_for_all = std::all_of(shape.begin(), batch_end, [](int64_t n) { return n == 1; });
  if (!one_for_all) std::copy_n(wanted.begin(), batch_axes, shape.begin());
  if (rows.shape() != shape) rows = expanded(rows, shape);
  const int64_t queries = shape[axes - 2], heads = axes > 2 ? shape[axes - 3] : 1;
  c.mask_strides[0] = one_for_all ? 0 : heads * queries * c.Tk;
  c.mask_strides[1] = heads == 1 ? 0 : queries * c.Tk;
  c.mask_strides[2] = queries == 1 ? 0 : c.Tk;
  (mask.dtype() == DType::boolean ? c.allowed : c.bias) = Saved(rows);
}

void set_slopes(AttentionCall& c, const Tensor& slopes, DType dtype) {
  if (slopes.shape() != Shape{c.H})
    fail<ShapeError>("[", c.op, "] slopes must have shape (", c.H, ",), but got ", slopes.shape());
  if (slopes.dtype() != dtype)
    fail<DTypeError>("[", c.op, "] slopes must be ", name(dtype), " like the queries, but got ",
                     name(slopes.dtype()));
  c.slopes = Saved(slopes);
}

void set_dropout(AttentionCall& c, double p) {
  if (!(p >= 0 && p <= 1))
    fail<ValueError>("[", c.op, "] dropout_p must be in 0 to 1, but got ", p);
  c.dropout = p;
  const kernels::Attention<float> sizes{c.B, c.H, c.Hkv, c.Tq, c.Tk, c.D, c.Dv, 1.0f};
  if (p > 0) c.stream = default_generator().advance(kernels::attention_dropout_blocks(sizes));
}

// The call itself, on tensors whose memory is [B, H, T, D], however many axes B and H are.
Tensor attend(const AttentionCall& c, const Tensor& query, const Tensor& key, const Tensor& value) {
  Shape shape = query.shape();
  shape.back() = c.Dv;
  Tensor out = Tensor::empty(shape, query.dtype());
  Tensor lse = Tensor::empty({c.B, c.H, c.Tq}, query.dtype());
  with_float(query.dtype(), c.op, [&](auto zero) {
    using T = decltype(zero);
    kernels::attention<T>(kernel_shape<T>(c), separate_heads<const T>(query, c.H, c.Tq, c.D),
                          separate_heads<const T>(key, c.Hkv, c.Tk, c.D),
                          separate_heads<const T>(value, c.Hkv, c.Tk, c.Dv),
                          separate_heads<T>(out, c.H, c.Tq, c.Dv), lse.data<T>());
  });

  return record(
      c.op, out, {query, key, value},
      [c, lse, q = Saved(query), k = Saved(key), v = Saved(value), out = Saved(out)](
          const Tensor& dy, const Needs&) {
        Tensor dq = Tensor::empty(q.get().shape(), dy.dtype()),
               dk = Tensor::empty(k.get().shape(), dy.dtype()),
               dv = Tensor::empty(v.get().shape(), dy.dtype());
        with_float(dy.dtype(), c.op, [&](auto zero) {
          using T = decltype(zero);
          kernels::attention_backward<T>(
              kernel_shape<T>(c), separate_heads<const T>(q.get(), c.H, c.Tq, c.D),
              separate_heads<const T>(k.get(), c.Hkv, c.Tk, c.D),
              separate_heads<const T>(v.get(), c.Hkv, c.Tk, c.Dv),
              separate_heads<const T>(out.get(), c.H, c.Tq, c.Dv), lse.data<T>(),
              separate_heads<const T>(dy, c.H, c.Tq, c.Dv), separate_heads<T>(dq, c.H, c.Tq, c.D),
              separate_heads<T>(dk, c.Hkv, c.Tk, c.D), separate_heads<T>(dv, c.Hkv, c.Tk, c.Dv));
        });
        return Grads{dq, dk, dv};
      });
}

}  // namespace

static Tensor fused_attention(const Tensor& query, const Tensor& key, const Tensor& value,
                              const std::optional<Tensor>& mask, bool is_causal,
                              std::optional<double> scale, const std::optional<Tensor>& slopes,
                              double dropout_p) {
  // query [B, H, Tq, D], key [B, Hkv, Tk, D], value [B, Hkv, Tk, Dv] -> [B, H, Tq, Dv]
  const char* op = "fused_attention";
  if (query.dim() != 4 || key.dim() != 4 || value.dim() != 4)
    fail<ShapeError>("[", op, "] query, key and value must be [B, H, T, D], but got ",
                     query.shape(), ", ", key.shape(), " and ", value.shape());
  if (key.dtype() != query.dtype() || value.dtype() != query.dtype())
    fail<DTypeError>("[", op, "] query, key and value must have one dtype, but got ",
                     name(query.dtype()), ", ", name(key.dtype()), " and ", name(value.dtype()));
  int64_t H = query.size(1), Hkv = key.size(1);
  if (key.size(0) != query.size(0) || value.size(0) != query.size(0) || value.size(1) != Hkv ||
      key.size(3) != query.size(3) || value.size(2) != key.size(2))
    fail<ShapeError>("[", op, "] batch, key heads, key length and head size must agree, but got ",
                     query.shape(), ", ", key.shape(), " and ", value.shape());
  if (Hkv == 0 ? H != 0 : H % Hkv != 0)
    fail<ShapeError>("[", op, "] key heads must divide query heads, but got ", Hkv, " and ", H);
  AttentionCall c{op,
                  query.size(0),
                  H,
                  Hkv,
                  query.size(2),
                  key.size(2),
                  query.size(3),
                  value.size(3),
                  scale.value_or(1 / std::sqrt(static_cast<double>(query.size(3)))),
                  is_causal,
                  {},
                  {},
                  {}};
  if (mask) set_mask(c, *mask, query.dtype(), {c.B, H, c.Tq, c.Tk});
  if (slopes) set_slopes(c, *slopes, query.dtype());
  set_dropout(c, dropout_p);

  return attend(c, query, key, value);
}
GU_OP(fused_attention,
      "query, key, value, mask=None, is_causal=False, scale=None, slopes=None, dropout_p=0.0")

// PyTorch's function: any leading axes, and a causal mask that puts the first query at the first
// key where fused_attention puts the last at the last.
static Tensor scaled_dot_product_attention(const Tensor& query, const Tensor& key,
                                           const Tensor& value,
                                           const std::optional<Tensor>& attn_mask, double dropout_p,
                                           bool is_causal, std::optional<double> scale,
                                           bool enable_gqa) {
  // query [..., H, Tq, D], key [..., Hkv, Tk, D], value [..., Hkv, Tk, Dv] -> [..., H, Tq, Dv]
  const char* op = "scaled_dot_product_attention";
  const int64_t axes = query.dim();
  if (axes < 2 || key.dim() != axes || value.dim() != axes)
    fail<ShapeError>("[", op, "] query, key and value must be [..., H, T, D], but got ",
                     query.shape(), ", ", key.shape(), " and ", value.shape());
  if (key.dtype() != query.dtype() || value.dtype() != query.dtype())
    fail<DTypeError>("[", op, "] query, key and value must have one dtype, but got ",
                     name(query.dtype()), ", ", name(key.dtype()), " and ", name(value.dtype()));
  const int64_t H = axes > 2 ? query.size(-3) : 1, Hkv = axes > 2 ? key.size(-3) : 1;
  const int64_t Tq = query.size(-2), Tk = key.size(-2);
  int64_t B = 1;
  bool fits = key.size(-1) == query.size(-1) && value.size(-2) == Tk &&
              (axes == 2 || value.size(-3) == Hkv);
  for (int64_t d = 0; d < axes - 3; ++d) {
    B *= query.size(d);
    fits = fits && key.size(d) == query.size(d) && value.size(d) == query.size(d);
  }
  if (!fits)
    fail<ShapeError>("[", op, "] batch, key heads, key length and head size must agree, but got ",
                     query.shape(), ", ", key.shape(), " and ", value.shape());
  if (enable_gqa && Hkv != 0 ? H % Hkv != 0 : H != Hkv)
    fail<ShapeError>("[", op, "] key heads must ",
                     enable_gqa ? "divide query heads" : "equal query heads unless enable_gqa",
                     ", but got ", Hkv, " and ", H);
  if (attn_mask && is_causal)
    fail<ValueError>("[", op, "] attn_mask and is_causal must not both be given");

  AttentionCall c{op, B, H, Hkv, Tq, Tk, query.size(-1), value.size(-1), 0, false, {}, {}, {}};
  c.scale = scale.value_or(1 / std::sqrt(static_cast<double>(c.D)));
  Shape weights = query.shape();
  weights.back() = Tk;
  if (is_causal && Tq != Tk) {
    Tensor seen = Tensor::empty({Tq, Tk}, DType::boolean);
    for (int64_t i = 0; i < Tq; ++i)
      for (int64_t j = 0; j < Tk; ++j) seen.data<bool>()[i * Tk + j] = j <= i;
    set_mask(c, seen, query.dtype(), weights);
  } else {
    c.causal = is_causal;
    if (attn_mask) set_mask(c, *attn_mask, query.dtype(), weights);
  }
  set_dropout(c, dropout_p);
  return attend(c, query, key, value);
}
GU_OP(scaled_dot_product_attention,
      "query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, "
      "enable_gqa=False")

static Tensor packed_attention(const Tensor& qkv, int64_t n_head, std::optional<int64_t> n_kv_head,
                               bool is_causal, std::optional<double> scale,
                               const std::optional<Tensor>& slopes, double dropout_p) {
  // qkv [B, T, (H + 2 Hkv) D] -> [B, T, H D]; nothing is copied between the products and the kernel
  const char* op = "packed_attention";
  int64_t H = n_head, Hkv = n_kv_head.value_or(n_head);
  if (qkv.dim() != 3)
    fail<ShapeError>("[", op, "] qkv must be [B, T, C], but got shape ", qkv.shape());
  if (H < 1 || Hkv < 1 || H % Hkv != 0)
    fail<ValueError>("[", op, "] n_kv_head must divide n_head, but got ", Hkv, " and ", H);
  int64_t width = qkv.size(2), T_ = qkv.size(1);
  if (width == 0 || width % (H + 2 * Hkv) != 0)
    fail<ShapeError>("[", op, "] n_head + 2 n_kv_head = ", H + 2 * Hkv,
                     " must divide the channels of qkv, but got ", qkv.shape());
  int64_t D = width / (H + 2 * Hkv);
  AttentionCall c{op,        qkv.size(0), H,
                  Hkv,       T_,          T_,
                  D,         D,           scale.value_or(1 / std::sqrt(static_cast<double>(D))),
                  is_causal, {},          {},
                  {}};
  if (slopes) set_slopes(c, *slopes, qkv.dtype());
  set_dropout(c, dropout_p);
  int64_t first_key = H * D, first_value = (H + Hkv) * D;

  Tensor out = Tensor::empty({c.B, T_, H * D}, qkv.dtype());
  Tensor lse = Tensor::empty({c.B, H, T_}, qkv.dtype());
  with_float(qkv.dtype(), op, [&](auto zero) {
    using T = decltype(zero);
    kernels::attention<T>(kernel_shape<T>(c), merged_heads<const T>(qkv, T_, width, D, 0),
                          merged_heads<const T>(qkv, T_, width, D, first_key),
                          merged_heads<const T>(qkv, T_, width, D, first_value),
                          merged_heads<T>(out, T_, H * D, D, 0), lse.data<T>());
  });

  return record(op, out, {qkv},
                [c, lse, T_, width, D, first_key, first_value, qkv = Saved(qkv), out = Saved(out)](
                    const Tensor& dy, const Needs&) {
                  Tensor dqkv = Tensor::empty(qkv.get().shape(), dy.dtype());
                  with_float(dy.dtype(), c.op, [&](auto zero) {
                    using T = decltype(zero);
                    const Tensor& x = qkv.get();
                    kernels::attention_backward<T>(
                        kernel_shape<T>(c), merged_heads<const T>(x, T_, width, D, 0),
                        merged_heads<const T>(x, T_, width, D, first_key),
                        merged_heads<const T>(x, T_, width, D, first_value),
                        merged_heads<const T>(out.get(), T_, c.H * D, D, 0), lse.data<T>(),
                        merged_heads<const T>(dy, T_, c.H * D, D, 0),
                        merged_heads<T>(dqkv, T_, width, D, 0),
                        merged_heads<T>(dqkv, T_, width, D, first_key),
                        merged_heads<T>(dqkv, T_, width, D, first_value));
                  });
                  return Grads{dqkv};
                });
}
GU_OP(packed_attention,
      "qkv, n_head, n_kv_head=None, is_causal=True, scale=None, slopes=None, dropout_p=0.0")

}  // namespace gu::ops
