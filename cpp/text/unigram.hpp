#pragma once
// Unigram: of all ways to spell a word with the pieces of the vocabulary, the most probable one
// (Viterbi). Reference: groundup/reference/unigram.py.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "text/scratch_pool.hpp"
#include "text/token_span.hpp"
#include "text/trie.hpp"

namespace gu::text {

struct Piece {
  std::string text;
  double score;  // log probability
  uint32_t id;
};

struct UnigramScratch;

class Unigram {
 public:
  // A character without a piece costs `unknown_score`. It becomes the ids of its bytes, where they
  // have some (Trie::kNone: none), or with its neighbours one unknown id. Words begin at each
  // U+2581 if `split`; otherwise the text is one.
  Unigram(const std::vector<Piece>& pieces, double unknown_score,
          std::optional<uint32_t> unknown_id, std::optional<std::array<uint32_t, 256>> byte_ids,
          bool split);
  ~Unigram();

  // Append the ids of text[0, size). Safe to call from several threads.
  void encode(const uint8_t* text, std::size_t size, std::vector<uint32_t>& ids) const;
  void encode_spans(const uint8_t* text, std::size_t size, std::vector<TokenSpan>& tokens) const;

 private:
  std::size_t word_end(const uint8_t* text, std::size_t at, std::size_t size) const;
  void encode_word(const uint8_t* word, std::size_t size, UnigramScratch& scratch) const;

  Trie trie_;                  // to the index of a piece
  std::vector<double> score_;  // of each piece
  std::vector<uint32_t> id_;
  double unknown_score_;
  std::optional<uint32_t> unknown_id_;
  std::optional<std::array<uint32_t, 256>> byte_ids_;
  bool split_;
  mutable ScratchPool<UnigramScratch> pool_;
};

}  // namespace gu::text
