/* One instruction set: BIO_TEMPLATE for the two value types and the two index types. Included by template.h only. */
#define T float
#define SIZE 4
#define VALUE f32
#define I int32_t
#define INDEX i32
#define vec NAME(vec)
typedef T vec __attribute__((vector_size(BYTES), aligned(sizeof(T)), may_alias));
#include BIO_TEMPLATE
#ifndef BIO_VALUES_ONLY
#undef I
#undef INDEX
#define I int64_t
#define INDEX i64
typedef T vec __attribute__((vector_size(BYTES), aligned(sizeof(T)), may_alias));
#include BIO_TEMPLATE
#endif
#undef I
#undef INDEX
#undef T
#undef SIZE
#undef VALUE

#define T double
#define SIZE 8
#define VALUE f64
#define I int32_t
#define INDEX i32
typedef T vec __attribute__((vector_size(BYTES), aligned(sizeof(T)), may_alias));
#include BIO_TEMPLATE
#ifndef BIO_VALUES_ONLY
#undef I
#undef INDEX
#define I int64_t
#define INDEX i64
typedef T vec __attribute__((vector_size(BYTES), aligned(sizeof(T)), may_alias));
#include BIO_TEMPLATE
#endif
#undef I
#undef INDEX
#undef T
#undef SIZE
#undef VALUE
#undef vec
