#include "text/wordpiece.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <span>

#include "core/errors.hpp"
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
  std::size_t nodes = 1;
  for (const auto& [token, id] : vocabulary) nodes += token.size();
  edges_.assign(std::bit_ceil(2 * nodes), Edge{0, kNone, 0});
  token_.assign(1, kNone);
  for (const auto& [token, id] : vocabulary) {
    uint32_t node = 0;
    for (char byte : token) node = add_child(node, static_cast<uint8_t>(byte));
    if (node == 0) continue;  // an empty token never matches
    if (token_[node] != kNone) {
      fail<ValueError>("[WordPiece] tokens must be unique, but got '", token, "' twice");
    }
    token_[node] = id;
  }
  inside_ = 0;
  for (char byte : options_.prefix) {
    if (inside_ != kNone) inside_ = child(inside_, static_cast<uint8_t>(byte));
  }
}

WordPiece::~WordPiece() = default;

std::size_t WordPiece::slot(uint32_t node, uint8_t byte) const {
  const uint64_t key = (static_cast<uint64_t>(node) << 8 | byte) * 0x9E3779B97F4A7C15;
  const std::size_t mask = edges_.size() - 1;
  std::size_t i = (key >> 32) & mask;
  while (edges_[i].child != kNone && (edges_[i].node != node || edges_[i].byte != byte)) {
    i = (i + 1) & mask;
  }
  return i;
}

uint32_t WordPiece::child(uint32_t node, uint8_t byte) const {
  return edges_[slot(node, byte)].child;
}

uint32_t WordPiece::add_child(uint32_t node, uint8_t byte) {
  Edge& edge = edges_[slot(node, byte)];
  if (edge.child == kNone) {
    edge = {node, static_cast<uint32_t>(token_.size()), byte};
    token_.push_back(kNone);
  }
  return edge.child;
}

void WordPiece::encode_word(const Char* word, std::size_t chars, std::string& bytes,
                            std::vector<TokenSpan>& tokens) const {
  const std::size_t before = tokens.size();
  bool known = chars <= options_.max_chars_per_word;
  for (std::size_t i = 0; known && i < chars;) {
    uint32_t node = i == 0 ? 0 : inside_, best = kNone;
    std::size_t best_end = i;
    for (std::size_t j = i; node != kNone && j < chars; ++j) {
      bytes.clear();
      append_utf8(bytes, word[j].point);
      for (char byte : bytes) {
        node = child(node, static_cast<uint8_t>(byte));
        if (node == kNone) break;
      }
      if (node != kNone && token_[node] != kNone) {
        best = token_[node];
        best_end = j + 1;
      }
    }
    known = best != kNone;
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

std::unique_ptr<WordPieceScratch> WordPiece::take_scratch() const {
  std::lock_guard lock(mutex_);
  if (scratch_.empty()) return std::make_unique<WordPieceScratch>();
  std::unique_ptr<WordPieceScratch> scratch = std::move(scratch_.back());
  scratch_.pop_back();
  return scratch;
}

void WordPiece::give_back(std::unique_ptr<WordPieceScratch> scratch) const {
  std::lock_guard lock(mutex_);
  scratch_.push_back(std::move(scratch));
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
  std::unique_ptr<WordPieceScratch> scratch = take_scratch();
  for (std::size_t at = 0; at < size;) {
    if (kAsciiKind[text[at]] == kBlank) {
      ++at;
      continue;
    }
    const std::size_t end = chunk_end(text, at, size);
    std::span<const uint32_t> known;
    if (end - at <= ChunkCache::kLongest && scratch->cache.find(text + at, end - at, known)) {
      ids.insert(ids.end(), known.begin(), known.end());
    } else {
      encode_chunk(text + at, end - at, *scratch);
      const std::size_t before = ids.size();
      for (const TokenSpan& token : scratch->tokens) ids.push_back(token.id);
      scratch->cache.add(text + at, end - at, ids.data() + before, ids.size() - before);
    }
    at = end;
  }
  give_back(std::move(scratch));
}

void WordPiece::encode_spans(const uint8_t* text, std::size_t size,
                             std::vector<TokenSpan>& tokens) const {
  std::unique_ptr<WordPieceScratch> scratch = take_scratch();
  encode_chunk(text, size, *scratch);
  tokens.insert(tokens.end(), scratch->tokens.begin(), scratch->tokens.end());
  give_back(std::move(scratch));
}

}  // namespace gu::text
