"""Fails on an #include that the layers do not allow (docs/tour.md), and on a third-party header
outside the few files that are meant to see it.

usage: check_layers.py ROOT
"""

import re
import sys
from pathlib import Path

# The longest prefix of a file's path decides. What it may include besides its own folder.
ROOMS = ["json", "text", "image", "data", "model", "vqkd", "pretrain", "trust", "metrics", "tasks",
         "cli"]
LAYERS = {
    "tensor/base": [],
    "tensor": ["tensor/base", "backends/registry.h"],
    "backends/cpu": ["tensor/base", "backends/cpu/isa"],
    "backends/cpu/isa": ["tensor/base/scalar_math.h", "tensor/base/segment.h"],
    "backends": ["tensor/base", "backends/cpu/cpu_backend.h", "backends/cpu/cpu_features.h",
                 "backends/cpu/gemm.h", "backends/cpu/roof.h"],
    "autograd": ["tensor"],
    "nn": ["autograd", "tensor"],
    **{
        f"beit3/{room}": ["nn", "autograd", "tensor"] + [f"beit3/{r}" for r in ROOMS[:i]]
        for i, room in enumerate(ROOMS)
    },
}
LAYERS["beit3/cli"].append("backends/registry.h")  # the program chooses the instruction set
LAYERS["examples"] = LAYERS["bench"] = ["tensor", "autograd", "nn", "beit3", "backends"]
LAYERS["tests"] = [*LAYERS["bench"], "bench", "examples"]

# Third-party headers (by prefix), and where they may stand.
THIRD_PARTY = {
    "cblas.h": ["backends/cpu/openblas_gemm.cpp", "bench", "tests"],
    "nlohmann/": ["nn/io", "beit3/json", "tests"],
    "zip.h": ["nn/io/pth.cpp", "tests"],
    "CLI/": ["beit3/cli/command.cpp"],
    "toml++/": ["beit3/pretrain/run_folder.cpp"],
    "google/protobuf/": ["beit3/text"],
    "utf8proc.h": ["beit3/text"],
    "xxhash.h": ["beit3", "tests"],
    "stb/": ["beit3/image"],
    "jpeglib.h": ["beit3/image"],
    "jerror.h": ["beit3/image"],
    "gtest/": ["tests", "examples"],
    "gmock/": ["tests"],
    "benchmark/": ["bench"],
    "sanitizer/": ["backends/cpu", "tensor", "tests"],
}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)


def inside(path, prefix):
    return path == prefix or path.startswith(prefix.rstrip("/") + "/")


def layer_of(path):
    return max((p for p in LAYERS if inside(path, p)), key=len, default=None)


def problems_of(path, text):
    layer = layer_of(path)
    for bracket, target in INCLUDE.findall(text):
        if bracket == "<":
            for header, places in THIRD_PARTY.items():
                if target.startswith(header) and not any(inside(path, p) for p in places):
                    yield f"{path}: <{target}> belongs into {', '.join(places)}"
        elif target.endswith(".pb.h"):
            if layer != "beit3/text":
                yield f"{path}: generated header {target} outside beit3/text"
        else:
            home = layer_of(target)
            if home is None and "/" not in target and layer in ("examples", "tests"):
                continue  # a helper beside the file
            if home is None:
                yield f'{path}: "{target}" is not written from the root'
            elif home != layer and not any(inside(target, p) for p in LAYERS[layer]):
                yield f'{path}: {layer} must not include "{target}"'
            elif target.endswith("_internal.h") and home != layer and not inside(path, "tests"):
                yield f'{path}: "{target}" is private to {home}'


def main():
    root = Path(sys.argv[1])
    found, files = [], 0
    for top in ["tensor", "backends", "autograd", "nn", "beit3", "examples", "bench", "tests"]:
        for file in sorted((root / top).rglob("*")):
            path = file.relative_to(root).as_posix()
            if file.suffix not in (".h", ".cpp") or layer_of(path) is None:
                continue
            if inside(path, "examples/consumer"):
                continue  # a project of its own
            files += 1
            found += problems_of(path, file.read_text(encoding="utf-8"))
    print("\n".join(found + [f"{files} files, {len(found)} forbidden includes"]))
    return 1 if found or files < 50 else 0


if __name__ == "__main__":
    sys.exit(main())
