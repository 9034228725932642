/* Rows shared among the items of a work-group, for GPUs: `lanes` items (a power of two) to a row, neighbours on neighbouring
 * elements, as many rows as the group has room for. -DHELD: the elements of a row that an item keeps in registers; without it
 * rows are of any length. -DSUBGROUPS: the whole group shares one row, and its subgroups reduce before local memory does. */
#define LANES_BARRIER barrier(CLK_LOCAL_MEM_FENCE)
#define UNROLL _Pragma("unroll")

INLINE uint lane_of(uint lanes) {
    return (uint)get_local_id(0) & (lanes - 1);
}

/* May lie behind the last row: its items then take part in the reductions with nothing. */
INLINE long row_of(uint lanes) {
    return (long)get_group_id(0) * ((uint)get_local_size(0) / lanes) + (uint)get_local_id(0) / lanes;
}

/* Reductions over the lanes of each row. All items of the group call them together; `shared` has a float for each. */
#ifdef SUBGROUPS
#ifdef cl_khr_subgroups
#pragma OPENCL EXTENSION cl_khr_subgroups : enable
#endif
#ifdef cl_intel_subgroups
#pragma OPENCL EXTENSION cl_intel_subgroups : enable
#endif
#define LANES_REDUCTION(name, join, within)                                                                            \
    INLINE float name(float v, __local float *shared, uint lanes) {                                                    \
        const uint count = get_num_sub_groups();                                                                       \
        v = within(v);                                                                                                 \
        if (count == 1) return v;                                                                                      \
        if (get_sub_group_local_id() == 0) shared[get_sub_group_id()] = v;                                             \
        LANES_BARRIER;                                                                                                 \
        v = shared[0];                                                                                                 \
        for (uint i = 1; i < count; i++) v = join(v, shared[i]);                                                       \
        LANES_BARRIER;                                                                                                 \
        return v;                                                                                                      \
    }
#else
#define LANES_REDUCTION(name, join, within)                                                                            \
    INLINE float name(float v, __local float *shared, uint lanes) {                                                    \
        const uint t = get_local_id(0), lane = lane_of(lanes);                                                         \
        shared[t] = v;                                                                                                 \
        for (uint width = lanes / 2; width > 0; width /= 2) {                                                          \
            LANES_BARRIER;                                                                                             \
            if (lane < width) shared[t] = join(shared[t], shared[t + width]);                                          \
        }                                                                                                              \
        LANES_BARRIER;                                                                                                 \
        v = shared[t - lane];                                                                                          \
        LANES_BARRIER;                                                                                                 \
        return v;                                                                                                      \
    }
#endif

#define JOIN_SUM(a, b) ((a) + (b))
/* A NaN sticks: it compares false with everything. */
#define JOIN_LARGEST(a, b) ((b) > (a) || isnan(b) ? (b) : (a))
#define LARGEST_WITHIN(v) (sub_group_any(isnan(v)) ? NAN : sub_group_reduce_max(v))

LANES_REDUCTION(lanes_sum, JOIN_SUM, sub_group_reduce_add)
LANES_REDUCTION(lanes_max, fmax, sub_group_reduce_max) /* which may drop a NaN */
LANES_REDUCTION(lanes_largest, JOIN_LARGEST, LARGEST_WITHIN)
