#include <criterion/criterion.h>

#include "../support/cases.h"

Test(gather, against_reference) {
    test_cases((const char *const[]){
        "gather x[1] indices[1]<1", "gather x[7,5] indices[4]<7", "gather x[7,5] indices[]<7", "gather x[17] indices[31]<17", "gather x[3,7] indices[5]<7 axis=1", "gather x[2,3,7] indices[9]<7 axis=-1", "gather x[2,7,3] indices[2,5]<7 axis=-2",
        "gather x[7,16] indices[15]<7", "gather x[7,17] indices[16]<7", "gather x[65,129] indices[97]<65", "gather x[31,17,3] indices[15]<17 axis=1", "gather x[9,1025] indices[40]<9", "gather x[2,3] indices[1,2,1,2,1,2,1]<2",
        "gather x[1,2,1,2,1,2,1,3] indices[5]<3 axis=-1", "gather x[0,5] indices[3]<1", "gather x[5,0] indices[3]<5", "gather x[5,3] indices[0]", "gather x[0] indices[4]<1",
        "gather x[5,17] indices[8]:-1,5,0,2147483647,-2147483648,4,1000000", "gather x[3,5] indices[6]:-1,5,0,4 axis=1", "gather x[4,3]:nan,inf,-inf indices[5]:7,0,-1,3", NULL });
}

Test(gather, refusals) {
    test_refusals((const char *const[]){
        "gather x[] indices[3] => axis 0 is outside x's rank 0", "gather x[2,3] indices[3] axis=2 => axis 2 is outside x's rank 2", "gather x[2,3] indices[3] axis=-3 => axis -3 is outside",
        "gather x[2,2,2,2,2] indices[2,2,2,2,2] => gather: x [2,2,2,2,2] by indices [2,2,2,2,2] gives rank 9, more than 8", "gather x[2,3] => indices is missing", "gather indices[3] => x is missing", NULL });
}

Test(gather, f16) {
    test_cases_f16((const char *const[]){
        "gather x[7,5] indices[4]<7", "gather x[7,17] indices[16]<7", "gather x[65,129] indices[97]<65", "gather x[31,17,3] indices[15]<17 axis=1", "gather x[5,37] indices[8]:-1,5,0,2147483647,-2147483648,4,1000000", NULL });
}

Test(gather, goldens) {
    test_goldens("gather");
}
