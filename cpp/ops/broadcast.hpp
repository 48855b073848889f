#pragma once
// Broadcasting: a function of the elements of several tensors whose shapes NumPy's rule aligns.
//
// The result is walked in runs. Axes along which every operand moves alike are merged first, so
// that equal shapes make one long run, [R, C] + [C] makes R runs of C, and [R, C] + [R, 1] makes R
// runs in which the second operand stands still. Tensors are contiguous: in a run an operand moves
// by one element or not at all, and a plain loop over it compiles to vector code for every dtype.

#include <algorithm>
#include <array>
#include <initializer_list>
#include <type_traits>
#include <vector>

#include "core/tensor.hpp"
#include "core/threads.hpp"

namespace gu::ops {

// The shape that operands broadcast to, or a ShapeError that names the op.
Shape broadcast_shape(const char* op, std::initializer_list<const Tensor*> operands);

// dy summed over the axes along which a tensor of this shape was broadcast: the gradient of
// broadcasting. Returns dy itself where nothing was.
Tensor sum_to(const Tensor& dy, const Shape& shape);

// x repeated along the axes that must grow; the opposite of sum_to.
Tensor expanded(const Tensor& x, const Shape& shape);

template <size_t N>
struct BroadcastPlan {
  struct Axis {
    int64_t size = 1;
    std::array<int64_t, N> stride{};  // in elements of each operand; 0 where it stands still
  };
  Axis run;                 // the innermost axis
  std::vector<Axis> outer;  // the others, innermost first

  BroadcastPlan(const Shape& shape, const std::array<const Tensor*, N>& operands) {
    std::array<int64_t, N> step;  // the stride of the next axis that moves
    step.fill(1);
    const auto axes = static_cast<int64_t>(shape.size());
    for (int64_t d = axes - 1; d >= 0; --d) {
      Axis axis{shape[d], {}};
      for (size_t k = 0; k < N; ++k) {
        const int64_t own = d - (axes - operands[k]->dim());
        const int64_t size = own < 0 ? 1 : operands[k]->shape()[own];
        axis.stride[k] = size == 1 ? 0 : step[k];
        step[k] *= size;
      }
      if (axis.size != 1) add(axis);
    }
  }

 private:
  void add(const Axis& axis) {
    Axis& last = outer.empty() ? run : outer.back();
    bool alike = true;
    for (size_t k = 0; k < N; ++k) alike &= axis.stride[k] == last.stride[k] * last.size;
    if (last.size == 1) {
      last = axis;
    } else if (alike) {
      last.size *= axis.size;
    } else {
      outer.push_back(axis);
    }
  }
};

namespace detail {

template <class T>
struct Moving {
  const T* p;
  T operator[](int64_t i) const { return p[i]; }
};
template <class T>
struct Still {
  T value;
  T operator[](int64_t) const { return value; }
};

template <class Out, class F, class... In>
void run_loop(int64_t n, Out* out, F f, In... in) {
  for (int64_t i = 0; i < n; ++i) out[i] = f(in[i]...);
}

// Turns each (pointer, stride) into a Moving or a Still, one after the other, then runs the loop.
template <class Out, class F, class... Ready>
void resolve_run(std::tuple<Ready...> ready, int64_t n, Out* out, F f) {
  std::apply([&](auto... in) { run_loop(n, out, f, in...); }, ready);
}
template <class Out, class F, class... Ready, class T, class... Rest>
void resolve_run(std::tuple<Ready...> ready, int64_t n, Out* out, F f, const T* p, int64_t stride,
                 Rest... rest) {
  if (stride)
    resolve_run(std::tuple_cat(ready, std::tuple(Moving<T>{p})), n, out, f, rest...);
  else
    resolve_run(std::tuple_cat(ready, std::tuple(Still<T>{*p})), n, out, f, rest...);
}

}  // namespace detail

// out[...] = f(a[...], b[...], …) with operands of C++ types In, broadcast to the result's shape.
template <class... In, class Out, class F, class... Tensors>
void broadcast_map(const Shape& shape, Out* out, F f, const Tensors&... operands) {
  constexpr size_t N = sizeof...(In);
  static_assert(N == sizeof...(Tensors));
  const BroadcastPlan<N> plan(shape, {&operands...});
  const std::tuple<const In*...> data{operands.template data<In>()...};
  constexpr int64_t grain = 1 << 15;
  parallel_for(count(shape), grain, [&](int64_t begin, int64_t end) {
    // An odometer over the outer axes; `at` is where the current run of each operand begins.
    std::vector<int64_t> index(plan.outer.size());
    std::array<int64_t, N> at{};
    int64_t column = begin % plan.run.size, rest = begin / plan.run.size;
    for (size_t d = 0; d < index.size(); ++d) {
      index[d] = rest % plan.outer[d].size;
      rest /= plan.outer[d].size;
      for (size_t k = 0; k < N; ++k) at[k] += index[d] * plan.outer[d].stride[k];
    }
    while (begin < end) {
      const int64_t n = std::min(plan.run.size - column, end - begin);
      [&]<size_t... K>(std::index_sequence<K...>) {
        std::apply(
            [&](auto... part) { detail::resolve_run(std::tuple<>(), n, out + begin, f, part...); },
            std::tuple_cat(std::tuple(std::get<K>(data) + at[K] + column * plan.run.stride[K],
                                      plan.run.stride[K])...));
      }
      (std::make_index_sequence<N>());
      begin += n;
      column = 0;
      for (size_t d = 0; d < index.size(); ++d) {
        const auto& axis = plan.outer[d];
        for (size_t k = 0; k < N; ++k) at[k] += axis.stride[k];
        if (++index[d] < axis.size) break;
        for (size_t k = 0; k < N; ++k) at[k] -= axis.stride[k] * axis.size;
        index[d] = 0;
      }
    }
  });
}

}  // namespace gu::ops
