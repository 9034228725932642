#!/usr/bin/env python3
"""bench.py TOOL SOURCE: `clattn bench` as a user meets it, with peers that misbehave, its report, picture and bench/compare."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

TOOL, SOURCE = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])


def bench(*arguments, **environment):
    return subprocess.run([TOOL, "bench", *arguments], capture_output=True, text=True, env={**os.environ, **environment}, timeout=600, check=False)


def compare(*paths):
    return subprocess.run([sys.executable, os.path.join(SOURCE, "bench", "compare"), *paths], capture_output=True, text=True, check=False)


class Report(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        cls.exchange = tempfile.TemporaryDirectory()
        environment = {"CLATTN_BENCH_PEERS": os.path.join(SOURCE, "tests", "cli", "bench_peers"), "CLATTN_BENCH_PYTHON": sys.executable, "CLATTN_BENCH_PATIENCE": "20", "TMPDIR": cls.exchange.name}
        cls.run_ = bench("softmax 512", "--peers", "--quick", "--json", **environment)
        cls.timed = bench("softmax 512", "--peers", "--quick", "--rounds", "3", "--turn", "0", "--json", **environment)
        cls.alone = bench("many small", "softmax 512", "decode MHA", "--quick", "--rounds", "4", "--json")

    @classmethod
    def tearDownClass(cls):
        cls.directory.cleanup()
        cls.exchange.cleanup()

    def path(self, name, content):
        path = os.path.join(self.directory.name, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(content if isinstance(content, str) else json.dumps(content))
        return path

    def peers(self, run, case):
        row = next(row for row in json.loads(run.stdout)["cases"] if row["case"] == case)
        return {peer["name"]: peer for peer in row["peers"]}

    def test_a_wrong_peer_fails_the_run_and_each_fault_is_told(self):
        self.assertEqual(self.run_.returncode, 1, self.run_.stderr)
        peers = self.peers(self.run_, "softmax 512")
        self.assertEqual(peers["good"]["status"], "ok")
        self.assertEqual(peers["wrong"]["status"], "wrong")
        self.assertIn("differs from clattn's", peers["wrong"]["message"])
        self.assertEqual(peers["nothing"]["status"], "wrong")
        self.assertEqual(peers["refuses"]["status"], "unsupported")
        self.assertEqual(peers["absent"]["status"], "absent")
        self.assertIn("not installed", peers["absent"]["message"])
        self.assertEqual(peers["missing"]["status"], "absent")

    def test_a_peer_that_dies_or_hangs_does_not_stop_the_run(self):
        peers = self.peers(self.timed, "softmax 512")
        self.assertEqual(peers["good"]["status"], "ok")
        self.assertEqual(peers["good"]["seconds"], {"min": 0.5, "median": 0.5, "max": 0.5})
        for name, message in (("dies", "ended unexpectedly"), ("hangs", "no answer in"), ("babbles", "a warning of some library"), ("few", "times instead of")):
            self.assertEqual(peers[name]["status"], "failed", name)
            self.assertIn(message, peers[name]["message"])
            self.assertNotIn("seconds", peers[name])

    def test_the_figures_agree_with_each_other(self):
        report = json.loads(self.alone.stdout)
        self.assertEqual((self.alone.returncode, len(report["cases"]), report["peers"]), (0, 3, []))
        for row in report["cases"]:
            times = row["seconds"]
            self.assertTrue(0 < times["min"] <= times["median"] <= times["max"])
            amount = row["bytes"] if row["unit"] == "GB/s" else row["flops"]
            self.assertAlmostEqual(row["rate"] * 1e9 * times["median"] / amount, 1, places=6)
            limit = report["peaks"][{"fma": "flops", "copy": "copy_bytes", "read": "read_bytes"}[row["limit"]]]
            self.assertAlmostEqual(row["limit_fraction"] * limit * times["median"] / amount, 1, places=6)
            fed = report["peaks"]["fed_flops"]
            self.assertEqual("fed_fraction" in row, row["limit"] == "fma" and fed > 0)
            if "fed_fraction" in row:
                self.assertAlmostEqual(row["fed_fraction"] * fed * times["median"] / row["flops"], 1, places=6)
        peer = self.peers(self.timed, "softmax 512")["good"]
        ratio, times = peer["ratio"], json.loads(self.timed.stdout)["cases"][0]["seconds"]
        self.assertTrue(0.5 / times["max"] <= ratio * (1 + 1e-6) and ratio <= 0.5 / times["min"] * (1 + 1e-6))

    def test_nothing_is_left_behind(self):
        self.assertEqual(os.listdir(self.exchange.name), [])

    def test_an_earlier_report_is_printed_and_drawn(self):
        path, picture = self.path("timed.json", self.timed.stdout), os.path.join(self.directory.name, "picture.png")
        printed = bench("--from", path, "--plot", picture)
        self.assertEqual(printed.returncode, 1)  # it holds a wrong peer
        self.assertIn("softmax 512", printed.stdout)
        self.assertIn("wrong wrong: out differs", printed.stdout)
        growth = json.loads(self.timed.stdout)
        growth["cases"] = [{"case": "g", "status": "ok", "series": "attention, T", "size": size, "limit": "fma", "flops": size * size, "seconds": {"min": 1, "median": 1e-9 * size * size, "max": 1}} for size in (512, 1024)]
        drawn = bench("--from", self.path("growth.json", growth), "--plot", picture)
        self.assertEqual(drawn.returncode, 0, drawn.stderr)
        with open(picture, "rb") as file:
            self.assertEqual(file.read(8), b"\x89PNG\r\n\x1a\n")
        self.assertEqual(bench("--from", path, "--plot", "/nowhere/x.png").returncode, 2)

    def test_bad_use_is_refused(self):
        for arguments, message in ((["nonesuch"], "no case is called"), (["--rounds", "0"], "expected an integer"), (["--peer"], "did you mean --peers"), (["--from", "/nowhere"], "/nowhere")):
            run = bench(*arguments)
            self.assertEqual(run.returncode, 2, arguments)
            self.assertIn(message, run.stderr)
        self.assertIn("no report", bench("--from", self.path("list.json", "{}")).stderr)
        self.assertIn("peers.txt", bench("add", "--peers", "--quick", CLATTN_BENCH_PEERS="/nowhere").stderr)

    def test_compare_tells_what_changed(self):
        def report(median, low, high, **more):
            row = {"case": "a", "status": "ok", "variant": "cpu", "seconds": {"min": low, "median": median, "max": high}, "limit_fraction": 0.5, "peers": [{"name": "p", "ratio": 1.25}, {"name": "q", "ratio": 3.5}], **more}
            return {"peaks": {}, "machine": {}, "cases": [row, {**row, "case": "in all" if not more else "b"}]}
        old = self.path("old.json", report(1.0, 0.9, 1.1))
        for new, verdict in ((report(0.5, 0.4, 0.6), "faster"), (report(2.0, 1.5, 3.0), "SLOWER"), (report(1.05, 1.0, 1.2), "+5.0%"), (report(1.0, 0.9, 1.1, variant="scalar"), "cpu -> scalar")):
            told = compare(old, self.path("new.json", new))
            self.assertEqual(told.returncode, 0, told.stderr)
            self.assertIn(verdict, told.stdout)
            self.assertIn("1.25", told.stdout)
        self.assertIn("b                            only in the new report", told.stdout)
        self.assertIn("in all                       only in the old report", told.stdout)
        self.assertIn("0 faster, 0 slower, 2 the same", compare(old, old).stdout)
        self.assertEqual(compare(old).returncode, 2)
        self.assertEqual(compare(old, self.path("bad.json", "[]")).returncode, 2)
        self.assertEqual(compare(old, "/nowhere").returncode, 2)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
