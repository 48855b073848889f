// Optimizer steps, clipping and averaging of weights in Python. Gradients are read while the GIL is
// held; the arithmetic runs without it.

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cmath>
#include <utility>

#include "autograd/tape.hpp"
#include "bindings/bind.hpp"
#include "optim/average.hpp"
#include "optim/clip.hpp"
#include "optim/group.hpp"
#include "optim/writable.hpp"

namespace py = pybind11;

namespace gu::bindings {

namespace {

using optim::ParameterGroup;
using Pair = std::pair<double, double>;

void run(const optim::Update& update) {
  py::gil_scoped_release release;
  update();
}

py::object state_or_none(const Tensor& t) { return t.defined() ? py::cast(t) : py::none(); }

std::vector<Tensor> gradients_of(const std::vector<Tensor>& params) {
  std::vector<Tensor> grads;
  for (const Tensor& p : params)
    if (p.meta() && p.meta()->grad.defined()) grads.push_back(p.meta()->grad);
  return grads;
}

// Returns the norm before clipping.
double clip_norm(const std::vector<Tensor>& params, double max_norm, double norm_type,
                 bool error_if_nonfinite) {
  const std::vector<Tensor> grads = gradients_of(params);
  py::gil_scoped_release release;
  const double norm = optim::total_norm(grads, norm_type);
  if (error_if_nonfinite && !std::isfinite(norm))
    fail<ValueError>("[clip_grad_norm_] the total norm must be finite, but got ", norm);
  // As in PyTorch: the small number keeps a norm of zero apart, and a NaN reaches every gradient.
  const double factor = max_norm / (norm + 1e-6);
  if (!(factor >= 1.0)) optim::scale("clip_grad_norm_", grads, factor);
  return norm;
}

void average(const std::vector<Tensor>& averages, const std::vector<Tensor>& values,
             double weight) {
  if (averages.size() != values.size())
    fail<ValueError>("[average] there must be an average a tensor, but got ", averages.size(),
                     " for ", values.size());
  std::vector<optim::Segment<float>> singles;
  std::vector<optim::Segment<double>> doubles;
  for (size_t i = 0; i < values.size(); ++i) {
    const Tensor &a = averages[i], &x = values[i];
    if (a.shape() != x.shape())
      fail<ShapeError>("[average] average must have the shape ", x.shape(), ", but got ",
                       a.shape());
    if (a.dtype() != x.dtype())
      fail<DTypeError>("[average] average must be ", name(x.dtype()), ", but got ",
                       name(a.dtype()));
    optim::check_writable("average", a);
    with_float(x.dtype(), "average", [&](auto zero) {
      using T = decltype(zero);
      const optim::Segment<T> s{a.data<T>(), x.data<T>(), nullptr, nullptr, x.size()};
      if constexpr (std::is_same_v<T, float>)
        singles.push_back(s);
      else
        doubles.push_back(s);
    });
    a.bump_version();
  }
  py::gil_scoped_release release;
  optim::average_step(singles, weight);
  optim::average_step(doubles, weight);
}

void bind(py::module_& m) {
  py::class_<ParameterGroup>(m, "ParameterGroup",
                             "The parameters of one group and what an optimizer remembers of them.")
      .def(py::init<std::vector<Tensor>>(), py::arg("params"))
      .def(
          "sgd",
          [](ParameterGroup& group, double lr, double momentum, double dampening,
             double weight_decay, bool nesterov, bool maximize) {
            run(group.sgd({.lr = lr,
                           .momentum = momentum,
                           .dampening = dampening,
                           .weight_decay = weight_decay,
                           .nesterov = nesterov,
                           .maximize = maximize}));
          },
          py::arg("lr"), py::arg("momentum"), py::arg("dampening"), py::arg("weight_decay"),
          py::arg("nesterov"), py::arg("maximize"))
      .def(
          "rmsprop",
          [](ParameterGroup& group, double lr, double alpha, double eps, double weight_decay,
             double momentum, bool centered, bool maximize) {
            run(group.rmsprop({.lr = lr,
                               .alpha = alpha,
                               .eps = eps,
                               .weight_decay = weight_decay,
                               .momentum = momentum,
                               .maximize = maximize,
                               .centered = centered}));
          },
          py::arg("lr"), py::arg("alpha"), py::arg("eps"), py::arg("weight_decay"),
          py::arg("momentum"), py::arg("centered"), py::arg("maximize"))
      .def(
          "adagrad",
          [](ParameterGroup& group, double lr, double lr_decay, double weight_decay, double eps,
             bool maximize) {
            run(group.adagrad({.lr = lr,
                               .lr_decay = lr_decay,
                               .weight_decay = weight_decay,
                               .eps = eps,
                               .maximize = maximize}));
          },
          py::arg("lr"), py::arg("lr_decay"), py::arg("weight_decay"), py::arg("eps"),
          py::arg("maximize"))
      .def(
          "adam",
          [](ParameterGroup& group, double lr, Pair betas, double eps, double weight_decay,
             bool amsgrad, bool maximize, bool decoupled) {
            run(group.adam({.lr = lr,
                            .beta1 = betas.first,
                            .beta2 = betas.second,
                            .eps = eps,
                            .weight_decay = weight_decay,
                            .decoupled = decoupled,
                            .amsgrad = amsgrad,
                            .maximize = maximize}));
          },
          py::arg("lr"), py::arg("betas"), py::arg("eps"), py::arg("weight_decay"),
          py::arg("amsgrad"), py::arg("maximize"), py::arg("decoupled"))
      .def("zero_grad", &ParameterGroup::zero_grad, py::arg("set_to_none"))
      .def("steps", &ParameterGroup::steps, py::arg("i"))
      .def("set_steps", &ParameterGroup::set_steps, py::arg("i"), py::arg("steps"))
      .def(
          "state",
          [](const ParameterGroup& group, int64_t i, int which) {
            return state_or_none(group.state(i, which));
          },
          py::arg("i"), py::arg("which"))
      .def("make_state", &ParameterGroup::make_state, py::arg("i"), py::arg("which"))
      .def("forget", &ParameterGroup::forget);
  m.def("clip_grad_norm", &clip_norm, py::arg("params"), py::arg("max_norm"), py::arg("norm_type"),
        py::arg("error_if_nonfinite"));
  m.def(
      "clip_grad_value",
      [](const std::vector<Tensor>& params, double limit) {
        const std::vector<Tensor> grads = gradients_of(params);
        py::gil_scoped_release release;
        optim::clamp("clip_grad_value_", grads, limit);
      },
      py::arg("params"), py::arg("clip_value"));
  m.def("average", &average, py::arg("averages"), py::arg("values"), py::arg("weight"),
        "averages += weight * (values - averages), all of them in one loop");
}

const Binder binder(&bind);

}  // namespace
}  // namespace gu::bindings
