/* A sum that keeps what rounding takes (Neumaier), for long sums by one work-item. */
typedef struct {
    float sum, rest;
} careful;

INLINE void careful_add(careful *c, float v) {
    const float t = c->sum + v;
    c->rest += fabs(c->sum) >= fabs(v) ? (c->sum - t) + v : (v - t) + c->sum;
    c->sum = t;
}

/* Infinities and NaN have no rest. */
INLINE float careful_sum(const careful *c) {
    const float t = c->sum + c->rest;
    return isfinite(t) ? t : c->sum;
}
