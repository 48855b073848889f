#pragma once
// Training a unigram vocabulary: start with far too many pieces, then again and again fit their
// probabilities by expectation-maximization and drop those whose loss costs least (Kudo 2018).
// Reference, with the formulas: groundup/reference/unigram.py.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "text/trie.hpp"

namespace gu::text {

struct UnigramTrainerOptions {
  uint32_t longest = 16;         // characters of a piece
  std::size_t seed = 1'000'000;  // pieces to begin with, besides single characters
};

struct UnigramLattice;  // buffers for the spellings of one word

class UnigramTrainer {
 public:
  // words: distinct, UTF-8 and not empty, with counts. Chooses the first pieces.
  UnigramTrainer(std::vector<std::pair<std::string, int64_t>> words,
                 const UnigramTrainerOptions& options);

  std::size_t size() const { return pieces_.size(); }
  std::size_t characters() const;  // pieces of one character: these always stay

  // One step of expectation-maximization. Drops pieces that are expected less than `least` times.
  // Returns the log likelihood of the words under the scores before the step.
  double step(double least);
  // Keep the `target` pieces that the likelihood needs most.
  void prune(std::size_t target);
  // Keep the characters and the best-scored others, `target` in all.
  void finish(std::size_t target);

  // Pieces and log probabilities, best first.
  std::vector<std::pair<std::string, double>> pieces() const;

 private:
  struct Piece {
    std::string text;
    double score;
    bool character;
  };
  void seed(const UnigramTrainerOptions& options);
  void index();  // trie_ of pieces_
  void sort();   // by score, then text
  template <class F>
  void for_edges(const std::string& word, F&& edge) const;
  double expect(const std::string& word, double count, std::vector<double>& expected,
                UnigramLattice& lattice) const;
  // The best spelling of a word, as pieces; without the piece that is the whole word, if asked for.
  double best_spelling(const std::string& word, bool without_itself,
                       std::vector<uint32_t>& spelling, UnigramLattice& lattice) const;

  std::vector<std::pair<std::string, int64_t>> words_;
  std::vector<Piece> pieces_;
  Trie trie_;
};

// The derivative of log gamma, for x > 0.
double digamma(double x);

}  // namespace gu::text
