#pragma once
// The distinct pieces of a text of any size, and how often each occurs.
//
// Memory holds the distinct pieces and a few megabytes of text, not the text. Each thread counts in
// a table of its own; `finish` joins them in the order of first occurrence, so the result is the
// same for any number of threads and for any way in which the text comes in blocks.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "text/split.hpp"

namespace gu::text {

// Distinct pieces in the order of their first occurrence; piece i is bytes[ends[i - 1], ends[i]).
struct Pieces {
  std::vector<uint8_t> bytes;
  std::vector<uint64_t> ends;
  std::vector<uint64_t> counts;

  size_t size() const { return ends.size(); }
  uint64_t begin(size_t i) const { return i == 0 ? 0 : ends[i - 1]; }
};

// Piece -> count: open addressing over one array of bytes.
class PieceTable {
 public:
  // `first` is where the text holds the piece for the first time; calls come in its order.
  void add(const uint8_t* piece, size_t size, uint64_t count, uint64_t first);

 private:
  friend class PieceCounter;
  struct Entry {
    uint64_t begin, count, first;
    uint32_t size, hash;
  };
  struct Slot {
    uint32_t hash;
    uint32_t entry;  // one more than its index; 0 where the slot is free
  };
  static uint32_t hash_of(const uint8_t* p, size_t size);
  static bool equal(const uint8_t* a, const uint8_t* b, size_t size);
  void grow();

  std::vector<uint8_t> bytes_;
  std::vector<Entry> entries_;
  std::vector<Slot> slots_;
};

class PieceCounter {
 public:
  // Special tokens are cut out of the text: they are no pieces and no piece crosses them. `block`
  // is how many bytes of text are counted together, on all threads.
  PieceCounter(Pattern pattern, std::vector<std::string> special_tokens,
               size_t block = size_t{4} << 20);

  // The next bytes of the current text; returns once what can be counted is counted.
  void add(const uint8_t* data, size_t size);
  // Whether `size` more bytes begin to count, which takes a while, or are only kept for later.
  bool counts_after(size_t size) const { return buffer_.size() + size >= wanted_; }
  // What comes next is another text: no piece crosses.
  void end_text();
  // A piece that was split elsewhere.
  void add_piece(const uint8_t* piece, size_t size, uint64_t count);

  // Bytes of text so far, special tokens included.
  uint64_t n_bytes() const { return n_bytes_; }

  // Counts what is left and gives the pieces; the counter is empty afterwards.
  Pieces finish();

 private:
  struct Span {
    size_t begin, end;
  };
  // The leftmost special token in [begin, end) of the buffer, the longest where several begin
  // together; {end, end} if there is none.
  Span find_special(size_t begin, size_t end) const;
  void flush();
  void count(const std::vector<Span>& spans);

  Pattern pattern_;
  std::vector<std::string> special_tokens_;  // longest first
  bool begins_special_[256] = {};
  int single_first_byte_ = -1;  // of all special tokens, where there is one: memchr finds it
  size_t longest_special_ = 0;

  std::vector<uint8_t> buffer_;    // text that is not counted yet
  std::vector<size_t> text_ends_;  // ends of the finished texts in it
  size_t block_, wanted_;          // the size at which it is looked at
  uint64_t buffer_begin_ = 0;      // where in all of the text it begins
  uint64_t n_bytes_ = 0;
  std::vector<PieceTable> tables_;  // one a thread
};

}  // namespace gu::text
