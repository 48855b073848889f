#pragma once
// What encoders that work word by word share. `encode_word(word, size)` leaves its tokens in
// scratch.tokens; `word_end(text, at, size)` tells where the word that begins at `at` ends.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "text/chunk_cache.hpp"
#include "text/token_span.hpp"

namespace gu::text {

// Appends the ids of word[0, size): those of the cache, or what `encode_word` finds, which the
// cache then knows.
template <class Scratch, class EncodeWord>
void append_cached(const uint8_t* word, std::size_t size, Scratch& scratch,
                   std::vector<uint32_t>& ids, EncodeWord&& encode_word) {
  std::span<const uint32_t> known;
  if (size <= ChunkCache::kLongest && scratch.cache.find(word, size, known)) {
    ids.insert(ids.end(), known.begin(), known.end());
    return;
  }
  encode_word(word, size);
  const std::size_t before = ids.size();
  for (const TokenSpan& token : scratch.tokens) ids.push_back(token.id);
  scratch.cache.add(word, size, ids.data() + before, ids.size() - before);
}

// Appends the ids of all words of text[0, size).
template <class Scratch, class WordEnd, class EncodeWord>
void encode_words(const uint8_t* text, std::size_t size, Scratch& scratch,
                  std::vector<uint32_t>& ids, WordEnd&& word_end, EncodeWord&& encode_word) {
  for (std::size_t at = 0; at < size;) {
    const std::size_t end = word_end(text, at, size);
    append_cached(text + at, end - at, scratch, ids, encode_word);
    at = end;
  }
}

// Appends their tokens with the bytes of the text that each stands for.
template <class Scratch, class WordEnd, class EncodeWord>
void encode_word_spans(const uint8_t* text, std::size_t size, const Scratch& scratch,
                       std::vector<TokenSpan>& tokens, WordEnd&& word_end,
                       EncodeWord&& encode_word) {
  for (std::size_t at = 0; at < size;) {
    const std::size_t end = word_end(text, at, size);
    encode_word(text + at, end - at);
    const auto offset = static_cast<uint32_t>(at);
    for (const TokenSpan& t : scratch.tokens) {
      tokens.push_back({t.id, t.begin + offset, t.end + offset});
    }
    at = end;
  }
}

}  // namespace gu::text
