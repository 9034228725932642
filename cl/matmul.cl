#include "common.cl"

/* out[b][m][n] = act(sum_k a[b](m,k) b[b](k,n) + bias[n]). The strides of one matrix are (a_m, a_k, b_k, b_n); `lead` holds the
 * sizes of the leading axes, right-aligned, and a_lead, b_lead the strides along them. */

/* The kinds of activation are few a program: each is compiled for its own. */
#ifdef ACT
#define ACTIVATE(x) activate(x, ACT)
#define ACTIVATE_16(x) activate_16(x, ACT)
#else
#define ACTIVATE(x) (x)
#define ACTIVATE_16(x) (x)
#endif

#define UNROLL _Pragma("unroll")
/* What is done once per tile goes through memory in a loop: unrolled it would be most of the program and of its build. */
#define ROLLED _Pragma("unroll 1")

INLINE float16 load_columns(__global const float *p, int n) {
    return n >= 16 ? vload16(0, p) : n <= 0 ? (float16)(0.0f) : load_some(p, n, 0.0f);
}

INLINE void store_columns(float16 v, int n, __global float *p) {
    if (n >= 16) vstore16(v, 0, p);
    else store_some(v, n, p);
}

INLINE long lead_offset(long batch, long8 lead, long8 lead_strides) {
    long sizes[8], strides[8], at = 0;
    vstore8(lead, 0, sizes);
    vstore8(lead_strides, 0, strides);
    for (int i = 7; batch > 0 && i >= 0; i--) {
        at += batch % sizes[i] * strides[i];
        batch /= sizes[i];
    }
    return at;
}

#ifdef KERNEL_scalar
__kernel void scalar(IN(a), IN(b), IN(bias), OUT(out), const int has_bias, const long batches, const long M, const long N, const long K, const long4 strides, const long8 lead, const long8 a_lead, const long8 b_lead) {
    const long i = get_global_id(0);
    if (i >= batches * M * N) return;
    SHIFT(a);
    SHIFT(b);
    SHIFT(out);
    const long n = i % N, m = i / N % M, batch = i / N / M;
    a += lead_offset(batch, lead, a_lead) + m * strides.s0;
    b += lead_offset(batch, lead, b_lead) + n * strides.s3;
    float sum = 0;
    for (long k = 0; k < K; k++) sum = fma(a[k * strides.s1], b[k * strides.s2], sum);
    if (has_bias) sum += bias[bias_offset + n];
    out[i] = ACTIVATE(sum);
}
#endif

#ifdef KERNEL_finish
/* After a product made elsewhere: bias and activation, in place. */
__kernel void finish(IN(bias), OUT(out), const int has_bias, const long N, const long count) {
    const long i = get_global_id(0);
    if (i >= count) return;
    SHIFT(out);
    float sum = out[i];
    if (has_bias) sum += bias[bias_offset + i % N];
    out[i] = ACTIVATE(sum);
}
#endif

#ifdef KERNEL_pack
#define PANEL (16 * NV)

/* Up to 16 columns that are contiguous along k: to[k * PANEL + column]. */
APART void pack_transposed(__global const float *b, long n_stride, int columns, int depth, __global float *to) {
    float16 x[16];
    ROLL for (int i = 0; i < 16; i++) x[i] = i < columns ? load_columns(b + i * n_stride, depth) : (float16)(0.0f);
    transpose_16(x);
    ROLL for (int i = 0; i < depth; i++) vstore16(x[i], 0, to + i * PANEL);
}

/* b's matrices as panels of PANEL columns, packed[matrix][panel][k][PANEL], zeros beyond N. A group packs `depth` values of k
 * of one panel. */
SINGLE void pack(IN(b), OUT(packed), const long N, const long K, const long depth, const long k_stride, const long n_stride, const long8 lead, const long8 b_lead) {
    SHIFT(b);
    SHIFT(packed);
    const long panel = get_group_id(0), first = get_group_id(1) * depth, last = min(K, first + depth), matrix = get_group_id(2);
    const int columns = (int)min((long)PANEL, N - panel * PANEL);
    b += lead_offset(matrix, lead, b_lead) + panel * PANEL * n_stride;
    packed += (matrix * get_num_groups(0) + panel) * K * PANEL;
    if (n_stride == 1) {
        for (long k = first; k < last; k++)
            ROLL for (int j = 0; j < NV; j++) vstore16(load_columns(b + k * k_stride + 16 * j, columns - 16 * j), j, packed + k * PANEL);
    } else if (k_stride == 1) {
        for (long k = first; k < last; k += 16)
            for (int j = 0; j < NV; j++) pack_transposed(b + k + 16 * j * n_stride, n_stride, columns - 16 * j, (int)min(16L, last - k), packed + k * PANEL + 16 * j);
    } else {
        for (long k = first; k < last; k++)
            ROLL for (int i = 0; i < PANEL; i++) packed[k * PANEL + i] = i < columns ? b[k * k_stride + i * n_stride] : 0.0f;
    }
}
#endif

