/* Mean and variance in one reading, for GPUs; after lanes.cl. Squares are those of distances from means nearby, and all elements come
 * less a `shift` near them: an almost constant row stays right. */

/* Some elements: how many, their mean and the sum of the squares of their distances from it. */
typedef struct {
    float count, mean, squares;
} moments;

INLINE void join_moments(moments *a, float count, float mean, float squares) {
    const float total = a->count + count, apart = mean - a->mean, part = count / total;
    a->squares += squares + apart * apart * a->count * part;
    a->mean = fma(apart, part, a->mean);
    a->count = total;
}

/* The first `count` (1 or more) of the `most` elements of v; the others are 0. */
INLINE void join_elements(moments *a, const float *v, int most, int count) {
    float sum = 0, squares = 0;
    UNROLL for (int i = 0; i < most; i++) sum += v[i];
    const float mean = sum / (float)count;
    UNROLL for (int i = 0; i < most; i++) squares += i < count ? (v[i] - mean) * (v[i] - mean) : 0.0f;
    join_moments(a, (float)count, mean, squares);
}

/* Those of a row's lanes together, `count` elements: their mean and the mean square of their distances from it. */
INLINE float lanes_moments(moments own, float count, float *mean, __local float *shared, int lanes) {
    *mean = lanes_sum(own.mean * own.count, shared, lanes) / count;
    const float apart = own.mean - *mean;
    return lanes_sum(fma(apart * apart, own.count, own.squares), shared, lanes) / count;
}
