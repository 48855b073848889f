// Training of tokenizers: pieces counted from texts, merges learned from pieces.

#include <pybind11/functional.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "bindings/text.hpp"
#include "core/errors.hpp"
#include "text/bpe_trainer.hpp"
#include "text/piece_counter.hpp"

namespace py = pybind11;

namespace gu::bindings {

namespace {

using text::PieceCounter;
using text::Pieces;

constexpr const char* kName = "BPETokenizer";
constexpr size_t kBlock = size_t{4} << 20;  // bytes between two looks at Ctrl-C

// Ctrl-C and other signals, whose Python handlers may raise.
void check_signals() {
  if (PyErr_CheckSignals() != 0) throw py::error_already_set();
}

void add_block(PieceCounter& counter, const Bytes& block) {
  for (size_t done = 0; done < block.size; done += kBlock) {
    const size_t size = std::min(kBlock, block.size - done);
    if (!counter.counts_after(
            size)) {  // too short to let other threads in: they would keep the GIL
      counter.add(block.data + done, size);
      continue;
    }
    {
      py::gil_scoped_release release;
      counter.add(block.data + done, size);
    }
    check_signals();
  }
}

void add_piece(PieceCounter& counter, const py::handle& piece) {
  const Bytes bytes = bytes_of(piece, kName);
  counter.add_piece(bytes.data, bytes.size, 1);
}

Pieces pieces_from(const std::vector<std::pair<py::bytes, uint64_t>>& counted) {
  Pieces pieces;
  for (const auto& [piece, count] : counted) {
    const Bytes bytes = bytes_of(piece, kName);
    pieces.bytes.insert(pieces.bytes.end(), bytes.data, bytes.data + bytes.size);
    pieces.ends.push_back(pieces.bytes.size());
    pieces.counts.push_back(count);
  }
  return pieces;
}

py::list items(const Pieces& pieces) {
  py::list result;
  for (size_t i = 0; i < pieces.size(); ++i) {
    const auto begin = pieces.begin(i);
    result.append(py::make_tuple(
        py::bytes(reinterpret_cast<const char*>(&pieces.bytes[begin]), pieces.ends[i] - begin),
        pieces.counts[i]));
  }
  return result;
}

py::tuple train(const Pieces& pieces, size_t n_merges, uint64_t min_count, bool first_seen,
                const std::vector<uint32_t>& byte_ids,
                const std::optional<std::function<void(size_t)>>& progress) {
  std::array<bool, 256> seen{};
  for (const uint32_t id : byte_ids) {
    if (id < 256) seen[id] = true;
  }
  if (byte_ids.size() != 256 || std::count(seen.begin(), seen.end(), true) != 256) {
    fail<ValueError>("[train_bpe] byte_ids must hold each of 0 to 255 once");
  }
  text::TrainOptions options;
  options.n_merges = n_merges;
  options.min_count = std::max<uint64_t>(min_count, 1);
  options.tie_break = first_seen ? text::TieBreak::first_seen : text::TieBreak::smaller_ids;
  std::copy(byte_ids.begin(), byte_ids.end(), options.byte_ids.begin());

  using Clock = std::chrono::steady_clock;
  auto told = Clock::now();
  const auto tell = [&](size_t done) {
    const auto now = Clock::now();
    if (now - told < std::chrono::milliseconds(50)) return;
    told = now;
    py::gil_scoped_acquire gil;
    check_signals();
    if (progress) (*progress)(done);
  };
  std::vector<text::LearnedMerge> merges;
  {
    py::gil_scoped_release release;
    merges = text::train_bpe(pieces, options, tell);
  }
  const auto n = static_cast<py::ssize_t>(merges.size());
  py::array_t<uint32_t> pairs({n, py::ssize_t{2}});
  py::array_t<uint64_t> counts(n);
  auto pair = pairs.mutable_unchecked<2>();
  auto count = counts.mutable_unchecked<1>();
  for (py::ssize_t i = 0; i < n; ++i) {
    const text::LearnedMerge& merge = merges[static_cast<size_t>(i)];
    pair(i, 0) = merge.left;
    pair(i, 1) = merge.right;
    count(i) = merge.count;
  }
  return py::make_tuple(pairs, counts);
}

void bind(py::module_& m) {
  py::class_<Pieces>(m, "Pieces", "Distinct pieces of a text and how often each occurs.")
      .def(py::init(&pieces_from), py::arg("counted"))
      .def("__len__", &Pieces::size)
      .def("items", &items, "(piece, count) of each, in the order of their first occurrence.");
  py::class_<PieceCounter>(m, "PieceCounter",
                           "Counts the pieces of texts, in memory that their number bounds.")
      .def(py::init([](const std::string& pattern, std::vector<std::string> special_tokens,
                       size_t block) {
             return PieceCounter(text::pattern_from_name(pattern), std::move(special_tokens),
                                 block);
           }),
           py::arg("pattern"), py::arg("special_tokens"), py::arg("block") = kBlock)
      .def(
          "add_text",
          [](PieceCounter& counter, const py::handle& text) {
            add_block(counter, bytes_of(text, kName));
            counter.end_text();
          },
          py::arg("text"), "Count a whole text, str or bytes.")
      .def(
          "add_block",
          [](PieceCounter& counter, const py::bytes& block) {
            add_block(counter, bytes_of(block, kName));
          },
          py::arg("block"), "Count the next bytes of a text that comes in blocks.")
      .def("end_text", &PieceCounter::end_text, "The text that came in blocks ends here.")
      .def("add_piece", &add_piece, py::arg("piece"), "Count a piece that was split elsewhere.")
      .def_property_readonly("n_bytes", &PieceCounter::n_bytes, "Bytes of text so far.")
      .def("finish", &PieceCounter::finish, py::call_guard<py::gil_scoped_release>(),
           "The pieces; the counter is empty afterwards.");
  m.def("train_bpe", &train, py::arg("pieces"), py::arg("n_merges"), py::arg("min_count"),
        py::arg("first_seen"), py::arg("byte_ids"), py::arg("progress") = py::none(),
        "Merges as (left, right) ids [n, 2], and how often each pair stood in the text [n].");
}

const Binder binder(&bind);

}  // namespace
}  // namespace gu::bindings
