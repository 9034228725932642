/* `flags` of attention's kernels, as in src/ops/attention.h. */
#define HAS_MASK 1
#define HAS_BIAS 2
#define HAS_LENGTHS 4
#define BOTTOM_RIGHT 8
#define HAS_SLOPES 16
#define SLOPES_PER_BATCH 32
#define HAS_SINKS 64
#define HAS_CAP 128
