#!/usr/bin/env bash
# Find what only the system can give: a Python of at least 3.11 with venv and headers, a C++20 compiler, xtensor,
# xtensor-blas, xsimd and OpenBLAS. What is missing is installed on Debian and Ubuntu where we are root; otherwise
# the lines to type are printed and the exit code is 3. On success the last line of standard output is the Python.
set -euo pipefail

cxx=${CXX:-c++}
include=()
library=()
if [[ -n ${CONDA_PREFIX:-} ]]; then
  include=("-I$CONDA_PREFIX/include")
  library=("-L$CONDA_PREFIX/lib")
fi

# The first Python that is new enough, or nothing.
find_python() {
  local candidate
  for candidate in "${PYTHON:-python3}" python3.14 python3.13 python3.12 python3.11; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      "$candidate" -c 'import sys; print(sys.executable)'
      return
    fi
  done
}

has_header() { # does one of the names given exist? (new xtensor releases moved theirs)
  local name
  for name in "$@"; do
    if echo "#include <$name>" | "$cxx" -std=c++20 -x c++ "${include[@]}" -M - >/dev/null 2>&1; then
      return 0
    fi
  done
  return 1
}

# Fills `missing` with Debian's names of the packages that are not there.
look() {
  missing=()
  python=$(find_python)
  local suffix=3
  if [[ -n $python ]]; then
    # A versioned Python beside an older system one has versioned packages too.
    if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      suffix=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    fi
    "$python" -c 'import ensurepip, venv' 2>/dev/null || missing+=("python$suffix-venv")
    "$python" -c 'import os, sysconfig as s, sys; sys.exit(not os.path.exists(s.get_path("include") + "/Python.h"))' ||
      missing+=("python$suffix-dev")
  else
    # No Python at all, or an old distribution's: its own python3 may still be new enough once installed.
    if command -v python3 >/dev/null; then suffix=3.11; fi
    missing+=("python$suffix" "python$suffix-venv" "python$suffix-dev")
  fi
  if ! echo 'int main() {}' | "$cxx" -std=c++20 -x c++ - -o /dev/null 2>/dev/null; then
    missing+=(g++ libxtensor-dev libxtensor-blas-dev libxsimd-dev libopenblas-dev)
    return
  fi
  has_header xtensor/xtensor.hpp xtensor/containers/xtensor.hpp || missing+=(libxtensor-dev)
  has_header xtensor-blas/xblas.hpp || missing+=(libxtensor-blas-dev)
  has_header xsimd/xsimd.hpp || missing+=(libxsimd-dev)
  if ! has_header cblas.h openblas/cblas.h ||
    ! echo 'int main() {}' | "$cxx" -x c++ - "${library[@]}" -lopenblas -o /dev/null 2>/dev/null; then
    missing+=(libopenblas-dev)
  fi
}

look
if ((${#missing[@]})); then
  if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
    echo "installing ${missing[*]}" >&2
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq >&2
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
    look
  fi
fi
if ((${#missing[@]})); then
  cat >&2 <<EOF
groundup: these system packages are missing: ${missing[*]}
  Debian, Ubuntu:  sudo apt-get update && sudo apt-get install -y ${missing[*]}
  conda:           conda install -c conda-forge python=3.12 cxx-compiler xtensor xtensor-blas xsimd openblas
Then run make again.
EOF
  exit 3
fi
echo "$python"
