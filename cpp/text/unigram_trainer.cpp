#include "text/unigram_trainer.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/threads.hpp"
#include "text/unicode.hpp"
#include "text/utf8.hpp"

namespace gu::text {

namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();

// log(exp(a) + exp(b))
double log_add(double a, double b) {
  if (a < b) std::swap(a, b);
  return b == kNever ? a : a + std::log1p(std::exp(b - a));
}

// A fixed number of parts, whatever the number of threads: sums are the same to the last bit.
constexpr int kParts = 8;

}  // namespace

struct UnigramLattice {
  std::vector<double> forward, backward;  // log sums at each byte
  std::vector<uint32_t> edge_begin, edge_end, edge_piece;
  std::vector<uint32_t> from, by;  // Viterbi: where the best last piece begins, which it is

  void clear() {
    edge_begin.clear();
    edge_end.clear();
    edge_piece.clear();
  }
  std::size_t edges() const { return edge_piece.size(); }
};

double digamma(double x) {
  double result = 0;
  for (; x < 7; ++x) result -= 1 / x;  // digamma(x) = digamma(x + 1) - 1/x
  const double y = x - 0.5, inverse = 1 / (y * y);
  // Asymptotic in 1/(x - 1/2)^2.
  return result + std::log(y) +
         inverse *
             (1.0 / 24 - inverse * (7.0 / 960 - inverse * (31.0 / 8064 - inverse * 127.0 / 30720)));
}

UnigramTrainer::UnigramTrainer(std::vector<std::pair<std::string, int64_t>> words,
                               const UnigramTrainerOptions& options)
    : words_(std::move(words)) {
  // The order in which words came must not matter.
  std::sort(words_.begin(), words_.end());
  seed(options);
}

std::size_t UnigramTrainer::characters() const {
  return static_cast<std::size_t>(
      std::count_if(pieces_.begin(), pieces_.end(), [](const Piece& p) { return p.character; }));
}

// All characters, and of all substrings those with the highest count times length. A substring that
// is always followed by the same character is left out: the longer one says the same. Suffixes are
// sorted by their first `longest` characters, so each substring is a run of neighbours.
void UnigramTrainer::seed(const UnigramTrainerOptions& options) {
  struct Suffix {
    uint64_t key;         // the first three characters, to compare fast
    uint32_t at, length;  // in `text`; up to the end of the word, at most `longest`
    int64_t count;        // of the word
  };
  std::vector<uint32_t> text;  // code points of all words
  std::vector<Suffix> suffixes;
  for (const auto& [word, count] : words_) {
    const std::size_t first = text.size();
    const auto* p = reinterpret_cast<const uint8_t*>(word.data());
    const uint8_t* end = p + word.size();
    while (p < end) {
      const Decoded d = decode_utf8(p, end);
      text.push_back(d.point);
      p += d.length;
    }
    for (std::size_t at = first; at < text.size(); ++at) {
      const auto length =
          static_cast<uint32_t>(std::min<std::size_t>(options.longest, text.size() - at));
      uint64_t key = 0;
      for (uint32_t i = 0; i < 3; ++i) key = key << 21 | (i < length ? text[at + i] + 1 : 0);
      suffixes.push_back({key, static_cast<uint32_t>(at), length, count});
    }
  }
  std::sort(suffixes.begin(), suffixes.end(), [&](const Suffix& a, const Suffix& b) {
    if (a.key != b.key) return a.key < b.key;
    const auto begin = text.begin();
    return std::lexicographical_compare(begin + a.at, begin + a.at + a.length, begin + b.at,
                                        begin + b.at + b.length);
  });
  // How many characters each shares with the one before it.
  std::vector<uint32_t> shared(suffixes.size(), 0);
  for (std::size_t i = 1; i < suffixes.size(); ++i) {
    const Suffix &a = suffixes[i - 1], &b = suffixes[i];
    const uint32_t most = std::min(a.length, b.length);
    while (shared[i] < most && text[a.at + shared[i]] == text[b.at + shared[i]]) ++shared[i];
  }

  struct Candidate {
    uint32_t at, length;
    int64_t count;
  };
  std::vector<Candidate> candidates;
  for (uint32_t length = 1; length <= options.longest; ++length) {
    for (std::size_t i = 0; i < suffixes.size();) {
      if (suffixes[i].length < length) {
        ++i;
        continue;
      }
      int64_t count = suffixes[i].count;
      bool same_next = suffixes[i].length > length;
      std::size_t end = i + 1;
      for (; end < suffixes.size() && shared[end] >= length; ++end) {
        count += suffixes[end].count;
        same_next &= shared[end] > length;
      }
      if (length == 1 || (count >= 2 && (!same_next || length == options.longest))) {
        candidates.push_back({suffixes[i].at, length, count});
      }
      i = end;
    }
  }
  suffixes = {};
  for (const Candidate& c : candidates) {
    std::string piece;
    for (uint32_t i = 0; i < c.length; ++i) append_utf8(piece, text[c.at + i]);
    const double weight = static_cast<double>(c.count) * c.length;
    pieces_.push_back({std::move(piece), weight, c.length == 1});
  }
  sort();
  std::size_t others = 0;
  std::erase_if(pieces_, [&](const Piece& p) { return !p.character && ++others > options.seed; });
  double total = 0;
  for (const Piece& p : pieces_) total += p.score;
  for (Piece& p : pieces_) p.score = std::log(p.score) - std::log(total);
  index();
}

