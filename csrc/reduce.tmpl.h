/* Sums over the lanes of four vectors at once. Included by templates, after shuffle.tmpl.h; knows vec, LANES and
 * BIO_GROUP. */
typedef T NAME(group) __attribute__((vector_size(BIO_GROUP * sizeof(T)), aligned(sizeof(T)), may_alias));

#if LANES == 16
typedef T NAME(half) __attribute__((vector_size(BYTES / 2), may_alias));
#endif

/* v[s] = sum over the lanes of v[s], for the four synapses of a group. */
static inline __attribute__((always_inline)) NAME(group) NAME(reduce)(const vec v[BIO_GROUP]) {
#if LANES == 2
    const vec a = FOLD1(v[0], v[1]), b = FOLD1(v[2], v[3]);
    return __builtin_shufflevector(a, b, 0, 1, 2, 3);
#else
    const vec even = FOLD2(v[0], v[2]), odd = FOLD2(v[1], v[3]);
    const vec s = FOLD1(even, odd); /* lane l holds a part of synapse l mod 4 */
#if LANES == 4
    return s;
#else
#if LANES == 16
    const NAME(half) h = __builtin_shufflevector(s, s, 0, 1, 2, 3, 4, 5, 6, 7) +
                         __builtin_shufflevector(s, s, 8, 9, 10, 11, 12, 13, 14, 15);
#else
    const vec h = s;
#endif
    return __builtin_shufflevector(h, h, 0, 1, 2, 3) + __builtin_shufflevector(h, h, 4, 5, 6, 7);
#endif
#endif
}
