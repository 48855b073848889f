#include "text/unigram.hpp"

#include <algorithm>
#include <cstring>
#include <span>
#include <string_view>

#include "core/errors.hpp"
#include "text/by_words.hpp"
#include "text/chunk_cache.hpp"
#include "text/unicode.hpp"

namespace gu::text {

struct UnigramScratch {
  static constexpr uint32_t kUnreached = 0xFFFFFFFF;
  // The best way to spell what ends at a byte: its score, where its last piece begins, which it is.
  struct Best {
    double score = 0;
    uint32_t begin = kUnreached;
    uint32_t piece = Trie::kNone;  // none: an unknown character
  };
  ChunkCache cache;
  std::vector<Best> best;
  std::vector<TokenSpan> tokens;
};

Unigram::Unigram(const std::vector<Piece>& pieces, double unknown_score,
                 std::optional<uint32_t> unknown_id,
                 std::optional<std::array<uint32_t, 256>> byte_ids, bool split)
    : unknown_score_(unknown_score), unknown_id_(unknown_id), byte_ids_(byte_ids), split_(split) {
  std::size_t bytes = 0;
  for (const Piece& piece : pieces) bytes += piece.text.size();
  trie_ = Trie(bytes);
  for (const Piece& piece : pieces) {
    if (!piece.text.empty() && !trie_.add(piece.text, static_cast<uint32_t>(score_.size()))) {
      fail<ValueError>("[Unigram] pieces must be unique, but got '", piece.text, "' twice");
    }
    score_.push_back(piece.score);
    id_.push_back(piece.id);
  }
}

Unigram::~Unigram() = default;

// Viterbi over the positions of the word: into scratch.tokens, with bytes of the word.
void Unigram::encode_word(const uint8_t* word, std::size_t size, UnigramScratch& scratch) const {
  std::vector<UnigramScratch::Best>& best = scratch.best;
  best.assign(size + 1, UnigramScratch::Best{});
  const auto offer = [&](std::size_t begin, std::size_t end, double score, uint32_t piece) {
    // Of equal scores the first stays: the one whose last piece is the longest.
    if (best[end].begin == UnigramScratch::kUnreached || score > best[end].score) {
      best[end] = {score, static_cast<uint32_t>(begin), piece};
    }
  };
  for (std::size_t at = 0; at < size;) {
    const std::size_t next = at + decode_utf8(word + at, word + size).length;
    bool character = false;  // is it a piece by itself?
    uint32_t node = Trie::kRoot;
    for (std::size_t end = at; end < size;) {
      node = trie_.child(node, word[end++]);
      if (node == Trie::kNone) break;
      const uint32_t piece = trie_.value(node);
      if (piece == Trie::kNone) continue;
      offer(at, end, best[at].score + score_[piece], piece);
      character |= end == next;
    }
    if (!character) offer(at, next, best[at].score + unknown_score_, Trie::kNone);
    at = next;
  }

  std::vector<TokenSpan>& tokens = scratch.tokens;
  tokens.clear();
  for (auto end = static_cast<uint32_t>(size); end > 0;) {
    const UnigramScratch::Best& b = best[end];
    uint32_t begin = b.begin;
    if (b.piece != Trie::kNone) {
      tokens.push_back({id_[b.piece], begin, end});
      end = begin;
      continue;
    }
    // Unknown characters beside each other are one.
    while (begin > 0 && best[begin].piece == Trie::kNone) begin = best[begin].begin;
    const std::string_view unknown(reinterpret_cast<const char*>(word) + begin, end - begin);
    const auto has_id = [&](char c) {
      return (*byte_ids_)[static_cast<uint8_t>(c)] != Trie::kNone;
    };
    const uint32_t node = trie_.find(unknown);
    if (node != Trie::kNone && trie_.value(node) != Trie::kNone) {
      tokens.push_back({id_[trie_.value(node)], begin, end});
    } else if (byte_ids_ && std::all_of(unknown.begin(), unknown.end(), has_id)) {
      for (uint32_t i = end; i > begin; --i)
        tokens.push_back({(*byte_ids_)[word[i - 1]], begin, end});
    } else if (unknown_id_) {
      tokens.push_back({*unknown_id_, begin, end});
    } else {
      fail<ValueError>(
          "[UnigramTokenizer] text must be of the vocabulary, as it has neither an unknown token "
          "nor "
          "bytes, but got '",
          unknown, "'");
    }
    end = begin;
  }
  std::reverse(tokens.begin(), tokens.end());
}

// The end of the word that begins at `at`: before the next U+2581, E2 96 81.
std::size_t Unigram::word_end(const uint8_t* text, std::size_t at, std::size_t size) const {
  if (!split_) return size;
  for (std::size_t from = at + 1; from < size;) {
    const void* found = std::memchr(text + from, 0xE2, size - from);
    if (found == nullptr) return size;
    const auto end = static_cast<std::size_t>(static_cast<const uint8_t*>(found) - text);
    if (size - end >= 3 && text[end + 1] == 0x96 && text[end + 2] == 0x81) return end;
    from = end + 1;
  }
  return size;
}

void Unigram::encode(const uint8_t* text, std::size_t size, std::vector<uint32_t>& ids) const {
  const ScratchPool<UnigramScratch>::Lease scratch(pool_);
  encode_words(
      text, size, *scratch, ids, [&](auto... at) { return word_end(at...); },
      [&](const uint8_t* word, std::size_t n) { encode_word(word, n, *scratch); });
}

void Unigram::encode_spans(const uint8_t* text, std::size_t size,
                           std::vector<TokenSpan>& tokens) const {
  const ScratchPool<UnigramScratch>::Lease scratch(pool_);
  encode_word_spans(
      text, size, *scratch, tokens, [&](auto... at) { return word_end(at...); },
      [&](const uint8_t* word, std::size_t n) { encode_word(word, n, *scratch); });
}

}  // namespace gu::text
