#!/usr/bin/env python3
"""Stores what PyTorch computes with the shipped weights, so that the C results can be compared with it without Python.

    python tests/golden/make_models.py        (after a model was trained again; models/requirements.txt)

translate.tsv, translate_luong.tsv
                       `english<TAB>french`, 240 held-out sentences (48 of each kind), french as the model translates it greedily
translate.safetensors, translate_luong.safetensors
                       alignment.<i> [target tokens + 1, source tokens + 1] f32 of line i (from 0); the last row and column are <eos>
classify.safetensors   input [100,1,28,28] (the network's input, from train_digits.py's preprocessing of digits/*.png sorted by name; the names, one
                       a line, are in the metadata `names`), logits and probability [100,10], gate.channel.<n> [100,C], gate.spatial.<n> [100,1,H,W]
                       for n = 0 the stem, 1..3 the blocks
"""
import glob
import os
import sys

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
sys.path.insert(0, os.path.join(ROOT, "models"))
import train_digits  # noqa: E402
import train_luong  # noqa: E402
import train_translate  # noqa: E402

EACH = 48


def translate(network, name, dtype=torch.float32):
    torch.set_default_dtype(dtype)
    model = train_translate.load(os.path.join(ROOT, "models", network.metadata["model"] + ".safetensors"), network).to(dtype)
    rows = [(k, *x) for k in train_translate.KINDS for x in train_translate.pairs(k, EACH, 7, "--held-out")]
    results = model.translate([train_translate.source_tokens(e) for _, e, _ in rows])
    tensors, right = {}, 0
    with open(os.path.join(HERE, name + ".tsv"), "w", encoding="utf-8") as out:
        for i, ((_, e, f), (words, alignment)) in enumerate(zip(rows, results)):
            french = train_translate.detokenise(words)
            right += french == f
            out.write(f"{e}\t{french}\n")
            tensors[f"alignment.{i}"] = alignment.float().contiguous()
            # one at a time must give what the batch gives
            (alone, a), = model.translate([train_translate.source_tokens(e)])
            assert alone == words and (a - alignment).abs().max() < 1e-5
    save_file(tensors, os.path.join(HERE, name + ".safetensors"), {"format": "pt", "made_by": f"torch {torch.__version__}"})
    print(f"{name}: {len(rows)} sentences, {right} translated exactly")


def classify():
    model = train_digits.load(os.path.join(ROOT, "models", "cbam_digits.safetensors"))
    paths = sorted(glob.glob(os.path.join(ROOT, "digits", "*.png")))
    names = [os.path.basename(p) for p in paths]
    x = torch.from_numpy(np.stack([train_digits.preprocess(np.asarray(Image.open(p)) / 255.0) for p in paths])[:, None])
    with torch.no_grad():
        logits = model(x)
    tensors = {"input": x, "logits": logits, "probability": torch.softmax(logits, 1)}
    for n, (channel, spatial) in enumerate(model.gates()):
        tensors[f"gate.channel.{n}"], tensors[f"gate.spatial.{n}"] = channel.contiguous(), spatial.contiguous()
    save_file(tensors, os.path.join(HERE, "classify.safetensors"), {"format": "pt", "names": "\n".join(names), "made_by": f"torch {torch.__version__}"})
    right = sum(int(n[0]) == int(c) for n, c in zip(names, logits.argmax(1)))
    print(f"{len(names)} images, {right} classified rightly;", {n: list(t.shape) for n, t in tensors.items()})


if __name__ == "__main__":
    torch.set_num_threads(1)
    translate(train_translate.RNNsearch, "translate")
    # What is fed back and sharp scores amplify the last bits of f32: these are computed in f64, and stored as f32.
    translate(train_luong.Luong, "translate_luong", torch.float64)
    torch.set_default_dtype(torch.float32)
    classify()
