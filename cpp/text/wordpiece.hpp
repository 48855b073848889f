#pragma once
// WordPiece: each word is cut into the longest tokens of the vocabulary, from left to right; what
// begins inside a word carries a prefix ("##"). Reference: groundup/reference/wordpiece.py.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "text/bert.hpp"
#include "text/chunk_cache.hpp"

namespace gu::text {

struct WordPieceOptions {
  BertOptions normalizer;
  bool split_punctuation = true;  // BERT's pre-tokenizer; false: words end at white space only
  std::string prefix = "##";
  uint32_t max_chars_per_word = 100;  // longer words are unknown
};

// A token and the bytes [begin, end) of the original text it stands for.
struct TokenSpan {
  uint32_t id, begin, end;
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
  // Tokens as paths of bytes: a map (node, byte) -> node, and the token that ends at each node.
  struct Edge {
    uint32_t node, child;
    uint8_t byte;
  };
  static constexpr uint32_t kNone = 0xFFFFFFFF;

  uint32_t child(uint32_t node, uint8_t byte) const;
  uint32_t add_child(uint32_t node, uint8_t byte);
  std::size_t slot(uint32_t node, uint8_t byte) const;
  void encode_word(const Char* word, std::size_t chars, std::string& bytes,
                   std::vector<TokenSpan>& tokens) const;
  std::size_t chunk_end(const uint8_t* text, std::size_t at, std::size_t size) const;
  void encode_chunk(const uint8_t* text, std::size_t size, WordPieceScratch& scratch) const;
  std::unique_ptr<WordPieceScratch> take_scratch() const;
  void give_back(std::unique_ptr<WordPieceScratch> scratch) const;

  WordPieceOptions options_;
  uint32_t unknown_id_;
  std::vector<Edge> edges_;      // open addressing; child kNone: empty
  std::vector<uint32_t> token_;  // of each node; kNone: none ends here
  uint32_t inside_ = kNone;      // the node after the prefix
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<WordPieceScratch>> scratch_;
};

}  // namespace gu::text
