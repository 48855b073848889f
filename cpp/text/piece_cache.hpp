#pragma once
// What pieces of text became, to be found again: a few megabytes, in which newer pieces take the
// places of older ones. A tokenizer has one for each thread that encodes at the same time.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "text/merge_queue.hpp"
#include "text/short_tokens.hpp"
#include "text/vocabulary.hpp"

namespace gu::text {

// A piece of up to 15 bytes and its up to three ids; half a cache line.
struct alignas(32) ShortEntry {
  static constexpr std::size_t kIds = 3;
  Key key{0, 0};  // zeros if the entry is empty
  uint32_t ids[kIds]{}, count = 0;
};

struct alignas(128) LongEntry {
  static constexpr std::size_t kBytes = 46, kIds = 18;
  uint8_t length, count;
  uint8_t bytes[kBytes];
  uint32_t ids[kIds];
};

class PieceCache {
 public:
  // The entry that holds the key, or one that does not.
  [[gnu::always_inline]] const ShortEntry& find(Key key) const {
    const std::size_t home = key.hash() >> (64 - std::countr_zero(kShortSets));
    const ShortSet& set = short_sets_[home];
    const ShortEntry& entry = set.entries[set.entries[1].key == key];
    if (entry.key == key) [[likely]] {
      return entry;
    }
    const ShortSet& beside = short_sets_[home ^ 1];
    return beside.entries[beside.entries[1].key == key];
  }
  // Where to write the key's entry: a free one, or that of an unlucky piece.
  ShortEntry& place(Key key) {
    const uint64_t hash = key.hash();
    const std::size_t home = hash >> (64 - std::countr_zero(kShortSets));
    for (const std::size_t i : {home, home ^ 1}) {
      for (ShortEntry& entry : short_sets_[i].entries) {
        if (entry.key.high == 0) return entry;
      }
    }
    return short_sets_[home].entries[hash >> 20 & 1];
  }
  // The one place of a longer piece, of up to LongEntry::kBytes.
  LongEntry& long_entry(const uint8_t* p, std::size_t n) {
    return long_entries_[hash_bytes(p, n) >> (64 - std::countr_zero(kLongEntries))];
  }

  MergeQueue queue;  // working memory of long pieces
  void trim() { queue.trim(); }

 private:
  // The places where a short piece may be: a cache line, or the one beside it. Which it is, is its
  // hash's choice.
  struct alignas(64) ShortSet {
    ShortEntry entries[2];
  };
  static_assert(sizeof(ShortSet) == 64 && sizeof(LongEntry) == 128);
  static constexpr std::size_t kShortSets = std::size_t{1} << 15;
  static constexpr std::size_t kLongEntries = std::size_t{1} << 13;

  std::vector<ShortSet> short_sets_ = std::vector<ShortSet>(kShortSets);
  std::vector<LongEntry> long_entries_ = std::vector<LongEntry>(kLongEntries);
};

}  // namespace gu::text
