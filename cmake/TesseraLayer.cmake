# One function makes every library, so that the layers cannot drift apart.

set(TESSERA_WARNINGS -Wall -Wextra -Wpedantic -Wshadow)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 reports false positives of these in inlined standard library code.
  list(APPEND TESSERA_WARNINGS -Wno-stringop-overflow -Wno-array-bounds -Wno-restrict)
endif()
if(TESSERA_WERROR)
  list(APPEND TESSERA_WARNINGS -Werror)
endif()

# What every target of ours is compiled with, users' targets never.
add_library(tessera_options INTERFACE)
target_compile_options(tessera_options INTERFACE ${TESSERA_WARNINGS} -ffp-contract=off)
if(TESSERA_SANITIZE)
  target_compile_options(tessera_options INTERFACE -fsanitize=${TESSERA_SANITIZE}
                         -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(tessera_options INTERFACE -fsanitize=${TESSERA_SANITIZE})
endif()

# A third of a build would go into reading the standard library's headers. They are read once for
# libraries, once for programs (code for both differs) and once for tests. Not where a compiler cache
# does better, nor where each file has to prove that it includes what it uses.
if(CMAKE_CXX_COMPILER_LAUNCHER OR CMAKE_CXX_CLANG_TIDY OR CMAKE_VERIFY_INTERFACE_HEADER_SETS)
  set(precompile OFF)
else()
  set(precompile ON)
endif()
option(TESSERA_PRECOMPILE "Precompile the headers of the standard library" ${precompile})

# tessera_precompiled(NAME static|program [LINK target...] [HEADERS header...])
function(tessera_precompiled name kind)
  if(NOT TESSERA_PRECOMPILE)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "LINK;HEADERS" ${ARGN})
  if(kind STREQUAL "program")
    add_executable(${name} EXCLUDE_FROM_ALL ${PROJECT_SOURCE_DIR}/cmake/precompiled.cpp)
  else()
    add_library(${name} STATIC EXCLUDE_FROM_ALL ${PROJECT_SOURCE_DIR}/cmake/precompiled.cpp)
  endif()
  target_link_libraries(${name} PRIVATE ${ARG_LINK} tessera_options)
  target_precompile_headers(${name} PRIVATE ${PROJECT_SOURCE_DIR}/cmake/precompiled.h
                            ${ARG_HEADERS})
endfunction()

# Lets a target read what tessera_precompiled(NAME …) has read.
function(tessera_reuse target name)
  if(TESSERA_PRECOMPILE)
    target_precompile_headers(${target} REUSE_FROM ${name})
  endif()
endfunction()

tessera_precompiled(tessera_precompiled_library static)
tessera_precompiled(tessera_precompiled_program program)

# tessera_layer(NAME [DEPENDS target...] [PRIVATE target...] HEADERS file... SOURCES file...)
#
# Makes the static library tessera_NAME (alias tessera::NAME). Public headers install under
# include/tessera/ with their path from the root; each is compiled alone when
# CMAKE_VERIFY_INTERFACE_HEADER_SETS is on. PRIVATE libraries do not reach users' include paths.
function(tessera_layer name)
  cmake_parse_arguments(ARG "" "" "DEPENDS;PRIVATE;HEADERS;SOURCES" ${ARGN})
  set(target tessera_${name})
  add_library(${target} STATIC)
  add_library(tessera::${name} ALIAS ${target})
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${name})
  target_sources(${target}
                 PRIVATE ${ARG_SOURCES}
                 PUBLIC FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR} FILES ${ARG_HEADERS})
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_link_libraries(${target} PUBLIC ${ARG_DEPENDS}
                        PRIVATE $<BUILD_INTERFACE:tessera_options> ${ARG_PRIVATE})
  tessera_reuse(${target} tessera_precompiled_library)
  set_property(GLOBAL APPEND PROPERTY TESSERA_LAYERS ${target})
endfunction()

# tessera_program(NAME LINK target... SOURCES file... [PRECOMPILED name]): an executable in build/bin.
function(tessera_program name)
  cmake_parse_arguments(ARG "" "PRECOMPILED" "LINK;SOURCES" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LINK} tessera_options)
  if(NOT ARG_PRECOMPILED)
    set(ARG_PRECOMPILED tessera_precompiled_program)
  endif()
  tessera_reuse(${name} ${ARG_PRECOMPILED})
endfunction()

# tessera_test(NAME LINK target... SOURCES file... [LABELS label...] [ARGS arg...])
#
# A GoogleTest program; it runs in the source folder's tests/, so that data is found by a fixed
# path.
function(tessera_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "LINK;SOURCES;LABELS;ARGS" ${ARGN})
  tessera_program(${name} LINK ${ARG_LINK} GTest::gtest_main SOURCES ${ARG_SOURCES}
                  PRECOMPILED tessera_precompiled_test)
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  add_test(NAME ${name} COMMAND ${name} ${ARG_ARGS}
           WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}/tests)
  if(NOT ARG_LABELS)
    set(ARG_LABELS unit)
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT})
endfunction()
