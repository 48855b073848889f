#include "text/unicode.hpp"

namespace gu::text {
namespace {
#include "text/unicode_tables.inc"
}  // namespace

uint8_t unicode_entry(uint32_t point) { return kBlocks[kBlockOf[point >> 7]][point & 127]; }

}  // namespace gu::text
