"""Compiles every header by itself: what a header needs, it includes.

usage: check_headers.py ROOT COMPILER
"""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from pathlib import Path

LAYERS = ["tensor", "backends", "autograd", "nn", "beit3"]
# Compiled once per instruction set, with the flags of each, by the build itself.
LEFT_OUT = "backends/cpu/isa/"


def main():
    root, compiler = Path(sys.argv[1]), sys.argv[2]
    headers = [h.relative_to(root).as_posix() for top in LAYERS for h in (root / top).rglob("*.h")]
    headers = sorted(h for h in headers if not h.startswith(LEFT_OUT))

    def compile_alone(header):
        # Twice: a second inclusion must do nothing.
        source = f'#include "{header}"\n#include "{header}"\n'
        command = [compiler, "-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Wpedantic",
                   "-Wshadow", "-Werror", f"-I{root}", "-xc++", "-"]
        return subprocess.run(command, input=source, text=True, capture_output=True, check=False)

    with ThreadPoolExecutor(cpu_count()) as pool:
        results = list(pool.map(compile_alone, headers))
    bad = [(h, r.stderr) for h, r in zip(headers, results) if r.returncode]
    for header, message in bad:
        print(f"{header} does not stand alone:\n{message}")
    print(f"{len(headers)} headers, {len(bad)} that do not stand alone")
    return 1 if bad or not headers else 0


if __name__ == "__main__":
    sys.exit(main())
