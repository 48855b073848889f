// WordPiece, Unigram and the characters that BERT's normalizer goes by. Text comes as bytes, ids
// leave as uint32 arrays; the GIL is released while C++ works.

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "bindings/bind.hpp"
#include "bindings/text.hpp"
#include "core/errors.hpp"
#include "core/threads.hpp"
#include "text/bert.hpp"
#include "text/char_bpe.hpp"
#include "text/unigram.hpp"
#include "text/unigram_trainer.hpp"
#include "text/wordpiece.hpp"

namespace py = pybind11;

namespace gu::bindings {

namespace {

// Str or bytes, short enough for the positions in it, which are 32 bits wide.
Bytes text_of(const py::handle& text, const char* name) {
  const Bytes bytes = bytes_of(text, name);
  if (bytes.size >= 0xFFFFFFFF) {
    fail<ValueError>("[", name, "] text must be shorter than 4 GiB, but got ", bytes.size,
                     " bytes");
  }
  return bytes;
}

// The memory of a vector as an array that owns it.
template <class T>
py::array_t<T> to_array(std::vector<T>&& values) {
  auto* held = new std::vector<T>(std::move(values));
  py::capsule owner(held, [](void* p) { delete static_cast<std::vector<T>*>(p); });
  return py::array_t<T>(static_cast<py::ssize_t>(held->size()), held->data(), owner);
}

template <class Model>
py::array_t<uint32_t> encode(const Model& model, const char* name, const py::handle& text) {
  const Bytes bytes = text_of(text, name);
  std::vector<uint32_t> ids;
  {
    py::gil_scoped_release release;
    model.encode(bytes.data, bytes.size, ids);
  }
  return to_array(std::move(ids));
}

// Ids of all texts in one array, and where each text's begin: N+1 offsets.
template <class Model>
py::tuple encode_batch(const Model& model, const char* name, const std::vector<py::object>& texts,
                       int threads) {
  std::vector<Bytes> views;
  std::size_t bytes = 0;
  for (const py::object& text : texts) {
    views.push_back(text_of(text, name));
    bytes += views.back().size;
  }
  const int parts = static_cast<int>(std::min<std::size_t>(
      static_cast<std::size_t>(std::max(threads, 1)), std::max<std::size_t>(views.size(), 1)));
  std::vector<std::vector<uint32_t>> ids(static_cast<std::size_t>(parts));
  std::vector<int64_t> offsets(views.size() + 1, 0);
  std::vector<uint32_t> all;
  {
    py::gil_scoped_release release;
    // Contiguous parts of about equal bytes.
    std::vector<std::size_t> first(static_cast<std::size_t>(parts) + 1, views.size());
    std::size_t seen = 0, part = 0;
    for (std::size_t i = 0; i < views.size() && part < first.size(); ++i) {
      while (part < static_cast<std::size_t>(parts) &&
             seen * static_cast<std::size_t>(parts) >= bytes * part) {
        first[part++] = i;
      }
      seen += views[i].size;
    }
    first.back() = views.size();
    parallel_parts(parts, [&](int p) {
      std::vector<uint32_t>& out = ids[static_cast<std::size_t>(p)];
      for (std::size_t i = first[static_cast<std::size_t>(p)];
           i < first[static_cast<std::size_t>(p) + 1]; ++i) {
        const std::size_t before = out.size();
        model.encode(views[i].data, views[i].size, out);
        offsets[i + 1] = static_cast<int64_t>(out.size() - before);
      }
    });
    for (std::size_t i = 0; i < views.size(); ++i) offsets[i + 1] += offsets[i];
    all.reserve(static_cast<std::size_t>(offsets.back()));
    for (const std::vector<uint32_t>& some : ids) all.insert(all.end(), some.begin(), some.end());
  }
  return py::make_tuple(to_array(std::move(all)), to_array(std::move(offsets)));
}

// Ids, and the bytes of the text that each stands for: uint32 arrays of N and of N×2.
template <class Model>
py::tuple encode_spans(const Model& model, const char* name, const py::handle& text) {
  const Bytes bytes = text_of(text, name);
  std::vector<text::TokenSpan> tokens;
  {
    py::gil_scoped_release release;
    model.encode_spans(bytes.data, bytes.size, tokens);
  }
  const auto n = static_cast<py::ssize_t>(tokens.size());
  py::array_t<uint32_t> ids(n), spans({n, py::ssize_t{2}});
  auto id = ids.mutable_unchecked<1>();
  auto span = spans.mutable_unchecked<2>();
  for (py::ssize_t i = 0; i < n; ++i) {
    const text::TokenSpan& token = tokens[static_cast<std::size_t>(i)];
    id(i) = token.id;
    span(i, 0) = token.begin;
    span(i, 1) = token.end;
  }
  return py::make_tuple(ids, spans);
}

// `name` is what errors begin with.
template <class Model>
void bind_encoders(py::class_<Model>& c, const char* name) {
  c.def(
       "encode",
       [name](const Model& model, const py::object& text) { return encode(model, name, text); },
       py::arg("text"), "Ids of a text, a uint32 array.")
      .def(
          "encode_batch",
          [name](const Model& model, const std::vector<py::object>& texts, int threads) {
            return encode_batch(model, name, texts, threads);
          },
          py::arg("texts"), py::arg("threads"),
          "Ids of all texts in one array, and the N+1 offsets at which each text's begin.")
      .def(
          "encode_spans",
          [name](const Model& model, const py::object& text) {
            return encode_spans(model, name, text);
          },
          py::arg("text"), "Ids, and for each the bytes (begin, end) of the text it stands for.");
}

// 256 ids or None, or nothing at all.
std::optional<std::array<uint32_t, 256>> byte_table(
    const std::vector<std::optional<uint32_t>>& ids) {
  if (ids.empty()) return std::nullopt;
  std::array<uint32_t, 256> table;
  for (std::size_t i = 0; i < 256; ++i) table[i] = ids.at(i).value_or(text::Trie::kNone);
  return table;
}

std::u32string to_u32(const std::vector<uint32_t>& points) {
  return {points.begin(), points.end()};
}

void bind(py::module_& m) {
  m.def("bert_class", &text::bert_class, py::arg("point"),
        "1 removed, 2 nonspacing mark, 4 white space, 8 punctuation, 16 Chinese, 32 decomposed, 64 "
        "upper case.");
  m.def("bert_combining_class", &text::bert_combining_class, py::arg("point"),
        "Canonical combining class of a code point.");
  m.def(
      "bert_decompose",
      [](uint32_t point) {
        std::vector<uint32_t> out;
        text::bert_decompose(point, out);
        return to_u32(out);
      },
      py::arg("point"), "Full canonical decomposition of a code point.");
  m.def(
      "bert_lower",
      [](uint32_t point) {
        std::vector<uint32_t> out;
        text::bert_lower(point, out);
        return to_u32(out);
      },
      py::arg("point"), "Lower case of a code point.");
  py::class_<text::WordPiece> wordpiece(m, "WordPiece");
  wordpiece.def(py::init([](const std::vector<std::pair<std::string, uint32_t>>& vocabulary,
                            uint32_t unknown, const std::string& prefix,
                            uint32_t max_chars_per_word, bool clean_text, bool handle_chinese_chars,
                            bool strip_accents, bool lowercase, bool split_punctuation) {
                  text::WordPieceOptions options;
                  options.normalizer = {clean_text, handle_chinese_chars, strip_accents, lowercase};
                  options.split_punctuation = split_punctuation;
                  options.prefix = prefix;
                  options.max_chars_per_word = max_chars_per_word;
                  return std::make_unique<text::WordPiece>(vocabulary, unknown, options);
                }),
                py::arg("vocabulary"), py::arg("unknown"), py::arg("prefix"),
                py::arg("max_chars_per_word"), py::arg("clean_text"),
                py::arg("handle_chinese_chars"), py::arg("strip_accents"), py::arg("lowercase"),
                py::arg("split_punctuation"));
  bind_encoders(wordpiece, "WordPieceTokenizer");

  py::class_<text::Unigram> unigram(m, "Unigram");
  unigram.def(py::init([](const std::vector<std::tuple<std::string, double, uint32_t>>& pieces,
                          double unknown_score, std::optional<uint32_t> unknown_id,
                          const std::vector<std::optional<uint32_t>>& byte_ids, bool split) {
                std::vector<text::Piece> list;
                for (const auto& [piece, score, id] : pieces) list.push_back({piece, score, id});
                return std::make_unique<text::Unigram>(list, unknown_score, unknown_id,
                                                       byte_table(byte_ids), split);
              }),
              py::arg("pieces"), py::arg("unknown_score"), py::arg("unknown_id"),
              py::arg("byte_ids"), py::arg("split"));
  bind_encoders(unigram, "UnigramTokenizer");

  py::class_<text::CharBpe> char_bpe(m, "CharBpe");
  char_bpe.def(
      py::init([](const std::vector<std::pair<std::string, uint32_t>>& vocabulary,
                  const std::vector<std::tuple<uint32_t, uint32_t, uint32_t, uint32_t>>& merges,
                  const std::vector<std::optional<uint32_t>>& byte_ids,
                  std::optional<uint32_t> unknown_id, bool fuse_unknown, bool whole_words,
                  bool split) {
        std::vector<text::OrderedMerge> list;
        for (const auto& [left, right, result, order] : merges) {
          list.push_back({left, right, result, order});
        }
        return std::make_unique<text::CharBpe>(
            vocabulary, list,
            text::CharBpeOptions{byte_table(byte_ids), unknown_id, fuse_unknown, whole_words,
                                 split});
      }),
      py::arg("vocabulary"), py::arg("merges"), py::arg("byte_ids"), py::arg("unknown_id"),
      py::arg("fuse_unknown"), py::arg("whole_words"), py::arg("split"),
      "merges: (left, right, result, order), ids all but the last.");
  bind_encoders(char_bpe, "SentencePieceBPETokenizer");

  using text::UnigramTrainer;
  const py::call_guard<py::gil_scoped_release> release;
  py::class_<UnigramTrainer>(m, "UnigramTrainer")
      .def(py::init([](std::vector<std::pair<std::string, int64_t>> words, uint32_t longest,
                       std::size_t seed) {
             std::size_t bytes = 0;
             for (const auto& [word, count] : words) bytes += word.size();
             if (bytes >= 0xFFFFFFFF) {
               fail<ValueError>(
                   "[UnigramTokenizer] distinct words must have less than 4 GiB, but got ", bytes,
                   " bytes");
             }
             py::gil_scoped_release release;
             return std::make_unique<UnigramTrainer>(std::move(words),
                                                     text::UnigramTrainerOptions{longest, seed});
           }),
           py::arg("words"), py::arg("longest"), py::arg("seed"))
      .def("__len__", &UnigramTrainer::size)
      .def("characters", &UnigramTrainer::characters, "Pieces of one character.")
      .def("step", &UnigramTrainer::step, py::arg("least"), release,
           "Expectation-maximization; the log likelihood before it.")
      .def("prune", &UnigramTrainer::prune, py::arg("target"), release,
           "Keep the pieces that the likelihood needs most.")
      .def("finish", &UnigramTrainer::finish, py::arg("target"), release,
           "Keep the characters and the best-scored others.")
      .def("pieces", &UnigramTrainer::pieces, "Pieces and log probabilities, best first.");
}

const Binder binder(&bind);

}  // namespace
}  // namespace gu::bindings
