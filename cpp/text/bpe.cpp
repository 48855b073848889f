#include "text/bpe.hpp"

#include <algorithm>
#include <cstring>
#include <string>

#include "core/errors.hpp"
#include "text/window.hpp"

namespace gu::text {

// ---------------------------------------------------------------------------------- construction

namespace {

// What tokens become that are merged as pieces.
class TokenMerger {
 public:
  TokenMerger(const PieceMerger& merger, const Vocabulary& vocabulary, const Pause& pause)
      : merger_(merger), vocabulary_(vocabulary), pause_(pause) {}

  // Valid until the next one.
  std::span<const uint32_t> merged(uint32_t id) {
    const auto token = vocabulary_[id];
    bytes_ += token.size();
    if (pause_ && bytes_ > kBetweenPauses) {
      pause_();
      bytes_ = 0;
    }
    ids_.shrink(0);
    merger_.merge(token.data(), token.size(), queue_, ids_);
    return {ids_.data(), ids_.size()};
  }

 private:
  static constexpr std::size_t kBetweenPauses = std::size_t{1} << 20;
  const PieceMerger& merger_;
  const Vocabulary& vocabulary_;
  const Pause& pause_;
  std::size_t bytes_ = 0;
  MergeQueue queue_;
  Ids ids_;
};

}  // namespace

Bpe::Bpe(Vocabulary vocabulary, const std::vector<Merge>& merges, bool whole_pieces,
         Pattern pattern, const Pause& pause)
    : vocabulary_(std::move(vocabulary)),
      pattern_(pattern),
      merges_(merges),
      merger_(vocabulary_, merges.size()) {
  uint32_t order = 0;
  for (const Merge& m : merges_) {
    for (const uint32_t id : {m.left, m.right, m.result}) {
      if (!vocabulary_.has(id)) {
        fail<ValueError>("[BPETokenizer] merge ", order, " must be of tokens, but got id ", id);
      }
    }
    const auto left = vocabulary_[m.left], right = vocabulary_[m.right];
    const auto result = vocabulary_[m.result];
    if (left.size() + right.size() != result.size() ||
        !std::equal(left.begin(), left.end(), result.begin()) ||
        !std::equal(right.begin(), right.end(), result.end() - right.size())) {
      fail<ValueError>("[BPETokenizer] merge ", order, " must join its parts, but ids ", m.left,
                       " and ", m.right, " are not the halves of ", m.result);
    }
    if (!merger_.add(m.left, m.right, {order, m.result})) {
      fail<ValueError>("[BPETokenizer] merges must differ, but merge ", order, " of ids ", m.left,
                       " and ", m.right, " came before");
    }
    ++order;
  }
  std::vector<bool> whole(vocabulary_.size(), whole_pieces);
  if (!whole_pieces) {
    TokenMerger alone(merger_, vocabulary_, pause);
    for (uint32_t id = 0; id < vocabulary_.size(); ++id) {
      const auto ids = alone.merged(id);
      whole[id] = ids.size() == 1 && ids[0] == id;
    }
  }
  set_whole(std::move(whole));
}

// A token can only ever be made by one pair: what lies inside it merges as it would alone, until
// two parts are left. So the pairs are found by encoding every token, the short ones first, with
// the pairs of shorter ones.
Bpe::Bpe(Vocabulary vocabulary, Pattern pattern, const Pause& pause)
    : vocabulary_(std::move(vocabulary)),
      pattern_(pattern),
      merger_(vocabulary_, vocabulary_.size()) {
  for (unsigned b = 0; b < 256; ++b) {
    if (merger_.byte_id(static_cast<uint8_t>(b)) == kNoToken) {
      fail<ValueError>("[BPETokenizer] every byte must be a token, but byte ", b, " is none");
    }
  }
  std::vector<uint32_t> by_length;
  for (uint32_t id = 0; id < vocabulary_.size(); ++id) {
    if (vocabulary_[id].size() >= 2) by_length.push_back(id);
  }
  std::stable_sort(by_length.begin(), by_length.end(), [&](uint32_t a, uint32_t b) {
    return vocabulary_[a].size() < vocabulary_[b].size();
  });
  TokenMerger alone(merger_, vocabulary_, pause);
  for (const uint32_t id : by_length) {
    const auto ids = alone.merged(id);
    if (ids.size() != 2) continue;  // no merges make this token: it is whole pieces only
    const Merge merge{ids[0], ids[1], id};
    merger_.add(merge.left, merge.right, {id, id});
    merges_.push_back(merge);
  }
  std::sort(merges_.begin(), merges_.end(),
            [](const Merge& a, const Merge& b) { return a.result < b.result; });
  set_whole(std::vector<bool>(vocabulary_.size(), true));
}

void Bpe::set_whole(std::vector<bool> whole) {
  whole_ = std::move(whole);
  const auto is_short = [&](uint32_t id) {
    const std::size_t n = vocabulary_[id].size();
    return whole_[id] && n >= 1 && n <= kShortBytes;
  };
  std::size_t count = 0;
  for (uint32_t id = 0; id < vocabulary_.size(); ++id) count += is_short(id);
  short_whole_ = ShortTokens(count);
  for (uint32_t id = 0; id < vocabulary_.size(); ++id) {
    const auto token = vocabulary_[id];
    if (is_short(id)) short_whole_.insert(short_key(token.data(), token.size(), token.size()), id);
  }
  const Lease first(caches_);  // makes it now, not when a text is waiting
}

// -------------------------------------------------------------------------------------- encoding

// Throws if one of the ids of p[0, n) is none.
void Bpe::check_bytes(const uint8_t* p, std::size_t n, std::span<const uint32_t> ids) const {
  if (std::find(ids.begin(), ids.end(), kNoToken) == ids.end()) return;
  // Only single bytes can be without a token: the one that is, is in this piece.
  const auto* const byte =
      std::find_if(p, p + n, [&](uint8_t b) { return merger_.byte_id(b) == kNoToken; });
  fail<ValueError>("[BPETokenizer] text must be of bytes with tokens, but got byte ",
                   static_cast<unsigned>(*byte), ", which has none");
}

// A piece that the cache of short ones does not hold, or for which there was no room.
[[gnu::noinline]] void Bpe::encode_piece(const uint8_t* p, std::size_t n, std::size_t readable,
                                         PieceCache& cache, Ids& out) const {
  const Key key = n <= kShortBytes ? short_key(p, n, readable) : Key{0, 0};
  if (n <= kShortBytes) {
    const uint32_t whole = short_whole_.find(key);
    if (whole != kNoToken) {
      cache.place(key) = {key, {whole}, 1};
      out.push(whole);
      return;
    }
  }
  LongEntry* entry = nullptr;
  if (n <= LongEntry::kBytes) {
    entry = &cache.long_entry(p, n);
    if (entry->length == n && std::memcmp(entry->bytes, p, n) == 0) {
      std::memcpy(out.need(LongEntry::kIds), entry->ids, sizeof(entry->ids));
      out.added(entry->count);
      return;
    }
  }
  const std::size_t before = out.size();
  const uint32_t whole = n > kShortBytes ? vocabulary_.find(p, n) : kNoToken;
  if (whole != kNoToken && whole_[whole]) {
    out.push(whole);
  } else {
    merger_.merge(p, n, cache.queue, out);
    check_bytes(p, n, {out.data() + before, out.size() - before});
  }
  const uint32_t* const ids = out.data() + before;
  const std::size_t count = out.size() - before;
  if (n <= kShortBytes && count <= ShortEntry::kIds) {
    ShortEntry& place = cache.place(key);
    place = {key, {}, static_cast<uint32_t>(count)};
    std::memcpy(place.ids, ids, count * sizeof(uint32_t));
  } else if (entry && count <= LongEntry::kIds) {
    entry->length = static_cast<uint8_t>(n);
    entry->count = static_cast<uint8_t>(count);
    std::memcpy(entry->bytes, p, n);
    std::memcpy(entry->ids, ids, count * sizeof(uint32_t));
  }
}

template <Pattern pattern>
void Bpe::encode_plain(const uint8_t* text, std::size_t size, PieceCache& cache, Ids& out) const {
  const uint8_t* const end = text + size;
  uint32_t* next = out.need(size / 4 + 4);
  const uint32_t* last = next + size / 4;  // where four ids still fit
  const auto reach = [&] { out.added(static_cast<std::size_t>(next - (out.data() + out.size()))); };
  split_fast<pattern>(text, size, [&](const uint8_t* p, const uint8_t* q) {
    const auto n = static_cast<std::size_t>(q - p);
    if (n <= kShortBytes && next <= last) [[likely]] {
      const Key key = short_key(p, n, static_cast<std::size_t>(end - p));
      const ShortEntry& entry = cache.find(key);
      if (entry.key == key) [[likely]] {
        // All of the entry is copied, as that is one instruction; what is too much is written over.
        std::memcpy(next, entry.ids, 16);
        next += entry.count;
        return;
      }
    }
    reach();
    encode_piece(p, n, static_cast<std::size_t>(end - p), cache, out);
    const std::size_t more = static_cast<std::size_t>(end - q) / 4;
    next = out.need(more + 4);
    last = next + more;
  });
  reach();
}

void Bpe::encode(const uint8_t* text, std::size_t size, const AddedTokens& added, Origin origin,
                 Ids& out) const {
  const Lease cache(caches_);
  for (std::size_t done = 0;;) {
    AddedTokens::Match m{size, size, nullptr, size};
    if (!added.empty()) m = added.find(text, size, done);
    if (m.token && m.token->forbidden) {
      const uint8_t* const found = text + m.found;
      auto position = found - origin.begin;
      if (origin.in_characters) {
        position = std::count_if(origin.begin, found, [](uint8_t b) { return (b & 0xc0) != 0x80; });
      }
      fail<ValueError>(
          "[BPETokenizer] text must not hold special tokens that are not allowed, but got '",
          m.token->text, "' at position ", position, "; allowed_special={'", m.token->text,
          "'} makes it the token, disallowed_special=() makes it plain text");
    }
    with_pattern(pattern_,
                 [&]<Pattern p>() { encode_plain<p>(text + done, m.begin - done, *cache, out); });
    if (!m.token) return;
    out.push(m.token->id);
    done = m.end;
  }
}

void Bpe::encode_pieces(const uint8_t* text, std::span<const uint64_t> ends, Ids& out) const {
  const Lease cache(caches_);
  uint64_t begin = 0;
  for (const uint64_t end : ends) {
    if (end > begin) encode_piece(text + begin, end - begin, end - begin, *cache, out);
    begin = end;
  }
}

void Bpe::encode_with_dropout(const uint8_t* text, std::size_t size, double probability,
                              uint64_t seed, Ids& out) const {
  Dropout dropout(probability, seed);
  MergeQueue queue;
  split(pattern_, text, size, [&](const uint8_t* p, const uint8_t* q) {
    const auto n = static_cast<std::size_t>(q - p);
    const std::size_t before = out.size();
    merger_.merge_with_dropout(p, n, dropout, queue, out);
    check_bytes(p, n, {out.data() + before, out.size() - before});
    queue.trim();
  });
}

// ------------------------------------------------------------------------------------------ cuts

std::size_t Bpe::safe_cut(const uint8_t* text, std::size_t size, const AddedTokens& added) const {
  using namespace split_detail;
  if (pattern_ == Pattern::none) return 0;
  const auto ends_here = [&](std::size_t i) {
    const uint8_t before = class_before(text, i);
    const Char after = char_at(text + i, text + size);
    // A word ends before white space, and in all patterns but one before a symbol; 's may belong to
    // it.
    if (!(before & (kLetter | kNumber))) return false;
    if (after.kind & kWhite) return true;
    return pattern_ != Pattern::whitespace && before & kLetter &&
           (after.kind & (kOther | kNumber)) != 0 && text[i] != '\'';
  };
  const auto crossed = [&](std::size_t i) {
    const std::size_t from = i > added.longest() ? i - added.longest() : 0;
    for (std::size_t at = from; at < i;) {
      const AddedTokens::Match m = added.find(text, size, at);
      if (!m.token || m.found >= i) return false;
      if (m.end > i || m.begin < from) return true;
      at = m.found + 1;
    }
    return false;
  };
  // What follows may still become part of a character, a contraction or an added token.
  const std::size_t margin = std::max<std::size_t>(8, added.longest());
  if (size <= margin) return 0;
  for (std::size_t i = size - margin; i > 0; --i) {
    if (ends_here(i) && (added.empty() || !crossed(i))) return i;
  }
  return 0;
}

}  // namespace gu::text
