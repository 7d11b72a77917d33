#!/bin/sh
# Searches for inputs that make a reader of files misbehave: clang's libFuzzer with the address and
# undefined behaviour sanitizers. Ends with 1 if it finds one.
#
# usage: scripts/fuzz.sh [SECONDS [TARGET...]]
#
#   SECONDS  for each target (600); as many run at once as there are processors
#   TARGET   image, manifest, pickle, pth, recipe, safetensors, sentencepiece_encode,
#            sentencepiece_model, tar; all if none is named
#
# Inputs that reach something new are kept in build/fuzz/corpus/TARGET for the next time; findings
# in build/fuzz/findings, each with what was said in build/fuzz/logs/TARGET.txt.
# FUZZ_BUILD names another folder than build/fuzz.
set -eu
cd "$(dirname "$0")/.."

seconds=600
if [ $# -gt 0 ]; then
  case "$1" in
    -h | --help)
      sed -n '2,/^set -eu/{/^#/s/^# \{0,1\}//p}' "$0"
      exit 0
      ;;
    '' | *[!0-9]*)
      echo "scripts/fuzz.sh: \"$1\" is no number of seconds; see scripts/fuzz.sh --help" >&2
      exit 2
      ;;
  esac
  seconds=$1
  shift
fi
known=$(cd tests/fuzz && for file in *_fuzz.cpp; do printf '%s ' "${file%_fuzz.cpp}"; done)
for target in "$@"; do
  case " $known" in
    *" $target "*) ;;
    *)
      echo "scripts/fuzz.sh: there is no target \"$target\"; there are: $known" >&2
      exit 2
      ;;
  esac
done
[ $# -gt 0 ] || eval "set -- $known"

clang=${CXX:-clang++}
if ! command -v "$clang" >/dev/null ||
  ! echo 'extern "C" int LLVMFuzzerTestOneInput(const char*, long) { return 0; }' |
  "$clang" -fsanitize=fuzzer,address -x c++ - -o /dev/null 2>/dev/null; then
  echo "scripts/fuzz.sh: needs clang++ with libFuzzer and the sanitizers; on Debian, install" >&2
  echo "clang and libclang-rt-14-dev (or of the version that clang has), then try again" >&2
  exit 3
fi

build=${FUZZ_BUILD:-build/fuzz}
launcher=""
if command -v ccache >/dev/null; then
  launcher="-DCMAKE_CXX_COMPILER_LAUNCHER=ccache"
fi
# shellcheck disable=SC2086  # nothing, or one word
cmake -S . -B "$build" -G Ninja -DCMAKE_CXX_COMPILER="$clang" -DCMAKE_BUILD_TYPE=RelWithDebInfo \
  -DCMAKE_CXX_FLAGS_RELWITHDEBINFO="-O1 -g1" -DTESSERA_FUZZ=ON -DTESSERA_BENCH=OFF \
  -DTESSERA_SANITIZE=address,undefined,fuzzer-no-link $launcher >&2
# shellcheck disable=SC2046  # words
cmake --build "$build" --target $(printf 'fuzz_%s ' "$@") >&2

build=$(cd "$build" && pwd)
mkdir -p "$build/findings" "$build/logs"
cd tests
# One target in a process of its own; the exit codes of all are collected by xargs.
# shellcheck disable=SC2016  # the inner shell's variables
if printf '%s\n' "$@" | xargs -P "$(nproc)" -I TARGET sh -c '
  build=$1 seconds=$2 target=$3
  mkdir -p "$build/corpus/$target"
  "$build/bin/fuzz_$target" -max_total_time="$seconds" -max_len=16384 -timeout=20 \
    -rss_limit_mb=4096 -print_final_stats=1 -artifact_prefix="$build/findings/$target-" \
    "$build/corpus/$target" "fuzz/corpus/$target" >"$build/logs/$target.txt" 2>&1
  code=$?
  runs=$(sed -n "s/^stat::number_of_executed_units: *//p" "$build/logs/$target.txt")
  [ $code = 0 ] && verdict="no finding" || verdict="A FINDING, see $build/logs/$target.txt"
  echo "$target: ${runs:-?} inputs, $verdict"
  exit $code
' sh "$build" "$seconds" TARGET; then
  exit 0
fi
exit 1
