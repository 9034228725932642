#!/usr/bin/env python3
"""The rules of disassembly.py on written machine code."""
import unittest

import disassembly


def code(*lines):
    """Instructions one after the other from address 16 on; "jne 18" jumps to an address in hexadecimal."""
    return [(16 + i, *(line.split(" ", 1) + [""])[:2]) for i, line in enumerate(lines)]


FMA, NARROW, SCALAR = "vfmadd231ps %zmm1,%zmm2,%zmm3", "vfmadd231ps %ymm1,%ymm2,%ymm3", "vfmadd231ss %xmm1,%xmm2,%xmm3"


def judge(kernel, *lines):
    loop = disassembly.hot_loop([code(*lines)], "zmm", not disassembly.reason_of(disassembly.NO_FMA, kernel))
    return disassembly.faults(kernel, loop, "zmm")


class Rules(unittest.TestCase):
    def test_a_dense_loop_is_right(self):
        self.assertEqual(judge("matmul/blocked", FMA, FMA, "jne 10"), [])

    def test_code_outside_loops_does_not_count(self):
        self.assertEqual(judge("matmul/blocked", FMA, FMA), ["no loop"])
        self.assertIn("no FMA in zmm", judge("matmul/blocked", FMA, "vaddps %zmm1,%zmm2,%zmm3", "jne 11"))

    def test_narrow_and_scalar_loops_are_faults(self):
        self.assertIn("no FMA in zmm", judge("matmul/blocked", NARROW, "jne 10"))
        self.assertTrue(any("scalar" in fault for fault in judge("matmul/blocked", FMA, SCALAR, SCALAR, SCALAR, "jne 10")))
        self.assertIn("no FMA in zmm", judge("matmul/blocked", "vmulps %zmm1,%zmm2,%zmm3", "vaddps %zmm1,%zmm2,%zmm3", "jne 10"))

    def test_a_gather_is_a_fault(self):
        self.assertEqual(judge("matmul/blocked", FMA, "vgatherdps (%rax,%zmm1,4),%zmm2", "jne 10"), ["1 gathers"])

    def test_the_hot_loop_is_the_innermost_around_the_most_fmas(self):
        self.assertEqual(judge("matmul/blocked", SCALAR, FMA, FMA, "jne 11", SCALAR, SCALAR, "jne 10"), [])

    def test_functions_that_a_kernel_calls_are_read(self):
        found = {"kernel": code("call 40 <sums>", "ret"), "sums": code("call 50 <part>", "jmp 60 <rest+0x4>"), "part": code(FMA, "jne 10"), "other": code(SCALAR, "jne 10")}
        codes = disassembly.reached(found, "kernel")
        self.assertEqual(codes, [found["kernel"], found["sums"], found["part"]])
        self.assertEqual(disassembly.faults("matmul/blocked", disassembly.hot_loop(codes, "zmm", True), "zmm"), [])
        self.assertEqual(disassembly.reached(found, "absent"), [])

    def test_exceptions_still_need_wide_vectors(self):
        self.assertEqual(judge("pool2d/rows", "vmaxps (%rax),%zmm1,%zmm2", "jne 10"), [])
        self.assertIn("nothing in zmm", judge("pool2d/rows", "vmaxss (%rax),%xmm1,%xmm2", "jne 10"))


if __name__ == "__main__":
    unittest.main()
