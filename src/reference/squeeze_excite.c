#include "reference.h"

#include "../ops/gates.h"

void clattn_reference_squeeze_excite(const clattn_call *call, const void *args, clattn_bounds *bounds);

/* The channel half of CBAM with one pool. */
void clattn_reference_squeeze_excite(const clattn_call *call, const void *args, clattn_bounds *bounds) {
    const clattn_gates g = clattn_gates_squeeze_excite(args);
    (void)call;
    clattn_gates_reference(&g, bounds);
}
