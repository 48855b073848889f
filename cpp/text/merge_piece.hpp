#pragma once
// Byte-pair encoding itself, of one piece of text: it starts as bytes, and of all neighbouring
// pairs the one that was learned first is merged, the leftmost of equal ones, until none is left.
// Reference: groundup/reference/bpe.py.

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "text/ids.hpp"
#include "text/merge_queue.hpp"
#include "text/pair_table.hpp"
#include "text/vocabulary.hpp"

namespace gu::text {

// Says of each merge whether it is left out, at random.
class Dropout {
 public:
  Dropout(double probability, uint64_t seed) : probability_(probability), state_(seed) {}
  bool operator()();

 private:
  double probability_;
  uint64_t state_;
};

class PieceMerger {
 public:
  // Holds on to the vocabulary.
  PieceMerger(const Vocabulary& vocabulary, std::size_t merges);

  // False if the pair is there already, which then stays as it was.
  bool add(uint32_t left, uint32_t right, Merged merged);

  // kNoToken if the byte is no token; then it is part of no merge, and its id in what follows.
  uint32_t byte_id(uint8_t byte) const { return byte_ids_[byte]; }

  // Append the ids of p[0, n).
  void merge(const uint8_t* p, std::size_t n, MergeQueue& queue, Ids& out) const;
  void merge_with_dropout(const uint8_t* p, std::size_t n, Dropout& dropout, MergeQueue& queue,
                          Ids& out) const;

 private:
  void merge_short(const uint8_t* p, std::size_t n, Ids& out) const;
  void merge_long(const uint8_t* p, std::size_t n, MergeQueue& queue, Ids& out) const;
  std::size_t merge_window(const uint8_t* p, std::size_t n, std::size_t sure, MergeQueue& queue,
                           Ids& out) const;
  std::size_t length(uint32_t id) const { return id == kNoToken ? 1 : vocabulary_[id].size(); }

  const Vocabulary& vocabulary_;
  std::array<uint32_t, 256> byte_ids_;
  PairTable pairs_;
  std::vector<Merged> byte_pairs_;  // 256 x 256: the pairs of single bytes, by their bytes
};

}  // namespace gu::text
