/* Pools over a plane that need more than one sum: the root of the sum of squares, the logarithm of the sum of exponentials.
 * Both are taken relative to the largest element, so that neither squares nor exponentials overflow. A NaN wins. */

#ifdef PLANES_VECTORS
/* The largest element, or magnitude. */
INLINE float plane_largest(__global const STORED *x, long n, bool magnitude) {
    float16 most = (float16)(magnitude ? 0.0f : -INFINITY);
    bool nan = false;
    for (long i = 0; i < n; i += 16) {
        float16 v = n - i >= 16 ? LOAD_16(x + i) : load_some_stored(x + i, (int)(n - i), LOAD_1(x + i));
        v = magnitude ? fabs(v) : v;
        nan = nan || any(isnan(v));
        most = VMAX(most, v);
    }
    return nan ? NAN : max16(most);
}

/* Sums of 1024 elements are summed, so that the error stays small on large planes. */
INLINE float plane_squares(__global const STORED *x, long n, float scale) {
    float total = 0;
    for (long first = 0; first < n; first += 1024) {
        const long last = min(n, first + 1024);
        float16 sum = (float16)(0.0f);
        for (long i = first; i < last; i += 16) {
            const float16 v = (last - i >= 16 ? LOAD_16(x + i) : load_some_stored(x + i, (int)(last - i), 0.0f)) / scale;
            sum = fma(v, v, sum);
        }
        total += sum16(sum);
    }
    return total;
}

INLINE float plane_exponentials(__global const STORED *x, long n, float largest) {
    float total = 0;
    for (long first = 0; first < n; first += 1024) {
        const long last = min(n, first + 1024);
        float16 sum = (float16)(0.0f);
        for (long i = first; i < last; i += 16) {
            const float16 v = last - i >= 16 ? LOAD_16(x + i) : load_some_stored(x + i, (int)(last - i), -INFINITY);
            sum += select(exp_16(v - largest), (float16)(0.0f), v - largest < (float16)(-87.0f));
        }
        total += sum16(sum);
    }
    return total;
}
#else
INLINE float plane_largest(__global const STORED *x, long n, bool magnitude) {
    float most = magnitude ? 0.0f : -INFINITY;
    for (long i = 0; i < n; i++) {
        const float v = magnitude ? fabs(LOAD_1(x + i)) : LOAD_1(x + i);
        most = v > most || isnan(v) ? v : most;
    }
    return most;
}

INLINE float plane_squares(__global const STORED *x, long n, float scale) {
    float total = 0;
    for (long first = 0; first < n; first += 256) {
        const long last = min(n, first + 256);
        float part = 0;
        for (long i = first; i < last; i++) part += LOAD_1(x + i) / scale * (LOAD_1(x + i) / scale);
        total += part;
    }
    return total;
}

INLINE float plane_exponentials(__global const STORED *x, long n, float largest) {
    float total = 0;
    for (long first = 0; first < n; first += 256) {
        const long last = min(n, first + 256);
        float part = 0;
        for (long i = first; i < last; i++) part += exp(LOAD_1(x + i) - largest);
        total += part;
    }
    return total;
}
#endif

/* sqrt(sum x^2); 0 of nothing. */
INLINE float plane_lp(__global const STORED *x, long n) {
    const float scale = plane_largest(x, n, true);
    return isnan(scale) || isinf(scale) || scale == 0.0f ? scale : scale * sqrt(plane_squares(x, n, scale));
}

/* log(sum e^x); -inf of nothing. */
INLINE float plane_lse(__global const STORED *x, long n) {
    const float largest = plane_largest(x, n, false);
    return isnan(largest) || isinf(largest) ? largest : largest + log(plane_exponentials(x, n, largest));
}
