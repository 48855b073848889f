#include "text/merge_piece.hpp"

#include <algorithm>

#include "core/errors.hpp"

namespace gu::text {

namespace {

constexpr std::size_t kInArray = 64;  // bytes of a piece that is merged in an array
constexpr std::size_t kWindow = std::size_t{1}
                                << 15;  // bytes of a longer one that are merged at once
constexpr std::size_t kMostDropped = std::size_t{1} << 20;

constexpr auto kNeverDropped = [] { return false; };

}  // namespace

bool Dropout::operator()() {  // SplitMix64
  uint64_t z = state_ += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-53 < probability_;
}

PieceMerger::PieceMerger(const Vocabulary& vocabulary, std::size_t merges)
    : vocabulary_(vocabulary), pairs_(merges), byte_pairs_(256 * 256, Merged{kNoToken, kNoToken}) {
  for (unsigned b = 0; b < 256; ++b) {
    const auto byte = static_cast<uint8_t>(b);
    byte_ids_[b] = vocabulary.find(&byte, 1);
  }
}

bool PieceMerger::add(uint32_t left, uint32_t right, Merged merged) {
  if (!pairs_.insert(left, right, merged)) return false;
  const auto a = vocabulary_[left], b = vocabulary_[right];
  if (a.size() == 1 && b.size() == 1) byte_pairs_[a[0] << 8 | b[0]] = merged;
  return true;
}

void PieceMerger::merge(const uint8_t* p, std::size_t n, MergeQueue& queue, Ids& out) const {
  if (n <= kInArray) return merge_short(p, n, out);
  merge_long(p, n, queue, out);
}

// order[i] and result[i] are of the pair of ids[i] and ids[i + 1].
void PieceMerger::merge_short(const uint8_t* p, std::size_t n, Ids& out) const {
  uint32_t order[kInArray], result[kInArray];
  uint32_t* const ids = out.need(n);
  for (std::size_t i = 0; i < n; ++i) ids[i] = byte_ids_[p[i]];
  for (std::size_t i = 0; i + 1 < n; ++i) {
    const Merged m = byte_pairs_[p[i] << 8 | p[i + 1]];
    order[i] = m.order;
    result[i] = m.result;
  }
  const auto look_up = [&](std::size_t i) {
    const Merged m = pairs_.find(ids[i], ids[i + 1]);
    order[i] = m.order;
    result[i] = m.result;
  };
  while (n > 1) {
    std::size_t best = 0;
    for (std::size_t i = 1; i + 1 < n; ++i) {
      if (order[i] < order[best]) best = i;
    }
    if (order[best] == kNoToken) break;
    ids[best] = result[best];
    --n;
    for (std::size_t i = best + 1; i < n; ++i) ids[i] = ids[i + 1];
    for (std::size_t i = best + 1; i + 1 < n; ++i) {
      order[i] = order[i + 1];
      result[i] = result[i + 1];
    }
    if (best + 1 < n) look_up(best);
    if (best > 0) look_up(best - 1);
  }
  out.added(n);
}

// The same with a heap. Appends the parts that end in p[0, sure); returns where they end.
std::size_t PieceMerger::merge_window(const uint8_t* p, std::size_t n, std::size_t sure,
                                      MergeQueue& queue, Ids& out) const {
  if (n >= kNoToken) fail<ValueError>("[BPETokenizer] pieces must be below 4 GiB, but got ", n);
  queue.ids.resize(n);
  for (std::size_t i = 0; i < n; ++i) queue.ids[i] = byte_ids_[p[i]];
  queue.merge(pairs_, kNeverDropped);
  uint32_t i = 0;
  for (; i < sure && queue.next(i) <= sure; i = queue.next(i)) out.push(queue.ids[i]);
  return i;
}

// A long piece takes 28 bytes a byte while it is merged, so it is merged in windows. What makes
// that exact: a sequence of tokens is what a text becomes if any two neighbours, merged alone,
// become those two. For up to the first merge across a boundary, what lies on its two sides would
// have merged in the same order alone, and then this merge would have come there as well.
// The last parts of a window may depend on what follows it, so the next one begins before them.
// Where its first part does not fit the last one before, both are done again in a larger window.
void PieceMerger::merge_long(const uint8_t* p, std::size_t n, MergeQueue& queue, Ids& out) const {
  const std::size_t first = out.size();
  Ids alone;
  const auto fit = [&](std::size_t at, uint32_t left, uint32_t right) {
    const std::size_t before = length(left), both = before + length(right);
    alone.shrink(0);
    merge_window(p + at - before, both, both, queue, alone);
    return alone.size() == 2 && alone.data()[0] == left && alone.data()[1] == right;
  };
  std::size_t window = kWindow;
  for (std::size_t done = 0; done < n;) {
    const std::size_t size = std::min(window, n - done), known = out.size();
    const std::size_t sure = done + size == n ? size : size - size / 16;
    const std::size_t reached = done + merge_window(p + done, size, sure, queue, out);
    if (reached > done && (known == first || fit(done, out.data()[known - 1], out.data()[known]))) {
      done = reached;
      continue;
    }
    out.shrink(known);
    for (const std::size_t from = done; out.size() > first && from - done < window;) {
      done -= length(out.data()[out.size() - 1]);
      out.shrink(out.size() - 1);
    }
    window *= 2;
  }
}

// In parts of a megabyte, which bounds the memory: a merge from one to the next is left out, too.
void PieceMerger::merge_with_dropout(const uint8_t* p, std::size_t n, Dropout& dropout,
                                     MergeQueue& queue, Ids& out) const {
  for (std::size_t done = 0; done < n;) {
    const std::size_t size = std::min(kMostDropped, n - done);
    queue.ids.resize(size);
    for (std::size_t i = 0; i < size; ++i) queue.ids[i] = byte_ids_[p[done + i]];
    queue.merge(pairs_, dropout);
    for (uint32_t i = 0; i < size; i = queue.next(i)) out.push(queue.ids[i]);
    done += size;
  }
}

}  // namespace gu::text
