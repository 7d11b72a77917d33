#!/usr/bin/env python3
"""The same work here and in PyTorch, interleaved in one run: one table of medians.

    bench/compare_torch.py BUILD_DIR [--threads 2] [--rounds 3] [--forms eager,compile,official]
                           [--only TEXT] [--gemm auto] [--bf16] [--out bench/results/NAME.md]

PyTorch runs BEiT-3's released form as the reference does: images, texts and pairs in three passes,
texts padded to the longest, A and B modules applied to their parts of the sequence. Three forms:

    official  the modules of torchscale (0.3.0 from PyPI, without what it depends on), as they are
    eager     the same with fused qkv and scaled_dot_product_attention
    compile   torch.compile of the second

--bf16 runs PyTorch under autocast to bf16; --gemm says who makes products here (`beit3 bench --help`).

The ratio is to the fastest of those that ran. Needs torch (measured with 2.15.0 from PyPI).
"""
import argparse, json, platform, statistics, subprocess, sys, time, types

import torch
import torch.nn as nn
import torch.nn.functional as F

PRESETS = {  # width, layers, heads, side, patch
    "nano": (96, 4, 4, 64, 8), "micro": (192, 6, 6, 64, 8), "tiny": (192, 12, 3, 224, 16),
    "small": (384, 12, 6, 224, 16), "base": (768, 12, 12, 224, 16)}


class Ways(nn.Module):
    """A module of each branch: rows before `cut` use A, the others B."""

    def __init__(self, make):
        super().__init__()
        self.A, self.B = make(), make()

    def forward(self, x, cut):
        if cut < 0:
            return self.A(x)
        if cut == 0:
            return self.B(x)
        return torch.cat([self.A(x[:, :cut]), self.B(x[:, cut:])], 1)


