#include "text/bpe.hpp"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <new>
#include <numeric>

#include "core/errors.hpp"
#include "text/window.hpp"

namespace gu::text {

static_assert(std::endian::native == std::endian::little, "the cache's keys are little-endian");

// ------------------------------------------------------------------------------------------- Ids

Ids::~Ids() { std::free(data_); }

void Ids::grow(std::size_t n) {
  const std::size_t wanted = std::max(size_ + n, capacity_ + capacity_ / 2 + 16);
  void* const grown = std::realloc(data_, wanted * sizeof(uint32_t));
  if (!grown) throw std::bad_alloc();
  data_ = static_cast<uint32_t*>(grown);
  capacity_ = wanted;
}

uint32_t* Ids::release() {
  uint32_t* given = std::exchange(data_, nullptr);
  if (void* const cut = std::realloc(given, std::max<std::size_t>(size_, 1) * sizeof(uint32_t))) {
    given = static_cast<uint32_t*>(cut);
  }
  size_ = capacity_ = 0;
  return given;
}

// ------------------------------------------------------------------------------------- PairTable

PairTable::PairTable(std::size_t pairs) {
  const int bits = std::max(1, static_cast<int>(std::bit_width(2 * pairs)));
  slots_.resize(std::size_t{1} << bits);
  mask_ = slots_.size() - 1;
  shift_ = 64 - bits;
  bits_.resize(std::max<std::size_t>(slots_.size() / 8, 2));
  bits_shift_ = 64 - std::countr_zero(bits_.size());
}

bool PairTable::insert(uint32_t left, uint32_t right, Merged merged) {
  const uint64_t h = hash(left, right);
  bits_[h >> bits_shift_] |= uint64_t{1} << (h >> (bits_shift_ - 6) & 63);
  std::size_t slot = h >> shift_;
  while (slots_[slot].merged.order != kNoToken) {
    if (slots_[slot].left == left && slots_[slot].right == right) return false;
    slot = (slot + 1) & mask_;
  }
  slots_[slot] = {left, right, merged};
  return true;
}

// ----------------------------------------------------------------------------------- ShortTokens

ShortTokens::ShortTokens(std::size_t tokens) {
  const int bits = std::max(1, static_cast<int>(std::bit_width(tokens + tokens / 2)));
  slots_.resize(std::size_t{1} << bits);
  mask_ = slots_.size() - 1;
  shift_ = 64 - bits;
}

void ShortTokens::insert(Key key, uint32_t id) {
  std::size_t slot = key.hash() >> shift_;
  while (slots_[slot].id != kNoToken) slot = (slot + 1) & mask_;
  slots_[slot] = {key, id};
}

// ----------------------------------------------------------------------------------- AddedTokens

AddedTokens::AddedTokens(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
  const auto first = [](const AddedToken& t) { return static_cast<uint8_t>(t.text[0]); };
  for (const AddedToken& t : tokens_) {
    if (t.text.empty()) fail<ValueError>("[AddedTokens] texts must not be empty, but id ", t.id);
    longest_ = std::max(longest_, t.text.size());
  }
  std::stable_sort(tokens_.begin(), tokens_.end(), [&](const auto& a, const auto& b) {
    return first(a) != first(b) ? first(a) < first(b) : a.text.size() > b.text.size();
  });
  for (const AddedToken& t : tokens_) ++begin_of_first_[first(t) + 1];
  std::partial_sum(begin_of_first_.begin(), begin_of_first_.end(), begin_of_first_.begin());
  if (!tokens_.empty() && first(tokens_.front()) == first(tokens_.back())) {
    only_first_ = first(tokens_.front());
  }
}

namespace {

// Where the character before text[at] begins; at > 0.
std::size_t character_before(const uint8_t* text, std::size_t at) {
  for (std::size_t back = 2; back <= 4 && back <= at; ++back) {
    if ((text[at - 1] & 0xc0) != 0x80) break;
    if (decode_utf8(text + at - back, text + at).length == back) return at - back;
  }
  return at - 1;
}

uint8_t class_before(const uint8_t* text, std::size_t at) {
  return at == 0 ? 0 : split_detail::char_at(text + character_before(text, at), text + at).kind;
}

// \w: letters, marks, numbers, the underscore.
bool is_word(const uint8_t* text, std::size_t at, uint8_t kind) {
  using namespace split_detail;
  return (kind & (kLetter | kMark | kNumber)) != 0 || (kind != 0 && text[at] == '_');
}

}  // namespace

AddedTokens::Match AddedTokens::find(const uint8_t* text, std::size_t size,
                                     std::size_t from) const {
  using namespace split_detail;
  for (std::size_t at = from; at < size; ++at) {
    if (only_first_ >= 0) {
      const void* const hit = std::memchr(text + at, only_first_, size - at);
      if (!hit) break;
      at = static_cast<std::size_t>(static_cast<const uint8_t*>(hit) - text);
    }
    for (uint32_t i = begin_of_first_[text[at]]; i < begin_of_first_[text[at] + 1]; ++i) {
      const AddedToken& t = tokens_[i];
      const std::size_t length = t.text.size();
      if (length > size - at || std::memcmp(text + at, t.text.data(), length) != 0) continue;
      Match m{at, at + length, &t, at};
      if (t.single_word) {
        const uint8_t before = at > 0 ? class_before(text, at) : 0;
        const uint8_t after = char_at(text + m.end, text + size).kind;
        if ((at > 0 && is_word(text, character_before(text, at), before)) ||
            (m.end < size && is_word(text, m.end, after))) {
          continue;
        }
      }
      if (t.lstrip) {
        while (m.begin > from && class_before(text, m.begin) & kWhite) {
          m.begin = character_before(text, m.begin);
        }
      }
      if (t.rstrip) {
        m.end = static_cast<std::size_t>(skip<kWhite>(text + m.end, text + size) - text);
      }
      return m;
    }
  }
  return {size, size, nullptr, size};
}

// ----------------------------------------------------------------------------------------- cache

namespace {

constexpr std::size_t kShortSets = std::size_t{1} << 15, kLongEntries = std::size_t{1} << 13;
constexpr std::size_t kShortBytes = 15, kShortIds = 3, kLongBytes = 46, kLongIds = 18;
constexpr std::size_t kInArray = 64;    // bytes of a piece that is merged in an array
constexpr std::size_t kKept = 1 << 17;  // of a longer piece the working memory is given back

// A piece of up to 15 bytes and its up to three ids; half a cache line.
struct alignas(32) ShortEntry {
  Key key{0, 0};  // zeros if the entry is empty
  uint32_t ids[kShortIds]{}, count = 0;
};

struct alignas(128) LongEntry {
  uint8_t length, count;
  uint8_t bytes[kLongBytes];
  uint32_t ids[kLongIds];
};
// The places where a short piece may be: a cache line, or the one beside it. Which it is, is its
// hash's choice.
struct alignas(64) ShortSet {
  ShortEntry entries[2];
};
static_assert(sizeof(ShortSet) == 64 && sizeof(LongEntry) == 128);

// The key of n bytes at p, 1 to 15, of which `readable` may be read.
[[gnu::always_inline]] inline Key short_key(const uint8_t* p, std::size_t n, std::size_t readable) {
  constexpr auto masks = [] {
    std::array<Key, 16> table{};
    for (std::size_t i = 0; i < 16; ++i) {
      table[i].low = i >= 8 ? ~uint64_t{0} : (uint64_t{1} << (8 * i)) - 1;
      table[i].high = i <= 8 ? 0 : (uint64_t{1} << (8 * (i - 8))) - 1;
    }
    return table;
  }();
  Key key{0, 0};
  if (readable >= 16) [[likely]] {
    std::memcpy(&key, p, 16);
    key.low &= masks[n].low;
    key.high &= masks[n].high;
  } else {
    std::memcpy(&key, p, n);
  }
  key.high |= static_cast<uint64_t>(n) << 56;
  return key;
}

// A piece while it is merged, by byte: the ids of parts that begin there, their neighbours, and
// what each part and the next one become.
struct Parts {
  std::vector<uint32_t> ids, next, previous;
  std::vector<Merged> pairs;

