/* Copies by rows and by tiles: cl/move.cl. */
#include "walk.h"

/* Elements per work-group: enough to pay for its start, few enough to share among the cores. */
#define GROUP_ELEMENTS 16384
#define HIGH 64 /* as in cl/move.cl */
#define WIDE 64

static clattn_walk pair(const clattn_tensor *destination, const clattn_tensor *source) {
    clattn_walk walk;
    clattn_walk_make(&walk, 2, (const clattn_tensor *const[]){ destination, source });
    return walk;
}

/* The axis along which the source is contiguous; -1 if none. */
static int source_axis(const clattn_walk *walk) {
    for (int i = walk->rank - 1; i >= 0; i--)
        if (walk->strides[1][i] == 1) return i;
    return -1;
}

const char *clattn_move_rows_refusal(const clattn_call *call, const clattn_tensor *destination, const clattn_tensor *source) {
    if (!clattn_call_cpu(call, 0)) return "the device is not a CPU";
    const clattn_walk walk = pair(destination, source);
    return clattn_walk_step(&walk, 0) == 1 && clattn_walk_step(&walk, 1) == 1 ? NULL : "the innermost axis is not contiguous in both tensors";
}

const char *clattn_move_tiles_refusal(const clattn_call *call, const clattn_tensor *destination, const clattn_tensor *source) {
    if (!clattn_call_cpu(call, 0)) return "the device is not a CPU";
    const clattn_walk walk = pair(destination, source);
    const int axis = source_axis(&walk);
    if (clattn_walk_step(&walk, 0) != 1 || axis < 0) return "no axis is contiguous";
    return axis == walk.rank - 1 ? "the same axis is innermost in both tensors" : NULL;
}

clattn_status clattn_move_rows(clattn_call *call, const clattn_tensor *destination, const clattn_tensor *source) {
    const clattn_walk walk = pair(destination, source);
    const int64_t count = clattn_walk_count(&walk);
    const size_t groups = (size_t)((count + GROUP_ELEMENTS - 1) / GROUP_ELEMENTS);
    return clattn_run_kernel(call, "move", "rows", clattn_streams(call, destination) ? "-DSTREAM" : "", 1, (size_t[]){ groups }, (size_t[]){ 1 }, ARG_T(source), ARG_T(destination), clattn_walk_strides(&walk, 1), clattn_walk_strides(&walk, 0), clattn_walk_shape(&walk), ARG_I32(walk.rank - 1), ARG_I64(walk.shape[walk.rank - 1]), ARG_I64(count), ARG_I64(GROUP_ELEMENTS));
}

/* Takes an axis out of the walk. */
static void drop_axis(clattn_walk *walk, int axis) {
    walk->rank--;
    for (int i = axis; i < walk->rank; i++) {
        walk->shape[i] = walk->shape[i + 1];
        for (int t = 0; t < walk->tensors; t++) walk->strides[t][i] = walk->strides[t][i + 1];
    }
}

/* A group is one strip of one plane, whose columns are the source's rows. */
clattn_status clattn_move_tiles(clattn_call *call, const clattn_tensor *destination, const clattn_tensor *source) {
    clattn_walk walk = pair(destination, source);
    const int axis = source_axis(&walk), last = walk.rank - 1;
    const int64_t height = walk.shape[axis], width = walk.shape[last], to_pitch = walk.strides[0][axis], from_pitch = walk.strides[1][last];
    const int64_t across = (width + WIDE - 1) / WIDE, down = (height + HIGH - 1) / HIGH;
    drop_axis(&walk, last);
    drop_axis(&walk, axis);
    const size_t groups = (size_t)(clattn_walk_count(&walk) * across * down);
    return clattn_run_kernel(call, "move", "tiles", clattn_streams(call, destination) ? "-DSTREAM" : "", 1, (size_t[]){ groups }, (size_t[]){ 1 }, ARG_T(source), ARG_T(destination), clattn_walk_strides(&walk, 1), clattn_walk_strides(&walk, 0), clattn_walk_shape(&walk), ARG_I32(walk.rank), ARG_I64(height), ARG_I64(width), ARG_I64(from_pitch), ARG_I64(to_pitch), ARG_I64(across));
}
