#!/bin/sh
# Builds release into build/release; the program is build/release/bin/beit3.
# Arguments go to cmake, for example: scripts/build.sh -DTESSERA_TESTS=OFF
# So does what $TESSERA_FLAGS holds.
set -eu
cd "$(dirname "$0")/.."

launcher=""
if command -v ccache >/dev/null; then
  launcher="-DCMAKE_CXX_COMPILER_LAUNCHER=ccache"
  export CCACHE_NOHASHDIR=1
fi
# shellcheck disable=SC2086  # nothing, or words
cmake -S . -B build/release -G Ninja -DCMAKE_BUILD_TYPE=Release $launcher ${TESSERA_FLAGS:-} "$@" >&2
cmake --build build/release ${TESSERA_TARGETS:+--target $TESSERA_TARGETS} >&2
