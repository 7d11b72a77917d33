"""Makes the first inputs of the fuzz targets, tests/fuzz/corpus, with Python's own library.

usage: make_fuzz_corpus.py TESTS

TESTS is the folder tests/. Pictures are members of data/images/torture.tar; their licences lie
beside it. Everything else is made here.
"""

import io
import json
import struct
import sys
import tarfile
import zipfile
from pathlib import Path

tests = Path(sys.argv[1])
corpus = tests / "fuzz" / "corpus"


def put(target, name, data):
    folder = corpus / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data if isinstance(data, bytes) else data.encode())


def safetensors(header, data):
    text = json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(text)) + text + data


def make_safetensors():
    one = {"w": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}
    put("safetensors", "one", safetensors(one, bytes(24)))
    put("safetensors", "none", safetensors({}, b""))
    several = {
        "__metadata__": {"format": "pt", "step": "7"},
        "a.b": {"dtype": "F64", "shape": [], "data_offsets": [0, 8]},
        "c\u00e9": {"dtype": "I64", "shape": [1], "data_offsets": [8, 16]},
        "half": {"dtype": "BF16", "shape": [2, 0], "data_offsets": [16, 16]},
        "mask": {"dtype": "BOOL", "shape": [3], "data_offsets": [16, 19]},
        "bytes": {"dtype": "U8", "shape": [1, 1, 2], "data_offsets": [19, 21]},
    }
    put("safetensors", "several", safetensors(several, bytes(16) + b"\1\0\1\7\7"))


# A pickle, operation by operation, as torch.save writes it.
def text(s):
    return b"X" + struct.pack("<I", len(s)) + s.encode()


def integer(n):
    return b"J" + struct.pack("<i", n)


def name(module, what):
    return f"c{module}\n{what}\n".encode()


def items(*values):
    return b"(" + b"".join(values) + b"t"


def ordered_dict():
    return name("collections", "OrderedDict") + b")R"


def tensor(kind, key, count, offset, sizes, strides):
    storage = items(text("storage"), name("torch", kind), text(key), text("cpu"), integer(count))
    rebuilt = items(
        storage + b"Q",
        integer(offset),
        items(*map(integer, sizes)),
        items(*map(integer, strides)),
        b"\x89",
        ordered_dict(),
    )
    return name("torch._utils", "_rebuild_tensor_v2") + rebuilt + b"R"


def dictionary(entries):
    return b"}(" + b"".join(text(k) + v for k, v in entries.items()) + b"u"


def pickles():
    matrix = tensor("FloatStorage", "0", 6, 0, [2, 3], [3, 1])
    part = tensor("FloatStorage", "0", 6, 1, [3, 1], [1, 3])
    scalar = tensor("LongStorage", "1", 1, 0, [], [])
    options = (
        name("argparse", "Namespace")
        + b")\x81q\x01"
        + dictionary({"lr": b"G" + struct.pack(">d", 0.5), "name": text("tiny"), "flag": b"\x88"})
        + b"b"
    )
    parameter = name("torch._utils", "_rebuild_parameter") + items(matrix, b"\x88", ordered_dict()) + b"R"
    yield "tensors", dictionary({"w": matrix, "part": part, "step": scalar})
    yield "options", dictionary({"model": dictionary({"p": parameter}), "args": options})
    yield "lists", b"](" + integer(-7) + b"K\x05M\x01\x02" + b"\x8a\x03\1\2\3" + b"N\x85" + text("x") + b"e"
    yield "protocol4", (
        b"\x95\x20\0\0\0\0\0\0\0}\x94(\x8c\x01a\x94K\x01\x8c\x01b\x94"
        b"\x8c\x0bcollections\x94\x8c\x0bOrderedDict\x94\x93\x94)R\x94h\x01\x86\x94u"
    )


