"""Makes tests/data/{beit3,vqkd,pretrain}-parity from the full recordings of the official programs.

usage: cut_records.py RECORDINGS TESTS_DATA

RECORDINGS holds beit3-parity, vqkd-parity and pretrain-parity. Numbers are copied, never changed;
what is left out are whole tensors and whole cases, to keep the tree small.
"""

import json
import shutil
import struct
import sys
from pathlib import Path


def read(path):
    """Name -> (dtype, shape, bytes), in the order of the file."""
    data = path.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = (8 + length + o for o in entry["data_offsets"])
        tensors[name] = (entry["dtype"], entry["shape"], data[begin:end])
    return tensors


def write(path, tensors):
    header, offset = {}, 0
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {
            "dtype": dtype,
            "shape": shape,
            "data_offsets": [offset, offset + len(data)],
        }
        offset += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        for _, _, data in tensors.values():
            out.write(data)


def cut(source, target, stem, keep):
    tensors = read(source / f"{stem}.safetensors")
    write(target / f"{stem}.safetensors", {n: t for n, t in tensors.items() if keep(n)})


def cut_manifest(source, target, cases, keys):
    manifest = json.loads((source / "manifest.json").read_text())
    small = {k: manifest[k] for k in keys if k in manifest}
    small["cases"] = {n: c for n, c in manifest["cases"].items() if n in cases}
    (target / "manifest.json").write_text(json.dumps(small, indent=1) + "\n")


def copy(source, target, names):
    for name in names:
        shutil.copyfile(source / name, target / name)


def cut_beit3(source, target):
    encoder = [f"encoder-{n}" for n in ("image", "image-masked", "text", "pair", "pair-masked")]
    cases = [*encoder, "classification", "optimizer", "cosine_scheduler"]
    cut_manifest(source, target, cases, ["config", "layernorm_eps"])
    whole = ["encoder-pair", "encoder.weights", "vqa.weights"]
    copy(source, target, [f"{n}.safetensors" for n in whole])

    def keep(name):
        return not name.startswith("grad.") or "layers.0.self_attn" in name or "embed" in name

    for name in encoder:
        if name not in whole:
            cut(source, target, name, keep)
    cut(source, target, "vqa", lambda n: n.startswith("input."))
    chosen = ("layers.1.self_attn", "layers.0.ffn.A.fc1", "embed_positions", "vision_embed.proj")
    cut(
        source,
        target,
        "optimizer-after4.weights",
        lambda n: "beit3" not in n or any(part in n for part in chosen),
    )


def cut_vqkd(source, target):
    cases = ["forward.f64", "train.f64", "quantizer-80.f64"]
    cases += ["quantizer-tie.f64", "kmeans.f64", "kmeans-few-samples.f64", "kmeans-init.f64"]
    cases += ["tokens", "preprocess", "resize-24", "teacher-clip", "teacher-dino"]
    keys = ["config", "tolerance", "layernorm_eps", "optimizer_groups"]
    cut_manifest(source, target, cases, keys)
    weights = ["vqkd.weights", "teacher-clip.weights", "teacher-dino.weights"]
    copy(source, target, [f"{n}.safetensors" for n in [*cases, *weights]] + ["training.pth"])
    # training.pth has all parameters after the training, preprocess all mappings of pixels.
    left_out = ("grad.encoder.blocks.1", "after.encoder.blocks", "after.decoder.blocks")
    left_out += ("preprocessed", "output.scaled")
    for case in ("forward.f64", "train.f64", "tokens", "teacher-clip", "teacher-dino"):
        cut(source, target, case, lambda n: not n.startswith(left_out))


def cut_pretrain(source, target):
    cases = ["four-losses.f64", "three-losses-weighted.f64"]
    keys = ["config", "tolerance", "layernorm_eps", "ids", "optimizer", "lr"]
    cut_manifest(source, target, cases, keys)
    copy(source, target, ["batches.safetensors", "pretrain.weights.safetensors"])
    chosen = ("layers.0.self_attn.q_proj", "layers.1.final", "embed_positions", "token")
    chosen += ("head.bias",)

    def keep(name):
        parameter = name.startswith(("grad.", "after."))
        return not parameter or any(part in name for part in chosen)

    for case in cases:
        cut(source, target, case, keep)


def main():
    recordings, tests = Path(sys.argv[1]), Path(sys.argv[2])
    for name, make in (("beit3", cut_beit3), ("vqkd", cut_vqkd), ("pretrain", cut_pretrain)):
        target = tests / f"{name}-parity"
        target.mkdir(exist_ok=True)
        make(recordings / f"{name}-parity", target)


if __name__ == "__main__":
    main()