void UnigramTrainer::sort() {
  std::sort(pieces_.begin(), pieces_.end(), [](const Piece& a, const Piece& b) {
    return a.score != b.score ? a.score > b.score : a.text < b.text;
  });
}

void UnigramTrainer::index() {
  std::size_t bytes = 0;
  for (const Piece& p : pieces_) bytes += p.text.size();
  trie_ = Trie(bytes);
  for (std::size_t i = 0; i < pieces_.size(); ++i) {
    trie_.add(pieces_[i].text, static_cast<uint32_t>(i));
  }
}

// edge(begin, end, piece) for each piece that stands in the word, by where it begins.
template <class F>
void UnigramTrainer::for_edges(const std::string& word, F&& edge) const {
  const auto* bytes = reinterpret_cast<const uint8_t*>(word.data());
  for (std::size_t at = 0; at < word.size();) {
    uint32_t node = Trie::kRoot;
    for (std::size_t end = at; end < word.size();) {
      node = trie_.child(node, bytes[end++]);
      if (node == Trie::kNone) break;
      if (trie_.value(node) != Trie::kNone) {
        edge(static_cast<uint32_t>(at), static_cast<uint32_t>(end), trie_.value(node));
      }
    }
    at += decode_utf8(bytes + at, bytes + word.size()).length;
  }
}

// Adds to `expected` how often each piece is expected in `count` of the word; returns the log
// probability of the word, the sum over all spellings.
double UnigramTrainer::expect(const std::string& word, double count, std::vector<double>& expected,
                              UnigramLattice& l) const {
  l.clear();
  l.forward.assign(word.size() + 1, kNever);
  l.backward.assign(word.size() + 1, kNever);
  l.forward[0] = l.backward[word.size()] = 0;
  for_edges(word, [&](uint32_t begin, uint32_t end, uint32_t piece) {
    l.forward[end] = log_add(l.forward[end], l.forward[begin] + pieces_[piece].score);
    l.edge_begin.push_back(begin);
    l.edge_end.push_back(end);
    l.edge_piece.push_back(piece);
  });
  const double total = l.forward[word.size()];
  for (std::size_t i = l.edges(); i-- > 0;) {
    const uint32_t begin = l.edge_begin[i], end = l.edge_end[i], piece = l.edge_piece[i];
    const double score = pieces_[piece].score;
    // p(piece here | word) = forward · p(piece) · backward / p(word)
    expected[piece] += count * std::exp(l.forward[begin] + score + l.backward[end] - total);
    l.backward[begin] = log_add(l.backward[begin], score + l.backward[end]);
  }
  return total;
}

double UnigramTrainer::step(double least) {
  const auto n = static_cast<int64_t>(words_.size());
  std::vector<std::vector<double>> expected(kParts);
  std::vector<double> likelihood(kParts, 0);
  parallel_parts(kParts, [&](int part) {
    const auto p = static_cast<std::size_t>(part);
    expected[p].assign(pieces_.size(), 0);
    UnigramLattice lattice;
    const Range range = part_range(n, kParts, part);
    for (int64_t i = range.begin; i < range.end; ++i) {
      const auto& [word, count] = words_[static_cast<std::size_t>(i)];
      const auto times = static_cast<double>(count);
      likelihood[p] += times * expect(word, times, expected[p], lattice);
    }
  });
  for (int part = 1; part < kParts; ++part) {
    const auto p = static_cast<std::size_t>(part);
    for (std::size_t i = 0; i < pieces_.size(); ++i) expected[0][i] += expected[p][i];
    likelihood[0] += likelihood[p];
  }
  // log p = digamma(count) - digamma(sum of counts): the mean of log p under a Dirichlet
  // distribution, which takes more from rare pieces than log(count / sum).
  std::vector<Piece> kept;
  double sum = 0;
  for (std::size_t i = 0; i < pieces_.size(); ++i) {
    double count = expected[0][i];
    if (count < least && !pieces_[i].character) continue;
    count = std::max(count, 0.5);  // also for characters that longer pieces have made needless
    sum += count;
    kept.push_back({std::move(pieces_[i].text), digamma(count), pieces_[i].character});
  }
  for (Piece& p : kept) p.score -= digamma(sum);
  pieces_ = std::move(kept);
  index();
  return likelihood[0];
}

