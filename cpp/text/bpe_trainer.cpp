#include "text/bpe_trainer.hpp"

#include <algorithm>
#include <limits>

#include "core/errors.hpp"

namespace gu::text {
namespace {

uint64_t pair_key(uint32_t left, uint32_t right) { return uint64_t{left} << 32 | right; }

uint64_t pair_hash(uint64_t key) {
  key *= 0x9e3779b97f4a7c15;
  return key ^ key >> 29;
}

constexpr uint32_t kUntracked = 0xffffffff;

// Pair -> index of its record: open addressing with linear probing; nothing is ever removed.
class TrackedPairs {
 public:
  void clear() {
    slots_.assign(1024, Slot{0, kUntracked});
    used_ = 0;
  }
  uint32_t find(uint64_t key) const {
    const size_t mask = slots_.size() - 1;
    for (size_t at = pair_hash(key) & mask;; at = (at + 1) & mask) {
      if (slots_[at].value == kUntracked || slots_[at].key == key) return slots_[at].value;
    }
  }
  // The value of key, which becomes `value` if it was not there.
  uint32_t insert(uint64_t key, uint32_t value) {
    if (2 * used_ >= slots_.size()) grow();
    const size_t mask = slots_.size() - 1;
    for (size_t at = pair_hash(key) & mask;; at = (at + 1) & mask) {
      if (slots_[at].value == kUntracked) {
        slots_[at] = {key, value};
        ++used_;
        return value;
      }
      if (slots_[at].key == key) return slots_[at].value;
    }
  }

 private:
  struct Slot {
    uint64_t key;
    uint32_t value;
  };
  void grow() {
    std::vector<Slot> old(2 * slots_.size(), Slot{0, kUntracked});
    old.swap(slots_);
    const size_t mask = slots_.size() - 1;
    for (const Slot& slot : old) {
      if (slot.value == kUntracked) continue;
      size_t at = pair_hash(slot.key) & mask;
      while (slots_[at].value != kUntracked) at = (at + 1) & mask;
      slots_[at] = slot;
    }
  }
  std::vector<Slot> slots_;
  size_t used_ = 0;
};

class BpeTrainer {
 public:
  BpeTrainer(const Pieces& pieces, const TrainOptions& options);
  std::vector<LearnedMerge> run(const std::function<void(size_t)>& progress);

 private:
  static constexpr uint32_t kEdge = 0xffffffff;    // the slot between two pieces
  static constexpr uint32_t kInside = 0xfffffffe;  // a slot inside a token that once began one
  static constexpr uint64_t kStep = 16;            // the highest count over the threshold

  struct Place {
    uint32_t slot;  // where the pair begins
    uint32_t piece;
  };
  struct Pair {
    uint64_t count;
    size_t begin, end;  // its places, in the order of the text
    uint32_t left, right;
  };
  struct Candidate {
    uint64_t count;
    uint64_t order;  // among equal counts the smallest one is first
    uint32_t pair;
    bool operator<(const Candidate& other) const {
      return count != other.count ? count < other.count : order > other.order;
    }
  };
  // What a merge changes for one neighbour of its pair.
  struct Change {
    uint64_t count = 0;  // of the pair that is gone, and of the new one
    uint32_t places = 0;
    uint32_t pair = kUntracked;
  };

  bool holds(const Place& place, const Pair& pair) const {
    return tokens_[place.slot] == pair.left &&
           tokens_[place.slot + sizes_[pair.left]] == pair.right;
  }
  void make_index(uint64_t at_most);
  void add_candidate(uint32_t index);
  bool next_pair(uint32_t& index);
  void merge(const Pair& pair);
  void lower(uint32_t left, uint32_t right, uint64_t count);
  uint32_t add_pair(uint32_t left, uint32_t right, uint64_t count, size_t places);

  const TrainOptions& options_;
  const std::vector<uint64_t>& counts_;  // of pieces
  std::vector<uint32_t> tokens_;         // ids at both ends of each token
  std::vector<uint32_t> sizes_;          // bytes of each token
  std::vector<Place> live_;              // first slot of each piece of more than one token

  uint64_t threshold_ = 0;
  TrackedPairs index_;
  std::vector<Pair> pairs_;
  std::vector<Place> places_;
  std::vector<Candidate> heap_;

