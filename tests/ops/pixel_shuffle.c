#include <criterion/criterion.h>

#include "../support/cases.h"

Test(pixel_shuffle, against_reference) {
    test_cases((const char *const[]){
        "pixel_shuffle x[1,1,1,1] block=1", "pixel_shuffle x[2,3,5,7] block=1 mode=dcr", "pixel_shuffle x[2,4,1,1] block=2", "pixel_shuffle x[2,12,5,7] block=2", "pixel_shuffle x[2,12,5,7] block=2 mode=dcr",
        "pixel_shuffle x[1,18,4,17] block=3", "pixel_shuffle x[1,18,4,17] block=3 mode=dcr", "pixel_shuffle x[1,32,1,33] block=4", "pixel_shuffle x[1,32,33,1] block=4 mode=dcr", "pixel_shuffle x[1,49,3,2] block=7", "pixel_shuffle x[3,8,31,16] block=2",
        "pixel_shuffle x[1,20,64,65] block=2 mode=dcr", "pixel_shuffle x[1,4,2,2]:nan,inf,-inf,1 block=2", "pixel_shuffle x[0,4,2,2] block=2", "pixel_shuffle x[2,0,2,2] block=2", "pixel_shuffle x[2,4,0,2] block=2", "pixel_shuffle x[2,4,2,0] block=2 mode=dcr", NULL });
}

Test(pixel_shuffle, refusals) {
    test_refusals((const char *const[]){
        "pixel_shuffle x[1,4,2,2] => block is missing", "pixel_shuffle x[1,4,2,2] block=-2 => block=-2", "pixel_shuffle x[1,6,2,2] block=2 => x has 6 channels, not divisible by block * block = 4",
        "pixel_shuffle x[1,2,2,2] block=32768 => not divisible by block * block = 1073741824", "pixel_shuffle x[1,4,2,2] block=32769 => block=32769", "pixel_shuffle x[1,4,2,2] block=2 mode=drc => mode=drc: expected one of crd, dcr", "pixel_shuffle x[4,2,2] block=2 => x [4,2,2]", NULL });
}

Test(pixel_shuffle, f16) {
    test_cases_f16((const char *const[]){
        "pixel_shuffle x[2,12,5,7] block=2", "pixel_shuffle x[1,18,4,17] block=3 mode=dcr", "pixel_shuffle x[1,20,64,65] block=2 mode=dcr", NULL });
}

Test(pixel_shuffle, goldens) {
    test_goldens("pixel_shuffle");
}