#ifdef KERNEL_blocked
#define PANEL (16 * NV)
#ifdef PACK_A
#define DEPTH 256
/* A block of rows by DEPTH, tile after tile of MR rows: block[tile][k][MR]. */
INLINE void pack_rows(__global const float *a, long rows, int depth, long m_stride, long k_stride, __local float *block) {
    for (long m = 0; m < rows; m += MR)
        for (int k = 0; k < depth; k++)
            UNROLL for (int i = 0; i < MR; i++) block[m * DEPTH + k * MR + i] = a[min(m + i, rows - 1) * m_stride + k * k_stride];
}
#else
#define DEPTH 512
#endif

#ifdef PACK_A
#define BLOCK_GIVEN , __local float *block
#define BLOCK_PASSED , OWN(block)
#else
#define BLOCK_GIVEN
#define BLOCK_PASSED
#endif
#define BLOCKED(P) P##_IN(a), P##_IN(packed), P##_IN(bias), P##_OUT(out), P##_AS(int, has_bias), P##_AS(long, M), P##_AS(long, N), P##_AS(long, K), P##_AS(long, m_stride), P##_AS(long, k_stride), P##_AS(long8, lead), P##_AS(long8, a_lead), P##_AS(long8, packed_lead), P##_AS(long, rows_per_group), P##_AS(long, panels), P##_AS(long, panels_per_group)
/* A group computes rows_per_group rows by panels_per_group panels of one matrix of out, DEPTH values of k after the other. What comes
 * from beyond the core's own caches is fetched ahead: the next part of a panel with the values of k, sums of earlier k with the tile's beginning. */
