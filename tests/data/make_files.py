#!/usr/bin/env python3
"""Makes tests/data/files: small good and hostile .npy, .npz and .safetensors for tests/models/files.c.

Run once, with numpy 2.4.6 and safetensors 0.8.0 (the good files are theirs); the result is committed. Good files hold
start + step * i, i in C order, so that the test can tell any mistake in order, type or byte order.
"""
import io
import json
import pathlib
import struct
import zipfile
import zlib

import numpy as np
from safetensors.numpy import save

OUT = pathlib.Path(__file__).resolve().parent / "files"


def put(name, data):
    (OUT / name).write_bytes(data)


def npy(array, **kind):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, **kind)
    return stream.getvalue()


def raw_npy(header, payload=b"", version=(1, 0), length=None):
    header = header.encode("latin1")
    size = len(header) if length is None else length
    return b"\x93NUMPY" + bytes(version) + struct.pack("<H" if version[0] == 1 else "<I", size) + header + payload


def descr(shape, kind="<f4", order="False"):
    return "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }\n" % (kind, order, shape)


def good_npy():
    ramp = np.arange(24).reshape(2, 3, 4)
    for kind in "f2 f4 f8 i1 u1 i2 u2 i4 u4 i8 u8".split():
        put(f"little_{kind}.npy", npy(ramp.astype("<" + kind)))
        if kind[1] != "1":
            put(f"big_{kind}.npy", npy(ramp.astype(">" + kind)))
    put("fortran.npy", npy(np.asfortranarray(ramp.astype("<f4"))))
    put("fortran_big.npy", npy(np.asfortranarray(ramp.astype(">i8"))))
    put("bool.npy", npy(np.array([False, True])))
    put("rank0.npy", npy(np.array(7, dtype="<i4")))
    put("rank8.npy", npy(ramp.astype("<f4").reshape(1, 2, 1, 3, 1, 4, 1, 1)))
    put("empty_axis.npy", npy(np.zeros((3, 0, 2), "<f4")))
    put("fortran_empty.npy", npy(np.asfortranarray(np.zeros((3, 0, 2), "<f4"))))
    put("version2.npy", npy(ramp.astype("<f4"), version=(2, 0)))
    put("version3.npy", npy(ramp.astype("<f4"), version=(3, 0)))
    put("python2.npy", raw_npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2L, 3L, 4L), }\n",
                               ramp.astype("<f4").tobytes()))
    put("no_spaces.npy", raw_npy("{\"shape\":(24,),\"descr\":\"<f4\",\"fortran_order\":False}",
                                 ramp.astype("<f4").tobytes()))


def bad_npy():
    four = np.arange(4, dtype="<f4").tobytes()
    put("bad_empty.npy", b"")
    put("bad_magic.npy", b"\x93NUMPX\x01\x00" + bytes(80))
    put("bad_version.npy", raw_npy(descr("(4,)"), four, version=(4, 0)))
    put("bad_header_length_long.npy", raw_npy(descr("(4,)"), four, length=60000))
    put("bad_header_length_huge.npy", raw_npy(descr("(4,)"), four, version=(2, 0), length=0xffffffff))
    put("bad_header_length_short.npy", raw_npy(descr("(4,)"), four, length=30))
    put("bad_header_nul.npy", raw_npy(descr("(4,)") + "\0", four))
    put("bad_header_utf8.npy", raw_npy("{'\xff\xfe': 1}", four))
    put("bad_header_code.npy", raw_npy("__import__('os')", four))
    put("bad_key_twice.npy", raw_npy(descr("(4,)").replace("}", "'shape': (4,)}"), four))
    put("bad_key_unknown.npy", raw_npy(descr("(4,)").replace("}", "'more': 1}"), four))
    put("bad_key_missing.npy", raw_npy("{'descr': '<f4', 'shape': (4,)}", four))
    put("bad_after_dict.npy", raw_npy(descr("(4,)") + "{}", four))
    put("bad_order.npy", raw_npy(descr("(4,)", order="0"), four))
    put("bad_shape_huge.npy", raw_npy(descr("(1000000000, 1000)"), four))
    put("bad_shape_overflow.npy", raw_npy(descr("(4294967296, 4294967296)"), four))
    put("bad_shape_overflow_zero.npy", raw_npy(descr("(0, 4294967296, 4294967296)")))
    put("bad_shape_64bit.npy", raw_npy(descr("(18446744073709551617,)"), four))
    put("bad_shape_negative.npy", raw_npy(descr("(-4,)"), four))
    put("bad_shape_rank9.npy", raw_npy(descr("(1, 1, 1, 1, 1, 1, 1, 1, 4)"), four))
    put("bad_shape_number.npy", raw_npy(descr("(4)"), four))
    put("bad_shape_list.npy", raw_npy(descr("[4]"), four))
    put("bad_shape_float.npy", raw_npy(descr("(4.0,)"), four))
    put("bad_shape_open.npy", raw_npy(descr("(4,").replace("}", ""), four))
    put("bad_type_object.npy", raw_npy(descr("(1,)", kind="|O"), b"\x80\x04N."))
    put("bad_type_structured.npy", npy(np.zeros(2, dtype=[("a", "<f4"), ("b", "<i4")])))
    put("bad_type_complex.npy", npy(np.zeros(2, dtype="<c8")))
    put("bad_type_text.npy", npy(np.array(["ab"])))
    put("bad_type_unknown.npy", raw_npy(descr("(4,)", kind="<f9"), four))
    put("bad_trailing.npy", raw_npy(descr("(4,)"), four + b"x"))


