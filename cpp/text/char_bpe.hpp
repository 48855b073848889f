#pragma once
// Byte-pair encoding over characters, as SentencePiece has it: a text starts as characters, those
// outside the vocabulary as their bytes, and of all neighbouring pairs the one with the lowest
// order is merged, the leftmost of equal ones. Reference: groundup/reference/char_bpe.py.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "text/pair_table.hpp"
#include "text/scratch_pool.hpp"
#include "text/token_span.hpp"
#include "text/trie.hpp"

namespace gu::text {

struct CharBpeOptions {
  // Of each byte, for characters that are no token; Trie::kNone where there is none.
  std::optional<std::array<uint32_t, 256>> byte_ids;
  std::optional<uint32_t> unknown_id;
  bool fuse_unknown = true;  // unknown characters beside each other are one token
  bool whole_words = false;  // a word that is a token becomes it, whatever the merges make
  bool split = false;        // words begin at each U+2581 and are encoded one by one
};

struct OrderedMerge {
  uint32_t left, right, result, order;
};

struct CharBpeScratch;

class CharBpe {
 public:
  // vocabulary: (token, id), unique. Merges with equal orders are equally urgent.
  CharBpe(const std::vector<std::pair<std::string, uint32_t>>& vocabulary,
          const std::vector<OrderedMerge>& merges, CharBpeOptions options);
  ~CharBpe();

  // Append the ids of text[0, size). Safe to call from several threads.
  void encode(const uint8_t* text, std::size_t size, std::vector<uint32_t>& ids) const;
  void encode_spans(const uint8_t* text, std::size_t size, std::vector<TokenSpan>& tokens) const;

 private:
  std::size_t word_end(const uint8_t* text, std::size_t at, std::size_t size) const;
  void encode_word(const uint8_t* word, std::size_t size, CharBpeScratch& scratch) const;
  void start(const uint8_t* word, std::size_t size, std::vector<TokenSpan>& tokens) const;
  void merge_short(std::vector<TokenSpan>& tokens) const;
  void merge_long(CharBpeScratch& scratch) const;

  Trie trie_;
  PairTable pairs_;
  CharBpeOptions options_;
  bool words_apart_;  // no token holds a U+2581 after another character, so words never touch
  mutable ScratchPool<CharBpeScratch> pool_;
};

}  // namespace gu::text
