#pragma once

#include <cstdint>

namespace gu::text {

// A token and the bytes [begin, end) of the text it stands for.
struct TokenSpan {
  uint32_t id, begin, end;
};

}  // namespace gu::text
