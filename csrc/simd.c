#include "simd.h"

const char *const bio_isa_names[BIO_N_ISAS] = {"generic", "avx2", "avx512"};
const size_t bio_vector_bytes[BIO_N_ISAS] = {16, 32, 64};

static bio_isa current = BIO_GENERIC;

bio_isa bio_current_isa(void) { return current; }

bio_isa bio_best_isa(void) {
#if BIO_X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512bw"))
        return BIO_AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return BIO_AVX2;
#endif
    return BIO_GENERIC;
}

int bio_select_isa(bio_isa isa) {
    if (isa > bio_best_isa()) return -1;
    current = isa;
    return 0;
}
