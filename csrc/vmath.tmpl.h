/* Elementary functions on `vec`, in vector extensions only: exp and log to about 1 ulp over the whole range, square
 * root and Gaussian numbers, and the small idioms (select, parts of vectors, horizontal folds) that row kernels share.
 * NaN goes in and comes out everywhere. Polynomials: interpolated at Chebyshev nodes in 60 digits. */
#include "shuffle.tmpl.h"

#undef INLINE
#undef MANTISSA
#undef BIAS
#undef ROUNDER
#undef LN2_HIGH
#undef LN2_LOW
#undef T_MAX
#undef T_MIN
#undef T_LEAST
#undef EXP_INFINITE
#undef EXP_ZERO
#undef EXP_OVERFLOW
#undef EXP_DENORMAL
#undef SQRT_HALF
#undef RSQRT_GUESS
#undef RSQRT_STEPS
#define INLINE static inline __attribute__((always_inline, unused))

#if SIZE == 4
#define MANTISSA 23           /* stored bits of the significand */
#define BIAS 127u             /* of the exponent */
#define ROUNDER 0x1.8p23f     /* x + ROUNDER - ROUNDER rounds to an integer, left in the low bits of the sum */
#define LN2_HIGH 0.693359375f /* few bits, so that n LN2_HIGH is exact for every exponent n */
#define LN2_LOW (-2.1219444005469058e-4f) /* ln 2 - LN2_HIGH */
#define T_MAX 0x1.fffffep127f             /* largest number */
#define T_MIN 0x1p-126f                   /* smallest normal number */
#define T_LEAST 0x1p-149f                 /* smallest number > 0 */
#define EXP_INFINITE 89.0f                /* exp is infinite above, */
#define EXP_ZERO (-105.0f)                /* 0 below, */
#define EXP_OVERFLOW 0x1.62e43p+6f        /* beyond T_MAX from here on, */
#define EXP_DENORMAL (-0x1.5d589ep+6f)    /* below T_MIN below */
#define SQRT_HALF 0x3F3504F3u             /* sqrt(1/2) as an integer */
#define RSQRT_GUESS 0x5F3759DFu           /* minus half of its bits: 1 / sqrt(x) to 3.5 % */
#define RSQRT_STEPS 3
typedef uint32_t NAME(word);
static const T NAME(exp_c)[] = {0.5f, 0.16666576998242924f, 0.041666554627878202f, 0.0083631776299944449f,
                                0.00139261818104815f};
static const T NAME(log_c)[] = {0.66666666554497089f, 0.40000121839806124f, 0.28550820815960665f, 0.23330467216303838f};
static const T NAME(sin_c)[] = {6.2831853070722641f,  -41.341702116744003f, 81.605226174029667f,
                                -76.704279876042619f, 42.009779303153906f,  -14.393966295455941f};
#else
#define MANTISSA 52
#define BIAS 1023u
#define ROUNDER 0x1.8p52
#define LN2_HIGH 0x1.62e42feep-1
#define LN2_LOW 1.90821492927058770002e-10
#define T_MAX 0x1.fffffffffffffp1023
#define T_MIN 0x1p-1022
#define T_LEAST 0x1p-1074
#define EXP_INFINITE 710.0
#define EXP_ZERO (-747.0)
#define EXP_OVERFLOW 0x1.62e42fefa39fp+9
#define EXP_DENORMAL (-0x1.6232bdd7abcd2p+9)
#define SQRT_HALF 0x3FE6A09E667F3BCDu
#define RSQRT_GUESS 0x5FE6EB50C7B537A9u
#define RSQRT_STEPS 4
typedef uint64_t NAME(word);
static const T NAME(exp_c)[] = {0.5,
                                0.16666666666666669,
                                0.041666666666624136,
                                0.0083333333333300633,
                                0.001388888891720967,
                                0.00019841269863050506,
                                2.4801521302241082e-05,
                                2.7557268464831627e-06,
                                2.7620085455018414e-07,
                                2.5100383195867021e-08};
static const T NAME(log_c)[] = {0.66666666666666696, 0.39999999999899505, 0.28571428625975487, 0.22222211134795081,
                                0.18182889125261723, 0.15331721600556042, 0.14616449685043406};
static const T NAME(sin_c)[] = {6.2831853071795862,  -41.341702240399762,  81.605249276075057, -76.705859753060722,
                                42.058693944828704,  -15.094642572701975,  3.819952434866809,  -0.71811892189106585,
                                0.10418309087064648, -0.011683082881307493};
