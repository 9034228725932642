/* The only file that sees CLBlast. */
#include "clblast.h"

#include "internal.h"

#ifdef CLATTN_CLBLAST

#include <clblast_c.h>

const char *clattn_gemm_refusal(void) {
    return NULL;
}

/* ---- Failures ---- */

#define CLBLAST_ERRORS(X)                                                                                              \
    X(NotImplemented) X(InvalidMatrixA) X(InvalidMatrixB) X(InvalidMatrixC) X(InvalidDimension) X(InvalidLeadDimA)     \
    X(InvalidLeadDimB) X(InvalidLeadDimC) X(InsufficientMemoryA) X(InsufficientMemoryB) X(InsufficientMemoryC)         \
    X(InsufficientMemoryTemp) X(InvalidBatchCount) X(InvalidLocalMemUsage) X(DatabaseError) X(UnknownError) X(UnexpectedError)

static const char *error_name(CLBlastStatusCode error) {
    switch ((int)error) {
#define CLBLAST_ERROR_NAME(name) case CLBlast##name: return "CLBlast" #name;
        CLBLAST_ERRORS(CLBLAST_ERROR_NAME)
    }
    return "unknown CLBlast error";
}

/* Codes above -1000 are OpenCL's own. */
static clattn_status fail(clattn_context *context, CLBlastStatusCode error, const char *call) {
    const bool cannot = error == CLBlastNotImplemented || error == CLBlastInvalidLocalMemUsage || error == CLBlastDatabaseError;
    if ((int)error > -1000) {
        const clattn_status status = clattn_fail_driver(context, (cl_int)error, call);
        return error == CLBlastOpenCLBuildProgramFailure ? CLATTN_ERROR_BUILD : status;
    }
    context->driver_error = (cl_int)error;
    return clattn_fail(context, cannot ? CLATTN_ERROR_UNSUPPORTED : CLATTN_ERROR_DRIVER, "%s returned %d (%s)", call, (int)error, error_name(error));
}

/* ---- One product ---- */

static CLBlastTranspose turned(const clattn_gemm_matrix *matrix) {
    return matrix->transposed ? CLBlastTransposeYes : CLBlastTransposeNo;
}

/* Where the matrix begins and its rows' distance, as CLBlast takes them. */
#define PLACE(matrix) (size_t)(matrix).offset, (size_t)(matrix).row
#define MATRIX(matrix) (matrix).buffer->memory, PLACE(matrix)

/* NULL where CLBlast needs none. */
static clattn_status make_workspace(clattn_context *context, const clattn_gemm *g, clattn_buffer **workspace) {
    size_t bytes = 0;
    *workspace = NULL;
    if (g->batches > 1) return CLATTN_OK;
    const CLBlastStatusCode error = CLBlastSGemmTempBufferSize(CLBlastLayoutRowMajor, turned(&g->a), turned(&g->b), (size_t)g->m, (size_t)g->n, (size_t)g->k, PLACE(g->a), PLACE(g->b), PLACE(g->out), &context->queue, &bytes);
    if (error) return fail(context, error, "CLBlastSGemmTempBufferSize");
    return bytes ? clattn_buffer_new(context, bytes, workspace) : CLATTN_OK;
}

static clattn_status multiply(clattn_context *context, const clattn_gemm *g, const clattn_buffer *workspace, cl_event *event) {
    CLBlastStatusCode error;
    if (g->batches > 1)
        error = CLBlastSgemmStridedBatched(CLBlastLayoutRowMajor, turned(&g->a), turned(&g->b), (size_t)g->m, (size_t)g->n, (size_t)g->k, 1, MATRIX(g->a), (size_t)g->a.matrix, MATRIX(g->b), (size_t)g->b.matrix, 0, MATRIX(g->out), (size_t)g->out.matrix, (size_t)g->batches, &context->queue, event);
    else
        error = CLBlastSgemmWithTempBuffer(CLBlastLayoutRowMajor, turned(&g->a), turned(&g->b), (size_t)g->m, (size_t)g->n, (size_t)g->k, 1, MATRIX(g->a), MATRIX(g->b), 0, MATRIX(g->out), &context->queue, event, workspace ? workspace->memory : NULL);
    return error ? fail(context, error, g->batches > 1 ? "CLBlastSgemmStridedBatched" : "CLBlastSgemm") : CLATTN_OK;
}

