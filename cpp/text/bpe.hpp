#pragma once
// Byte-pair encoding of texts: added tokens are found first, a pattern cuts the rest into pieces,
// and each piece becomes ids.
//
// How it is fast: most pieces were seen before, so their ids come from a cache of a few megabytes;
// a piece that is a token needs no merge; the others are merged (merge_piece).

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "text/added_tokens.hpp"
#include "text/ids.hpp"
#include "text/merge_piece.hpp"
#include "text/piece_cache.hpp"
#include "text/scratch_pool.hpp"
#include "text/short_tokens.hpp"
#include "text/split.hpp"
#include "text/vocabulary.hpp"

namespace gu::text {

// Called now and then during long work, which it ends by throwing.
using Pause = std::function<void()>;

class Bpe {
 public:
  // With merges: those pairs alone are merged, in that order. `whole_pieces`: a piece that is a
  // token is that token, also where merges would not make it.
  Bpe(Vocabulary vocabulary, const std::vector<Merge>& merges, bool whole_pieces, Pattern pattern,
      const Pause& pause = {});
  // Without: any pair is merged whose bytes together are a token, the lowest id first, as tiktoken
  // does.
  Bpe(Vocabulary vocabulary, Pattern pattern, const Pause& pause = {});

  const Vocabulary& vocabulary() const { return vocabulary_; }
  Pattern pattern() const { return pattern_; }

  // The merges in their order. Without given ones: the one pair that can ever become each token.
  const std::vector<Merge>& merges() const { return merges_; }

  // What the positions in errors are counted from, and whether in characters.
  struct Origin {
    const uint8_t* begin;
    bool in_characters;
  };
  // Appends the ids of text[0, size): added tokens first, then the pattern's pieces.
  void encode(const uint8_t* text, std::size_t size, const AddedTokens& added, Origin origin,
              Ids& out) const;
  // The same, cut at `ends` (of the pieces, ascending, the last one being size) instead of by the
  // pattern.
  void encode_pieces(const uint8_t* text, std::span<const uint64_t> ends, Ids& out) const;
  // Each merge is left out with the given probability, anew at every step.
  void encode_with_dropout(const uint8_t* text, std::size_t size, double probability, uint64_t seed,
                           Ids& out) const;

  // The last place in text[0, size) where the text may be cut without a change of ids, or 0.
  std::size_t safe_cut(const uint8_t* text, std::size_t size, const AddedTokens& added) const;

 private:
  using Lease = ScratchPool<PieceCache>::Lease;

  void set_whole(std::vector<bool> whole);
  template <Pattern pattern>
  void encode_plain(const uint8_t* text, std::size_t size, PieceCache& cache, Ids& out) const;
  void encode_piece(const uint8_t* p, std::size_t n, std::size_t readable, PieceCache& cache,
                    Ids& out) const;
  void check_bytes(const uint8_t* p, std::size_t n, std::span<const uint32_t> ids) const;

  Vocabulary vocabulary_;
  Pattern pattern_;
  std::vector<Merge> merges_;
  PieceMerger merger_;
  std::vector<bool> whole_;  // tokens that a piece of the same bytes becomes
  ShortTokens short_whole_;  // the short ones of them

  mutable ScratchPool<PieceCache> caches_;
};

}  // namespace gu::text
