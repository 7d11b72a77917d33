#!/bin/sh
# What takes longer than the tests of every change should: the same tests under other compilers and
# sanitizers. Ends with 1 at the first preset that fails; each says how long it took.
#
# usage: scripts/check.sh [PRESET...]
#
#   clang  built by clang++, warnings as errors; all tests
#   dev    address, undefined behaviour and leak sanitizers; all tests
#   tsan   thread sanitizer: the tensor library, the CPU backend, data and pretraining
#
# All three if none is named: some 45 minutes on two cores. Needs clang beside what scripts/deps.sh
# installs (Debian: clang). Each builds in build/PRESET and keeps what it built.
set -eu
cd "$(dirname "$0")/.."

case "${1:-}" in
  -h | --help)
    sed -n '2,/^set -eu/{/^#/s/^# \{0,1\}//p}' "$0"
    exit 0
    ;;
esac
[ $# -gt 0 ] || set -- clang dev tsan
for preset in "$@"; do
  case "$preset" in
    clang | dev | tsan) ;;
    *)
      echo "scripts/check.sh: \"$preset\" is none of clang, dev, tsan; see --help" >&2
      exit 2
      ;;
  esac
  if [ "$preset" != dev ] && ! command -v clang++ >/dev/null; then
    echo "scripts/check.sh: $preset needs clang++; install it (Debian: apt-get install clang)" >&2
    exit 3
  fi
done
scripts/deps.sh

for preset in "$@"; do
  begin=$(date +%s)
  targets=""
  tests=""
  if [ "$preset" = tsan ]; then
    targets="tensor_test cpu_backend_test beit3_data_test beit3_pretrain_test"
    tests="-R ^($(echo "$targets" | tr ' ' '|'))\$"
  fi
  echo "== $preset: build" >&2
  cmake --preset "$preset" >&2
  # shellcheck disable=SC2086  # several words, or none
  cmake --build --preset "$preset" ${targets:+--target $targets} >&2
  echo "== $preset: test" >&2
  # A sanitizer makes a test up to ten times as slow.
  # shellcheck disable=SC2086
  ctest --preset "$preset" -j "$(nproc)" --timeout 3000 $tests || {
    echo "$preset: failed, after $(($(date +%s) - begin)) s" >&2
    exit 1
  }
  echo "$preset: passed, in $(($(date +%s) - begin)) s" >&2
done