/* ---- Its place in the queue ---- */

/* CLBlast takes no wait list, so a barrier waits in its place. `event`, where asked for, is the barrier's. */
static clattn_status wait_before(clattn_context *context, cl_event *event) {
    cl_event waits[CLATTN_MAX_WAITS];
    const cl_uint count = clattn_queue_wait_list(context, waits, CLATTN_MAX_WAITS);
    if (!count && !event) return CLATTN_OK;
    const cl_int error = clEnqueueBarrierWithWaitList(context->queue, count, count ? waits : NULL, event);
    return error ? clattn_queue_fail(context, error, "clEnqueueBarrierWithWaitList") : CLATTN_OK;
}

/* A call that failed may have enqueued some of its kernels: on an out-of-order queue the next command waits for those too. */
static void advance(clattn_context *context, cl_event event) {
    if (context->out_of_order && !event && clEnqueueMarkerWithWaitList(context->queue, 0, NULL, &event) != CL_SUCCESS) event = NULL;
    clattn_queue_advance(context, event);
}

/* From the end of `before` to the end of `after`; negative when the driver does not say. */
static double seconds_between(cl_event before, cl_event after) {
    cl_ulong start = 0, end = 0;
    if (!before || !after || clWaitForEvents(1, &after) != CL_SUCCESS) return -1;
    if (clGetEventProfilingInfo(before, CL_PROFILING_COMMAND_END, sizeof start, &start, NULL) != CL_SUCCESS) return -1;
    if (clGetEventProfilingInfo(after, CL_PROFILING_COMMAND_END, sizeof end, &end, NULL) != CL_SUCCESS || end < start) return -1;
    return 1e-9 * (double)(end - start);
}

/* CLBlast's kernels as one launch of no dimensions: it does not tell how it cuts the work. */
static void tell(const clattn_context *context, cl_event before, cl_event after) {
    clattn_launch_record record = { .source = "CLBlast", .kernel = "Sgemm", .options = "", .seconds = seconds_between(before, after) };
    clattn_context_memory(context, &record.memory_used, NULL);
    context->trace(context->trace_user, &record);
}

clattn_status clattn_gemm_enqueue(clattn_context *context, const clattn_gemm *gemm) {
    cl_event before = NULL, after = NULL;
    clattn_buffer *workspace;
    const bool timed = context->trace && context->profiling;
    clattn_status status = make_workspace(context, gemm, &workspace);
    if (!status) status = wait_before(context, timed ? &before : NULL);
    if (!status) {
        context->gemm_used = true;
        status = multiply(context, gemm, workspace, context->out_of_order || timed ? &after : NULL);
        if (!status && context->trace) tell(context, before, after);
        if (after && !context->out_of_order) clReleaseEvent(after);
        advance(context, context->out_of_order ? after : NULL);
    }
    if (before) clReleaseEvent(before);
    clattn_buffer_release(workspace);
    return status;
}

void clattn_gemm_forget(const clattn_context *context) {
    if (context->owned && context->gemm_used) CLBlastClearCache();
}

#else

const char *clattn_gemm_refusal(void) {
    return "clattn was built without CLBlast";
}

clattn_status clattn_gemm_enqueue(clattn_context *context, const clattn_gemm *gemm) {
    (void)gemm;
    return clattn_fail(context, CLATTN_ERROR_UNSUPPORTED, "%s", clattn_gemm_refusal());
}

void clattn_gemm_forget(const clattn_context *context) {
    (void)context;
}

#endif
