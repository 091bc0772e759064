/* Butterfly exchanges of a vector pair, for transposing LANES x LANES squares and for reducing LANES vectors at once.
 * LO(h): lane l is b[l - h] where l has bit h, else a[l].   HI(h): lane l is b[l] where l has bit h, else a[l + h].
 * SWAP(h): lane l is a[l xor h].  BLEND(h): lane l is b[l] where l has bit h, else a[l].
 * FOLD(h): lanes l and l + h of a are summed to lane l, those of b to lane l + h: halves two vectors into one.
 * Included by templates; knows only vec and LANES. */
#undef FOLD8
#undef FOLD4
#undef FOLD2
#undef FOLD1
#undef LO8
#undef HI8
#undef LO4
#undef HI4
#undef LO2
#undef HI2
#undef LO1
#undef HI1
#undef SWAP8
#undef BLEND8
#undef SWAP4
#undef BLEND4
#undef SWAP2
#undef BLEND2
#undef SWAP1
#undef BLEND1
#if LANES == 16
#define LO8(a, b) __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23)
#define HI8(a, b) __builtin_shufflevector(a, b, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31)
#define LO4(a, b) __builtin_shufflevector(a, b, 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27)
#define HI4(a, b) __builtin_shufflevector(a, b, 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31)
#define LO2(a, b) __builtin_shufflevector(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29)
#define HI2(a, b) __builtin_shufflevector(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31)
#define LO1(a, b) __builtin_shufflevector(a, b, 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30)
#define HI1(a, b) __builtin_shufflevector(a, b, 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31)
#define SWAP8(a) __builtin_shufflevector(a, a, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7)
#define BLEND8(a, b) __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 24, 25, 26, 27, 28, 29, 30, 31)
#define SWAP4(a) __builtin_shufflevector(a, a, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11)
#define BLEND4(a, b) __builtin_shufflevector(a, b, 0, 1, 2, 3, 20, 21, 22, 23, 8, 9, 10, 11, 28, 29, 30, 31)
#define SWAP2(a) __builtin_shufflevector(a, a, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13)
#define BLEND2(a, b) __builtin_shufflevector(a, b, 0, 1, 18, 19, 4, 5, 22, 23, 8, 9, 26, 27, 12, 13, 30, 31)
#define SWAP1(a) __builtin_shufflevector(a, a, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14)
#define BLEND1(a, b) __builtin_shufflevector(a, b, 0, 17, 2, 19, 4, 21, 6, 23, 8, 25, 10, 27, 12, 29, 14, 31)
#elif LANES == 8
#define LO4(a, b) __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11)
#define HI4(a, b) __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15)
#define LO2(a, b) __builtin_shufflevector(a, b, 0, 1, 8, 9, 4, 5, 12, 13)
#define HI2(a, b) __builtin_shufflevector(a, b, 2, 3, 10, 11, 6, 7, 14, 15)
#define LO1(a, b) __builtin_shufflevector(a, b, 0, 8, 2, 10, 4, 12, 6, 14)
#define HI1(a, b) __builtin_shufflevector(a, b, 1, 9, 3, 11, 5, 13, 7, 15)
#define SWAP4(a) __builtin_shufflevector(a, a, 4, 5, 6, 7, 0, 1, 2, 3)
#define BLEND4(a, b) __builtin_shufflevector(a, b, 0, 1, 2, 3, 12, 13, 14, 15)
#define SWAP2(a) __builtin_shufflevector(a, a, 2, 3, 0, 1, 6, 7, 4, 5)
#define BLEND2(a, b) __builtin_shufflevector(a, b, 0, 1, 10, 11, 4, 5, 14, 15)
#define SWAP1(a) __builtin_shufflevector(a, a, 1, 0, 3, 2, 5, 4, 7, 6)
#define BLEND1(a, b) __builtin_shufflevector(a, b, 0, 9, 2, 11, 4, 13, 6, 15)
#elif LANES == 4
#define LO2(a, b) __builtin_shufflevector(a, b, 0, 1, 4, 5)
#define HI2(a, b) __builtin_shufflevector(a, b, 2, 3, 6, 7)
#define LO1(a, b) __builtin_shufflevector(a, b, 0, 4, 2, 6)
#define HI1(a, b) __builtin_shufflevector(a, b, 1, 5, 3, 7)
#define SWAP2(a) __builtin_shufflevector(a, a, 2, 3, 0, 1)
#define BLEND2(a, b) __builtin_shufflevector(a, b, 0, 1, 6, 7)
#define SWAP1(a) __builtin_shufflevector(a, a, 1, 0, 3, 2)
#define BLEND1(a, b) __builtin_shufflevector(a, b, 0, 5, 2, 7)
#elif LANES == 2
#define LO1(a, b) __builtin_shufflevector(a, b, 0, 2)
#define HI1(a, b) __builtin_shufflevector(a, b, 1, 3)
#define SWAP1(a) __builtin_shufflevector(a, a, 1, 0)
#define BLEND1(a, b) __builtin_shufflevector(a, b, 0, 3)
#endif
#define FOLD8(a, b) (LO8(a, b) + HI8(a, b))
#define FOLD4(a, b) (LO4(a, b) + HI4(a, b))
#define FOLD2(a, b) (LO2(a, b) + HI2(a, b))
#if BYTES == 64 || LANES == 2 /* where LO1 and HI1 are an instruction each; the sums are the same either way */
#define FOLD1(a, b) (LO1(a, b) + HI1(a, b))
#else
#define FOLD1(a, b) (BLEND1(a, b) + SWAP1(BLEND1(b, a)))
#endif