  void resize(std::size_t n) {
    ids.resize(n);
    next.resize(n);
    previous.resize(n);
    pairs.resize(n);
  }

  // Merges part i with the next one; look_up(k) is to renew the pair of part k.
  template <class LookUp>
  void join(uint32_t i, LookUp&& look_up) {
    const uint32_t gone = next[i];
    ids[i] = pairs[i].result;
    next[i] = next[gone];
    pairs[i] = pairs[gone] = {kNoToken, kNoToken};
    if (next[i] < ids.size()) {
      previous[next[i]] = i;
      look_up(i);
    }
    if (i > 0) look_up(previous[i]);
  }
};

}  // namespace

class Bpe::Cache {
 public:
  // The entry that holds the key, or one that does not.
  [[gnu::always_inline]] const ShortEntry& find(Key key) const {
    const std::size_t home = key.hash() >> (64 - std::countr_zero(kShortSets));
    const ShortSet& set = short_sets[home];
    const ShortEntry& entry = set.entries[set.entries[1].key == key];
    if (entry.key == key) [[likely]] {
      return entry;
    }
    const ShortSet& beside = short_sets[home ^ 1];
    return beside.entries[beside.entries[1].key == key];
  }
  // Where to write the key's entry: a free one, or that of an unlucky piece.
  ShortEntry& place(Key key) {
    const uint64_t hash = key.hash();
    const std::size_t home = hash >> (64 - std::countr_zero(kShortSets));
    for (const std::size_t i : {home, home ^ 1}) {
      for (ShortEntry& entry : short_sets[i].entries) {
        if (entry.key.high == 0) return entry;
      }
    }
    return short_sets[home].entries[hash >> 20 & 1];
  }

