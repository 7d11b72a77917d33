"""Objects compiled for one instruction set may not hold weak symbols: the linker keeps one copy of
an inline function and may hand an AVX-512 copy to code that runs everywhere.

usage: check_weak_symbols.py OBJECT…
"""

import subprocess
import sys


def main():
    bad = 0
    for path in sys.argv[1:]:
        listing = subprocess.run(["nm", "--demangle", "--defined-only", path], text=True,
                                 capture_output=True, check=True).stdout
        for line in listing.splitlines():
            kind, name = line.split(maxsplit=2)[1:]
            if kind in "WwVvu":
                print(f"{path}: weak symbol {name}")
                bad += 1
    print(f"{len(sys.argv) - 1} objects, {bad} weak symbols")
    return 1 if bad or len(sys.argv) == 1 else 0


if __name__ == "__main__":
    sys.exit(main())