double UnigramTrainer::best_spelling(const std::string& word, bool without_itself,
                                     std::vector<uint32_t>& spelling, UnigramLattice& l) const {
  l.forward.assign(word.size() + 1, kNever);
  l.from.assign(word.size() + 1, 0);
  l.by.assign(word.size() + 1, Trie::kNone);
  l.forward[0] = 0;
  for_edges(word, [&](uint32_t begin, uint32_t end, uint32_t piece) {
    if (without_itself && end - begin == word.size()) return;
    const double score = l.forward[begin] + pieces_[piece].score;
    if (l.by[end] == Trie::kNone || score > l.forward[end]) {
      l.forward[end] = score;
      l.from[end] = begin;
      l.by[end] = piece;
    }
  });
  spelling.clear();
  for (auto end = static_cast<uint32_t>(word.size()); end > 0 && l.by[end] != Trie::kNone;) {
    spelling.push_back(l.by[end]);
    end = l.from[end];
  }
  return l.forward[word.size()];
}

void UnigramTrainer::prune(std::size_t target) {
  const auto n = static_cast<int64_t>(words_.size());
  // How often each piece is in the best spellings.
  std::vector<std::vector<double>> counts(kParts);
  parallel_parts(kParts, [&](int part) {
    std::vector<double>& count = counts[static_cast<std::size_t>(part)];
    count.assign(pieces_.size(), 0);
    UnigramLattice lattice;
    std::vector<uint32_t> spelling;
    const Range range = part_range(n, kParts, part);
    for (int64_t i = range.begin; i < range.end; ++i) {
      const auto& [word, times] = words_[static_cast<std::size_t>(i)];
      best_spelling(word, false, spelling, lattice);
      for (uint32_t piece : spelling) count[piece] += static_cast<double>(times);
    }
  });
  for (std::size_t part = 1; part < kParts; ++part) {
    for (std::size_t i = 0; i < pieces_.size(); ++i) counts[0][i] += counts[part][i];
  }
  const std::vector<double>& count = counts[0];
  const double sum = std::accumulate(count.begin(), count.end(), 0.0);

  // What the likelihood loses if a piece is spelt by the others instead. Infinite: it stays; zero:
  // it goes.
  std::vector<double> loss(pieces_.size(), 0);
  parallel_for(static_cast<int64_t>(pieces_.size()), 256, [&](int64_t begin, int64_t end) {
    UnigramLattice lattice;
    std::vector<uint32_t> spelling;
    for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
      const Piece& piece = pieces_[i];
      if (piece.character) {
        loss[i] = std::numeric_limits<double>::infinity();
        continue;
      }
      // Never used, or there is a better way to spell it.
      if (count[i] == 0 || best_spelling(piece.text, true, spelling, lattice) > piece.score)
        continue;
      // Its count goes to each piece of the other spelling, and the sum grows with them.
      const double new_sum = sum + count[i] * static_cast<double>(spelling.size() - 1);
      double other = 0;
      for (uint32_t p : spelling) other += std::log(count[p] + count[i]) - std::log(new_sum);
      loss[i] = count[i] * (std::log(count[i]) - std::log(sum) - other);
    }
  });
  std::vector<std::size_t> order(pieces_.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return loss[a] > loss[b]; });
  std::vector<bool> keep(pieces_.size(), false);
  for (std::size_t i = 0; i < order.size(); ++i) {
    const std::size_t p = order[i];
    keep[p] = pieces_[p].character || (i < target && loss[p] != 0);
  }
  std::size_t i = 0;
  std::erase_if(pieces_, [&](const Piece&) { return !keep[i++]; });
  index();
}

void UnigramTrainer::finish(std::size_t target) {
  sort();
  const std::size_t others = target - std::min(target, characters());
  std::size_t kept = 0;
  std::erase_if(pieces_, [&](const Piece& p) { return !p.character && ++kept > others; });
  index();
}

std::vector<std::pair<std::string, double>> UnigramTrainer::pieces() const {
  std::vector<std::pair<std::string, double>> result;
  for (const Piece& p : pieces_) result.emplace_back(p.text, p.score);
  std::sort(result.begin(), result.end(), [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  return result;
}

}  // namespace gu::text