def stored_zip(members, compression=zipfile.ZIP_DEFLATED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in members:
            info = zipfile.ZipInfo(name)  # 1980-01-01: the same bytes on every run
            info.compress_type = compression
            archive.writestr(info, data)
    return bytearray(stream.getvalue())


def patch(data, local, central, kind, value):
    """Overwrites one field in every local and central header, at the given offsets."""
    for magic, offset in ((b"PK\3\4", local), (b"PK\1\2", central)):
        at = data.find(magic)
        while at >= 0 and offset is not None:
            struct.pack_into(kind, data, at + offset, value)
            at = data.find(magic, at + 4)
    return data


def archives():
    ramp = np.arange(24).reshape(2, 3, 4)
    for name, writer in (("stored.npz", np.savez), ("deflated.npz", np.savez_compressed)):
        stream = io.BytesIO()
        writer(stream, x=ramp.astype("<f4"), y=np.asfortranarray(ramp.astype(">f8")), empty=np.zeros((0, 3), "<i4"))
        put(name, stream.getvalue())
    good = npy(ramp.astype("<f4"))
    put("paths.npz", stored_zip([("../up.npy", good), ("/etc/root.npy", good), ("layer/w.npy", good), ("dir/", b""),
                                 ("note.txt", b"hello"), ("name\x1b[31m.npy", good)]))
    put("both_names.npz", stored_zip([("x.npy", npy(np.zeros(2, "<f4"))), ("x", good)]))
    put("many.npz", stored_zip([(f"member{i:03}.npy", b"") for i in range(50)]))
    put("bad_empty.npz", b"")
    put("bad_text.npz", b"this is no archive at all, but some text\n" * 4)
    put("no_members.npz", stored_zip([]))
    import warnings
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        put("bad_twice.npz", stored_zip([("x.npy", good), ("x.npy", good)]))
    put("bad_truncated.npz", stored_zip([("x.npy", good)])[:-10])
    put("bad_member_truncated.npz", stored_zip([("x.npy", good[:-4])]))
    put("bad_bomb_shape.npz", stored_zip([("x.npy", raw_npy(descr("(4,)"), bytes(1 << 20)))]))
    bomb = stored_zip([("x.npy", raw_npy(descr("(1000000000,)"), bytes(4000)))])
    put("bad_bomb_declared.npz", patch(bomb, 22, 24, "<I", 4_000_000_070))
    small = stored_zip([("x.npy", raw_npy(descr("(1000000,)"), bytes(4000)))])
    put("bad_bomb_small.npz", patch(small, 22, 24, "<I", 4_000_070))
    over = raw_npy(descr("(4,)"), bytes(1 << 20))
    put("bad_bomb_hidden.npz", patch(stored_zip([("x.npy", over)]), 22, 24, "<I", len(over) - (1 << 20) + 16))
    put("bad_encrypted.npz", patch(stored_zip([("x.npy", good)]), 6, 8, "<H", 1))
    put("bad_method.npz", patch(stored_zip([("x.npy", good)]), 8, 10, "<H", 97))
    put("bad_bzip2.npz", stored_zip([("x.npy", good)], zipfile.ZIP_BZIP2))
    put("bad_crc.npz", patch(stored_zip([("x.npy", good)]), 14, 16, "<I", zlib.crc32(b"other")))
    damaged = stored_zip([("x.npy", good)])
    damaged[60] ^= 0xff
    put("bad_deflate.npz", damaged)
    offset = stored_zip([("x.npy", good)])
    put("bad_offset.npz", patch(offset, None, 42, "<I", 0x7fffffff))


def tensors(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(shape, begin, end, kind="F32", **more):
    return dict(dtype=kind, shape=shape, data_offsets=[begin, end], **more)


def safetensors_good():
    ramp = np.arange(24).reshape(2, 3, 4)
    kinds = "float16 float32 float64 int8 uint8 int16 uint16 int32 uint32 int64 uint64".split()
    some = {kind: ramp.astype(kind) for kind in kinds}
    some["bool"] = np.array([False, True])
    some["scalar"] = np.array(7, dtype="<i4")
    some["nothing"] = np.zeros((0, 5), "<f4")
    put("good.safetensors", save(some, metadata={"source": "make_files.py"}))  # two keys would change places
    brain = (ramp.astype("<f4").view("<u4") >> 16).astype("<u2").tobytes()
    put("bf16.safetensors", tensors({"w": tensor([2, 3, 4], 0, 48, "BF16")}, brain))
    put("odd_offset.safetensors", tensors({"f": tensor([24], 1, 97), "b": tensor([1], 0, 1, "U8")},
                                          b"\1" + ramp.astype("<f4").tobytes()))
    put("no_tensors.safetensors", tensors({}))


def safetensors_bad():
    data = bytes(16)
    one = {"a": tensor([4], 0, 16)}
    put("bad_empty.safetensors", b"")
    put("bad_short.safetensors", b"\1\0\0")
    put("bad_length_long.safetensors", tensors(one, data, length=1000))
    put("bad_length_huge.safetensors", tensors(one, data, length=2**63))
    put("bad_length_zero.safetensors", tensors(one, data, length=0))
    put("bad_length_short.safetensors", tensors(one, data, length=20))
    put("bad_json.safetensors", tensors(b"{'a': 1}", data))
    put("bad_json_deep.safetensors", tensors(b'{"a":' + b"[" * 100000, data))
    put("bad_json_list.safetensors", tensors(b"[]", data))
    text = json.dumps(one).encode()
    put("bad_json_twice.safetensors", tensors(text[:-1] + b"," + text[1:], data))
    put("bad_json_utf8.safetensors", tensors(json.dumps({"~": one["a"]}).encode().replace(b"~", b"\xc3\x28"), data))
    put("bad_json_nul.safetensors", tensors(json.dumps({"a\0b": one["a"]}).encode(), data))
    put("bad_truncated.safetensors", tensors(one, data[:-1]))
    put("bad_trailing.safetensors", tensors(one, data + b"x"))
    put("bad_overlap.safetensors", tensors({"a": tensor([4], 0, 16), "b": tensor([4], 8, 24)}, bytes(24)))
    put("bad_same_place.safetensors", tensors({"a": tensor([4], 0, 16), "b": tensor([4], 0, 16)}, data))
    put("bad_gap.safetensors", tensors({"a": tensor([4], 0, 16), "b": tensor([2], 20, 28)}, bytes(28)))
    put("bad_outside.safetensors", tensors({"a": tensor([1 << 40], 0, 4 << 40)}, data))
    put("bad_offsets_negative.safetensors", tensors({"a": tensor([4], -16, 0)}, data))
    put("bad_offsets_reversed.safetensors", tensors({"a": tensor([4], 16, 0)}, data))
    put("bad_offsets_three.safetensors", tensors({"a": dict(one["a"], data_offsets=[0, 16, 16])}, data))
    put("bad_offsets_span.safetensors", tensors({"a": tensor([3], 0, 16)}, data))
    put("bad_offsets_64bit.safetensors", tensors({"a": tensor([4], 0, 2**64 + 16)}, data))
    put("bad_shape_negative.safetensors", tensors({"a": tensor([-4], 0, 16)}, data))
    put("bad_shape_overflow.safetensors", tensors({"a": tensor([2**32, 2**32], 0, 16)}, data))
    put("bad_shape_float.safetensors", tensors({"a": tensor([4.0], 0, 16)}, data))
    put("bad_shape_missing.safetensors", tensors({"a": {"dtype": "F32", "data_offsets": [0, 16]}}, data))
    put("bad_shape_rank9.safetensors", tensors({"a": tensor([1] * 8 + [4], 0, 16)}, data))
    put("bad_type_unknown.safetensors", tensors({"a": tensor([16], 0, 16, "F8_E4M3")}, data))
    put("bad_type_number.safetensors", tensors({"a": dict(one["a"], dtype=4)}, data))
    put("bad_entry.safetensors", tensors({"a": 3}, data))
    put("bad_metadata.safetensors", tensors(dict(one, __metadata__={"a": 1}), data))


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    for old in OUT.iterdir():
        old.unlink()
    good_npy()
    bad_npy()
    archives()
    safetensors_good()
    safetensors_bad()
