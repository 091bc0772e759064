/* Compiles the file BIO_TEMPLATE once for every (instruction set, value type, index type).
 *
 * Inside the template:   T          float or double             I     int32_t or int64_t
 *                        NAME(f)    f_<isa>_<value>_<index>     BYTES width of a vector register
 *                        vec        a vector of LANES values of type T; unaligned access, may alias T
 *                        SIZE       sizeof(T), for the preprocessor
 *                        FUSED      1 where a x b + c rounds once
 * and afterwards         BIO_TABLE(f) initialises  table[BIO_N_ISAS][BIO_N_VALUES][BIO_N_INDICES];
 *                        BIO_PICK(table, value, index) is the instance to call.
 * With BIO_VALUES_ONLY defined, for kernels without indices, only the int32 instances exist. */
#include <stdint.h>

#include "bio.h"
#include "simd.h"

#define BIO_PASTE_(f, isa, value, index) f##_##isa##_##value##_##index
#define BIO_PASTE(f, isa, value, index) BIO_PASTE_(f, isa, value, index)
#define NAME(f) BIO_PASTE(f, ISA, VALUE, INDEX)
#define LANES (BYTES / SIZE)

/* gcc fuses what is written as a x b + c only when it optimises */
#if defined(__OPTIMIZE__) || defined(__clang__)
#define BIO_FUSES 1
#else
#define BIO_FUSES 0
#endif

#define ISA generic
#define BYTES 16
#ifdef __aarch64__
#define FUSED BIO_FUSES
#else
#define FUSED 0
#endif
#include "template_types.h"
#undef ISA
#undef BYTES
#undef FUSED

#if BIO_X86
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
#define ISA avx2
#define BYTES 32
#define FUSED BIO_FUSES
#include "template_types.h"
#undef ISA
#undef BYTES
#undef FUSED
#ifdef __clang__
#pragma clang attribute pop
#pragma clang attribute push(__attribute__((target("avx2,fma,avx512f,avx512dq,avx512vl,avx512bw"))), \
                             apply_to = function)
#else
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx2,fma,avx512f,avx512dq,avx512vl,avx512bw")
#endif
#define ISA avx512
#define BYTES 64
#define FUSED BIO_FUSES
#include "template_types.h"
#undef ISA
#undef BYTES
#undef FUSED
#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#define BIO_ISAS(f) {BIO_TYPES(f, generic), BIO_TYPES(f, avx2), BIO_TYPES(f, avx512)}
#else
#define BIO_ISAS(f) {BIO_TYPES(f, generic), BIO_TYPES(f, generic), BIO_TYPES(f, generic)}
#endif

#ifdef BIO_VALUES_ONLY
#define BIO_TYPES(f, isa)                                                                        \
    {                                                                                            \
        {f##_##isa##_f32_i32, f##_##isa##_f32_i32}, { f##_##isa##_f64_i32, f##_##isa##_f64_i32 } \
    }
#else
#define BIO_TYPES(f, isa)                                                                        \
    {                                                                                            \
        {f##_##isa##_f32_i32, f##_##isa##_f32_i64}, { f##_##isa##_f64_i32, f##_##isa##_f64_i64 } \
    }
#endif
#define BIO_TABLE(f) BIO_ISAS(f)
#define BIO_PICK(table, value, index) ((table)[bio_current_isa()][value][index])
