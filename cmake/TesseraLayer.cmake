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
  set_property(GLOBAL APPEND PROPERTY TESSERA_LAYERS ${target})
endfunction()

# tessera_program(NAME LINK target... SOURCES file...): an executable in build/bin.
function(tessera_program name)
  cmake_parse_arguments(ARG "" "" "LINK;SOURCES" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LINK} tessera_options)
endfunction()

# tessera_test(NAME LINK target... SOURCES file... [LABELS label...] [ARGS arg...])
#
# A GoogleTest program; it runs in the source folder's tests/, so that data is found by a fixed
# path.
function(tessera_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "LINK;SOURCES;LABELS;ARGS" ${ARGN})
  tessera_program(${name} LINK ${ARG_LINK} GTest::gtest_main SOURCES ${ARG_SOURCES})
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