def make_pickles():
    for title, value in pickles():
        protocol = b"\x80\4" if title == "protocol4" else b"\x80\2"
        described = protocol + value + b"."
        put("pickle", title, described)
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as z:
            members = [("data.pkl", described), ("data/0", bytes(24)), ("data/1", bytes(8))]
            for member, data in [*members, ("byteorder", b"little"), ("version", b"3\n")]:
                z.writestr(zipfile.ZipInfo("a/" + member), data)
        put("pth", title, archive.getvalue())


# Protocol buffers: a field's number and kind, then its value.
def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def number_field(field, n):
    return varint(field << 3) + varint(n)


def bytes_field(field, data):
    return varint(field << 3 | 2) + varint(len(data)) + data


def piece(spelling, score, kind=1):
    data = bytes_field(1, spelling.encode()) + varint(2 << 3 | 5) + struct.pack("<f", score)
    return bytes_field(1, data + (number_field(3, kind) if kind != 1 else b""))


SPECIAL = piece("<unk>", 0, 2) + piece("<s>", 0, 3) + piece("</s>", 0, 3)
MARK = "\u2581"


def charsmap():
    """A double array for the one rule "A" -> "a", laid out by hand."""
    units = [0] * 256
    units[0] = 0x80 << 10  # the root; its children lie at 0x80 ^ label
    at = 0x80 ^ ord("A")
    units[at] = ord("A") | 1 << 8 | (at ^ 0x10) << 10  # a leaf whose value lies at 0x10
    units[0x10] = 1 << 31  # target at byte 0
    trie = b"".join(struct.pack("<I", u) for u in units)
    return struct.pack("<I", len(trie)) + trie + b"a\0"


def make_models():
    words = [piece(MARK, -2), *(piece(c, -3 - i / 8) for i, c in enumerate("abcdeilr\u00e9"))]
    joined = [piece(MARK + "a", -1), piece("re", -1.5), piece("circ", -2), piece(MARK + "red", -1.2)]
    body = SPECIAL + b"".join(words + joined)
    unigram = body + bytes_field(2, number_field(3, 1))
    put("sentencepiece_model", "unigram", unigram)
    table = bytes_field(1, b"nmt_nfkc") + bytes_field(2, charsmap())
    put("sentencepiece_model", "unigram_table", unigram + bytes_field(3, table))
    put("sentencepiece_model", "bpe", body + bytes_field(2, number_field(3, 2)))
    put("sentencepiece_model", "word", SPECIAL + joined[0] + joined[3] + bytes_field(2, number_field(3, 3)))
    put("sentencepiece_model", "char", SPECIAL + b"".join(words) + bytes_field(2, number_field(3, 4)))
    user = piece("<sep>", 0, 4) + piece("unused", -1, 5)
    put("sentencepiece_model", "user", body + user + bytes_field(2, number_field(3, 1) + number_field(24, 1)))
    all_bytes = b"".join(piece(f"<0x{b:02X}>", 0, 6) for b in range(256))
    fallback = bytes_field(2, number_field(3, 2) + number_field(35, 1))
    put("sentencepiece_model", "bytes", SPECIAL + all_bytes + joined[0] + fallback)
    sample = bytes_field(1, bytes_field(1, b"a") + bytes_field(2, (MARK + "a").encode()))
    put("sentencepiece_model", "self_test", unigram + bytes_field(4, sample))


def make_texts():
    put("sentencepiece_encode", "english", "I never saw such a man as he was, and 1,000 more.\n")
    put("sentencepiece_encode", "japanese", "\u543e\u8f29\u306f\u732b\u3067\u3042\u308b\u3002\u540d\u524d\u306f\u307e\u3060\u7121\u3044\u3002")
    put("sentencepiece_encode", "special", "a <mask> b </s><s> <unk>\u2581\u2581 \u3000 <sep>")
    put("sentencepiece_encode", "odd", b"\xff\xc3\x28\xe2\x82\xf0\x9f\x98\x80\0\t\r\n  \xc2\xa0e\xcc\x81")
    put("sentencepiece_encode", "repeated", "aaaaaaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbb")


