"""What the drivers share: the protocol of bench/peers.h, cases as Python objects, and timing.

A driver calls serve() with a function that takes a Case and returns (run, result): run() does the work once and waits
for it, into memory that exists already where the library allows; result() gives the outputs of the last run as a
dictionary of arrays. It raises Unsupported for what the library has no call for.
"""
import os
import re
import sys
import time

THREADS = int(os.environ.get("CLATTN_BENCH_THREADS", "0")) or os.cpu_count()
# Before any library is loaded.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
    os.environ[variable] = str(THREADS)
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")


def one_line(error):
    return " ".join((type(error).__name__ + ": " + str(error)).split())[:240]


try:
    import numpy as np
except ImportError as missing:
    print("unsupported " + one_line(missing))
    sys.exit()


class Unsupported(Exception):
    """The library has no call for this case."""


class Case:
    """operation: its name. x["query"]: an input. words["causal"]: a parameter's text. outputs: those asked for."""

    def __init__(self, directory):
        with open(os.path.join(directory, "case"), encoding="utf-8") as file:
            words = file.read().split()
        self.operation, self.x, self.words, self.outputs = words[0], {}, {}, []
        for word in words[1:]:
            name = re.match(r"(\w+)\[", word)
            if name:
                self.x[name[1]] = np.load(os.path.join(directory, name[1] + ".npy"))
            elif "=" in word:
                self.words.update([word.split("=", 1)])
            elif word != "->":
                self.outputs.append(word)
        if any(array.dtype == np.float16 for array in self.x.values()):
            raise Unsupported("f16 storage is compared with f32 storage of clattn's own")

    def only(self, *names):
        """The library's call takes these inputs and parameters and no others."""
        for name in list(self.x) + list(self.words):
            if name not in names:
                raise Unsupported(name)

    def only_first_output(self):
        if len(self.outputs) > 1:
            raise Unsupported("several outputs")

    def integer(self, name, default):
        return int(self.words.get(name, default))

    def pair(self, name, default):
        values = [int(value) for value in self.words.get(name, str(default)).split(",")]
        return (values * 2)[:2]


SLOW = 0.3  # seconds of a run for which a turn begins without an unmeasured one


def times(run, runs, slow):
    if not slow:
        run()
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return "times " + " ".join("%.9f" % max(value, 1e-9) for value in seconds)


def prepare(make, directory):
    """The function to be timed, whether it is slow, and what holds the memory that it writes to."""
    run, result = make(Case(directory))
    run()
    start = time.perf_counter()
    run()
    slow = time.perf_counter() - start > SLOW
    for name, array in result().items():
        np.save(os.path.join(directory, "out.%s.npy" % name), np.ascontiguousarray(array))
    return run, slow, result


def serve(start):
    """start() loads the library and returns (version, make); an ImportError or OSError says that it is absent."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a library prints on its standard output is no answer
    if not os.environ.get("CLATTN_BENCH_DEBUG"):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    try:
        version, make = start()
    except (ImportError, OSError) as error:
        print("unsupported " + one_line(error), file=answers)
        return
    print("ready " + version, file=answers)
    run, slow, held = None, False, None
    for line in sys.stdin:
        word, _, rest = line.strip().partition(" ")
        try:
            if word == "prepare":
                run, slow, held = prepare(make, rest)
                print("ok", file=answers)
            elif word == "run":
                print(times(run, int(rest), slow), file=answers)
            elif word == "forget":
                run = held = None
                print("ok", file=answers)
            else:
                print("error what is " + word, file=answers)
        except Unsupported as error:
            print("unsupported " + str(error), file=answers)
        except Exception as error:  # pylint: disable=broad-except
            print("error " + one_line(error), file=answers)
