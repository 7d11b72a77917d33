#!/bin/sh
# Installs what is needed, builds everything, and runs all tests. The last lines tell how many
# passed; arguments go to ctest, for example: scripts/test.sh -R tokenizer
set -eu
cd "$(dirname "$0")/.."

scripts/deps.sh
# shellcheck disable=SC2086  # nothing, or words
scripts/build.sh -DTESSERA_TESTS=ON -DTESSERA_EXAMPLES=ON -DTESSERA_BENCH=ON
report=build/release/test-results.xml
log=build/release/test-output.txt
status=0
# Whole outputs: CTest cuts those of passed tests to 1 KB, and with them what GoogleTest counted.
ctest --test-dir build/release --output-on-failure -j "$(nproc)" --output-junit test-results.xml \
  --test-output-size-passed 10000000 "$@" >"$log" 2>&1 || status=$?
cat "$log"

# Each GoogleTest case counts; a CTest test of another kind counts as one.
python3 - "$report" <<'PYTHON'
import re
import sys
import xml.etree.ElementTree as tree

passed = failed = skipped = 0
for test in tree.parse(sys.argv[1]).getroot().iter("testcase"):
    output = test.findtext("system-out") or ""
    good = re.findall(r"^\[  PASSED  \] (\d+) test", output, re.M)
    bad = re.findall(r"^\[  FAILED  \] (\d+) test", output, re.M)
    idle = re.findall(r"^\[  SKIPPED \] (\d+) test", output, re.M)
    own = test.get("status")
    if own == "disabled" or own == "notrun":
        skipped += 1
    elif not good and not bad:
        passed += own == "run"
        failed += own != "run"
    else:
        counts = [sum(map(int, x)) for x in (good, bad, idle)]
        if own != "run" and counts[1] == 0:
            counts[1] = 1  # it crashed after its cases
        passed += counts[0]
        failed += counts[1]
        skipped += counts[2]
if skipped:
    print(f"{skipped} skipped")
print(f"{passed} passed, {failed} failed")
PYTHON
exit "$status"
