#!/usr/bin/env python3
"""The ONNX node cases with Attention as goldens of attention: writes ops/attention_onnx.safetensors, and beside it
ops/attention_onnx.txt, which lists by name the cases that do not map and why.

    venv/bin/pip install onnx==1.23.2 && venv/bin/python make_onnx.py

Inputs and expected outputs are ONNX's own; Q, K, V of rank 3 are split into heads, a float attn_mask is bias (its missing last
columns are -inf), a bool one mask, nonpad_kv_seqlen is key_lengths and makes is_causal bottom_right."""
import warnings
from pathlib import Path

import numpy as np
import onnx
from onnx.backend.test.case.node import collect_testcases

from make_ops import INF, Cases, T, whole_attention

STAGES = ("raw", "softcap", "bias", "softmax")


def heads(x, count):
    """[B,T,H*D] -> [B,H,T,D]; rank 4 as it is."""
    return x if x.ndim == 4 else np.swapaxes(x.reshape(*x.shape[:2], count, x.shape[2] // count), 1, 2)


def map_case(node, inputs, outputs):
    """Our inputs, outputs and parameters."""
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    given = dict(zip([name for name in node.input if name], inputs))
    found = dict(zip([name for name in node.output if name], outputs))
    query_heads, kv_heads = attributes.get("q_num_heads"), attributes.get("kv_num_heads")
    ours = {"query": heads(given["Q"], query_heads), "key": heads(given["K"], kv_heads), "value": heads(given["V"], kv_heads),
            "past_key": given.get("past_key"), "past_value": given.get("past_value")}
    sets = {key: attributes[key] for key in ("scale", "softcap") if attributes.get(key)}
    for side in ("left", "right"):
        if attributes.get(f"{side}_window_size", -1) >= 0:
            sets[f"window_{side}"] = attributes[f"{side}_window_size"]
    lengths, mask = given.get("nonpad_kv_seqlen"), given.get("attn_mask")
    if lengths is not None:
        ours["key_lengths"] = lengths.astype(np.int32)
    if mask is not None:
        total = ours["key"].shape[2] + (ours["past_key"].shape[2] if ours["past_key"] is not None else 0)
        missing = [(0, 0)] * (mask.ndim - 1) + [(0, total - mask.shape[-1])]
        ours["mask" if mask.dtype == bool else "bias"] = (np.pad(mask, missing).astype(np.uint8) if mask.dtype == bool
                                                          else np.pad(mask, missing, constant_values=-INF))
    if attributes.get("is_causal"):
        sets["causal"] = "top_left" if lengths is None else "bottom_right"
    theirs = {"out": heads(found["Y"], query_heads), "present_key": found.get("present_key"), "present_value": found.get("present_value"),
              "scores": found.get("qk_matmul_output")}
    if theirs["scores"] is not None:
        sets["scores_stage"] = STAGES[attributes.get("qk_matmul_output_mode", 0)]
    return ours, theirs, sets


def difference(ours, theirs, sets):
    """Why the rules of operations.md give another result; "" when they give this one."""
    past = ours["past_key"].shape[2] if ours["past_key"] is not None else 0
    key, value = (ours[k] if not past else np.concatenate([ours[f"past_{k}"], ours[k]], 2) for k in ("key", "value"))
    found = whole_attention(T(ours["query"]), T(key), T(value), past, None, None, T(ours.get("bias")), T(ours.get("mask")), ours.get("key_lengths"), sets)
    found |= {"present_key": T(key), "present_value": T(value)}
    for name, expected in theirs.items():
        if expected is None:
            continue
        if not np.isfinite(expected).all() and name == "out":
            return f"{name} is not finite there"
        if not np.allclose(found[name].numpy(), expected, rtol=1e-5, atol=2e-6):
            return f"{name} differs by rule: {np.nanmax(np.abs(found[name].numpy() - expected)):.3g}"
    return ""


def main():
    warnings.simplefilter("ignore")
    cases, left_out, total = Cases("attention"), [], 0
    for case in collect_testcases(None):
        nodes = [node for node in case.model.graph.node if node.op_type == "Attention"] if case.model else []
        if not nodes:
            continue
        total += 1
        inputs, outputs = case.data_sets[0]
        kinds = {str(x.dtype) for x in inputs} - {"float32", "bool", "int64"}
        if kinds:
            left_out.append((case.name, f"its tensors are {', '.join(sorted(kinds))}: the golden files hold f32"))
            continue
        try:
            ours, theirs, sets = map_case(nodes[0], inputs, outputs)
            reason = difference(ours, theirs, sets)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
        if reason:
            left_out.append((case.name, reason))
        else:
            cases.add(case.name, ours, theirs, f"onnx {onnx.__version__} {case.name}", **sets)
    folder = Path(__file__).parent / "ops"
    (folder / "attention_onnx.safetensors").write_bytes(cases.file())
    text = "".join(f"{name}: {reason}\n" for name, reason in left_out)
    head = f"ONNX {onnx.__version__} has {total} node cases with Attention; {len(cases.names)} are goldens, these {len(left_out)} are not:\n"
    (folder / "attention_onnx.txt").write_text(head + text)
    print(head + text)


if __name__ == "__main__":
    main()
