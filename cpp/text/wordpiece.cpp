#include "text/wordpiece.hpp"

#include <algorithm>
#include <array>
#include <span>

#include "core/errors.hpp"
#include "text/by_words.hpp"
#include "text/chunk_cache.hpp"
#include "text/unicode.hpp"
#include "text/utf8.hpp"

namespace gu::text {

struct WordPieceScratch {
  ChunkCache cache;
  std::vector<Char> chars;
  std::vector<TokenSpan> tokens;
  std::string bytes;
};

WordPiece::WordPiece(const std::vector<std::pair<std::string, uint32_t>>& vocabulary,
                     uint32_t unknown_id, WordPieceOptions options)
    : options_(std::move(options)), unknown_id_(unknown_id) {
  std::size_t bytes = 0;
  for (const auto& [token, id] : vocabulary) bytes += token.size();
  trie_ = Trie(bytes);
  for (const auto& [token, id] : vocabulary) {
    if (!token.empty() && !trie_.add(token, id)) {
      fail<ValueError>("[WordPiece] tokens must be unique, but got '", token, "' twice");
    }
  }
  inside_ = trie_.find(options_.prefix);
}

WordPiece::~WordPiece() = default;

void WordPiece::encode_word(const Char* word, std::size_t chars, std::string& bytes,
                            std::vector<TokenSpan>& tokens) const {
  const std::size_t before = tokens.size();
  bool known = chars <= options_.max_chars_per_word;
  for (std::size_t i = 0; known && i < chars;) {
    uint32_t node = i == 0 ? Trie::kRoot : inside_, best = Trie::kNone;
    std::size_t best_end = i;
    for (std::size_t j = i; node != Trie::kNone && j < chars; ++j) {
      bytes.clear();
      append_utf8(bytes, word[j].point);
      for (char byte : bytes) {
        node = trie_.child(node, static_cast<uint8_t>(byte));
        if (node == Trie::kNone) break;
      }
      if (node != Trie::kNone && trie_.value(node) != Trie::kNone) {
        best = trie_.value(node);
        best_end = j + 1;
      }
    }
    known = best != Trie::kNone;
    if (!known) break;
    // Reordered marks may come from before what precedes them.
    uint32_t begin = word[i].begin, end = word[i].end;
    for (std::size_t j = i; j < best_end; ++j) {
      begin = std::min(begin, word[j].begin);
      end = std::max(end, word[j].end);
    }
    tokens.push_back({best, begin, end});
    i = best_end;
  }
  if (!known) {  // one unknown piece makes the whole word unknown
    uint32_t begin = word[0].begin, end = word[0].end;
    for (std::size_t j = 0; j < chars; ++j) {
      begin = std::min(begin, word[j].begin);
      end = std::max(end, word[j].end);
    }
    tokens.resize(before);
    tokens.push_back({unknown_id_, begin, end});
  }
}

// Normalize, cut into words, encode each: into scratch.tokens.
void WordPiece::encode_chunk(const uint8_t* text, std::size_t size,
                             WordPieceScratch& scratch) const {
  scratch.tokens.clear();
  std::vector<Char>& chars = scratch.chars;
  bert_normalize(options_.normalizer, text, size, chars);
  for (std::size_t i = 0; i < chars.size();) {
    const auto ends_word = [&](std::size_t at) {
      const uint8_t c = bert_class(chars[at].point);
      return (c & kBertSpace) || (options_.split_punctuation && (c & kBertPunctuation));
    };
    if (bert_class(chars[i].point) & kBertSpace) {
      ++i;
      continue;
    }
    std::size_t end = i + 1;
    if (!ends_word(i)) {  // otherwise punctuation, a word of its own
      while (end < chars.size() && !ends_word(end)) ++end;
    }
    encode_word(chars.data() + i, end - i, scratch.bytes, scratch.tokens);
    i = end;
  }
}

namespace {

constexpr uint8_t kBlank = 1, kAsciiPunctuation = 2;
constexpr auto kAsciiKind = [] {
  std::array<uint8_t, 256> t{};
  for (char c : {' ', '\t', '\n', '\r'}) t[static_cast<uint8_t>(c)] = kBlank;
  for (int c = '!'; c <= '~'; ++c) {
    const bool alphanumeric =
        (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    if (!alphanumeric) t[static_cast<std::size_t>(c)] = kAsciiPunctuation;
  }
  return t;
}();

}  // namespace

// The end of the stretch that begins at `at` (no white space) and is normalized and split alike
// whatever is around it: up to white space or ASCII punctuation, or to a Chinese character where it
// would become very long.
std::size_t WordPiece::chunk_end(const uint8_t* text, std::size_t at, std::size_t size) const {
  const uint8_t stop = options_.split_punctuation ? kBlank | kAsciiPunctuation : kBlank;
  if (kAsciiKind[text[at]] & stop) return at + 1;
  std::size_t end = at + 1;
  while (end < size && !(kAsciiKind[text[end]] & stop)) {
    const bool chinese = end - at > 4096 && options_.normalizer.handle_chinese_chars &&
                         text[end] >= 0xE5 && text[end] <= 0xE8 &&
                         decode_utf8(text + end, text + size).length == 3;
    if (chinese) break;
    ++end;
  }
  return end;
}

void WordPiece::encode(const uint8_t* text, std::size_t size, std::vector<uint32_t>& ids) const {
  const ScratchPool<WordPieceScratch>::Lease scratch(pool_);
  for (std::size_t at = 0; at < size;) {
    if (kAsciiKind[text[at]] == kBlank) {
      ++at;
      continue;
    }
    const std::size_t end = chunk_end(text, at, size);
    append_cached(text + at, end - at, *scratch, ids,
                  [&](const uint8_t* chunk, std::size_t n) { encode_chunk(chunk, n, *scratch); });
    at = end;
  }
}

void WordPiece::encode_spans(const uint8_t* text, std::size_t size,
                             std::vector<TokenSpan>& tokens) const {
  const ScratchPool<WordPieceScratch>::Lease scratch(pool_);
  encode_chunk(text, size, *scratch);
  tokens.insert(tokens.end(), scratch->tokens.begin(), scratch->tokens.end());
}

}  // namespace gu::text
