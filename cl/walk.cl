/* The rows of a walk (src/ops/walk.h): its last axis is the row, `outer` axes before it number the rows. */
typedef struct {
    int outer;
    long shape[8], index[8];
} walk;

INLINE void walk_start(walk *w, long8 shape, int outer, long row) {
    w->outer = outer;
    vstore8(shape, 0, w->shape);
    for (int i = outer - 1; i >= 0; i--) {
        const long above = row / w->shape[i];
        w->index[i] = row - above * w->shape[i];
        row = above;
    }
}

INLINE long walk_at(const walk *w, const long *strides) {
    long at = 0;
    for (int i = 0; i < w->outer; i++) at += w->index[i] * strides[i];
    return at;
}

INLINE void walk_next(walk *w) {
    for (int i = w->outer - 1; i >= 0 && ++w->index[i] == w->shape[i]; i--) w->index[i] = 0;
}
