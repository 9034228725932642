/* Waiting on PoCL without going to sleep at once. A thread that sleeps until its command ends is woken late, by tens of
 * microseconds where an idle core has to be started again (virtual machines above all): as long as a small operation takes.
 * So the caller looks for a while whether the command has ended, and gives its core away in between. Not on other drivers:
 * on Intel's the thread that waits does its share of the work, on a GPU the driver knows better. */
#include "internal.h"
#include "system.h"

/* Seconds; beyond this, being woken late no longer shows. */
#define PATIENCE 0.005

bool clattn_queue_watches(const clattn_context *context) {
    return context->info.kind == CLATTN_DEVICE_CPU && clattn_context_on_pocl(context);
}

void clattn_queue_watch(const clattn_context *context) {
    if (!context->last || !clattn_queue_watches(context) || clFlush(context->queue) != CL_SUCCESS) return;
    const double until = clattn_system_seconds() + PATIENCE;
    cl_int state = CL_QUEUED;
    while (clGetEventInfo(context->last, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof state, &state, NULL) == CL_SUCCESS && state > CL_COMPLETE && clattn_system_seconds() < until)
        clattn_system_yield();
}