  std::vector<ShortSet> short_sets = std::vector<ShortSet>(kShortSets);
  std::vector<LongEntry> long_entries = std::vector<LongEntry>(kLongEntries);
  Parts parts;  // of a long piece
  std::vector<uint64_t> heap;
  std::array<uint32_t, kInArray> few;  // the ids of a short one
  void trim();
};

// ---------------------------------------------------------------------------------- construction

Bpe::~Bpe() = default;

void Bpe::set_bytes() {
  for (unsigned b = 0; b < 256; ++b) {
    const auto byte = static_cast<uint8_t>(b);
    byte_ids_[b] = vocabulary_.find(&byte, 1);
  }
  byte_pairs_.assign(256 * 256, Merged{kNoToken, kNoToken});
}

Bpe::Bpe(Vocabulary vocabulary, const std::vector<Merge>& merges, bool whole_pieces,
         Pattern pattern)
    : vocabulary_(std::move(vocabulary)),
      pattern_(pattern),
      merges_(merges),
      pairs_(merges.size()) {
  set_bytes();
  uint32_t order = 0;
  for (const Merge& m : merges_) {
    const auto shown = [&](uint32_t id) {
      const auto token = vocabulary_[id];
      return std::string(token.begin(), token.end());
    };
    for (const uint32_t id : {m.left, m.right, m.result}) {
      if (!vocabulary_.has(id)) {
        fail<ValueError>("[BPETokenizer] merge ", order, " must be of tokens, but got id ", id);
      }
    }
    if (shown(m.left) + shown(m.right) != shown(m.result)) {
      fail<ValueError>("[BPETokenizer] merge ", order, " must join its parts, but ids ", m.left,
                       " and ", m.right, " are not the halves of ", m.result);
    }
    if (!pairs_.insert(m.left, m.right, {order, m.result})) {
      fail<ValueError>("[BPETokenizer] merges must differ, but merge ", order, " of ids ", m.left,
                       " and ", m.right, " came before");
    }
    if (vocabulary_[m.result].size() == 2) {
      byte_pairs_[vocabulary_[m.left][0] << 8 | vocabulary_[m.right][0]] = {order, m.result};
    }
    ++order;
  }
  set_whole(whole_pieces);
}

// A token can only ever be made by one pair: what lies inside it merges as it would alone, until
// two parts are left. So the pairs are found by encoding every token, the short ones first, with
// the pairs of shorter ones.
Bpe::Bpe(Vocabulary vocabulary, Pattern pattern)
    : vocabulary_(std::move(vocabulary)), pattern_(pattern), pairs_(vocabulary_.size()) {
  set_bytes();
  for (unsigned b = 0; b < 256; ++b) {
    if (byte_ids_[b] == kNoToken) {
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
  Cache cache;
  for (const uint32_t id : by_length) {
    const auto token = vocabulary_[id];
    const std::span<const uint32_t> ids = merged(token, cache);
    if (ids.size() != 2) continue;  // no merges make this token: it is whole pieces only
    const Merged merged{id, id};
    pairs_.insert(ids[0], ids[1], merged);
    if (token.size() == 2) byte_pairs_[token[0] << 8 | token[1]] = merged;
    merges_.push_back({ids[0], ids[1], id});
  }
  std::sort(merges_.begin(), merges_.end(),
            [](const Merge& a, const Merge& b) { return a.result < b.result; });
  whole_.assign(vocabulary_.size(), true);
  set_short();
}

void Bpe::set_whole(bool whole_pieces) {
  whole_.assign(vocabulary_.size(), whole_pieces);
  if (whole_pieces) return set_short();
  Cache cache;
  for (uint32_t id = 0; id < vocabulary_.size(); ++id) {
    const auto token = vocabulary_[id];
    if (token.empty()) continue;
    const std::span<const uint32_t> ids = merged(token, cache);
    whole_[id] = ids.size() == 1 && ids[0] == id;
  }
  set_short();
}

void Bpe::set_short() {
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
}

// --------------------------------------------------------------------------------------- merging

std::size_t Bpe::merge_short(const uint8_t* p, std::size_t n, uint32_t* ids) const {
  uint32_t order[kInArray], result[kInArray];
  for (std::size_t i = 0; i < n; ++i) ids[i] = byte_ids_[p[i]];
  for (std::size_t i = 0; i + 1 < n; ++i) {
    const Merged m = pair_of_bytes(p[i], p[i + 1]);
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
  return n;
}

// The same with a heap of (order, position). An entry whose pair has changed meanwhile is skipped.
// The ids are left in cache.parts.ids.
std::size_t Bpe::merge_long(const uint8_t* p, std::size_t n, Cache& cache) const {
  if (n >= kNoToken) fail<ValueError>("[BPETokenizer] pieces must be below 4 GiB, but got ", n);
  const auto size = static_cast<uint32_t>(n);
  cache.parts.resize(n);
  auto& [ids, next, previous, pairs] = cache.parts;
  std::vector<uint64_t>& heap = cache.heap;
  heap.clear();
  for (uint32_t i = 0; i < size; ++i) {
    ids[i] = byte_ids_[p[i]];
    next[i] = i + 1;
    previous[i] = i - 1;
    pairs[i] = i + 1 < size ? pair_of_bytes(p[i], p[i + 1]) : Merged{kNoToken, kNoToken};
    if (pairs[i].order != kNoToken) heap.push_back(uint64_t{pairs[i].order} << 32 | i);
  }
  std::make_heap(heap.begin(), heap.end(), std::greater<>());
  const auto look_up = [&](uint32_t i) {
    pairs[i] = pairs_.find(ids[i], ids[next[i]]);
    if (pairs[i].order == kNoToken) return;
    heap.push_back(uint64_t{pairs[i].order} << 32 | i);
    std::push_heap(heap.begin(), heap.end(), std::greater<>());
  };
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), std::greater<>());
    const auto order = static_cast<uint32_t>(heap.back() >> 32);
    const auto i = static_cast<uint32_t>(heap.back());
    heap.pop_back();
    if (pairs[i].order == order) cache.parts.join(i, look_up);
  }
  std::size_t count = 0;
  for (uint32_t i = 0; i < size; i = next[i]) ids[count++] = ids[i];
  return count;
}

// The ids of a token's bytes after all merges, valid until the next piece is merged.
std::span<const uint32_t> Bpe::merged(std::span<const uint8_t> token, Cache& cache) const {
  const std::size_t n = token.size();
  if (n <= kInArray) return {cache.few.data(), merge_short(token.data(), n, cache.few.data())};
  const std::size_t count = merge_long(token.data(), n, cache);
  return {cache.parts.ids.data(), count};
}

// What a very long piece needed is given back.
void Bpe::Cache::trim() {
  if (parts.ids.capacity() < kKept) return;
  parts = {};
  heap = {};
}

// -------------------------------------------------------------------------------------- encoding

void Bpe::merge(const uint8_t* p, std::size_t n, Cache& cache, Ids& out) const {
  uint32_t* const ids = out.need(std::min(n, kInArray));
  std::size_t count = 0;
  if (n <= kInArray) {
    count = merge_short(p, n, ids);
    out.added(count);
  } else {
    count = merge_long(p, n, cache);
    std::memcpy(out.need(count), cache.parts.ids.data(), count * sizeof(uint32_t));
    out.added(count);
  }
  const uint32_t* const end = out.data() + out.size();
  const uint32_t* const bad = std::find(end - count, end, kNoToken);
  if (bad != end) {
    // Only single bytes can be without a token: the one that is, is in this piece.
    const auto* const byte =
        std::find_if(p, p + n, [&](uint8_t b) { return byte_ids_[b] == kNoToken; });
    fail<ValueError>("[BPETokenizer] text must be of bytes with tokens, but got byte ",
                     static_cast<unsigned>(*byte), ", which has none");
  }
}

// A piece that the cache of short ones does not hold, or for which there was no room.
[[gnu::noinline]] void Bpe::encode_piece(const uint8_t* p, std::size_t n, std::size_t readable,
                                         Cache& cache, Ids& out) const {
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
  if (n <= kLongBytes) {
    entry = &cache.long_entries[hash_bytes(p, n) >> (64 - std::countr_zero(kLongEntries))];
    if (entry->length == n && std::memcmp(entry->bytes, p, n) == 0) {
      std::memcpy(out.need(kLongIds), entry->ids, sizeof(entry->ids));
      out.added(entry->count);
      return;
    }
  }
  const std::size_t before = out.size();
  const uint32_t whole = n > kShortBytes ? vocabulary_.find(p, n) : kNoToken;
  if (whole != kNoToken && whole_[whole]) {
    out.push(whole);
  } else {
    merge(p, n, cache, out);
  }
  const uint32_t* const ids = out.data() + before;
  const std::size_t count = out.size() - before;
  if (n <= kShortBytes && count <= kShortIds) {
    ShortEntry& place = cache.place(key);
    place = {key, {}, static_cast<uint32_t>(count)};
    std::memcpy(place.ids, ids, count * sizeof(uint32_t));
  } else if (entry && count <= kLongIds) {
    entry->length = static_cast<uint8_t>(n);
    entry->count = static_cast<uint8_t>(count);
    std::memcpy(entry->bytes, p, n);
    std::memcpy(entry->ids, ids, count * sizeof(uint32_t));
  }
}

template <Pattern pattern>
void Bpe::encode_plain(const uint8_t* text, std::size_t size, Cache& cache, Ids& out) const {
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

// --------------------------------------------------------------------------------------- dropout

void Bpe::encode_with_dropout(const uint8_t* text, std::size_t size, double probability,
                              uint64_t seed, Ids& out) const {
  uint64_t state = seed;
  const auto dropped = [&] {  // SplitMix64
    uint64_t z = state += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-53 < probability;
  };
  split(pattern_, text, size, [&](const uint8_t* p, const uint8_t* q) {
    const auto n = static_cast<uint32_t>(q - p);
    Parts parts;
    parts.resize(n);
    auto& [ids, next, previous, pairs] = parts;
    std::fill(pairs.begin(), pairs.end(), Merged{kNoToken, kNoToken});
    std::vector<uint64_t> heap, skipped;
    const auto push = [&](uint64_t entry) {
      heap.push_back(entry);
      std::push_heap(heap.begin(), heap.end(), std::greater<>());
    };
    const auto look_up = [&](uint32_t i) {
      pairs[i] = pairs_.find(ids[i], ids[next[i]]);
      if (pairs[i].order != kNoToken) push(uint64_t{pairs[i].order} << 32 | i);
    };
    for (uint32_t i = 0; i < n; ++i) {
      ids[i] = byte_ids_[p[i]];
      next[i] = i + 1;
      previous[i] = i - 1;
    }
    for (uint32_t i = 0; i + 1 < n; ++i) look_up(i);
    while (!heap.empty()) {
      std::pop_heap(heap.begin(), heap.end(), std::greater<>());
      const uint64_t entry = heap.back();
      heap.pop_back();
      const auto i = static_cast<uint32_t>(entry);
      if (pairs[i].order != entry >> 32) continue;
      if (dropped()) {
        skipped.push_back(entry);
        continue;
      }
      parts.join(i, look_up);
      for (const uint64_t again : skipped) push(again);
      skipped.clear();
    }
    for (uint32_t i = 0; i < n; i = next[i]) {
      if (ids[i] == kNoToken) {
        fail<ValueError>("[BPETokenizer] text must be of bytes with tokens, but got byte ",
                         static_cast<unsigned>(p[i]), ", which has none");
      }
      out.push(ids[i]);
    }
  });
}

}  // namespace gu::text
