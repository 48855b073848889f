// Rows of a table by index, and the gradient that goes back to those rows.
//
// Indices must be in [0, V): the caller checks. V does not appear, since nothing here depends on
// it.
#pragma once

#include <cstdint>

namespace gu::kernels {

// out[i] = table[index[i]]
template <class T>
void gather_rows(const T* table, const int64_t* index, T* out, int64_t n, int64_t C);
// table: [V, C];  index: [n];  out: [n, C]

// dtable[index[i]] += dout[i], in the order of i for every number of threads. Adds into dtable.
// Rows with index == skip (a padding index; -1 for none) are left out.
template <class T>
void scatter_add_rows(const T* dout, const int64_t* index, T* dtable, int64_t n, int64_t C,
                      int64_t skip = -1);
// dout: [n, C];  index: [n];  dtable: [V, C]

}  // namespace gu::kernels
