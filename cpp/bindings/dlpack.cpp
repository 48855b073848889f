// DLPack: memory shared with other array libraries, both ways. The structures follow the published
// binary interface, version 1.0: a producer hands out a capsule; who consumes it renames the
// capsule and calls the deleter when done.

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <map>
#include <sstream>
#include <string>

#include "autograd/tape.hpp"
#include "bindings/bind.hpp"

namespace py = pybind11;

namespace gu::bindings {

namespace {

struct DLDevice {
  int32_t type;
  int32_t id;
};
struct DLDataType {
  uint8_t code;
  uint8_t bits;
  uint16_t lanes;
};
struct DLTensor {
  void* data;
  DLDevice device;
  int32_t ndim;
  DLDataType dtype;
  int64_t* shape;
  int64_t* strides;  // in elements; null means contiguous
  uint64_t byte_offset;
};
// As capsules named "dltensor" hold it.
struct DLManagedTensor {
  DLTensor tensor;
  void* context;
  void (*deleter)(DLManagedTensor*);
};
// As capsules named "dltensor_versioned" hold it.
struct DLManagedTensorVersioned {
  uint32_t major, minor;
  void* context;
  void (*deleter)(DLManagedTensorVersioned*);
  uint64_t flags;
  DLTensor tensor;
};
constexpr uint64_t kReadOnly = 1, kCopied = 2;
constexpr int32_t kCpu = 1;
enum Code : uint8_t { kInt = 0, kUInt = 1, kFloat = 2, kBFloat = 4, kComplex = 5, kBool = 6 };

// The two kinds of capsule, so that everything else is written once.
template <class Managed>
struct Names;
template <>
struct Names<DLManagedTensor> {
  static constexpr const char *fresh = "dltensor", *used = "used_dltensor";
};
template <>
struct Names<DLManagedTensorVersioned> {
  static constexpr const char *fresh = "dltensor_versioned", *used = "used_dltensor_versioned";
};

template <class... Parts>
[[noreturn]] void refuse(const Parts&... parts) {
  std::ostringstream out;
  (gu::detail::put(out, parts), ...);
  throw py::buffer_error(out.str());
}

// ---------------------------------------------------------------------------- out of groundup

DLDataType dlpack_type(DType dtype) {
  uint8_t bits = static_cast<uint8_t>(8 * itemsize(dtype));
  switch (dtype) {
    case DType::boolean:
      return {kBool, bits, 1};
    case DType::int64:
      return {kInt, bits, 1};
    case DType::bfloat16:
      return {kBFloat, bits, 1};
    default:
      return {kFloat, bits, 1};
  }
}

// What a capsule points to, with what that must keep alive.
template <class Managed>
struct Export {
  Managed managed{};
  std::shared_ptr<Storage> storage;
  Shape shape, strides;
};

template <class Managed>
py::object make_capsule(const Tensor& t, uint64_t flags) {
  auto exported = std::make_unique<Export<Managed>>();
  exported->storage = t.storage();
  exported->shape = t.shape();
  exported->strides.resize(t.shape().size());
  int64_t stride = 1;
  for (size_t i = t.shape().size(); i-- > 0; stride *= t.shape()[i]) exported->strides[i] = stride;
  Managed& managed = exported->managed;
  managed.tensor = {t.bytes(),
                    {kCpu, 0},
                    static_cast<int32_t>(t.dim()),
                    dlpack_type(t.dtype()),
                    exported->shape.data(),
                    exported->strides.data(),
                    0};
  managed.context = exported.get();
  managed.deleter = [](Managed* m) { delete static_cast<Export<Managed>*>(m->context); };
  if constexpr (std::is_same_v<Managed, DLManagedTensorVersioned>) {
    managed.major = 1;
    managed.minor = 0;
    managed.flags = flags;
  }
  PyObject* capsule = PyCapsule_New(&managed, Names<Managed>::fresh, [](PyObject* self) {
    if (!PyCapsule_IsValid(self, Names<Managed>::fresh)) return;  // somebody else owns it now
    auto* m = static_cast<Managed*>(PyCapsule_GetPointer(self, Names<Managed>::fresh));
    m->deleter(m);
  });
  if (!capsule) throw py::error_already_set();
  exported.release();
  return py::reinterpret_steal<py::object>(capsule);
}

py::object to_dlpack(Tensor t, const py::object& stream, const py::object& max_version,
                     const py::object& device, const py::object& copy) {
  if (!stream.is_none()) refuse("[__dlpack__] stream must be None, as the memory is the CPU's");
  if (!device.is_none() && device.cast<std::pair<int, int>>() != std::pair<int, int>(kCpu, 0))
    refuse("[__dlpack__] dl_device must be (1, 0), the CPU, but got ",
           py::str(device).cast<std::string>());
  if (autograd::requires_grad(t))
    refuse("[__dlpack__] a tensor that requires a gradient cannot be shared; use x.detach()");
  uint64_t flags = 0;
  if (!copy.is_none() && copy.cast<bool>()) {
    t = t.clone();
    flags |= kCopied;
  }
  if (!t.storage()->writable()) flags |= kReadOnly;
  if (!max_version.is_none() && max_version.cast<std::pair<int, int>>().first >= 1)
    return make_capsule<DLManagedTensorVersioned>(t, flags);
  if (flags & kReadOnly)
    refuse("[__dlpack__] the memory is read-only, which only DLPack 1.0 and later can say");
  return make_capsule<DLManagedTensor>(t, flags);
}

// ------------------------------------------------------------------------------ into groundup

DType dtype_from_dlpack(DLDataType d) {
  if (d.lanes != 1)
    fail<DTypeError>("[from_dlpack] elements must have one lane, but got ", d.lanes);
  for (DType dtype :
       {DType::boolean, DType::int64, DType::bfloat16, DType::float32, DType::float64}) {
    DLDataType known = dlpack_type(dtype);
    if (known.code == d.code && known.bits == d.bits) return dtype;
  }
  const std::map<int, std::string> kinds = {
      {kInt, "int"}, {kUInt, "uint"}, {kFloat, "float"}, {kComplex, "complex"}};
  auto kind = kinds.find(d.code);
  fail<DTypeError>(
      "[from_dlpack] dtype must be bool, int64, bfloat16, float32 or float64, but got ",
      kind != kinds.end() ? kind->second : "type code " + std::to_string(d.code) + " with bits ",
      static_cast<int>(d.bits));
}

// Everything a producer may get wrong is looked at before anything is read through the pointer.
Shape check_shape(const DLTensor& d) {
  if (d.device.type != kCpu)
    refuse("[from_dlpack] the memory must be the CPU's, but got device type ", d.device.type);
  if (d.ndim < 0 || d.ndim > 64 || (d.ndim > 0 && !d.shape))
    fail<ShapeError>("[from_dlpack] the number of axes must be in 0 to 64, but got ", d.ndim);
  Shape shape(d.shape, d.shape + d.ndim);
  if (count(shape) > 0 && !d.data) refuse("[from_dlpack] the memory is missing");
  return shape;
}

bool is_contiguous(const DLTensor& d, const Shape& shape) {
  if (!d.strides || count(shape) == 0) return true;
  int64_t expected = 1;
  for (size_t i = shape.size(); i-- > 0; expected *= shape[i])
    if (shape[i] != 1 && d.strides[i] != expected) return false;
  return true;
}

template <class Managed>
Tensor take(const py::object& capsule) {
  auto* managed = static_cast<Managed*>(PyCapsule_GetPointer(capsule.ptr(), Names<Managed>::fresh));
  if (!managed) throw py::error_already_set();
  bool writable = true;
  if constexpr (std::is_same_v<Managed, DLManagedTensorVersioned>) {
    // The layout of everything but the version may differ then.
    if (managed->major != 1)
      refuse("[from_dlpack] the DLPack version must be 1, but got ", managed->major, ".",
             managed->minor);
    writable = !(managed->flags & kReadOnly);
  }
  const DLTensor& d = managed->tensor;
  Shape shape = check_shape(d);
  DType dtype = dtype_from_dlpack(d.dtype);
  auto* data = static_cast<std::byte*>(d.data) + (d.data ? d.byte_offset : 0);
  if (!is_contiguous(d, shape))
    fail<ValueError>(
        "[from_dlpack] only contiguous memory can be shared; make the array contiguous first");
  if (reinterpret_cast<uintptr_t>(data) % static_cast<uintptr_t>(itemsize(dtype)) != 0)
    fail<ValueError>("[from_dlpack] the memory must be aligned to its elements");
  // From here on it is ours. The deleter may be Python's, so it gets the GIL.
  if (PyCapsule_SetName(capsule.ptr(), Names<Managed>::used) != 0) throw py::error_already_set();
  std::shared_ptr<void> owner(managed, [](void* p) {
    if (!Py_IsInitialized()) return;
    py::gil_scoped_acquire gil;
    auto* m = static_cast<Managed*>(p);
    if (m->deleter) m->deleter(m);
  });
  return Tensor::from_foreign(data, std::move(shape), dtype, std::move(owner), writable);
}

Tensor from_dlpack(const py::object& source) {
  if (!py::hasattr(source, "__dlpack__") || !py::hasattr(source, "__dlpack_device__"))
    fail<TypeError>("[from_dlpack] source must have __dlpack__ and __dlpack_device__, but got ",
                    Py_TYPE(source.ptr())->tp_name);
  int device = source.attr("__dlpack_device__")().cast<py::tuple>()[0].cast<int>();
  if (device != kCpu)
    refuse("[from_dlpack] the memory must be the CPU's, but got device type ", device);
  py::object capsule;
  try {
    capsule = source.attr("__dlpack__")(py::arg("max_version") = py::make_tuple(1, 0));
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_TypeError)) throw;
    capsule = source.attr("__dlpack__")();  // a producer from before version 1.0
  }
  if (PyCapsule_IsValid(capsule.ptr(), Names<DLManagedTensorVersioned>::fresh))
    return take<DLManagedTensorVersioned>(capsule);
  if (PyCapsule_IsValid(capsule.ptr(), Names<DLManagedTensor>::fresh))
    return take<DLManagedTensor>(capsule);
  fail<TypeError>("[from_dlpack] __dlpack__ must return an unused DLPack capsule, but got ",
                  Py_TYPE(capsule.ptr())->tp_name);
}

void bind(py::module_& m) {
  auto tensor = py::reinterpret_borrow<py::class_<Tensor>>(m.attr("Tensor"));
  tensor
      .def("__dlpack__", &to_dlpack, py::kw_only(), py::arg("stream") = py::none(),
           py::arg("max_version") = py::none(), py::arg("dl_device") = py::none(),
           py::arg("copy") = py::none(), "The memory as a DLPack capsule.")
      .def("__dlpack_device__", [](const Tensor&) { return py::make_tuple(kCpu, 0); });
  m.def("from_dlpack", &from_dlpack, py::arg("source"),
        "A tensor over the memory of any array that speaks DLPack.");
}

const Binder binder(&bind);

}  // namespace
}  // namespace gu::bindings
