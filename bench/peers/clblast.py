"""CLBlast: sgemm on the first OpenCL CPU device, which is the one that clattn takes where there is no GPU."""
import ctypes

from peer import Unsupported, np, serve

ROW_MAJOR, AS_IS, CPU, READ_WRITE = 101, 111, 2, 1
handle = ctypes.c_void_p


class Device:
    """A context and a queue."""

    def __init__(self, cl):
        self.cl = cl
        for name in ("clCreateContext", "clCreateCommandQueue", "clCreateBuffer"):
            getattr(cl, name).restype = handle
        platforms, count, device, error = (handle * 16)(), ctypes.c_uint(), handle(), ctypes.c_int()
        cl.clGetPlatformIDs(16, platforms, ctypes.byref(count))
        for platform in platforms[:count.value]:
            if cl.clGetDeviceIDs(handle(platform), ctypes.c_ulong(CPU), 1, ctypes.byref(device), None) == 0:
                break
        else:
            raise OSError("no OpenCL CPU device")
        self.device = device
        self.context = handle(cl.clCreateContext(None, 1, ctypes.byref(device), None, None, ctypes.byref(error)))
        self.queue = handle(cl.clCreateCommandQueue(self.context, device, ctypes.c_ulong(0), ctypes.byref(error)))

    def buffer(self, array):
        made = handle(self.cl.clCreateBuffer(self.context, ctypes.c_ulong(READ_WRITE), ctypes.c_size_t(array.nbytes), None, None))
        self.cl.clEnqueueWriteBuffer(self.queue, made, 1, ctypes.c_size_t(0), ctypes.c_size_t(array.nbytes), array.ctypes.data_as(handle), 0, None, None)
        return made

    def read(self, buffer, array):
        self.cl.clEnqueueReadBuffer(self.queue, buffer, 1, ctypes.c_size_t(0), ctypes.c_size_t(array.nbytes), array.ctypes.data_as(handle), 0, None, None)
        return array


def make_run(case, device, library):
    if case.operation != "matmul":
        raise Unsupported(case.operation)
    case.only("a", "b")
    a, b = (np.ascontiguousarray(case.x[name]) for name in ("a", "b"))
    m, k, n, size = a.shape[-2], a.shape[-1], b.shape[-1], ctypes.c_size_t
    out = np.zeros(a.shape[:-1] + b.shape[-1:], np.float32)
    buffers = [device.buffer(x) for x in (a, b, out)]
    batches = a.size // (m * k)
    one, zero, queue, none = ctypes.c_float(1), ctypes.c_float(0), ctypes.byref(device.queue), size(0)
    sizes = [size(value) for value in (m, n, k)]

    def run():
        if batches == 1:
            status = library.CLBlastSgemm(ROW_MAJOR, AS_IS, AS_IS, *sizes, one, buffers[0], none, size(k), buffers[1], none, size(n), zero, buffers[2], none, size(n), queue, None)
        else:
            status = library.CLBlastSgemmStridedBatched(ROW_MAJOR, AS_IS, AS_IS, *sizes, one, buffers[0], none, size(k), size(m * k), buffers[1], none, size(n), size(k * n), zero, buffers[2], none, size(n), size(m * n), size(batches), queue, None)
        if status or device.cl.clFinish(device.queue):
            raise RuntimeError("CLBlast status %d" % status)
    return run, lambda: {"out": device.read(buffers[2], out)}


def start():
    library = ctypes.CDLL("libclblast.so.1")
    device = Device(ctypes.CDLL("libOpenCL.so.1"))
    return "CLBlast, libclblast.so.1", lambda case: make_run(case, device, library)


if __name__ == "__main__":
    serve(start)
