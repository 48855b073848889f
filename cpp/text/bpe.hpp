#pragma once
// Byte-pair encoding: a piece of text starts as bytes, and of all neighbouring pairs the one that
// was learned first is merged, the leftmost of equal ones, until none is left.
//
// How it is fast: most pieces were seen before, so their ids come from a cache of a few megabytes;
// a piece that is a token needs no merge; short pieces are merged in an array, long ones with a
// heap, so that no text is worse than n log n.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/scratch_pool.hpp"
#include "text/split.hpp"
#include "text/vocabulary.hpp"

namespace gu::text {

// Ids that grow: memory comes from malloc, so that an array may take it over.
class Ids {
 public:
  Ids() = default;
  Ids(Ids&& other) noexcept { swap(other); }
  Ids& operator=(Ids&& other) noexcept {
    swap(other);
    return *this;
  }
  ~Ids();

  uint32_t* data() { return data_; }
  const uint32_t* data() const { return data_; }
  std::size_t size() const { return size_; }
  void clear() { size_ = 0; }
  void push(uint32_t id) {
    need(1);
    data_[size_++] = id;
  }
  // Room for n more; returns where they go.
  uint32_t* need(std::size_t n) {
    if (capacity_ - size_ < n) grow(n);
    return data_ + size_;
  }
  void added(std::size_t n) { size_ += n; }
  // Gives the memory away, cut to size: free() it.
  uint32_t* release();

 private:
  void grow(std::size_t n);
  void swap(Ids& other) {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
  }
  uint32_t* data_ = nullptr;
  std::size_t size_ = 0, capacity_ = 0;
};

struct Merge {
  uint32_t left, right, result;
};

// What a pair of neighbours becomes, and when: the lowest order first.
struct Merged {
  uint32_t order, result;
};

// Pairs of ids to what they become: open addressing, at most half full. Most pairs that are asked
// for are not there, which a set of bits small enough for the nearest caches mostly knows.
class PairTable {
 public:
  explicit PairTable(std::size_t pairs = 0);
  // False if the pair is there already, which then stays as it was.
  bool insert(uint32_t left, uint32_t right, Merged merged);
  Merged find(uint32_t left, uint32_t right) const {
    const uint64_t h = hash(left, right);
    if (!(bits_[h >> bits_shift_] >> (h >> (bits_shift_ - 6) & 63) & 1))
      return {kNoToken, kNoToken};
    for (std::size_t slot = h >> shift_;; slot = (slot + 1) & mask_) {
      const Slot& s = slots_[slot];
      if (s.left == left && s.right == right) return s.merged;
      if (s.merged.order == kNoToken) return {kNoToken, kNoToken};
    }
  }

 private:
  struct Slot {
    uint32_t left = kNoToken, right = kNoToken;
    Merged merged{kNoToken, kNoToken};
  };
  static uint64_t hash(uint32_t left, uint32_t right) {
    return left * 0x9e3779b97f4a7c15u + right * 0xc2b2ae3d27d4eb4fu;
  }
  std::vector<Slot> slots_;
  std::size_t mask_;
  int shift_;
  std::vector<uint64_t> bits_;  // one for the hash of each pair, 8 or more times as many as pairs
  int bits_shift_;
};

// A piece of 1 to 15 bytes as two words: its bytes, zeros, and in the last byte how many there are.
struct Key {
  uint64_t low, high;
  bool operator==(const Key&) const = default;
  uint64_t hash() const { return (low ^ (high * 0xc2b2ae3d27d4eb4f)) * 0x9e3779b97f4a7c15; }
};

// The tokens of up to 15 bytes that a piece may become as a whole, by key: open addressing, at most
// two thirds full.
class ShortTokens {
 public:
  explicit ShortTokens(std::size_t tokens = 0);
  void insert(Key key, uint32_t id);
  uint32_t find(Key key) const {
    for (std::size_t slot = key.hash() >> shift_;; slot = (slot + 1) & mask_) {
      const Slot& s = slots_[slot];
      if (s.key == key) return s.id;
      if (s.id == kNoToken) return kNoToken;
    }
  }

 private:
  struct Slot {
    Key key{0, 0};
    uint32_t id = kNoToken;
  };
  std::vector<Slot> slots_;
  std::size_t mask_;
  int shift_;
};

// Tokens that are found in the text as they stand, before any splitting: special ones, and those
// added later.
struct AddedToken {
  std::string text;
  uint32_t id;
  bool forbidden = false;    // found, it is an error
  bool lstrip = false;       // takes the white space before it
  bool rstrip = false;       // and after it
  bool single_word = false;  // is none inside a word
};

class AddedTokens {
 public:
  explicit AddedTokens(std::vector<AddedToken> tokens);

  struct Match {
    std::size_t begin, end;  // with the white space that it takes
    const AddedToken* token;
    std::size_t found;  // where its text begins
  };
  // The first one in text[from, size), the longest where several begin together; token is nullptr
  // if there is none.
  Match find(const uint8_t* text, std::size_t size, std::size_t from) const;
  bool empty() const { return tokens_.empty(); }
  std::size_t longest() const { return longest_; }

 private:
  std::vector<AddedToken> tokens_;              // by first byte, longer ones first
  std::array<uint32_t, 257> begin_of_first_{};  // tokens that begin with a byte
  int only_first_ = -1;                         // the byte that all begin with
  std::size_t longest_ = 0;
};

class Bpe {
 public:
  // With merges: those pairs alone are merged, in that order. `whole_pieces`: a piece that is a
  // token is that token, also where merges would not make it.
  Bpe(Vocabulary vocabulary, const std::vector<Merge>& merges, bool whole_pieces, Pattern pattern);
  // Without: any pair is merged whose bytes together are a token, the lowest id first, as tiktoken
  // does.
  Bpe(Vocabulary vocabulary, Pattern pattern);
  ~Bpe();

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
  class Cache;
  using Lease = ScratchPool<Cache>::Lease;

  void set_bytes();
  void set_whole(bool whole_pieces);
  void set_short();
  template <Pattern pattern>
  void encode_plain(const uint8_t* text, std::size_t size, Cache& cache, Ids& out) const;
  void encode_piece(const uint8_t* p, std::size_t n, std::size_t readable, Cache& cache,
                    Ids& out) const;
  void merge(const uint8_t* p, std::size_t n, Cache& cache, Ids& out) const;
  std::size_t merge_short(const uint8_t* p, std::size_t n, uint32_t* ids) const;
  std::size_t merge_long(const uint8_t* p, std::size_t n, Cache& cache) const;
  std::span<const uint32_t> merged(std::span<const uint8_t> token, Cache& cache) const;
  Merged pair_of_bytes(uint8_t a, uint8_t b) const { return byte_pairs_[a << 8 | b]; }

  Vocabulary vocabulary_;
  Pattern pattern_;
  std::vector<Merge> merges_;
  PairTable pairs_;
  std::array<uint32_t, 256> byte_ids_;
  std::vector<Merged> byte_pairs_;  // 256 x 256: the pairs of single bytes, by their bytes
  std::vector<bool> whole_;         // tokens that a piece of the same bytes becomes
  ShortTokens short_whole_;         // the short ones of them

  mutable ScratchPool<Cache> caches_;
};

}  // namespace gu::text
