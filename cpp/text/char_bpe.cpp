#include "text/char_bpe.hpp"

#include <algorithm>
#include <cstring>
#include <span>
#include <string_view>

#include "core/errors.hpp"
#include "text/by_words.hpp"
#include "text/chunk_cache.hpp"
#include "text/merge_queue.hpp"
#include "text/unicode.hpp"

namespace gu::text {

namespace {

constexpr std::string_view kMark = "\xE2\x96\x81";  // U+2581

bool is_mark(const uint8_t* p, const uint8_t* end) {
  return end - p >= 3 && p[0] == 0xE2 && p[1] == 0x96 && p[2] == 0x81;
}

// Has it a U+2581 that follows another character?
bool crosses_words(std::string_view token) {
  std::size_t at = 0;
  while (token.substr(at, 3) == kMark) at += 3;
  return token.find(kMark, at) != std::string_view::npos;
}

}  // namespace

struct CharBpeScratch {
  ChunkCache cache;
  std::vector<TokenSpan> tokens;
  MergeQueue queue;
  void trim() { queue.trim(); }
};

CharBpe::CharBpe(const std::vector<std::pair<std::string, uint32_t>>& vocabulary,
                 const std::vector<OrderedMerge>& merges, CharBpeOptions options)
    : pairs_(merges.size()), options_(options) {
  std::size_t bytes = 0;
  for (const auto& [token, id] : vocabulary) bytes += token.size();
  trie_ = Trie(bytes);
  for (const auto& [token, id] : vocabulary) {
    if (!token.empty() && !trie_.add(token, id)) {
      fail<ValueError>("[SentencePieceBPETokenizer] tokens must be unique, but got '", token,
                       "' twice");
    }
  }
  for (const OrderedMerge& m : merges) pairs_.insert(m.left, m.right, {m.order, m.result});
  const uint32_t mark = trie_.find(kMark);
  words_apart_ = mark != Trie::kNone && trie_.value(mark) != Trie::kNone && !options_.whole_words &&
                 std::none_of(vocabulary.begin(), vocabulary.end(),
                              [](const auto& item) { return crosses_words(item.first); });
}

CharBpe::~CharBpe() = default;

// Characters of the word as tokens, bytes or unknown ones.
void CharBpe::start(const uint8_t* word, std::size_t size, std::vector<TokenSpan>& tokens) const {
  tokens.clear();
  bool after_unknown = false;
  for (uint32_t at = 0; at < size;) {
    const uint32_t end = at + decode_utf8(word + at, word + size).length;
    const std::string_view character(reinterpret_cast<const char*>(word) + at, end - at);
    const uint32_t node = trie_.find(character);
    if (node != Trie::kNone && trie_.value(node) != Trie::kNone) {
      tokens.push_back({trie_.value(node), at, end});
      after_unknown = false;
    } else if (options_.byte_ids && std::all_of(character.begin(), character.end(), [&](char c) {
                 return (*options_.byte_ids)[static_cast<uint8_t>(c)] != Trie::kNone;
               })) {
      for (char c : character) {
        tokens.push_back({(*options_.byte_ids)[static_cast<uint8_t>(c)], at, end});
      }
      after_unknown = false;
    } else if (!options_.unknown_id) {
      fail<ValueError>(
          "[SentencePieceBPETokenizer] text must be of the vocabulary, as it has neither an "
          "unknown "
          "token nor bytes, but got '",
          character, "'");
    } else if (after_unknown && options_.fuse_unknown) {
      tokens.back().end = end;
    } else {
      tokens.push_back({*options_.unknown_id, at, end});
      after_unknown = true;
    }
    at = end;
  }
}

// The best pair of all, again and again.
void CharBpe::merge_short(std::vector<TokenSpan>& tokens) const {
  while (tokens.size() > 1) {
    Merged best{kNoToken, kNoToken};
    std::size_t at = 0;
    for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
      const Merged m = pairs_.find(tokens[i].id, tokens[i + 1].id);
      if (m.order < best.order) {
        best = m;
        at = i;
      }
    }
    if (best.order == kNoToken) return;
    tokens[at] = {best.result, tokens[at].begin, std::max(tokens[at].end, tokens[at + 1].end)};
    tokens.erase(tokens.begin() + static_cast<std::ptrdiff_t>(at) + 1);
  }
}

// The same with a heap.
void CharBpe::merge_long(CharBpeScratch& s) const {
  std::vector<TokenSpan>& tokens = s.tokens;
  if (tokens.size() >= kNoToken) {
    fail<ValueError>("[SentencePieceBPETokenizer] words must be below 2^32 characters, but got ",
                     tokens.size());
  }
  s.queue.ids.clear();
  for (const TokenSpan& t : tokens) s.queue.ids.push_back(t.id);
  s.queue.merge(pairs_, [] { return false; });
  std::size_t kept = 0;
  for (uint32_t i = 0; i < tokens.size(); i = s.queue.next(i)) {
    tokens[kept++] = {s.queue.ids[i], tokens[i].begin, tokens[s.queue.next(i) - 1].end};
  }
  tokens.resize(kept);
}

void CharBpe::encode_word(const uint8_t* word, std::size_t size, CharBpeScratch& scratch) const {
  if (options_.whole_words) {
    const uint32_t node = trie_.find({reinterpret_cast<const char*>(word), size});
    if (node != Trie::kNone && trie_.value(node) != Trie::kNone) {
      scratch.tokens.assign(1, {trie_.value(node), 0, static_cast<uint32_t>(size)});
      return;
    }
  }
  start(word, size, scratch.tokens);
  if (scratch.tokens.size() <= 32) {
    merge_short(scratch.tokens);
  } else {
    merge_long(scratch);
  }
}

// The end of the word that begins at `at`: before the next U+2581; where words are only encoded
// apart because no merge can cross, marks beside each other stay together.
std::size_t CharBpe::word_end(const uint8_t* text, std::size_t at, std::size_t size) const {
  if (!options_.split && !words_apart_) return size;
  const uint8_t* const end = text + size;
  const uint8_t* p = text + at;
  if (options_.split) {
    p += is_mark(p, end) ? 3 : 1;
  } else {
    while (is_mark(p, end)) p += 3;
  }
  while (p < end) {
    p = static_cast<const uint8_t*>(std::memchr(p, 0xE2, static_cast<std::size_t>(end - p)));
    if (p == nullptr) return size;
    if (is_mark(p, end)) return static_cast<std::size_t>(p - text);
    ++p;
  }
  return size;
}

void CharBpe::encode(const uint8_t* text, std::size_t size, std::vector<uint32_t>& ids) const {
  const ScratchPool<CharBpeScratch>::Lease scratch(pool_);
  encode_words(
      text, size, *scratch, ids, [&](auto... at) { return word_end(at...); },
      [&](const uint8_t* word, std::size_t n) { encode_word(word, n, *scratch); });
}

void CharBpe::encode_spans(const uint8_t* text, std::size_t size,
                           std::vector<TokenSpan>& tokens) const {
  const ScratchPool<CharBpeScratch>::Lease scratch(pool_);
  encode_word_spans(
      text, size, *scratch, tokens, [&](auto... at) { return word_end(at...); },
      [&](const uint8_t* word, std::size_t n) { encode_word(word, n, *scratch); });
}

}  // namespace gu::text
