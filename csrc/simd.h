/* Which instruction set runs, chosen once at import; and the few vector idioms that the templates share. */
#ifndef BIO_SIMD_H
#define BIO_SIMD_H

#include <stddef.h>

#if (defined(__x86_64__) || defined(__i386__)) && defined(__GNUC__)
#define BIO_X86 1
#else
#define BIO_X86 0
#endif

/* generic is 16-byte vectors: SSE2 on x86-64, NEON on AArch64, plain code elsewhere */
typedef enum { BIO_GENERIC, BIO_AVX2, BIO_AVX512, BIO_N_ISAS } bio_isa;

/* The instruction set in use. */
bio_isa bio_current_isa(void);

/* The best one that this processor has. */
bio_isa bio_best_isa(void);

/* Selects one; returns 0, or -1 when the processor does not have it. Call only while no kernel runs. */
int bio_select_isa(bio_isa isa);

extern const char *const bio_isa_names[BIO_N_ISAS];
extern const size_t bio_vector_bytes[BIO_N_ISAS];

#endif
