#include "walk.h"

static void swap_axes(clattn_walk *walk, int i, int k) {
    const int64_t size = walk->shape[i];
    walk->shape[i] = walk->shape[k];
    walk->shape[k] = size;
    for (int t = 0; t < walk->tensors; t++) {
        const int64_t stride = walk->strides[t][i];
        walk->strides[t][i] = walk->strides[t][k];
        walk->strides[t][k] = stride;
    }
}

static void add_axis(clattn_walk *walk, int axis, int count, const clattn_tensor *const *tensors) {
    if (tensors[0]->shape[axis] == 1) return;
    walk->shape[walk->rank] = tensors[0]->shape[axis];
    for (int t = 0; t < count; t++) {
        const int own = axis - (tensors[0]->rank - tensors[t]->rank);
        walk->strides[t][walk->rank] = own < 0 || tensors[t]->shape[own] == 1 ? 0 : tensors[t]->strides[own];
    }
    walk->rank++;
}

static void sort_axes(clattn_walk *walk) {
    for (int i = 1; i < walk->rank; i++)
        for (int k = i; k > 0 && walk->strides[0][k - 1] < walk->strides[0][k]; k--) swap_axes(walk, k - 1, k);
}

static bool mergeable(const clattn_walk *walk, int outer, int inner) {
    for (int t = 0; t < walk->tensors; t++)
        if (walk->strides[t][outer] != walk->strides[t][inner] * walk->shape[inner]) return false;
    return true;
}

static void merge_axes(clattn_walk *walk) {
    int last = 0;
    for (int i = 1; i < walk->rank; i++) {
        const bool merge = mergeable(walk, last, i);
        if (!merge) last++;
        walk->shape[last] = walk->shape[i] * (merge ? walk->shape[last] : 1);
        for (int t = 0; t < walk->tensors; t++) walk->strides[t][last] = walk->strides[t][i];
    }
    if (walk->rank) walk->rank = last + 1;
}

void clattn_walk_make(clattn_walk *walk, int count, const clattn_tensor *const *tensors) {
    *walk = (clattn_walk){ .tensors = count };
    for (int axis = 0; axis < tensors[0]->rank; axis++) add_axis(walk, axis, count, tensors);
    sort_axes(walk);
    merge_axes(walk);
    if (walk->rank) return;
    walk->rank = 1; /* a single element: any stride serves */
    walk->shape[0] = 1;
    for (int t = 0; t < count; t++) walk->strides[t][0] = 1;
}

int64_t clattn_walk_count(const clattn_walk *walk) {
    int64_t count = 1;
    for (int i = 0; i < walk->rank; i++) count *= walk->shape[i];
    return count;
}

int64_t clattn_walk_step(const clattn_walk *walk, int tensor) {
    return walk->strides[tensor][walk->rank - 1];
}

static clattn_arg eight(const int64_t *values) {
    clattn_arg arg = { .kind = CLATTN_ARG_I64X8 };
    memcpy(arg.as.i64, values, sizeof arg.as.i64);
    return arg;
}

clattn_arg clattn_walk_shape(const clattn_walk *walk) {
    return eight(walk->shape);
}

clattn_arg clattn_walk_strides(const clattn_walk *walk, int tensor) {
    return eight(walk->strides[tensor]);
}
