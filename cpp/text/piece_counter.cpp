#include "text/piece_counter.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

#include "core/errors.hpp"
#include "core/threads.hpp"
#include "text/safe_cut.hpp"

namespace gu::text {
namespace {

uint64_t load_bytes(const uint8_t* p, size_t size) {
  uint64_t word = 0;
  std::memcpy(&word, p, size);
  return word;
}

}  // namespace

uint32_t PieceTable::hash_of(const uint8_t* p, size_t size) {
  constexpr uint64_t kMultiplier = 0x9e3779b97f4a7c15;
  uint64_t h = size * kMultiplier;
  const auto mix = [&h](uint64_t word) {
    h = (h ^ word) * kMultiplier;
    h ^= h >> 32;
  };
  if (size >= 8) {
    for (size_t i = 0; i + 8 < size; i += 8) mix(load_bytes(p + i, 8));
    mix(load_bytes(p + size - 8, 8));
  } else if (size >= 4) {
    mix(load_bytes(p, 4) << 32 | load_bytes(p + size - 4, 4));
  } else if (size > 0) {
    mix(uint64_t{p[0]} << 16 | uint64_t{p[size / 2]} << 8 | p[size - 1]);
  }
  return static_cast<uint32_t>(h ^ h >> 29);
}

bool PieceTable::equal(const uint8_t* a, const uint8_t* b, size_t size) {
  if (size >= 8) {
    for (size_t i = 0; i + 8 < size; i += 8) {
      if (load_bytes(a + i, 8) != load_bytes(b + i, 8)) return false;
    }
    return load_bytes(a + size - 8, 8) == load_bytes(b + size - 8, 8);
  }
  if (size >= 4)
    return load_bytes(a, 4) == load_bytes(b, 4) &&
           load_bytes(a + size - 4, 4) == load_bytes(b + size - 4, 4);
  return size == 0 || (a[0] == b[0] && a[size / 2] == b[size / 2] && a[size - 1] == b[size - 1]);
}

void PieceTable::add(const uint8_t* piece, size_t size, uint64_t count, uint64_t first) {
  if (entries_.size() * 2 >= slots_.size()) grow();
  const uint32_t hash = hash_of(piece, size);
  const size_t mask = slots_.size() - 1;
  size_t at = hash & mask;
  for (; slots_[at].entry != 0; at = (at + 1) & mask) {
    if (slots_[at].hash != hash) continue;
    Entry& entry = entries_[slots_[at].entry - 1];
    if (entry.size == size && equal(bytes_.data() + entry.begin, piece, size)) {
      entry.count += count;
      return;
    }
  }
  if (size > std::numeric_limits<uint32_t>::max() ||
      entries_.size() >= std::numeric_limits<uint32_t>::max() - 1) {
    fail<ValueError>("[BPETokenizer] pieces must be shorter than 4 GiB and fewer than 2**32");
  }
  entries_.push_back({bytes_.size(), count, first, static_cast<uint32_t>(size), hash});
  bytes_.insert(bytes_.end(), piece, piece + size);
  slots_[at] = {hash, static_cast<uint32_t>(entries_.size())};
}

void PieceTable::grow() {
  slots_.assign(std::max<size_t>(1024, slots_.size() * 2), Slot{0, 0});
  const size_t mask = slots_.size() - 1;
  for (size_t i = 0; i < entries_.size(); ++i) {
    size_t at = entries_[i].hash & mask;
    while (slots_[at].entry != 0) at = (at + 1) & mask;
    slots_[at] = {entries_[i].hash, static_cast<uint32_t>(i + 1)};
  }
}

PieceCounter::PieceCounter(Pattern pattern, std::vector<std::string> special_tokens, size_t block)
    : pattern_(pattern),
      special_tokens_(std::move(special_tokens)),
      block_(std::max<size_t>(block, 1)),
      wanted_(block_) {
  std::sort(special_tokens_.begin(), special_tokens_.end(),
            [](const auto& a, const auto& b) { return a.size() > b.size(); });
  for (const std::string& token : special_tokens_) {
    if (token.empty()) fail<ValueError>("[BPETokenizer] special tokens must not be empty");
    begins_special_[static_cast<uint8_t>(token[0])] = true;
    longest_special_ = std::max(longest_special_, token.size());
  }
  if (std::count(std::begin(begins_special_), std::end(begins_special_), true) == 1) {
    single_first_byte_ = static_cast<uint8_t>(special_tokens_[0][0]);
  }
}

void PieceCounter::add(const uint8_t* data, size_t size) {
  n_bytes_ += size;
  while (size > 0) {
    const size_t part = std::min(size, std::max<size_t>(wanted_ - buffer_.size(), 1));
    buffer_.insert(buffer_.end(), data, data + part);
    data += part;
    size -= part;
    if (buffer_.size() >= wanted_) flush();
  }
}

void PieceCounter::end_text() { text_ends_.push_back(buffer_.size()); }

void PieceCounter::add_piece(const uint8_t* piece, size_t size, uint64_t count) {
  if (tables_.empty()) tables_.emplace_back();
  tables_[0].add(piece, size, count, n_bytes_);
  n_bytes_ += size * count;
  buffer_begin_ = n_bytes_;
}

PieceCounter::Span PieceCounter::find_special(size_t begin, size_t end) const {
  if (special_tokens_.empty()) return {end, end};
  for (size_t i = begin; i < end; ++i) {
    if (single_first_byte_ >= 0) {
      const void* found = std::memchr(&buffer_[i], single_first_byte_, end - i);
      if (found == nullptr) break;
      i = static_cast<size_t>(static_cast<const uint8_t*>(found) - buffer_.data());
    }
    if (!begins_special_[buffer_[i]]) continue;
    for (const std::string& token : special_tokens_) {
      if (token.size() <= end - i && std::memcmp(&buffer_[i], token.data(), token.size()) == 0) {
        return {i, i + token.size()};
      }
    }
  }
  return {end, end};
}

// Counts the finished texts in the buffer and as much of the last one as is safe; keeps the rest.
void PieceCounter::flush() {
  std::vector<Span> spans;
  size_t begin = 0;
  for (const size_t end : text_ends_) {
    while (begin < end) {
      const Span special = find_special(begin, end);
      spans.push_back({begin, special.begin});
      begin = special.end;
    }
  }
  text_ends_.clear();
  // The last text goes on in the next block. A special token or a character may have begun in its
  // last bytes.
  const size_t size = buffer_.size();
  const size_t sure = size - std::min(size - begin, std::max<size_t>(longest_special_, 4));
  while (begin < sure) {
    const Span special = find_special(begin, size);
    if (special.begin >= sure) break;
    spans.push_back({begin, special.begin});
    begin = special.end;
  }
  if (begin < sure) {
    const size_t cut = last_safe_cut(pattern_, buffer_.data(), size, begin, sure);
    spans.push_back({begin, cut});
    begin = cut;
  }
  count(spans);
  buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(begin));
  buffer_begin_ += begin;
  // What could not be cut is looked at again when it has doubled: linear in total.
  wanted_ = std::max(block_, 2 * buffer_.size());
}

