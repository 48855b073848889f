#pragma once
// Merging of a long sequence: the pairs wait in a heap, so that no text is worse than n log n.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "text/pair_table.hpp"

namespace gu::text {

class MergeQueue {
 public:
  // In: the sequence. Out: at the places where parts begin, their ids; next(i) is the next place.
  std::vector<uint32_t> ids;
  uint32_t next(uint32_t i) const { return next_[i]; }

  // Of all neighbours that `pairs` holds, merges those with the lowest order first, the leftmost of
  // equal ones. Where dropped() says so, a merge is left out until another one has happened.
  template <class Dropped>
  void merge(const PairTable& pairs, Dropped&& dropped) {
    const auto n = static_cast<uint32_t>(ids.size());
    next_.resize(n);
    previous_.resize(n);
    merged_.resize(n);
    heap_.clear();
    skipped_.clear();
    for (uint32_t i = 0; i < n; ++i) {
      next_[i] = i + 1;
      previous_[i] = i - 1;
    }
    const auto offer = [&](uint32_t i) {  // part i and the one after it
      merged_[i] = next_[i] < n ? pairs.find(ids[i], ids[next_[i]]) : kNothing;
      if (merged_[i].order != kNoToken) push(uint64_t{merged_[i].order} << 32 | i);
    };
    for (uint32_t i = 0; i < n; ++i) offer(i);
    while (!heap_.empty()) {
      std::pop_heap(heap_.begin(), heap_.end(), std::greater<>());
      const uint64_t entry = heap_.back();
      heap_.pop_back();
      const auto i = static_cast<uint32_t>(entry);
      if (merged_[i].order != entry >> 32) continue;  // the pair has changed since it was pushed
      if (dropped()) {
        skipped_.push_back(entry);
        continue;
      }
      const uint32_t gone = next_[i];
      ids[i] = merged_[i].result;
      next_[i] = next_[gone];
      merged_[gone] = kNothing;
      if (next_[i] < n) previous_[next_[i]] = i;
      offer(i);
      if (i > 0) offer(previous_[i]);
      for (const uint64_t again : skipped_) push(again);
      skipped_.clear();
    }
  }

  // What a long sequence needed is given back.
  void trim() {
    if (ids.capacity() > kKept) *this = {};
  }

 private:
  static constexpr std::size_t kKept = 1 << 17;
  static constexpr Merged kNothing{kNoToken, kNoToken};

  void push(uint64_t entry) {
    heap_.push_back(entry);
    std::push_heap(heap_.begin(), heap_.end(), std::greater<>());
  }

  std::vector<uint32_t> next_, previous_;
  std::vector<Merged> merged_;            // what part i and the next one become
  std::vector<uint64_t> heap_, skipped_;  // order above, place below
};

}  // namespace gu::text
