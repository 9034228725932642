// The public headers and the installed library, from C++.
#include <clattn/clattn.h>
#include <clattn/file.h>
#include <clattn/model.h>
#include <clattn/opencl.h>

#include <cmath>
#include <cstdio>

int main() {
    clattn_context *context = nullptr;
    clattn_tensor x = clattn_tensor(), out = clattn_tensor();
    const int64_t shape[] = { 2, 3 };
    const float values[] = { 0, 1, 2, 5, 5, 5 };
    float found[6] = {};
    clattn_status status = clattn_open(&context, nullptr);
    if (!status) status = clattn_tensor_create(context, &x, CLATTN_F32, 2, shape, values);
    if (!status) status = clattn_tensor_create(context, &out, CLATTN_F32, 2, shape, nullptr);
    clattn_softmax_args args = clattn_softmax_args();
    args.x = &x;
    args.out = &out;
    if (!status) status = clattn_softmax(context, &args);
    if (!status) status = clattn_tensor_read(context, &out, found);
    if (status) std::fprintf(stderr, "%s\n", clattn_message(context));
    clattn_tensor_free(&x);
    clattn_tensor_free(&out);
    clattn_close(&context);
    return status || std::fabs(found[4] - 1.0f / 3) > 1e-6f;
}