void PieceCounter::count(const std::vector<Span>& spans) {
  size_t total = 0;
  for (const Span& span : spans) total += span.end - span.begin;
  const size_t grain = block_ / 64 + 1;  // fewer bytes are not worth another thread
  const int parts =
      std::max(1, split_parts(static_cast<int64_t>(total), static_cast<int64_t>(grain)));
  if (tables_.size() < static_cast<size_t>(parts)) tables_.resize(static_cast<size_t>(parts));

  // About the same number of bytes a part: where a span holds the border, it is cut near it.
  std::vector<std::vector<Span>> shares(static_cast<size_t>(parts));
  size_t share = 0, taken = 0;  // bytes given out so far
  for (Span span : spans) {
    while (span.begin < span.end) {
      const size_t border = total * (share + 1) / static_cast<size_t>(parts);
      size_t end = span.end;
      if (taken + (span.end - span.begin) > border && share + 1 < shares.size()) {
        const size_t near = span.begin + (border - std::min(border, taken));
        end = next_safe_cut(pattern_, buffer_.data(), span.end, std::max(near, span.begin + 1));
      }
      shares[share].push_back({span.begin, end});
      taken += end - span.begin;
      span.begin = end;
      if (taken >= border && share + 1 < shares.size()) ++share;
    }
  }
  parallel_parts(parts, [&](int part) {
    PieceTable& table = tables_[static_cast<size_t>(part)];
    for (const Span& span : shares[static_cast<size_t>(part)]) {
      split(pattern_, buffer_.data() + span.begin, span.end - span.begin,
            [&](const uint8_t* begin, const uint8_t* end) {
              table.add(begin, static_cast<size_t>(end - begin), 1,
                        buffer_begin_ + static_cast<uint64_t>(begin - buffer_.data()));
            });
    }
  });
}

Pieces PieceCounter::finish() {
  end_text();
  flush();
  PieceTable all;
  if (tables_.size() == 1) {
    all = std::move(tables_[0]);
  } else {
    // Every table holds its pieces in the order of the text, so that of all is a merge of them.
    std::vector<size_t> next(tables_.size(), 0);
    for (;;) {
      const PieceTable* from = nullptr;
      size_t table = 0;
      uint64_t first = 0;
      for (size_t t = 0; t < tables_.size(); ++t) {
        if (next[t] == tables_[t].entries_.size()) continue;
        const uint64_t candidate = tables_[t].entries_[next[t]].first;
        if (from == nullptr || candidate < first) {
          from = &tables_[t];
          table = t;
          first = candidate;
        }
      }
      if (from == nullptr) break;
      const PieceTable::Entry& entry = from->entries_[next[table]++];
      all.add(from->bytes_.data() + entry.begin, entry.size, entry.count, entry.first);
    }
  }
  tables_.clear();
  Pieces pieces;
  pieces.bytes = std::move(all.bytes_);
  pieces.ends.reserve(all.entries_.size());
  pieces.counts.reserve(all.entries_.size());
  for (const PieceTable::Entry& entry : all.entries_) {
    pieces.ends.push_back(entry.begin + entry.size);
    pieces.counts.push_back(entry.count);
  }
  return pieces;
}

}  // namespace gu::text
