// Tokenizers: text in as str or bytes, ids out as arrays or lists.

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "bindings/text.hpp"
#include "core/threads.hpp"
#include "text/batch.hpp"
#include "text/bpe.hpp"
#include "text/window.hpp"

namespace py = pybind11;

namespace gu::bindings {

Bytes bytes_of(const py::handle& text, const char* op) {
  if (PyUnicode_Check(text.ptr())) {
    Py_ssize_t size = 0;
    const char* data = PyUnicode_AsUTF8AndSize(text.ptr(), &size);
    if (data == nullptr) {
      PyErr_Clear();
      const Py_ssize_t length = PyUnicode_GetLength(text.ptr());
      for (Py_ssize_t i = 0; i < length; ++i) {
        const Py_UCS4 c = PyUnicode_ReadChar(text.ptr(), i);
        if (c >= 0xd800 && c < 0xe000) {
          char hex[8];
          std::snprintf(hex, sizeof(hex), "%04X", static_cast<unsigned>(c));
          fail<ValueError>("[", op, "] text must be Unicode, but got the lone surrogate U+", hex,
                           " at position ", i);
        }
      }
      throw py::error_already_set();
    }
    return {reinterpret_cast<const uint8_t*>(data), static_cast<size_t>(size)};
  }
  if (PyBytes_Check(text.ptr())) {
    return {reinterpret_cast<const uint8_t*>(PyBytes_AS_STRING(text.ptr())),
            static_cast<size_t>(PyBytes_GET_SIZE(text.ptr()))};
  }
  fail<TypeError>("[", op, "] text must be a str or bytes, but got ", Py_TYPE(text.ptr())->tp_name);
}

namespace {

py::object split_offsets(const std::string& pattern, const py::object& text) {
  const text::Pattern p = text::pattern_from_name(pattern);
  const Bytes bytes = bytes_of(text, "split");
  std::vector<int64_t> ends{0};
  {
    py::gil_scoped_release release;
    text::split(p, bytes.data, bytes.size,
                [&](const uint8_t*, const uint8_t* end) { ends.push_back(end - bytes.data); });
  }
  return py::array_t<int64_t>(static_cast<py::ssize_t>(ends.size()), ends.data());
}

// Texts shorter than this are encoded sooner than the lock is given away and taken again.
constexpr size_t kKeepLock = 4096;

template <class F>
void without_lock(size_t bytes, F&& work) {
  if (bytes < kKeepLock) return work();
  py::gil_scoped_release release;
  work();
}

// An array that takes the ids' memory over.
py::array_t<uint32_t> to_array(text::Ids&& ids) {
  const auto n = static_cast<py::ssize_t>(ids.size());
  uint32_t* const memory = ids.release();
  return py::array_t<uint32_t>(n, memory, py::capsule(memory, [](void* p) { std::free(p); }));
}

py::list to_list(const uint32_t* ids, size_t n) {
  py::list list(n);
  for (size_t i = 0; i < n; ++i) {
    PyList_SET_ITEM(list.ptr(), static_cast<py::ssize_t>(i), PyLong_FromUnsignedLong(ids[i]));
    if (!PyList_GET_ITEM(list.ptr(), static_cast<py::ssize_t>(i))) throw py::error_already_set();
  }
  return list;
}

text::Vocabulary vocabulary_from(const py::sequence& tokens, bool repeats) {
  std::vector<uint8_t> bytes;
  std::vector<uint64_t> begins{0};
  const size_t n = tokens.size();
  begins.reserve(n + 1);
  for (size_t i = 0; i < n; ++i) {
    const py::object token = tokens[i];
    if (!token.is_none()) {
      if (!PyBytes_Check(token.ptr())) {
        fail<TypeError>("[BPETokenizer] tokens must be bytes or None, but got ",
                        Py_TYPE(token.ptr())->tp_name, " as id ", i);
      }
      const Bytes b = bytes_of(token, "BPETokenizer");
      if (b.size == 0)
        fail<ValueError>("[BPETokenizer] tokens must not be empty, but id ", i, " is");
      bytes.insert(bytes.end(), b.data, b.data + b.size);
    }
    begins.push_back(bytes.size());
  }
  return {std::move(bytes), std::move(begins), repeats};
}

using MergeArray = py::array_t<int64_t, py::array::c_style | py::array::forcecast>;

std::unique_ptr<text::Bpe> make_bpe(const py::sequence& tokens,
                                    const std::optional<MergeArray>& merges, bool whole_pieces,
                                    const std::string& pattern) {
  const text::Pattern p = text::pattern_from_name(pattern);
  text::Vocabulary vocabulary = vocabulary_from(tokens, false);
  const auto pause = [] {
    const py::gil_scoped_acquire lock;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
  };
  if (!merges) {
    py::gil_scoped_release release;
    return std::make_unique<text::Bpe>(std::move(vocabulary), p, pause);
  }
  // [merges, 3]: left, right, result
  if (merges->ndim() != 2 || merges->shape(1) != 3) {
    fail<ShapeError>("[BPETokenizer] merges must have shape (merges, 3), but got ",
                     std::vector<int64_t>(merges->shape(), merges->shape() + merges->ndim()));
  }
  const auto view = merges->unchecked<2>();
  std::vector<text::Merge> list;
  for (py::ssize_t i = 0; i < view.shape(0); ++i) {
    uint32_t ids[3];
    for (int j = 0; j < 3; ++j) {
      const int64_t id = view(i, j);
      if (id < 0 || !vocabulary.has(static_cast<uint64_t>(id))) {
        fail<ValueError>("[BPETokenizer] merge ", i, " must be of tokens, but got id ", id);
      }
      ids[j] = static_cast<uint32_t>(id);
    }
    list.push_back({ids[0], ids[1], ids[2]});
  }
  py::gil_scoped_release release;
  return std::make_unique<text::Bpe>(std::move(vocabulary), list, whole_pieces, p, pause);
}

text::Ids encode(const text::Bpe& bpe, const py::handle& text, const text::AddedTokens& added) {
  const Bytes bytes = bytes_of(text, "BPETokenizer");
  text::Ids ids;
  without_lock(bytes.size, [&] {
    bpe.encode(bytes.data, bytes.size, added, {bytes.data, bool(PyUnicode_Check(text.ptr()))}, ids);
  });
  return ids;
}

// The texts stay alive in `held`.
std::vector<text::TextView> views_of(const py::list& held) {
  std::vector<text::TextView> views;
  views.reserve(held.size());
  for (const py::handle text : held) {
    const Bytes b = bytes_of(text, "BPETokenizer");
    views.push_back({b.data, b.size, bool(PyUnicode_Check(text.ptr()))});
  }
  return views;
}

struct Batch {
  text::Ids ids;
  std::vector<int64_t> begins;
};

Batch encode_batch(const text::Bpe& bpe, const py::list& texts, const text::AddedTokens& added,
                   std::optional<int> threads) {
  if (threads && (*threads < 1 || *threads > kMaxThreads)) {
    fail<ValueError>("[BPETokenizer] threads must be from 1 to ", kMaxThreads, ", but got ",
                     *threads);
  }
  const std::vector<text::TextView> views = views_of(texts);
  Batch batch;
  py::gil_scoped_release release;
  batch.ids = text::encode_batch(
      bpe, views, added, std::min(threads.value_or(num_threads()), num_threads()), batch.begins);
  return batch;
}

// Where a str or bytes may be cut, as an index into it.
size_t safe_cut(const text::Bpe& bpe, const py::handle& text, const text::AddedTokens& added) {
  const Bytes bytes = bytes_of(text, "BPETokenizer");
  const size_t cut = bpe.safe_cut(bytes.data, bytes.size, added);
  if (!PyUnicode_Check(text.ptr())) return cut;
  return static_cast<size_t>(
      std::count_if(bytes.data, bytes.data + cut, [](uint8_t b) { return (b & 0xc0) != 0x80; }));
}

py::bytes decode(const text::Vocabulary& tokens,
                 const py::array_t<int64_t, py::array::c_style | py::array::forcecast>& ids) {
  size_t size = 0;
  const int64_t* const data = ids.data();
  const auto n = static_cast<size_t>(ids.size());
  for (size_t i = 0; i < n; ++i) {
    if (data[i] < 0 || !tokens.has(static_cast<uint64_t>(data[i]))) {
      fail<ValueError>("[BPETokenizer] ids must be of the vocabulary, but got ", data[i],
                       " at position ", i);
    }
    size += tokens[static_cast<uint32_t>(data[i])].size();
  }
  py::bytes bytes(nullptr, size);
  auto* to = reinterpret_cast<uint8_t*>(PyBytes_AS_STRING(bytes.ptr()));
  for (size_t i = 0; i < n; ++i) {
    const auto token = tokens[static_cast<uint32_t>(data[i])];
    std::copy(token.begin(), token.end(), to);
    to += token.size();
  }
  return bytes;
}

py::object token_of(const text::Vocabulary& tokens, int64_t id) {
  if (id < 0 || !tokens.has(static_cast<uint64_t>(id))) return py::none();
  const auto token = tokens[static_cast<uint32_t>(id)];
  return py::bytes(reinterpret_cast<const char*>(token.data()), token.size());
}

std::optional<uint32_t> id_of(const text::Vocabulary& tokens, const py::bytes& token) {
  const Bytes b = bytes_of(token, "BPETokenizer");
  const uint32_t id = tokens.find(b.data, b.size);
  return id == text::kNoToken ? std::nullopt : std::optional(id);
}

void bind(py::module_& m) {
  using text::AddedTokens;
  using text::Bpe;
  using text::Vocabulary;
  py::class_<Vocabulary>(m, "Vocabulary", "Tokens by id and ids by token.")
      .def(py::init(&vocabulary_from), py::arg("tokens"), py::arg("repeats") = false)
      .def("__len__", &Vocabulary::size)
      .def("token", &token_of, py::arg("id"))
      .def("find", &id_of, py::arg("token"))
      .def("decode", &decode, py::arg("ids"));
  py::class_<AddedTokens>(m, "AddedTokens", "Tokens that are found in a text before it is split.")
      .def(py::init([](const std::vector<std::tuple<std::string, uint32_t, bool, bool, bool, bool>>&
                           tokens) {
             std::vector<text::AddedToken> list;
             for (const auto& [name, id, forbidden, lstrip, rstrip, single_word] : tokens) {
               list.push_back({name, id, forbidden, lstrip, rstrip, single_word});
             }
             return AddedTokens(std::move(list));
           }),
           py::arg("tokens"), "From (text, id, forbidden, lstrip, rstrip, single_word) each.")
      .def(
          "find",
          [](const AddedTokens& self, const py::object& text) {
            const Bytes b = bytes_of(text, "BPETokenizer");
            py::list found;
            for (size_t from = 0;;) {
              const AddedTokens::Match match = self.find(b.data, b.size, from);
              if (!match.token) return found;
              found.append(py::make_tuple(match.begin, match.end, match.token->id));
              from = match.end;
            }
          },
          py::arg("text"), "All of them in a text: (begin, end, id) each, in bytes.");
  py::class_<Bpe>(m, "Bpe", "Byte-pair encoding of bytes.")
      .def(py::init(&make_bpe), py::arg("tokens"), py::arg("merges"), py::arg("whole_pieces"),
           py::arg("pattern"))
      .def(
          "encode",
          [](const Bpe& self, const py::object& text, const AddedTokens& added) {
            const text::Ids ids = encode(self, text, added);
            return to_list(ids.data(), ids.size());
          },
          py::arg("text"), py::arg("added"))
      .def(
          "encode_to_numpy",
          [](const Bpe& self, const py::object& text, const AddedTokens& added) -> py::object {
            return to_array(encode(self, text, added));
          },
          py::arg("text"), py::arg("added"))
      .def(
          "encode_batch",
          [](const Bpe& self, const py::list& texts, const AddedTokens& added,
             std::optional<int> threads) {
            const Batch batch = encode_batch(self, texts, added, threads);
            py::list lists(texts.size());
            for (size_t i = 0; i < texts.size(); ++i) {
              const auto begin = static_cast<size_t>(batch.begins[i]);
              lists[i] = to_list(batch.ids.data() + begin,
                                 static_cast<size_t>(batch.begins[i + 1]) - begin);
            }
            return lists;
          },
          py::arg("texts"), py::arg("added"), py::arg("threads"))
      .def(
          "encode_batch_to_numpy",
          [](const Bpe& self, const py::list& texts, const AddedTokens& added,
             std::optional<int> threads) {
            Batch batch = encode_batch(self, texts, added, threads);
            const auto n = static_cast<py::ssize_t>(batch.begins.size());
            return py::make_tuple(to_array(std::move(batch.ids)),
                                  py::array_t<int64_t>(n, batch.begins.data()));
          },
          py::arg("texts"), py::arg("added"), py::arg("threads"))
      .def(
          "encode_pieces",
          [](const Bpe& self, const py::object& text,
             const py::array_t<uint64_t, py::array::c_style | py::array::forcecast>& ends)
              -> py::object {
            const Bytes b = bytes_of(text, "BPETokenizer");
            const std::span<const uint64_t> all(ends.data(), static_cast<size_t>(ends.size()));
            if (!std::is_sorted(all.begin(), all.end()) || (!all.empty() && all.back() > b.size)) {
              fail<ValueError>("[BPETokenizer] pieces must end in order and within ", b.size,
                               " bytes");
            }
            text::Ids ids;
            without_lock(b.size, [&] { self.encode_pieces(b.data, all, ids); });
            return to_array(std::move(ids));
          },
          py::arg("text"), py::arg("ends"))
      .def(
          "encode_with_dropout",
          [](const Bpe& self, const py::object& text, double probability,
             uint64_t seed) -> py::object {
            const Bytes b = bytes_of(text, "BPETokenizer");
            text::Ids ids;
            without_lock(b.size,
                         [&] { self.encode_with_dropout(b.data, b.size, probability, seed, ids); });
            return to_array(std::move(ids));
          },
          py::arg("text"), py::arg("probability"), py::arg("seed"))
      .def("safe_cut", &safe_cut, py::arg("text"), py::arg("added"))
      .def(
          "merges",
          [](const Bpe& self) -> py::object {
            const auto n = static_cast<py::ssize_t>(self.merges().size());
            py::array_t<uint32_t> array({n, py::ssize_t{3}});
            auto view = array.mutable_unchecked<2>();
            for (py::ssize_t i = 0; i < n; ++i) {
              const text::Merge& merge = self.merges()[static_cast<size_t>(i)];
              view(i, 0) = merge.left;
              view(i, 1) = merge.right;
              view(i, 2) = merge.result;
            }
            return array;
          },
          "(left, right, result) of each merge, in order.");
  m.def("split_offsets", &split_offsets, py::arg("pattern"), py::arg("text"),
        "The byte offsets at which a text's pieces begin, and its size.");
}

const Binder binder(&bind);

}  // namespace
}  // namespace gu::bindings
