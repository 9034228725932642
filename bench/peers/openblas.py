"""OpenBLAS: sgemm of Debian's shared library."""
import ctypes
import os

from peer import THREADS, Unsupported, np, serve

ROW_MAJOR, AS_IS = 101, 111


def core_type():
    """Old releases do not know new CPUs and then fall back to a generic kernel."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        flags = next((line for line in file if line.startswith("flags")), "").split()
    return "SkylakeX" if "avx512f" in flags else "Haswell" if "avx2" in flags and "fma" in flags else None


def make_run(case, library):
    if case.operation != "matmul":
        raise Unsupported(case.operation)
    case.only("a", "b")
    a, b = (np.ascontiguousarray(case.x[name]) for name in ("a", "b"))
    out = np.empty(a.shape[:-1] + b.shape[-1:], np.float32)
    m, k, n = a.shape[-2], a.shape[-1], b.shape[-1]
    calls = [tuple(x.ctypes.data_as(ctypes.c_void_p) for x in each) for each in zip(a.reshape(-1, m, k), b.reshape(-1, k, n), out.reshape(-1, m, n))]
    one, zero = ctypes.c_float(1), ctypes.c_float(0)

    def run():
        for x, y, z in calls:
            library.cblas_sgemm(ROW_MAJOR, AS_IS, AS_IS, m, n, k, one, x, k, y, n, zero, z, n)
    return run, lambda: {"out": out}


def start():
    if core_type():
        os.environ["OPENBLAS_CORETYPE"] = core_type()
    library = ctypes.CDLL("libopenblas.so.0")
    library.openblas_set_num_threads(THREADS)
    library.openblas_get_config.restype = ctypes.c_char_p
    return library.openblas_get_config().decode(), lambda case: make_run(case, library)


if __name__ == "__main__":
    serve(start)
