# Micro-architecture levels: which to build and with which flags.

if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64|amd64")
  set(GROUNDUP_X86 TRUE)
endif()

# A build from source compiles the level of its own machine and no other.
if(GROUNDUP_LEVELS STREQUAL "native")
  if(GROUNDUP_X86)
    execute_process(
      COMMAND ${Python_EXECUTABLE} ${CMAKE_SOURCE_DIR}/cmake/native_level.py ${CMAKE_C_COMPILER}
              ${CMAKE_SOURCE_DIR}/cpp/cpu.c ${CMAKE_BINARY_DIR}
      OUTPUT_VARIABLE GROUNDUP_LEVELS OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  else()
    set(GROUNDUP_LEVELS base)
  endif()
endif()
message(STATUS "groundup: building for ${GROUNDUP_LEVELS}")

function(groundup_level_flags target level)
  if(level MATCHES "^v[234]$" AND GROUNDUP_X86)
    target_compile_options(${target} PUBLIC -march=x86-64-${level})
    if(level STREQUAL "v4")
      # Half the registers of the machine stay unused otherwise.
      target_compile_options(${target} PUBLIC -mprefer-vector-width=512)
    endif()
  elseif(NOT level STREQUAL "base")
    message(FATAL_ERROR "GROUNDUP_LEVELS must be native, base or a list of v2;v3;v4, but got ${level}")
  endif()
endfunction()
