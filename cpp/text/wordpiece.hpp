#pragma once
// WordPiece: each word is cut into the longest tokens of the vocabulary, from left to right; what
// begins inside a word carries a prefix ("##"). Reference: groundup/reference/wordpiece.py.

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "text/bert.hpp"
#include "text/scratch_pool.hpp"
#include "text/token_span.hpp"
#include "text/trie.hpp"

namespace gu::text {

struct WordPieceOptions {
  BertOptions normalizer;
  bool split_punctuation = true;  // BERT's pre-tokenizer; false: words end at white space only
  std::string prefix = "##";
  uint32_t max_chars_per_word = 100;  // longer words are unknown
};

struct WordPieceScratch;  // buffers and the cache of one thread at work

class WordPiece {
 public:
  // vocabulary: (token, id), both unique. Throws ValueError where they are not.
  WordPiece(const std::vector<std::pair<std::string, uint32_t>>& vocabulary, uint32_t unknown_id,
            WordPieceOptions options);
  ~WordPiece();

  // Append the ids of text[0, size). Safe to call from several threads.
  void encode(const uint8_t* text, std::size_t size, std::vector<uint32_t>& ids) const;
  void encode_spans(const uint8_t* text, std::size_t size, std::vector<TokenSpan>& tokens) const;

 private:
  void encode_word(const Char* word, std::size_t chars, std::string& bytes,
                   std::vector<TokenSpan>& tokens) const;
  std::size_t chunk_end(const uint8_t* text, std::size_t at, std::size_t size) const;
  void encode_chunk(const uint8_t* text, std::size_t size, WordPieceScratch& scratch) const;

  WordPieceOptions options_;
  uint32_t unknown_id_;
  Trie trie_;
  uint32_t inside_;  // the node after the prefix
  mutable ScratchPool<WordPieceScratch> pool_;
};

}  // namespace gu::text
