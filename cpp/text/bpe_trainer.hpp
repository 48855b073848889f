#pragma once
// Byte-pair encoding, learned: merge the most frequent pair of neighbouring tokens, again and
// again.
//
// Counting all pairs anew before each merge, as the definition says, costs a pass over the text a
// token. Here a merge touches only the places where its pair stands:
//
// - The tokens of all distinct pieces lie in one flat array, a slot a byte: the first and the last
//   slot of a token hold its id, so neighbours are found in either direction without links.
// - An index holds, for each pair that occurs often enough to matter soon, its count and the
//   places where it was seen. A merge lowers the counts of its neighbours' pairs and adds those of
//   the new token. Places are never removed: one that no longer holds its pair is skipped.
// - A heap orders the pairs. Counts of a pair only ever fall (what stands beside an old token is
//   new), so an entry that is too high is put back with its present count when it comes up.
// - Pairs below a threshold are not indexed at all. When no pair reaches it any more, the threshold
//   falls and the index is made anew: a handful of passes in all, for a small fraction of the
//   memory that every pair of a large text would take.

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "text/piece_counter.hpp"

namespace gu::text {

// Which of several pairs with the same count is merged first.
enum class TieBreak {
  smaller_ids,  // the smaller left id, then the smaller right one, as the tokenizers package
  first_seen,   // the one that the text holds first, as minbpe
};

struct TrainOptions {
  size_t n_merges = 0;     // at most; fewer where no pair is left
  uint64_t min_count = 1;  // pairs that occur less often are not merged
  TieBreak tie_break = TieBreak::smaller_ids;
  std::array<uint32_t, 256> byte_ids;  // id of each byte, a permutation of 0 to 255
};

struct LearnedMerge {
  uint32_t left, right;  // ids; the k-th merge makes id 256 + k
  uint64_t count;        // how often the pair stood in the text
};

// `progress` hears the number of merges now and then; what it throws ends the training.
std::vector<LearnedMerge> train_bpe(const Pieces& pieces, const TrainOptions& options,
                                    const std::function<void(size_t)>& progress = {});

}  // namespace gu::text
