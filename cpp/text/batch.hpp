#pragma once
// Many texts, or long ones, on all threads.

#include <span>
#include <vector>

#include "text/bpe.hpp"

namespace gu::text {

struct TextView {
  const uint8_t* data;
  std::size_t size;
  bool is_str;  // errors count its characters
};

// Encodes the texts on up to `threads` threads: all their ids in order, and in `begins` where each
// text's begin, their number last. The ids are those of one text after the other.
Ids encode_batch(const Bpe& bpe, std::span<const TextView> texts, const AddedTokens& added,
                 int threads, std::vector<int64_t>& begins);

}  // namespace gu::text
