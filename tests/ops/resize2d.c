#include <criterion/criterion.h>

#include "../support/cases.h"

#define X "resize2d x[2,3,7,9] "
#define MODES(text) text, text " mode=linear", text " mode=cubic", text " mode=linear coordinates=align_corners", text " mode=cubic coordinates=align_corners", text " coordinates=align_corners", text " coordinates=asymmetric", text " mode=linear coordinates=asymmetric", text " mode=cubic coordinates=asymmetric"

Test(resize2d, against_reference) {
    test_cases((const char *const[]){
        MODES(X "size=14,18"), MODES(X "size=13,20"), MODES(X "size=3"), MODES(X "size=1,33"), MODES(X "scale=2"), MODES(X "scale=1.5,0.7"), MODES(X "scale=0.3,3.7"), MODES(X "size=7,9"), NULL });
}

Test(resize2d, shapes) {
    test_cases((const char *const[]){
        MODES("resize2d x[1,1,1,1] size=1"), MODES("resize2d x[1,1,1,1] size=5,17"), MODES("resize2d x[1,2,1,16] scale=1,1.1"), MODES("resize2d x[1,2,17,1] scale=2.3"), MODES("resize2d x[1,1,31,37] size=15,16"), MODES("resize2d x[1,1,2,3] size=101,67"),
        MODES("resize2d x[0,3,5,7] scale=2"), MODES("resize2d x[2,0,5,7] size=3"), MODES("resize2d x[2,3,0,7] scale=2"), MODES("resize2d x[2,3,7,0] scale=0.5"), NULL });
}

/* Positions far from 0 are still exact, and nothing outside the taps counts. */
Test(resize2d, values) {
    test_cases((const char *const[]){
        "resize2d x[1,1,1,7001] size=1,9973 mode=linear", "resize2d x[1,1,1,9973] scale=1,0.7 mode=cubic", "resize2d x[1,1,1,9000] scale=1,1.1", "resize2d x[1,1,1,3000] scale=1,3.3", "resize2d x[1,1,4001,1] size=6007,1 mode=cubic coordinates=align_corners",
        "resize2d x[1,1,1,98] size=1,2", "resize2d x[1,1,1,2] size=1,98", "resize2d x[1,1,1,49]:0,1,2,3,4,5,6,7,8,9 size=1,343", "resize2d x[1,1,3,40]*10000 size=7,90 mode=cubic",
        "resize2d x[1,1,1,60]:1,2,3,nan,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30 size=1,120", "resize2d x[1,1,2,2]:inf,1,2,-inf scale=3", NULL });
}

Test(resize2d, refusals) {
    test_refusals((const char *const[]){
        X "=> size or scale is missing", X "size=3 scale=2 => size and scale are both given", X "size=0 => size=0", X "size=3,-1 => size=3,-1", X "size=3,3,3 => size has 3 values; expected 1 or 2", X "scale=1,2,3 => scale has 3 values", X "scale=0 => scale=0", X "scale=-1.5 => scale=-1.5", X "scale=nan => finite number",
        X "scale=1e9 => scale=1e9", X "scale=1,x => scale=1,x: expected up to 8 numbers like 1.5,2", X "scale=1,,2 => up to 8 numbers", X "scale= => up to 8 numbers", X "scale=0.1 => scale = 0.1 leaves nothing of a height of 7", X "size=600000000 => size=600000000", "resize2d x[1,1,1,1000] scale=1,1000000 => a width of 1e+09 is more than 536870912",
        "resize2d x[2,3,0,7] size=4 => x has the height 0", X "size=3 mode=area => expected one of nearest, linear, cubic", X "size=3 coordinates=corners => expected one of half_pixel, align_corners, asymmetric", "resize2d x[7,9] size=3 => x [7,9]", NULL });
}

Test(resize2d, f16) {
    test_cases_f16((const char *const[]){
        "resize2d x[2,3,7,9] scale=2", "resize2d x[2,3,7,9] size=13,20 mode=linear", "resize2d x[2,3,7,40] size=5,63 mode=cubic", "resize2d x[2,3,7,9] size=3,33 coordinates=align_corners mode=linear", NULL });
}

Test(resize2d, goldens) {
    test_goldens("resize2d");
}
