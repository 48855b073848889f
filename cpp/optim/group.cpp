#include "optim/group.hpp"

#include <cstring>
#include <map>

#include "autograd/tape.hpp"
#include "core/memory.hpp"
#include "optim/writable.hpp"

namespace gu::optim {

ParameterGroup::ParameterGroup(std::vector<Tensor> params) : params_(std::move(params)) {
  for (const Tensor& p : params_) {
    with_float(p.dtype(), "optim", [](auto) {});
    if (p.dtype() != params_[0].dtype())
      fail<DTypeError>("[optim] parameters of a group must have one dtype, but got ",
                       name(params_[0].dtype()), " and ", name(p.dtype()));
    check_writable("optim", p);
    memories_.push_back({.start = total_});
    const int64_t line = static_cast<int64_t>(kAlignment) / itemsize(p.dtype());
    total_ += (p.size() + line - 1) / line * line;
  }
}

const Tensor& ParameterGroup::buffer(int which) {
  Tensor& b = buffers_.at(static_cast<size_t>(which));
  if (!b.defined()) b = Tensor::zeros({total_}, params_[0].dtype());
  return b;
}

Tensor ParameterGroup::state(int64_t i, int which) const {
  const Memory& m = memory(i);
  if (!m.has.at(static_cast<size_t>(which))) return {};
  return buffers_[which].alias(params_[i].shape(), m.start);
}

Tensor ParameterGroup::make_state(int64_t i, int which) {
  Memory& m = memory(i);
  buffer(which);
  m.has[which] = true;
  return state(i, which);
}

void ParameterGroup::forget() {
  for (Memory& m : memories_) m = {.start = m.start};
  buffers_ = {};
}

void ParameterGroup::zero_grad(bool set_to_none) {
  for (const Tensor& p : params_) {
    if (!p.meta() || !p.meta()->grad.defined()) continue;
    Tensor& grad = p.meta()->grad;
    if (set_to_none) {
      grad = Tensor();
    } else {
      check_writable("zero_grad", grad);
      std::memset(grad.bytes(), 0, static_cast<size_t>(grad.nbytes()));
      grad.bump_version();
    }
  }
}

// kernel(segments, key) for the parameters that have a gradient, those with equal key(memory)
// together: one call in all but the rarest case.
template <class Key, class Kernel>
Update ParameterGroup::collect(std::array<bool, kStates> used, Key key, Kernel kernel) {
  if (params_.empty()) return [] {};
  return with_float(params_[0].dtype(), "optim", [&](auto zero) -> Update {
    using T = decltype(zero);
    std::array<T*, kStates> base = {};
    std::vector<Tensor> held;
    held.reserve(2 * params_.size() + kStates);
    for (int k = 0; k < kStates; ++k) {
      if (!used[k]) continue;
      base[k] = buffer(k).data<T>();
      held.push_back(buffers_[k]);
      buffers_[k].bump_version();
    }
    std::map<int64_t, std::vector<Segment<T>>> lists;
    for (size_t i = 0; i < params_.size(); ++i) {
      const Tensor& p = params_[i];
      if (!p.meta() || !p.meta()->grad.defined()) continue;
      const Tensor& grad = p.meta()->grad;
      Memory& m = memories_[i];
      ++m.steps;
      auto& list = lists[key(m)];
      if (list.empty()) list.reserve(params_.size() - i);
      const auto at = [&](int k) { return used[k] ? base[k] + m.start : nullptr; };
      list.push_back({p.data<T>(), grad.data<T>(), at(0), at(1), p.size(), at(2)});
      for (int k = 0; k < kStates; ++k) m.has[k] = m.has[k] || used[k];
      p.bump_version();
      held.push_back(p);
      held.push_back(grad);
    }
    return [lists = std::move(lists), held = std::move(held), kernel] {
      for (const auto& [k, segments] : lists) kernel(segments, k);
    };
  });
}

Update ParameterGroup::sgd(const SgdOptions& options) {
  const bool momentum = options.momentum != 0.0;
  const auto is_first = [=](const Memory& m) -> int64_t { return momentum && !m.has[0]; };
  return collect({momentum, false, false}, is_first, [options](const auto& segments, int64_t key) {
    sgd_step(segments, options, key == 1);
  });
}

Update ParameterGroup::rmsprop(const RmspropOptions& options) {
  const auto any = [](const Memory&) -> int64_t { return 0; };
  return collect({true, options.momentum > 0.0, options.centered}, any,
                 [options](const auto& segments, int64_t) { rmsprop_step(segments, options); });
}

Update ParameterGroup::adagrad(const AdagradOptions& options) {
  const auto step = [](const Memory& m) { return m.steps; };
  return collect({true, false, false}, step, [options](const auto& segments, int64_t n) {
    adagrad_step(segments, options, n);
  });
}

Update ParameterGroup::adam(const AdamOptions& options) {
  const auto step = [](const Memory& m) { return m.steps; };
  return collect({true, true, options.amsgrad}, step,
                 [options](const auto& segments, int64_t n) { adam_step(segments, options, n); });
}

}  // namespace gu::optim
