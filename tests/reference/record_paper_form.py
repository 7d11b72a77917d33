"""Records tests/data/paper-parity: a tiny BEiT-3 in the paper's form, in plain PyTorch, float64.

usage: record_paper_form.py TESTS_DATA          (Python 3.11, torch 2.15.0, safetensors 0.5.3)

Written from the paper (arXiv:2208.10442, section 2.1 and table 2) and, where that is open, from the
description of its predecessor VLMo; independent of the C++ code, which packs rows where this pads.
Per layer: one norm and one attention for all positions; a norm and a feed-forward network per
expert. Images alone use V and texts alone L in every layer. Of pairs, image positions use V and text
positions L below the top VL_LAYERS layers, and all positions VL in those.
"""

import json
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

SIZES = dict(img=8, patch=4, dim=16, heads=2, layers=3, mlp=2, vocab=23, B=2, T=6)
VL_LAYERS, TEXT_POSITIONS, EPS = 2, 12, 1e-5
S = SIZES
PATCHES = (S["img"] // S["patch"]) ** 2


def make_weights():
    generator = torch.Generator().manual_seed(7)
    dim, inner = S["dim"], S["dim"] * S["mlp"]
    shapes = {
        "text_embed.weight": (S["vocab"], dim),
        "vision_embed.mask_token": (1, 1, dim),
        "vision_embed.cls_token": (1, 1, dim),
        "vision_embed.proj.weight": (dim, 3, S["patch"], S["patch"]),
        "vision_embed.proj.bias": (dim,),
        "encoder.embed_positions.A.weight": (PATCHES + 3, dim),
        "encoder.embed_positions.B.weight": (TEXT_POSITIONS, dim),
        "encoder.layer_norm.weight": (dim,),
        "encoder.layer_norm.bias": (dim,),
    }
    for i in range(S["layers"]):
        layer = f"encoder.layers.{i}."
        for part in ("k_proj", "v_proj", "q_proj", "out_proj"):
            shapes[f"{layer}self_attn.{part}.weight"] = (dim, dim)
            shapes[f"{layer}self_attn.{part}.bias"] = (dim,)
        shapes[f"{layer}self_attn_layer_norm.weight"] = (dim,)
        shapes[f"{layer}self_attn_layer_norm.bias"] = (dim,)
        for expert in ["V", "L"] + (["VL"] if i >= S["layers"] - VL_LAYERS else []):
            shapes[f"{layer}ffn.{expert}.fc1.weight"] = (inner, dim)
            shapes[f"{layer}ffn.{expert}.fc1.bias"] = (inner,)
            shapes[f"{layer}ffn.{expert}.fc2.weight"] = (dim, inner)
            shapes[f"{layer}ffn.{expert}.fc2.bias"] = (dim,)
            shapes[f"{layer}final_layer_norm.{expert}.weight"] = (dim,)
            shapes[f"{layer}final_layer_norm.{expert}.bias"] = (dim,)
    weights = {}
    for name, shape in shapes.items():
        w = torch.randn(shape, generator=generator, dtype=torch.float64) * 0.3
        if "norm" in name and name.endswith("weight"):
            w = w + 1
        weights[name] = w.requires_grad_()
    return weights


def norm(x, w, name):
    return F.layer_norm(x, x.shape[-1:], w[name + ".weight"], w[name + ".bias"], EPS)


def linear(x, w, name):
    return F.linear(x, w[name + ".weight"], w[name + ".bias"])


def attention(x, w, name, unseen):
    b, t, dim = x.shape
    split = lambda y: y.view(b, t, S["heads"], dim // S["heads"]).transpose(1, 2)
    q, k, v = (split(linear(x, w, name + part)) for part in (".q_proj", ".k_proj", ".v_proj"))
    scores = q @ k.transpose(-2, -1) / (dim // S["heads"]) ** 0.5
    scores = scores.masked_fill(unseen[:, None, None, :], float("-inf"))
    out = (scores.softmax(-1) @ v).transpose(1, 2).reshape(b, t, dim)
    return linear(out, w, name + ".out_proj")


def expert_output(x, w, layer, expert):
    u = norm(x, w, f"{layer}final_layer_norm.{expert}")
    return linear(F.gelu(linear(u, w, f"{layer}ffn.{expert}.fc1")), w, f"{layer}ffn.{expert}.fc2")


def embed_images(w, pixels, masked):
    e = F.conv2d(pixels, w["vision_embed.proj.weight"], w["vision_embed.proj.bias"], S["patch"])
    e = e.flatten(2).transpose(1, 2)
    hidden = masked[..., None].to(e.dtype)
    e = e * (1 - hidden) + w["vision_embed.mask_token"] * hidden
    e = torch.cat([w["vision_embed.cls_token"].expand(len(e), 1, -1), e], 1)
    return e + w["encoder.embed_positions.A.weight"][2 : 2 + e.shape[1]]


def embed_texts(w, ids, padding):
    e = F.embedding(ids, w["text_embed.weight"])
    e = e + w["encoder.embed_positions.B.weight"][2 : 2 + e.shape[1]]
    return e * (~padding)[..., None]


def encode(w, images, texts, padding):
    """images (B, N + 1, C) or None, texts (B, T, C) or None -> output, per layer results."""
    both = [x for x in (images, texts) if x is not None]
    h, n = torch.cat(both, 1), 0 if images is None else images.shape[1]
    unseen = torch.zeros(h.shape[:2], dtype=torch.bool)
    if texts is not None:
        unseen[:, n:] = padding
    record = {}
    for i in range(S["layers"]):
        layer = f"encoder.layers.{i}."
        a = attention(norm(h, w, layer + "self_attn_layer_norm"), w, layer + "self_attn", unseen)
        h = h + a
        if images is None:
            y = expert_output(h, w, layer, "L")
        elif texts is None:
            y = expert_output(h, w, layer, "V")
        elif i >= S["layers"] - VL_LAYERS:
            y = expert_output(h, w, layer, "VL")
        else:
            y = torch.cat(
                [expert_output(h[:, :n], w, layer, "V"), expert_output(h[:, n:], w, layer, "L")], 1
            )
        h = h + y
        record[f"hidden.layer{i}.attn"], record[f"hidden.layer{i}"] = a, h
    return norm(h, w, "encoder.layer_norm"), record


def record_case(target, name, weights, kinds, generator):
    case, images, texts, padding = {}, None, None, None
    if "image" in kinds:
        pixels = torch.randn(S["B"], 3, S["img"], S["img"], generator=generator, dtype=torch.float64)
        masked = torch.rand(S["B"], PATCHES, generator=generator) < 0.4
        images = embed_images(weights, pixels, masked)
        case |= {"input.visual_tokens": pixels, "input.vision_masked_position": masked}
    if "text" in kinds:
        ids = torch.randint(3, S["vocab"], (S["B"], S["T"]), generator=generator)
        padding = torch.zeros(S["B"], S["T"], dtype=torch.bool)
        padding[1, 4:] = True
        ids[padding] = 1
        texts = embed_texts(weights, ids, padding)
        case |= {"input.textual_tokens": ids, "input.text_padding_position": padding}
    out, record = encode(weights, images, texts, padding)
    cotangent = torch.randn(out.shape, generator=generator, dtype=torch.float64)
    if padding is not None:  # a loss reads no padding
        cotangent[:, -S["T"] :][padding] = 0
    loss = (out * cotangent).sum()
    gradients = torch.autograd.grad(loss, list(weights.values()), allow_unused=True)
    case |= record | {"output.cotangent": cotangent, "output.encoder_out": out, "loss": loss}
    # Experts that no position used have none.
    case |= {f"grad.beit3.{n}": g for n, g in zip(weights, gradients) if g is not None}
    tensors = {n: t.detach().contiguous() for n, t in case.items()}
    save_file(tensors, target / f"{name}.safetensors")
    return {"loss": loss.item(), "tensors": len(case), "dtype": "float64"}


def main():
    target = Path(sys.argv[1]) / "paper-parity"
    target.mkdir(exist_ok=True)
    torch.set_num_threads(1)
    weights = make_weights()
    published = {"beit3." + n: w.detach() for n, w in weights.items()}
    save_file(published, target / "encoder.weights.safetensors")
    generator = torch.Generator().manual_seed(8)
    cases = {
        f"encoder-{name}": record_case(target, f"encoder-{name}", weights, kinds, generator)
        for name, kinds in (("image", ["image"]), ("text", ["text"]), ("pair", ["image", "text"]))
    }
    manifest = {
        "config": SIZES | {"form": "paper", "vl_layers": VL_LAYERS},
        "layernorm_eps": EPS,
        "tolerance": {
            "float64": 1e-12,
            "float32": 2e-05,
            "float32_after_training": 0.0001,
            "relative_to": "largest absolute value of the tensor",
        },
        "cases": cases,
    }
    (target / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")


main()