def make_manifests():
    lines = [
        {"image": "sub/1.png", "text": "gr\u00fcn", "label": 3, "split": "train"},
        {"image_path": "2.jpg", "text_segment": [5, 6, 7], "image_id": 12, "qid": 4, "labels": [1, 2], "scores": [0.5, 1]},
        {"text": "only words", "label": "True", "question": "q", "answer": "a", "extra": {"deep": [1, None]}},
        {"image": "l.png", "image2_path": "r.png", "caption": "two", "label": True},
    ]
    put("manifest", "lines.jsonl", "\ufeff" + "\r\n".join(json.dumps(line) for line in lines) + "\n\n")
    put("manifest", "captions.tsv", "139\tA woman.\n285\tA bear\tor two.\nx.png\tnamed\n")
    put("manifest", "lines.txt", "one\n\n two words\r\nlast")
    put("manifest", "numbers.jsonl", '{"text":"a","label":-1,"image_id":9223372036854775807,"scores":[1e308,0]}')


def make_recipes():
    put("recipe", "some.toml", """# a comment
[model]
name = "tiny"
width = 64
drop_path = 0.1
init = "paper"
[data]
images = 'C:\\literal'
pairs = \"\"\"
many
lines\"\"\"
augment = true
[train]
seed = 0x1F
steps = 1_000
[optim]
lr = 1e-3
beta2 = 0.98
""")
    put("recipe", "dotted.toml", 'train.steps = 5\n"optim".lr = 2\nlog = {every = 3, keep = 2}\n')
    put("recipe", "values.toml", "[x]\na = [1, [2.5, 'x']]\nb = 1979-05-27T07:32:00Z\nc = inf\n[[y]]\nz = nan\n")


    # Found by fuzzing; toml++ 3.3 must not see them.
    put("recipe", "section_without_name.toml", "[\nx]\n")
    put("recipe", "letter_outside_quotes.toml", "\u0424 = 1\n")
    put("recipe", "quote_inside_a_number.toml", "seed = 0x'\u0424'\n")
    put("recipe", "quote_inside_a_list.toml", "a = [1,2.='\ufffd'\n,5[ ")
    put("recipe", "deep_key.toml", "a." * 2000 + "a = 1\n")


def make_tars():
    def archive(fmt, members):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=fmt) as tar:
            for title, data in members:
                info = tarfile.TarInfo(title)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        used = len(out.getvalue().rstrip(b"\0"))
        return out.getvalue()[: -(-used // 512) * 512] + bytes(512)  # less of the empty end

    put("tar", "ustar", archive(tarfile.USTAR_FORMAT, [("./dog/1.png", b"abc"), ("dog/1.txt", b"a dog")]))
    put("tar", "gnu_long", archive(tarfile.GNU_FORMAT, [("cat/" + "n" * 120, b"x")]))
    put("tar", "pax", archive(tarfile.PAX_FORMAT, [("\u732b/" + "n" * 120, b"x")]))


def make_images():
    chosen = [
        "png/pngsuite/basn0g01.png", "png/pngsuite/basn3p01.png", "png/pngsuite/basi2c08.png",
        "png/pngsuite/basn4a08.png", "png/pngsuite/basn2c16.png", "png/pngsuite/s09i3p02.png",
        "jpeg/jpeg-decoder/jpg-size-6x6.jpg", "jpeg/jpeg-decoder/jpg-gray.jpg",
        "jpeg/jpeg-decoder/progressive-missing-ac.jpg", "jpeg/jpeg-decoder/non-interleaved-mcu.jpg",
    ]
    with tarfile.open(tests / "data" / "images" / "torture.tar") as tar:
        for member in chosen:
            put("image", Path(member).name, tar.extractfile(member).read())


make_safetensors()
make_pickles()
make_models()
make_texts()
make_manifests()
make_recipes()
make_tars()
make_images()