#endif
typedef NAME(word) NAME(bits) __attribute__((vector_size(BYTES), aligned(SIZE), may_alias));
typedef int32_t NAME(ints) __attribute__((vector_size(4 * LANES), aligned(4), may_alias)); /* LANES random words */

/* ---- idioms ---- */

INLINE vec NAME(splat)(T x) { return x - (vec){0}; } /* x - 0 is x, so it costs nothing; x + 0 is not: -0 */

/* A parameter in T: beyond its range, the largest number there is. */
INLINE T NAME(fit)(double x) { return x > T_MAX ? T_MAX : x < -T_MAX ? -T_MAX : (T)x; }

/* a where the comparison `mask` holds, else b */
INLINE vec NAME(select)(NAME(bits) mask, vec a, vec b) {
    return (vec)((mask & (NAME(bits))a) | (~mask & (NAME(bits))b));
}

/* A NaN in x stays. */
INLINE vec NAME(at_least)(vec x, vec low) { return NAME(select)((NAME(bits))(x < low), low, x); }
INLINE vec NAME(at_most)(vec x, vec high) { return NAME(select)((NAME(bits))(x > high), high, x); }

INLINE vec NAME(sign_bit)(vec x) { return (vec)((NAME(bits))x & ((NAME(word))1 << (8 * SIZE - 1))); }
INLINE vec NAME(magnitude)(vec x) { return (vec)((NAME(bits))x & ~((NAME(word))1 << (8 * SIZE - 1))); }

/* The first n of LANES values (n >= LANES: all); the other lanes are `rest`, and are not stored. */
INLINE vec NAME(load)(const T *p, size_t n, T rest) {
    if (n >= LANES) return *(const vec *)p;
    vec part = NAME(splat)(rest);
    memcpy(&part, p, n * SIZE);
    return part;
}

INLINE void NAME(store)(T *p, size_t n, vec v) {
    if (n >= LANES) {
        *(vec *)p = v;
    } else {
        const vec part = v; /* so that v itself stays in a register */
        memcpy(p, &part, n * SIZE);
    }
}

#undef FOLD
#if LANES == 16
#define FOLD(STEP) STEP(8) STEP(4) STEP(2) STEP(1)
#elif LANES == 8
#define FOLD(STEP) STEP(4) STEP(2) STEP(1)
#elif LANES == 4
#define FOLD(STEP) STEP(2) STEP(1)
#else
#define FOLD(STEP) STEP(1)
#endif
#undef ADD_HALF
#undef MAX_HALF
#define ADD_HALF(h) v += HI##h(v, v);
#define MAX_HALF(h) v = NAME(at_least)(v, HI##h(v, v));

INLINE T NAME(sum)(vec v) {
    FOLD(ADD_HALF)
    return v[0];
}

INLINE NAME(word) NAME(total)(NAME(bits) v) {
    FOLD(ADD_HALF)
    return v[0];
}

INLINE T NAME(largest)(vec v) {
    FOLD(MAX_HALF)
    return v[0];
}

#undef HORNER
#define HORNER(c, x) NAME(horner)(c, sizeof(c) / sizeof *(c), x)
INLINE vec NAME(horner)(const T *c, size_t n, vec x) {
    vec p = NAME(splat)(c[n - 1]);
    for (size_t i = n - 1; i-- > 0;) p = p * x + c[i];
    return p;
}

/* ---- functions ---- */

/* exp(x) = 2^n exp(r), |r| <= ln(2) / 2: returns exp(r); the low bits of *t are n. */
INLINE vec NAME(exp_of)(vec x, NAME(bits) *t) {
    const vec shifted = x * (T)1.4426950408889634 + ROUNDER, n = shifted - ROUNDER;
    const vec r = x - n * LN2_HIGH - n * LN2_LOW;
    *t = (NAME(bits))shifted;
    return r * r * HORNER(NAME(exp_c), r) + r + 1;
}

/* The whole range: 2^n in two factors, so that denormals round correctly. The selects come last: clamping x first, in
 * front of the whole chain, takes 1.6 times as long. */
