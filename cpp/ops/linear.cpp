// linear: a layer of a network, its activation included.
//   y = act(z),  z = x W^T + b
//
// The bias is what the product's sums start from; the activation is one pass over it, by the same
// threads that made its rows.

#include "kernels/simd.hpp"  // first: it silences gcc's warnings about its own AVX-512 header

#include <algorithm>
#include <string>

#include "autograd/tape.hpp"
#include "core/registry.hpp"
#include "kernels/activation.hpp"
#include "kernels/gemm.hpp"
#include "kernels/reduce.hpp"
#include "ops/cast.hpp"

namespace gu::ops {

namespace {

enum class Activation { none, relu, gelu, gelu_tanh, silu };

Activation activation_named(const std::string& text) {
  constexpr const char* names[] = {"none", "relu", "gelu", "gelu_tanh", "silu"};
  for (size_t i = 0; i < std::size(names); ++i)
    if (text == names[i]) return static_cast<Activation>(i);
  fail<ValueError>("[linear] activation must be none, relu, gelu, gelu_tanh or silu, but got '",
                   text, "'");
}

// Whether backward needs z; none needs nothing and relu sees in y where z was positive.
bool keeps_input(Activation f) { return f != Activation::none && f != Activation::relu; }

template <class T>
void activate(Activation f, const T* z, T* y, int64_t n) {
  using kernels::Vec;
  switch (f) {
    case Activation::none:
      break;
    case Activation::relu:
      // Not max(z, 0), which may turn a NaN into 0.
      kernels::parallel_map(
          n, y, [](Vec<T> v) { return xsimd::select(v <= Vec<T>(T(0)), Vec<T>(T(0)), v); }, z);
      break;
    case Activation::gelu:
      return kernels::gelu(z, y, n);
    case Activation::gelu_tanh:
      return kernels::gelu_tanh(z, y, n);
    case Activation::silu:
      return kernels::silu(z, y, n);
  }
}

// dz from what was kept: y for relu, z for the others.
template <class T>
void activate_backward(Activation f, const T* kept, const T* dy, T* dz, int64_t n) {
  using kernels::Vec;
  switch (f) {
    case Activation::none:
      break;
    case Activation::relu:
      kernels::parallel_map(
          n, dz,
          [](Vec<T> y, Vec<T> d) { return xsimd::select(y <= Vec<T>(T(0)), Vec<T>(T(0)), d); },
          kept, dy);
      break;
    case Activation::gelu:
      return kernels::gelu_backward(kept, dy, dz, n);
    case Activation::gelu_tanh:
      return kernels::gelu_tanh_backward(kept, dy, dz, n);
    case Activation::silu:
      return kernels::silu_backward(kept, dy, dz, n);
  }
}

}  // namespace

static Tensor linear(const Tensor& x, const Tensor& weight, const std::optional<Tensor>& bias,
                     const std::string& activation, bool transpose_weight) {
  // x [..., in], weight [out, in] ([in, out] if transpose_weight), bias [out] -> y [..., out]
  const Activation f = activation_named(activation);
  if (weight.dim() != 2)
    fail<ShapeError>("[linear] weight must be ", transpose_weight ? "[in, out]" : "[out, in]",
                     ", but got shape ", weight.shape());
  const int64_t out = weight.size(transpose_weight ? 1 : 0);
  const int64_t in = weight.size(transpose_weight ? 0 : 1);
  if (x.dim() == 0 || x.size(-1) != in)
    fail<ShapeError>("[linear] the last axis of x must have the ", in, " inputs of weight ",
                     weight.shape(), ", but got shape ", x.shape());
  if (bias && bias->shape() != Shape{out})
    fail<ShapeError>("[linear] bias must have shape (", out, ",), but got ", bias->shape());
  DType dtype = DType::boolean;
  for (const Tensor* t : {&x, &weight, bias ? &*bias : &weight}) {
    if (t->dtype() != DType::float32 && t->dtype() != DType::float64)
      fail<DTypeError>("[linear] x, weight and bias must be float32 or float64, but got ",
                       name(t->dtype()));
    dtype = std::max(dtype, t->dtype());
  }
  const Tensor a = to_dtype(x, dtype), w = to_dtype(weight, dtype);
  const Tensor b = bias ? to_dtype(*bias, dtype) : Tensor();

  int64_t R = 1;
  for (int64_t i = 0; i + 1 < x.dim(); ++i) R *= x.size(i);
  const int64_t ld_x = std::max<int64_t>(in, 1), ld_y = std::max<int64_t>(out, 1);
  const int64_t ld_w = std::max<int64_t>(weight.size(1), 1);
  Shape shape = x.shape();
  shape.back() = out;
  const bool recorded = autograd::any_requires_grad(std::initializer_list<Tensor>{a, w, b});
  Tensor z = Tensor::empty(shape, dtype);
  Tensor y = recorded && keeps_input(f) ? Tensor::empty(shape, dtype) : z;
  with_float(dtype, "linear", [&](auto zero) {
    using T = decltype(zero);
    gemm<T>(false, !transpose_weight, R, out, in, T(1), a.data<T>(), ld_x, w.data<T>(), ld_w, T(0),
            z.data<T>(), ld_y, b.defined() ? b.data<T>() : nullptr);
    activate<T>(f, z.data<T>(), y.data<T>(), z.size());
  });

  const Saved kept = f == Activation::none ? Saved() : Saved(keeps_input(f) ? z : y);
  return record("linear", y, {a, w, b},
                [=, a = autograd::requires_grad(w) ? Saved(a) : Saved(),
                 w = autograd::requires_grad(a) ? Saved(w) : Saved(), x_shape = x.shape(),
                 w_shape = weight.shape()](const Tensor& dy, const Needs& needs) {
                  Grads grads(3);
                  with_float(dy.dtype(), "linear", [&](auto zero) {
                    using T = decltype(zero);
                    Tensor dz = dy;
                    if (f != Activation::none) {
                      if (!dy.unique()) dz = Tensor::empty(dy.shape(), dy.dtype());
                      activate_backward<T>(f, kept.get().data<T>(), dy.data<T>(), dz.data<T>(),
                                           dy.size());
                    }
                    // z = x W^T + b, so dx = dz W, dW = dz^T x and db sums dz over the rows; dW^T =
                    // x^T dz
                    if (needs[0]) {
                      grads[0] = Tensor::empty(x_shape, dy.dtype());
                      gemm<T>(false, transpose_weight, R, in, out, T(1), dz.data<T>(), ld_y,
                              w.get().template data<T>(), ld_w, T(0), grads[0].data<T>(), ld_x);
                    }
                    if (needs[1]) {
                      grads[1] = Tensor::empty(w_shape, dy.dtype());
                      const T* rows = a.get().template data<T>();
                      if (transpose_weight)
                        gemm<T>(true, false, in, out, R, T(1), rows, ld_x, dz.data<T>(), ld_y, T(0),
                                grads[1].data<T>(), ld_w);
                      else
                        gemm<T>(true, false, out, in, R, T(1), dz.data<T>(), ld_y, rows, ld_x, T(0),
                                grads[1].data<T>(), ld_w);
                    }
                    if (needs[2]) {
                      grads[2] = Tensor::empty({out}, dy.dtype());
                      kernels::reduce_sum<T>(dz.data<T>(), grads[2].data<T>(), 1, R, out);
                    }
                  });
                  return grads;
                });
}
GU_OP(linear, "x, weight, bias=None, activation='none', transpose_weight=False")

}  // namespace gu::ops
