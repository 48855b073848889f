# xtensor, xsimd and a real BLAS, as one target: groundup_dependencies.

set(install_hint
  "groundup needs xtensor, xsimd and OpenBLAS:\n"
  "  Debian, Ubuntu:  apt-get install libxtensor-dev libxtensor-blas-dev libxsimd-dev libopenblas-dev\n"
  "  conda:           conda install -c conda-forge xtensor xtensor-blas xsimd openblas\n"
  "  macOS:           brew install xtensor xtensor-blas xsimd openblas")
string(CONCAT install_hint ${install_hint})

find_package(Threads REQUIRED)
find_package(xtl QUIET)
find_package(xtensor QUIET)
find_package(xsimd QUIET)
if(NOT xtensor_FOUND OR NOT xsimd_FOUND)
  # Pinned releases, the newest whose headers lie where Debian's do. Only headers are wanted: a source
  # folder without a CMakeLists.txt keeps their own build out.
  include(FetchContent)
  foreach(release xtl@0.7.7 xsimd@8.1.0 xtensor@0.24.7)
    string(REPLACE "@" ";" release ${release})
    list(POP_FRONT release name)
    FetchContent_Declare(${name} GIT_REPOSITORY https://github.com/xtensor-stack/${name}.git
                         GIT_TAG ${release} GIT_SHALLOW ON SOURCE_SUBDIR headers-only)
    FetchContent_MakeAvailable(${name})
    list(APPEND fetched_includes ${${name}_SOURCE_DIR}/include)
    if(NOT EXISTS ${${name}_SOURCE_DIR}/include)
      message(FATAL_ERROR "${name} is not installed and could not be fetched.\n${install_hint}")
    endif()
  endforeach()
endif()

find_path(CBLAS_INCLUDE cblas.h PATH_SUFFIXES openblas)
find_library(OPENBLAS_LIBRARY NAMES openblas)
if(NOT OPENBLAS_LIBRARY OR NOT CBLAS_INCLUDE)
  message(FATAL_ERROR "No BLAS was found, and there is no slow fallback.\n${install_hint}")
endif()

add_library(groundup_dependencies INTERFACE)
target_link_libraries(groundup_dependencies INTERFACE ${OPENBLAS_LIBRARY} Threads::Threads)
target_include_directories(groundup_dependencies SYSTEM INTERFACE ${CBLAS_INCLUDE} ${fetched_includes})
if(NOT fetched_includes)
  target_link_libraries(groundup_dependencies INTERFACE xtensor xsimd)
endif()