INLINE vec NAME(exp)(vec x) {
    NAME(bits) t;
    const vec e = NAME(exp_of)(x, &t);
    const NAME(bits) both = t - (NAME(bits))NAME(splat)(ROUNDER) + 2 * BIAS, one = both >> 1;
    const vec y = e * (vec)(one << MANTISSA) * (vec)((both - one) << MANTISSA);
    const NAME(bits) low = (NAME(bits))(x < EXP_ZERO), high = (NAME(bits))(x > EXP_INFINITE);
    return NAME(select)(high, NAME(splat)((T)INFINITY), (vec)(~low & (NAME(bits))y));
}

/* exp(x) as a factor, 1.2 times as fast: T_MAX where exp would overflow, so that 0 times it is 0; 0 where exp would be
 * denormal. A NaN stays one if it came of arithmetic (its payload is 0). */
INLINE vec NAME(exp_factor)(vec x) {
    NAME(bits) t;
    const vec e = NAME(exp_of)(x, &t);
    const NAME(bits) y = (NAME(bits))e + (t << MANTISSA);
    const NAME(bits) low = (NAME(bits))(x < EXP_DENORMAL), high = (NAME(bits))(x >= EXP_OVERFLOW);
    return NAME(select)(high, NAME(splat)(T_MAX), (vec)(~low & y));
}

/* x = 2^e (1 + f), sqrt(1/2) <= 1 + f < sqrt(2), for normal x */
INLINE void NAME(split)(vec x, vec *f, vec *e) {
    const NAME(word) one = (NAME(word))BIAS << MANTISSA, low = ((NAME(word))1 << MANTISSA) - 1;
    const NAME(bits) shifted = (NAME(bits))x + (one - SQRT_HALF);
    *f = (vec)((shifted & low) + SQRT_HALF) - 1;
    *e = (vec)((shifted >> MANTISSA) + (NAME(bits))NAME(splat)(ROUNDER)) - (ROUNDER + BIAS);
}

/* e ln 2 + log(1 + f) = e ln 2 + 2 artanh(s), s = f / (2 + f) */
INLINE vec NAME(log_of)(vec f, vec e) {
    const vec s = f / (f + 2), z = s * s, half = f * f * (T)0.5;
    const vec tail = s * (half + z * HORNER(NAME(log_c), z)) + e * LN2_LOW;
    return e * LN2_HIGH - ((half - tail) - f);
}

INLINE vec NAME(log)(vec x) {
    vec f, e;
    const NAME(bits) tiny = (NAME(bits))(x < T_MIN);
    NAME(split)(NAME(select)(tiny, x * ((T)2 * ((NAME(word))1 << MANTISSA)), x), &f, &e);
    vec y = NAME(log_of)(f, e - NAME(select)(tiny, NAME(splat)(MANTISSA + 1), (vec){0}));
    y = NAME(select)((NAME(bits))(x <= T_MAX), y, x); /* inf and NaN */
    y = NAME(select)((NAME(bits))(x == 0), NAME(splat)(-(T)INFINITY), y);
    return NAME(select)((NAME(bits))(x < 0), NAME(splat)((T)NAN), y);
}

/* For normal x > 0: Newton's iteration on 1 / sqrt(x), then one on the root itself. */
INLINE vec NAME(sqrt)(vec x) {
    vec y = (vec)(RSQRT_GUESS - ((NAME(bits))x >> 1));
    for (int i = 0; i < RSQRT_STEPS; i++) y *= (T)1.5 - (T)0.5 * x * y * y;
    const vec root = x * y;
    return root + (T)0.5 * y * (x - root * root);
}

/* Box-Muller on random words read as u = (word + 1/2) / 2^32: sqrt(-2 log u0) cos(2 pi u1). The words come as signed
 * integers, so that u = 1 - h, with h exact, in the upper half: log(u) keeps its relative accuracy up to u = 1. */
INLINE vec NAME(normal)(NAME(ints) word0, NAME(ints) word1) {
    const vec a = __builtin_convertvector(word0, vec) + (T)0.5, b = __builtin_convertvector(word1, vec) + (T)0.5;
    const vec h = NAME(magnitude)(a) * (T)0x1p-32;
    vec f, e;
    NAME(split)(NAME(select)((NAME(bits))(a < 0), 1 - h, h), &f, &e);
    f = NAME(select)((NAME(bits))(e == 0), -h, f);
    const vec q = (T)0.25 - NAME(magnitude)(b) * (T)0x1p-32; /* cos(2 pi u) = sin(2 pi q), |q| <= 1/4 */
    return NAME(sqrt)(-2 * NAME(log_of)(f, e)) * (q * HORNER(NAME(sin_c), q * q));
}
