#pragma once
// Places at which a text may be cut so that both sides, split apart, give the pieces of the whole.

#include <cstddef>
#include <cstdint>

#include "text/split.hpp"

namespace gu::text {

// Whether a cut before text[at] changes no piece, whatever the text around it. True for every
// pattern but `none`, which has no such place:
// - a space after what is no white space: a space begins a piece or lies among others,
// - what follows a single line break, except '/' (o200k takes "!\n/" together).
bool is_safe_cut(Pattern pattern, const uint8_t* text, size_t size, size_t at);

// The first safe cut in [from, size), or size.
size_t next_safe_cut(Pattern pattern, const uint8_t* text, size_t size, size_t from);

// The last safe cut in (from, to], to < size, or from where there is none.
size_t last_safe_cut(Pattern pattern, const uint8_t* text, size_t size, size_t from, size_t to);

}  // namespace gu::text
