#!/usr/bin/env python3
"""Times `beit3 tok encode` beside SentencePiece's `spm_encode` on the same texts, in one run.

    bench/compare_sentencepiece.py --beit3 build/bin/beit3 --model uni8k.model --text botchan.txt

Needs spm_encode (Debian: apt install sentencepiece). The programs take turns, so that a busy moment
of the machine hits both; each number is the median of --rounds runs, from start to end of the
program, loading included. `cpu` is processor time, which other programs disturb less than the time
that passed. Both have to write the same ids.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--beit3", required=True, help="the program")
    parser.add_argument("--spm-encode", default="spm_encode", help="SentencePiece's encoder")
    parser.add_argument("--model", required=True, nargs="+", help="SentencePiece .model files")
    parser.add_argument("--text", required=True, nargs="+", help="texts, one a line")
    parser.add_argument("--megabytes", type=float, default=5.5, help="of text, by repetition")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="for the last column")
    return parser.parse_args()


def repeated(path, megabytes, folder):
    """A file of whole copies of a text, without carriage returns; and its bytes."""
    with open(path, "rb") as file:
        text = file.read().replace(b"\r\n", b"\n")
    text *= max(1, round(megabytes * 1e6 / len(text)))
    name = os.path.join(folder, os.path.basename(path))
    with open(name, "wb") as file:
        file.write(text)
    return name, len(text)


def timed(command, text, out):
    """Seconds that passed, and seconds of processor time."""
    with open(text, "rb") as source, open(out, "wb") as sink:
        begin = time.perf_counter()
        child = subprocess.Popen(command, stdin=source, stdout=sink)
        _, status, usage = os.wait4(child.pid, 0)
        passed = time.perf_counter() - begin
    if status != 0:
        sys.exit(f"{command[0]} failed")
    return passed, usage.ru_utime + usage.ru_stime


def same_bytes(a, b):
    with open(a, "rb") as x, open(b, "rb") as y:
        return x.read() == y.read()


def compare(commands, text, rounds, folder):
    """Medians of (passed, cpu) of each command, and whether all wrote the same."""
    measured = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            measured[name].append(timed(command, text, os.path.join(folder, name)))
    medians = [tuple(map(statistics.median, zip(*measured[name]))) for name in commands]
    first, *others = (os.path.join(folder, name) for name in commands)
    return medians, all(same_bytes(first, other) for other in others)


def main():
    options = arguments()
    differing = 0
    print(f"medians of {options.rounds} alternating runs, seconds; spm = {options.spm_encode}")
    print(f"{'':<36}{'spm':>15}{'1 thread':>16}{'cpu':>8}{options.threads:>7} threads")
    print(f"{'model':<14}{'text':<16}{'MB':>6}{'passed':>8}{'cpu':>7}{'passed':>9}{'cpu':>7}"
          f"{'ratio':>8}{'passed':>9}{'gain':>7}")
    with tempfile.TemporaryDirectory() as folder:
        for model in options.model:
            ours = [options.beit3, "tok", "encode", model, "--model-ids", "--threads"]
            commands = {
                "spm": [options.spm_encode, "--model=" + model, "--output_format=id"],
                "one": [*ours, "1"],
                "all": [*ours, str(options.threads)],
            }
            for path in options.text:
                text, size = repeated(path, options.megabytes, folder)
                medians, equal = compare(commands, text, options.rounds, folder)
                (spm, spm_cpu), (one, one_cpu), (every, _) = medians
                differing += not equal
                print(f"{os.path.basename(model)[:13]:<14}{os.path.basename(path)[:15]:<16}"
                      f"{size / 1e6:>6.1f}{spm:>8.2f}{spm_cpu:>7.2f}{one:>9.2f}{one_cpu:>7.2f}"
                      f"{spm_cpu / one_cpu:>7.2f}x{every:>9.2f}{one / every:>6.2f}x"
                      f"{'' if equal else '  IDS DIFFER'}", flush=True)
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