APART void multiply(const long group_m, const long group_n, const long batch, const long batches, BLOCKED(GIVEN) BLOCK_GIVEN) {
    SHIFT(a);
    SHIFT(packed);
    SHIFT(out);
    const long first = group_m * rows_per_group, rows = min(rows_per_group, M - first);
    const long first_panel = group_n * panels_per_group, last_panel = min(panels, first_panel + panels_per_group);
#ifdef MANY
    /* A group is a product of its own: with its last panel the matrices of the next one are fetched. */
    const long next_batch = min(batch + 1, batches - 1);
    __global const char *next_matrix = (__global const char *)(packed + lead_offset(next_batch, lead, packed_lead));
    __global const char *next_a = (__global const char *)(a + lead_offset(next_batch, lead, a_lead));
#endif
    a += lead_offset(batch, lead, a_lead) + first * m_stride;
    packed += lead_offset(batch, lead, packed_lead);
    out += (batch * M + first) * N;
    for (long k0 = 0; k0 == 0 || k0 < K; k0 += DEPTH) {
        const int depth = (int)min((long)DEPTH, K - k0);
        const int last_block = k0 + DEPTH >= K;
        const int ahead = (int)((4 * PANEL * MR + rows - 1) / rows); /* bytes of the next panel for each value of k of each tile of this one */
#ifdef ACT
        const bool bare = false;
#else
        const bool bare = !has_bias;
#endif
#ifdef PACK_A
        pack_rows(a + k0 * k_stride, rows, depth, m_stride, k_stride, block);
#endif
        for (long panel = first_panel; panel < last_panel; panel++) {
            __global const float *b = packed + (panel * K + k0) * PANEL;
            const long n0 = panel * PANEL;
            /* What comes next: another panel, else more of k, else what the group after this one begins with. */
            const long next_panel = panel + 1 < last_panel ? panel + 1 : !last_block ? first_panel : min(last_panel, panels - 1);
            const long next_k = panel + 1 < last_panel ? k0 : !last_block ? k0 + DEPTH : 0;
            __global const char *next = (__global const char *)(packed + (next_panel * K + next_k) * PANEL);
#ifdef MANY
            const bool fetches = panel + 1 == last_panel && last_block;
            if (fetches) next = next_matrix;
#endif
            for (long m = 0; m < rows; m += MR) {
                float16 acc[MR][NV];
                if (k0) {
                    UNROLL for (int i = 0; i < MR; i++)
                        UNROLL for (int j = 0; j < NV; j++) PREFETCH(out + (m + i) * N + n0 + 16 * j);
                }
                UNROLL for (int i = 0; i < MR; i++)
                    UNROLL for (int j = 0; j < NV; j++) acc[i][j] = (float16)(0.0f);
#ifdef PACK_A
                __local const float *tile = block + m * DEPTH;
#define ROW_VALUE(i) tile[k * MR + (i)]
#else
                __global const float *row[MR];
                UNROLL for (int i = 0; i < MR; i++) row[i] = a + min(m + i, rows - 1) * m_stride + k0;
#define ROW_VALUE(i) row[i][k]
#endif
                for (int k = 0; k < depth; k++, next += ahead) {
                    float16 column[NV];
                    PREFETCH(next);
#ifdef MANY
                    PREFETCH(next_a);
                    next_a += fetches ? sizeof(float) * MR : 0;
#endif
                    UNROLL for (int j = 0; j < NV; j++) column[j] = vload16(j, b + k * PANEL);
                    UNROLL for (int i = 0; i < MR; i++) {
                        const float16 value = (float16)(ROW_VALUE(i));
                        UNROLL for (int j = 0; j < NV; j++) acc[i][j] = fma(value, column[j], acc[i][j]);
                    }
                }
                const int tile_rows = (int)min((long)MR, rows - m);
                if (tile_rows == MR && n0 + PANEL <= N && (!last_block || bare)) {
                    if (k0) {
                        UNROLL for (int i = 0; i < MR; i++)
                            UNROLL for (int j = 0; j < NV; j++) acc[i][j] += vload16(j, out + (m + i) * N + n0);
                    }
                    UNROLL for (int i = 0; i < MR; i++)
                        UNROLL for (int j = 0; j < NV; j++) vstore16(acc[i][j], j, out + (m + i) * N + n0);
                    continue;
                }
                float sums[MR * PANEL];
                UNROLL for (int i = 0; i < MR; i++)
                    UNROLL for (int j = 0; j < NV; j++) vstore16(acc[i][j], i * NV + j, sums);
                ROLLED for (int i = 0; i < tile_rows; i++)
                    ROLLED for (int j = 0; j < NV && n0 + 16 * j < N; j++) {
                        const int columns = (int)min(16L, N - n0 - 16 * j);
                        __global float *to = out + (m + i) * N + n0 + 16 * j;
                        float16 v = vload16(i * NV + j, sums);
                        if (k0) v += load_columns(to, columns);
                        if (last_block && has_bias) v += load_columns(bias + bias_offset + n0 + 16 * j, columns);
                        if (last_block) v = ACTIVATE_16(v);
                        store_columns(v, columns, to);
                    }
            }
        }
    }
}

SINGLE void blocked(BLOCKED(GIVEN)) {
#ifdef PACK_A
    __local float block[ROWS * DEPTH];
#endif
    multiply(get_group_id(0), get_group_id(1), get_group_id(2), get_num_groups(2), BLOCKED(PASSED) BLOCK_PASSED);
}
#endif

