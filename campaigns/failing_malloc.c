/* Preloaded by allocations.py: the n-th allocation of this thread from now on fails, and blocks that are alive are
 * counted. Allocations of other threads and of before are those of the C library. */
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);
void __libc_free(void *);

static __thread size_t left;
static __thread int failed, counting;
static __thread long alive;

/* From now on: allocation n fails (0: none does). */
void failing_arm(size_t n) {
    left = n;
    failed = 0;
}

/* No more; whether one failed. */
int failing_disarm(void) {
    left = 0;
    return failed;
}

/* Counts, from the first call on, the blocks that are made less those that are freed. */
long failing_alive(void) {
    counting = 1;
    return alive;
}

static int fails(void) {
    if (!left || --left) return 0;
    failed = 1;
    errno = ENOMEM;
    return 1;
}

static void *made(void *block) {
    if (counting && block) alive++;
    return block;
}

void *malloc(size_t bytes) { return fails() ? NULL : made(__libc_malloc(bytes)); }
void *calloc(size_t n, size_t bytes) { return fails() ? NULL : made(__libc_calloc(n, bytes)); }
void *memalign(size_t alignment, size_t bytes) { return fails() ? NULL : made(__libc_memalign(alignment, bytes)); }
void *aligned_alloc(size_t alignment, size_t bytes) { return memalign(alignment, bytes); }

int posix_memalign(void **block, size_t alignment, size_t bytes) {
    void *found = memalign(alignment, bytes);
    if (!found) return ENOMEM;
    *block = found;
    return 0;
}

void *realloc(void *block, size_t bytes) {
    if (fails()) return NULL;
    void *found = __libc_realloc(block, bytes);
    if (!block) made(found);
    return found;
}

void free(void *block) {
    if (counting && block) alive--;
    __libc_free(block);
}
