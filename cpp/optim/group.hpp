// The parameters of one group and what their optimizer remembers of them.
#pragma once

#include <array>
#include <functional>
#include <vector>

#include "core/tensor.hpp"
#include "optim/adagrad.hpp"
#include "optim/adam.hpp"
#include "optim/rmsprop.hpp"
#include "optim/sgd.hpp"

namespace gu::optim {

// A step that has read its parameters' gradients and is ready to run, on any thread. It keeps every
// tensor alive that it touches.
using Update = std::function<void()>;

// Each kind of state is one flat buffer for the whole group, made when a step first needs it; a
// parameter's state is a slice of it that begins on a cache line.
class ParameterGroup {
 public:
  static constexpr int kStates = 3;

  // Parameters must be float32 or float64, all alike.
  explicit ParameterGroup(std::vector<Tensor> params);

  // One step of each parameter that has a gradient; the others, and their state, stay as they are.
  Update sgd(const SgdOptions& options);
  Update rmsprop(const RmspropOptions& options);
  Update adagrad(const AdagradOptions& options);
  Update adam(const AdamOptions& options);

  // Forgets the gradients, or fills them with zeros.
  void zero_grad(bool set_to_none);

  // Steps that parameter i took.
  int64_t steps(int64_t i) const { return memory(i).steps; }
  void set_steps(int64_t i, int64_t steps) { memory(i).steps = steps; }
  // State number `which` of parameter i, in the parameter's shape and in the group's memory;
  // undefined where no step made it yet.
  Tensor state(int64_t i, int which) const;
  // The same, made of zeros if need be.
  Tensor make_state(int64_t i, int which);
  // As new: no steps, no state.
  void forget();

 private:
  struct Memory {
    int64_t start;  // of its slice in each buffer, in elements
    int64_t steps = 0;
    std::array<bool, kStates> has = {};
  };
  Memory& memory(int64_t i) { return memories_.at(static_cast<size_t>(i)); }
  const Memory& memory(int64_t i) const { return memories_.at(static_cast<size_t>(i)); }
  const Tensor& buffer(int which);

  template <class Key, class Kernel>
  Update collect(std::array<bool, kStates> used, Key key, Kernel kernel);

  std::vector<Tensor> params_;
  std::vector<Memory> memories_;  // one a parameter
  std::array<Tensor, kStates> buffers_;
  int64_t total_ = 0;  // elements of a buffer
};

}  // namespace gu::optim
