#include <criterion/criterion.h>

#include "../support/cases.h"

Test(embedding, against_reference) {
    test_cases((const char *const[]){
        "embedding table[1,1] ids[1]<1", "embedding table[5,15] ids[7]<5", "embedding table[5,16] ids[2,3]<5", "embedding table[5,17] ids[2,3,1]<5", "embedding table[100,1025] ids[33]<100", "embedding table[7,3] ids[]<7",
        "embedding table[7,3] ids[1,2,1,2,1,2,1]<7", "embedding table[7,0] ids[4]<7", "embedding table[7,5] ids[0]<7", "embedding table[0,5] ids[4]<3", "embedding table[0,37] ids[4]<3",
        "embedding table[5,37] ids[6]:-1,5,4,0,2147483647,-2147483648", "embedding table[3,5]:nan,1,2,3,4 ids[4]:0,-1,2,3", "embedding table[5,9] ids[6]<5 padding_id=0", NULL });
}

Test(embedding, refusals) {
    test_refusals((const char *const[]){
        "embedding table[5] ids[2] => table [5] does not fit [V,E]", "embedding table[5,2] ids[1,1,1,1,1,1,1,1] => ids has rank 8, expected at most 7", "embedding table[5,2] ids[3] padding_id=-2 => padding_id", NULL });
}

Test(embedding, f16) {
    test_cases_f16((const char *const[]){
        "embedding table[5,17] ids[2,3,1]<5", "embedding table[100,1025] ids[33]<100", "embedding table[5,37] ids[6]:-1,5,4,0,2147483647,-2147483648", "embedding table[7,3] ids[]<7", NULL });
}

Test(embedding, goldens) {
    test_goldens("embedding");
}