  // Scratch of one merge.
  struct Merged {
    Place place;
    uint32_t left, right;  // neighbours, or kEdge
  };
  std::vector<Merged> merged_;
  std::vector<Change> left_, right_;  // by neighbour
  std::vector<uint32_t> lefts_, rights_;
};

BpeTrainer::BpeTrainer(const Pieces& pieces, const TrainOptions& options)
    : options_(options), counts_(pieces.counts) {
  if (pieces.bytes.size() + pieces.size() + 1 >= kInside) {
    fail<ValueError>("[BPETokenizer] distinct pieces must hold less than 4 GiB, but got ",
                     pieces.bytes.size(), " bytes");
  }
  tokens_.reserve(pieces.bytes.size() + pieces.size() + 1);
  tokens_.push_back(kEdge);
  for (size_t i = 0; i < pieces.size(); ++i) {
    const uint64_t begin = pieces.begin(i), end = pieces.ends[i];
    if (end - begin >= 2) {
      live_.push_back({static_cast<uint32_t>(tokens_.size()), static_cast<uint32_t>(i)});
      for (uint64_t b = begin; b < end; ++b) tokens_.push_back(options.byte_ids[pieces.bytes[b]]);
      tokens_.push_back(kEdge);
    }
  }
  sizes_.assign(256, 1);
  left_.resize(256);
  right_.resize(256);
}

// Indexes every pair that occurs at least `threshold_` times, which is chosen here: a fraction of
// the highest count, which is known to be `at_most`.
void BpeTrainer::make_index(uint64_t at_most) {
  index_.clear();
  pairs_.clear();
  places_.clear();
  heap_.clear();

  // Pieces that have become one token are done with.
  std::erase_if(live_, [&](const Place& piece) {
    return tokens_[piece.slot + sizes_[tokens_[piece.slot]]] == kEdge;
  });
  const auto for_each_pair = [&](auto&& body) {
    for (const Place& piece : live_) {
      uint32_t slot = piece.slot, left = tokens_[slot];
      for (;;) {
        const uint32_t next = slot + sizes_[left], right = tokens_[next];
        if (right == kEdge) break;
        body(Place{slot, piece.piece}, left, right);
        slot = next;
        left = right;
      }
    }
  };

  // First a bound: pairs that share a hash are counted together, up to what 32 bits hold. It keeps
  // the rare ones, which are nearly all, out of the exact count.
  constexpr size_t kBuckets = size_t{1} << 18;
  constexpr uint64_t kMost = std::numeric_limits<uint32_t>::max();
  std::vector<uint32_t> bounds(kBuckets, 0);
  const auto bucket = [&](uint32_t left, uint32_t right) -> uint32_t& {
    return bounds[pair_hash(pair_key(left, right)) & (kBuckets - 1)];
  };
  size_t n_seen = 0;
  for_each_pair([&](const Place& place, uint32_t left, uint32_t right) {
    uint32_t& bound = bucket(left, right);
    bound = static_cast<uint32_t>(std::min(bound + std::min(counts_[place.piece], kMost), kMost));
    ++n_seen;
  });
  const uint64_t most = *std::max_element(bounds.begin(), bounds.end());
  threshold_ = std::max(options_.min_count, std::min(most, at_most) / kStep);

  // Then the exact counts, and how many places each pair has (in `end`).
  std::vector<uint32_t> seen;  // the pair of each place, in order
  seen.reserve(n_seen);
  for_each_pair([&](const Place& place, uint32_t left, uint32_t right) {
    if (bucket(left, right) < std::min(threshold_, kMost)) return seen.push_back(kUntracked);
    const uint32_t index =
        index_.insert(pair_key(left, right), static_cast<uint32_t>(pairs_.size()));
    if (index == pairs_.size()) pairs_.push_back({0, 0, 0, left, right});
    pairs_[index].count += counts_[place.piece];
    ++pairs_[index].end;
    seen.push_back(index);
  });
  size_t n_places = 0;
  for (Pair& pair : pairs_) {
    const size_t n = pair.count >= threshold_ ? pair.end : 0;
    pair.begin = pair.end = n_places;
    n_places += n;
  }
  places_.resize(n_places);
  auto next_seen = seen.begin();
  for_each_pair([&](const Place& place, uint32_t, uint32_t) {
    const uint32_t index = *next_seen++;
    if (index == kUntracked) return;
    Pair& pair = pairs_[index];
    if (pair.count >= threshold_) places_[pair.end++] = place;
  });
  for (uint32_t i = 0; i < pairs_.size(); ++i) {
    if (pairs_[i].count >= threshold_) add_candidate(i);
  }
}

void BpeTrainer::add_candidate(uint32_t index) {
  Pair& pair = pairs_[index];
  uint64_t order = pair_key(pair.left, pair.right);
  if (options_.tie_break == TieBreak::first_seen) {
    while (!holds(places_[pair.begin], pair)) ++pair.begin;  // a count above 0 has a place
    order = places_[pair.begin].slot;
  }
  heap_.push_back({pair.count, order, index});
  std::push_heap(heap_.begin(), heap_.end());
}

// The pair that is merged next; false where there is none.
bool BpeTrainer::next_pair(uint32_t& index) {
  for (;;) {
    while (!heap_.empty()) {
      const Candidate top = heap_.front();
      std::pop_heap(heap_.begin(), heap_.end());
      heap_.pop_back();
      Pair& pair = pairs_[top.pair];
      if (pair.count < threshold_) continue;
      bool current = top.count == pair.count;
      if (current && options_.tie_break == TieBreak::first_seen) {
        current = holds(places_[pair.begin], pair);  // else its first place has gone
      }
      if (current) {
        index = top.pair;
        return true;
      }
      add_candidate(top.pair);
    }
    if (threshold_ <= options_.min_count) return false;
    make_index(threshold_ - 1);
  }
}

void BpeTrainer::lower(uint32_t left, uint32_t right, uint64_t count) {
  const uint32_t index = index_.find(pair_key(left, right));
  if (index != kUntracked) pairs_[index].count -= count;
}

uint32_t BpeTrainer::add_pair(uint32_t left, uint32_t right, uint64_t count, size_t places) {
  if (count < threshold_) return kUntracked;
  const auto index = static_cast<uint32_t>(pairs_.size());
  index_.insert(pair_key(left, right), index);
  pairs_.push_back({count, places_.size(), places_.size(), left, right});
  places_.resize(places_.size() + places);
  return index;
}

// Replaces every (a, b) by the new token n, from left to right.
void BpeTrainer::merge(const Pair& pair) {
  const uint32_t a = pair.left, b = pair.right, n = static_cast<uint32_t>(sizes_.size());
  const uint32_t size_a = sizes_[a], size = size_a + sizes_[b];
  sizes_.push_back(size);
  left_.emplace_back();
  right_.emplace_back();

  merged_.clear();
  lefts_.clear();
  rights_.clear();
  const auto note = [](std::vector<Change>& changes, std::vector<uint32_t>& seen, uint32_t token,
                       uint64_t count) {
    Change& change = changes[token];
    if (change.places++ == 0) seen.push_back(token);
    change.count += count;
  };
  uint64_t doubled = 0;  // count and places of (n, n), where (b, a) was
  uint32_t doubled_places = 0;
  for (size_t i = pair.begin; i < pair.end; ++i) {
    const Place place = places_[i];
    if (!holds(place, pair)) continue;
    const uint64_t count = counts_[place.piece];
    const uint32_t slot = place.slot, left = tokens_[slot - 1], right = tokens_[slot + size];
    if (left == n) {  // the last merge was just before: its right neighbour is n now
      merged_.back().right = n;
      doubled += count;
      ++doubled_places;
    } else if (left != kEdge) {
      note(left_, lefts_, left, count);
    }
    if (right != kEdge) note(right_, rights_, right, count);
    tokens_[slot] = n;
    tokens_[slot + size_a] = kInside;
    tokens_[slot + size - 1] = n;
    merged_.push_back({place, left, right});
  }

  for (const uint32_t left : lefts_) {
    Change& change = left_[left];
    lower(left, a, change.count);
    change.pair = add_pair(left, n, change.count, change.places);
  }
  for (const uint32_t right : rights_) {
    Change& change = right_[right];
    lower(b, right, change.count);
    if (right == a) {  // some of these neighbours were merged in their turn
      change.count -= doubled;
      change.places -= doubled_places;
    }
    change.pair = add_pair(n, right, change.count, change.places);
  }
  const uint32_t twice = add_pair(n, n, doubled, doubled_places);

  for (const Merged& m : merged_) {
    if (m.left != kEdge && m.left != n && left_[m.left].pair != kUntracked) {
      Pair& p = pairs_[left_[m.left].pair];
      places_[p.end++] = {m.place.slot - sizes_[m.left], m.place.piece};
    }
    if (m.right == kEdge) continue;
    const uint32_t index = m.right == n ? twice : right_[m.right].pair;
    if (index != kUntracked) places_[pairs_[index].end++] = m.place;
  }
  for (const uint32_t left : lefts_) {
    if (left_[left].pair != kUntracked) add_candidate(left_[left].pair);
    left_[left] = {};
  }
  for (const uint32_t right : rights_) {
    if (right_[right].pair != kUntracked) add_candidate(right_[right].pair);
    right_[right] = {};
  }
  if (twice != kUntracked) add_candidate(twice);
}

std::vector<LearnedMerge> BpeTrainer::run(const std::function<void(size_t)>& progress) {
  std::vector<LearnedMerge> merges;
  make_index(std::numeric_limits<uint64_t>::max());
  uint32_t index = 0;
  while (merges.size() < options_.n_merges && next_pair(index)) {
    const Pair pair = pairs_[index];  // a copy: merging adds pairs
    merges.push_back({pair.left, pair.right, pair.count});
    merge(pair);
    if (progress && merges.size() % 64 == 0) progress(merges.size());
  }
  if (progress) progress(merges.size());
  return merges;
}

}  // namespace

std::vector<LearnedMerge> train_bpe(const Pieces& pieces, const TrainOptions& options,
                                    const std::function<void(size_t)>& progress) {
  return BpeTrainer(pieces, options).run(progress);
}

}  // namespace gu::text