class Feed(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.fc1, self.norm, self.fc2 = nn.Linear(c, 4 * c), nn.LayerNorm(4 * c), nn.Linear(4 * c, c)

    def forward(self, x):
        return self.fc2(self.norm(F.gelu(self.fc1(x))))


class Layer(nn.Module):
    def __init__(self, c, heads):
        super().__init__()
        self.heads = heads
        self.qkv = Ways(lambda: nn.Linear(c, 3 * c))
        self.out = Ways(lambda: nn.Linear(c, c))
        self.norm1, self.norm2, self.inner = (Ways(lambda: nn.LayerNorm(c)) for _ in range(3))
        self.ffn = Ways(lambda: Feed(c))

    def forward(self, h, cut, mask):
        b, t, c = h.shape
        q, k, v = self.qkv(self.norm1(h, cut), cut).view(b, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        a = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        h = h + self.out(self.inner(a.transpose(1, 2).reshape(b, t, c), cut), cut)
        return h + self.ffn(self.norm2(h, cut), cut)


class Model(nn.Module):
    def __init__(self, preset, vocabulary, codes):
        super().__init__()
        c, layers, heads, side, patch = PRESETS[preset]
        self.n = (side // patch) ** 2
        self.proj = nn.Conv2d(3, c, patch, patch)
        self.cls, self.mask = nn.Parameter(torch.zeros(1, 1, c)), nn.Parameter(torch.zeros(1, 1, c))
        self.text, self.pos_a, self.pos_b = (nn.Embedding(n, c) for n in (vocabulary, self.n + 3, 1024))
        self.layers = nn.ModuleList(Layer(c, heads) for _ in range(layers))
        self.norm = Ways(lambda: nn.LayerNorm(c))
        self.mlm, self.mim = nn.Linear(c, vocabulary), nn.Linear(c, codes)

    def forward(self, images=None, hidden=None, ids=None, lengths=None):
        parts, cut, mask = [], 0, None
        if images is not None:
            e = self.proj(images).flatten(2).transpose(1, 2)
            if hidden is not None:
                e = torch.where(hidden[..., None], self.mask, e)
            e = torch.cat([self.cls.expand(len(e), -1, -1), e], 1)
            parts.append(e + self.pos_a.weight[2:2 + e.shape[1]])
            cut = -1 if ids is None else e.shape[1]
        if ids is not None:
            parts.append(self.text(ids) + self.pos_b.weight[2:2 + ids.shape[1]])
            seen = torch.arange(ids.shape[1])[None] < lengths[:, None]
            if cut > 0:
                seen = torch.cat([seen.new_ones(len(ids), cut), seen], 1)
            mask = seen[:, None, None]
        h = torch.cat(parts, 1)
        for layer in self.layers:
            h = layer(h, cut, mask)
        return self.norm(h, cut)


class Official(nn.Module):
    """torchscale's BEiT3 with the heads of pretraining."""

    def __init__(self, preset, vocabulary, codes):
        super().__init__()
        # It imports these for checkpoints, FSDP and drop path, which do nothing here.
        same = lambda x, *_, **__: x
        for name, members in {"fairscale.nn": ["checkpoint_wrapper", "wrap"], "timm.models.layers": ["drop_path"]}.items():
            parts = name.split(".")
            for i in range(len(parts)):
                sys.modules[".".join(parts[:i + 1])] = types.ModuleType(".".join(parts[:i + 1]))
            for member in members:
                setattr(sys.modules[name], member, same)
        from torchscale.architecture.config import EncoderConfig
        from torchscale.model.BEiT3 import BEiT3
        c, layers, heads, side, patch = PRESETS[preset]
        self.n = (side // patch) ** 2
        self.beit3 = BEiT3(EncoderConfig(
            img_size=side, patch_size=patch, vocab_size=vocabulary, multiway=True, layernorm_embedding=False,
            normalize_output=True, no_output_layer=True, drop_path_rate=0.0, encoder_embed_dim=c,
            encoder_attention_heads=heads, encoder_ffn_embed_dim=4 * c, encoder_layers=layers,
            checkpoint_activations=False))
        self.mlm, self.mim = nn.Linear(c, vocabulary), nn.Linear(c, codes)

    def forward(self, images=None, hidden=None, ids=None, lengths=None):
        padding = None
        if ids is not None:
            padding = torch.arange(ids.shape[1])[None] >= lengths[:, None]
        if hidden is not None:
            hidden = hidden.to(images.dtype)
        return self.beit3(textual_tokens=ids, visual_tokens=images, text_padding_position=padding,
                          vision_masked_position=hidden)["encoder_out"]


def batch(preset, images, texts, pairs, vocabulary, codes):
    side, patch = PRESETS[preset][3:]
    n, total = (side // patch) ** 2, texts + pairs
    g = torch.Generator().manual_seed(7)
    lengths = torch.tensor([8 + i * 56 // max(total - 1, 1) for i in range(total)])

    def text(rows, ratio):
        longest = int(rows.max()) if len(rows) else 0
        ids = torch.randint(4, vocabulary, (len(rows), longest), generator=g)
        hidden = torch.zeros(len(rows), longest, dtype=torch.bool)
        for i, length in enumerate(rows.tolist()):
            count = max(1, round((length - 2) * ratio))
            hidden[i, 1 + torch.randperm(length - 2, generator=g)[:count]] = True
        return ids, rows, hidden

    def picture(count):
        hidden = torch.zeros(count, n, dtype=torch.bool)
        for row in hidden:
            row[torch.randperm(n, generator=g)[:round(n * 0.4)]] = True
        return torch.rand(count, 3, side, side, generator=g) * 2 - 1, hidden, torch.randint(codes, (count, n), generator=g)

    return picture(images), text(lengths[pairs:], 0.15), (picture(pairs), text(lengths[:pairs], 0.5))


def torch_step(model, optimizer, data, precision):
    with precision:
        loss = masked_losses(model, data)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def masked_losses(model, data):
    (image, hidden, codes), (ids, lengths, words), ((p_image, p_hidden, p_codes), (p_ids, p_lengths, p_words)) = data
    n = model.n
    loss = 0
    if len(image):
        out = model(image, hidden)[:, 1:]
        loss = loss + F.cross_entropy(model.mim(out[hidden]), codes[hidden])
    if len(ids):
        out = model(ids=ids, lengths=lengths)
        loss = loss + F.cross_entropy(model.mlm(out[words]), ids[words])
    if len(p_image):
        out = model(p_image, p_hidden, p_ids, p_lengths)
        loss = loss + F.cross_entropy(model.mim(out[:, 1:n + 1][p_hidden]), p_codes[p_hidden])
        loss = loss + F.cross_entropy(model.mlm(out[:, n + 1:][p_words]), p_ids[p_words])
    return loss


def peak_resident_mb():
    """Of this process alone: getrusage would count the parent that it was forked from."""
    line = next(l for l in open("/proc/self/status") if l.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024 / 1e6


def child(args):
    """Runs the PyTorch side alone, so that its memory is its own."""
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    work = json.loads(args.child)
    make = Official if args.form == "official" else Model
    model = make(work["preset"], work.get("vocabulary", 1000), work.get("codes", 16))
    parameters = list(model.parameters())
    if args.form == "compile":
        model.forward = torch.compile(model.forward)
    seconds = []
    precision = torch.autocast("cpu", torch.bfloat16, enabled=args.bf16)
    if work["mode"] == "step":
        data = batch(work["preset"], *work["counts"], work["vocabulary"], work["codes"])
        optimizer = torch.optim.AdamW(parameters, lr=1e-3, fused=True)
        run = lambda: torch_step(model, optimizer, data, precision)
    else:
        model.eval()
        side = PRESETS[work["preset"]][3]
        x = torch.rand(work["batch"], 3, side, side)

        def run():
            with torch.inference_mode(), precision:
                model(x)
    for i in range(args.repeats + 2):
        start = time.perf_counter()
        run()
        if i >= 2:
            seconds.append(time.perf_counter() - start)
    print(json.dumps({"median_s": statistics.median(seconds), "min_s": min(seconds),
                      "peak_rss_mb": peak_resident_mb()}))


def run_json(command):
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("build", nargs="?", default="build/release")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--repeats", type=int, default=5)
    p.add_argument("--out")
    p.add_argument("--forms", default="eager,compile,official")
    p.add_argument("--only", default="", help="works whose name contains this")
    p.add_argument("--gemm", default="auto", help="who makes products here")
    p.add_argument("--bf16", action="store_true", help="PyTorch under autocast to bf16")
    p.add_argument("--child", help=argparse.SUPPRESS)
    p.add_argument("--form", default="eager", help=argparse.SUPPRESS)
    args = p.parse_args()
    if args.child:
        return child(args)
    works = [
        ("micro step, 16+16+16, 8000 words, 8192 codes", dict(mode="step", preset="micro", counts=[16, 16, 16], vocabulary=8000, codes=8192)),
        ("nano step, 16+16+16, 128 words, 128 codes", dict(mode="step", preset="nano", counts=[16, 16, 16], vocabulary=128, codes=128)),
        ("small step, 4+4+4, 8000 words, 8192 codes", dict(mode="step", preset="small", counts=[4, 4, 4], vocabulary=8000, codes=8192)),
        ("base encoder forward, batch 1", dict(mode="forward", preset="base", batch=1)),
        ("base encoder forward, batch 8", dict(mode="forward", preset="base", batch=8)),
        ("base step, 8 images, 8192 codes", dict(mode="step", preset="base", counts=[8, 0, 0], vocabulary=1000, codes=8192)),
    ]
    works = [(name, work) for name, work in works if args.only in name]
    forms = args.forms.split(",")
    lines = ["| work | here s | " + " | ".join(f"{f} s" for f in forms) + " | ratio to the best | here MB | best's MB |",
             "|---" * (len(forms) + 5) + "|"]
    isa = ""
    for name, work in works:
        ours, theirs = [], {form: [] for form in forms}
        for _ in range(args.rounds):
            if work["mode"] == "step":
                i, t, q = work["counts"]
                command = ["step", work["preset"], i, t, q, work["vocabulary"], work["codes"], args.repeats, args.threads]
            else:
                command = ["forward", work["preset"], work["batch"], args.repeats, args.threads]
            ours.append(run_json([f"{args.build}/bin/bench_step", *map(str, command), args.gemm]))
            for form in forms:
                theirs[form].append(run_json([sys.executable, __file__, "--threads", str(args.threads), "--repeats",
                                              str(args.repeats), "--form", form, *(["--bf16"] if args.bf16 else []),
                                              "--child", json.dumps(work)]))
        isa = ours[0]["isa"]
        median = lambda runs: statistics.median(r["median_s"] for r in runs)
        memory = lambda runs: max(r["peak_rss_mb"] for r in runs)
        best = min(forms, key=lambda form: median(theirs[form]))
        each = " | ".join(f"{median(theirs[form]):.4f}" for form in forms)
        lines.append(f"| {name} | {median(ours):.4f} | {each} | {median(theirs[best]) / median(ours):.2f}x ({best}) "
                     f"| {memory(ours):.0f} | {memory(theirs[best]):.0f} |")
        print(lines[-1], flush=True)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    cpu = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), platform.processor())
    head = (f"# Beside PyTorch {torch.__version__}\n\n{cpu}, {args.threads} threads, instruction set here: {isa}; f32, products by {args.gemm}"
            f"{', PyTorch in bf16' if args.bf16 else ''}; "
            f"commit {commit}; {time.strftime('%Y-%m-%d')}. Medians of {args.rounds} alternating rounds of {args.repeats} "
            "steps each; memory is the largest resident size of the process (PyTorch's includes its libraries).\n\n")
    text = head + "\n".join(lines) + "\n"
    print(text)
    if args.out:
        open(args.out, "w").write(text)


if __name__ == "__main__":
    main()