#ifdef KERNEL_rows_dot
#ifdef FEW_REGISTERS
#define NR (4 / MR)
#else
#define NR (MR == 1 ? 8 : 4)
#endif
/* Few rows, b contiguous along k: sums along k in vectors, `columns_per_group` columns a group. */
SINGLE void rows_dot(IN(a), IN(b), IN(bias), OUT(out), const int has_bias, const long M, const long N, const long K, const long4 strides, const long8 lead, const long8 a_lead, const long8 b_lead, const long columns_per_group) {
    SHIFT(a);
    SHIFT(b);
    SHIFT(out);
    const long batch = get_group_id(1), first = get_group_id(0) * columns_per_group, last = min(N, first + columns_per_group);
    const long whole = K / 16 * 16;
    a += lead_offset(batch, lead, a_lead);
    b += lead_offset(batch, lead, b_lead);
    out += batch * M * N;
    for (long n = first; n < last; n += NR)
        for (long m = 0; m < M; m += MR) {
            float16 acc[MR][NR];
            __global const float *row[MR], *column[NR];
            UNROLL for (int i = 0; i < MR; i++) row[i] = a + min(m + i, M - 1) * strides.s0;
            UNROLL for (int j = 0; j < NR; j++) column[j] = b + min(n + j, last - 1) * strides.s3;
            UNROLL for (int i = 0; i < MR; i++)
                UNROLL for (int j = 0; j < NR; j++) acc[i][j] = (float16)(0.0f);
            for (long k = 0; k < whole; k += 16) {
                float16 x[MR];
                UNROLL for (int i = 0; i < MR; i++) x[i] = vload16(0, row[i] + k);
                UNROLL for (int j = 0; j < NR; j++) {
                    const float16 y = vload16(0, column[j] + k);
                    UNROLL for (int i = 0; i < MR; i++) acc[i][j] = fma(x[i], y, acc[i][j]);
                }
            }
            float sums[MR * NR];
            UNROLL for (int i = 0; i < MR; i++)
                UNROLL for (int j = 0; j < NR; j++) sums[i * NR + j] = sum16(acc[i][j]);
            ROLLED for (int i = 0; i < MR && m + i < M; i++)
                ROLLED for (int j = 0; j < NR && n + j < last; j++) {
                    __global const float *x = a + (m + i) * strides.s0, *y = b + (n + j) * strides.s3;
                    float sum = sums[i * NR + j];
                    ROLLED for (long k = whole; k < K; k++) sum = fma(x[k], y[k], sum);
                    if (has_bias) sum += bias[bias_offset + n + j];
                    out[(m + i) * N + n + j] = ACTIVATE(sum);
                }
        }
}
#endif

#ifdef KERNEL_rows_columns
#ifdef FEW_REGISTERS
#define STRIP_VECTORS (4 / MR)
#else
#define STRIP_VECTORS 4
#endif
/* MR rows by 16 * vectors columns, the last vector `columns` wide at most. */
#define STRIP(vectors, columns)                                                                                        \
    do {                                                                                                               \
        float16 acc[MR][vectors];                                                                                      \
        UNROLL for (int i = 0; i < MR; i++)                                                                            \
            UNROLL for (int j = 0; j < vectors; j++) acc[i][j] = (float16)(0.0f);                                      \
        for (long k = 0; k < K; k++) {                                                                                 \
            float16 y[vectors];                                                                                        \
            UNROLL for (int j = 0; j < vectors; j++) y[j] = load_columns(b + k * strides.s2 + n + 16 * j, columns);    \
            UNROLL for (int i = 0; i < MR; i++)                                                                        \
                UNROLL for (int j = 0; j < vectors; j++) acc[i][j] = fma((float16)(row[i][k * strides.s1]), y[j], acc[i][j]); \
        }                                                                                                              \
        float sums[MR * vectors * 16];                                                                                 \
        UNROLL for (int i = 0; i < MR; i++)                                                                            \
            UNROLL for (int j = 0; j < vectors; j++) vstore16(acc[i][j], i * vectors + j, sums);                       \
        ROLLED for (int i = 0; i < MR && m + i < M; i++)                                                               \
            ROLLED for (int j = 0; j < vectors; j++) {                                                                 \
                float16 v = vload16(i * vectors + j, sums);                                                            \
                if (has_bias) v += load_columns(bias + bias_offset + n + 16 * j, columns);                             \
                store_columns(ACTIVATE_16(v), columns, out + (m + i) * N + n + 16 * j);                                \
            }                                                                                                          \
    } while (0)

/* Few rows, b contiguous along n. */
SINGLE void rows_columns(IN(a), IN(b), IN(bias), OUT(out), const int has_bias, const long M, const long N, const long K, const long4 strides, const long8 lead, const long8 a_lead, const long8 b_lead, const long columns_per_group) {
    SHIFT(a);
    SHIFT(b);
    SHIFT(out);
    const long batch = get_group_id(1), first = get_group_id(0) * columns_per_group, last = min(N, first + columns_per_group);
    a += lead_offset(batch, lead, a_lead);
    b += lead_offset(batch, lead, b_lead);
    out += batch * M * N;
    for (long m = 0; m < M; m += MR) {
        __global const float *row[MR];
        UNROLL for (int i = 0; i < MR; i++) row[i] = a + min(m + i, M - 1) * strides.s0;
        long n = first;
        for (; n + 16 * STRIP_VECTORS <= last; n += 16 * STRIP_VECTORS) STRIP(STRIP_VECTORS, 16);
        for (; n < last; n += 16) STRIP(1, (int)(last - n));
    }
}
#endif
