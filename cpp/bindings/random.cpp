// The state of the random stream. Ops that draw from it are in ops/.

#include <pybind11/pybind11.h>

#include "bindings/bind.hpp"
#include "core/rng.hpp"

namespace py = pybind11;

namespace gu::bindings {

namespace {

void bind(py::module_& m) {
  m.def(
      "get_rng_state",
      [] {
        RandomState s = default_generator().state();
        return py::make_tuple(s.seed, s.counter);
      },
      "(seed, blocks used) of the stream that random ops draw from.");
  m.def(
      "set_rng_state",
      [](uint64_t seed, uint64_t counter) {
        default_generator().set_state({seed, counter});
      },
      py::arg("seed"), py::arg("counter"));
  m.def(
      "advance_rng",
      [](uint64_t blocks) {
        RandomState s = default_generator().advance(blocks);
        return py::make_tuple(s.seed, s.counter);
      },
      py::arg("blocks"), "Reserve blocks of the stream: (seed, counter) where they begin.");
}

const Binder binder(&bind);

}  // namespace
}  // namespace gu::bindings
