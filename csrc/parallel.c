/* A pool of helpers. Contract: parallel.h.
 *
 * A call that is shared out is a `region`, open to helpers until its caller finds no chunk left. The caller then waits
 * only for chunks that helpers have begun. Whatever has no comment about atomics is guarded by `lock`. */
#ifdef __linux__
#define _GNU_SOURCE /* sched_getcpu, pthread_setaffinity_np */
#endif
#include "parallel.h"

#include <fenv.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

enum {
    MAX_RANGES = 16,
    MAX_HELPERS = 1023,
    CACHE_LINE = 64,
    STACK = 1 << 20,
    /* A caller that regrets a region goes on alone for this long, twice as long each time; ns. */
    FIRST_PAUSE = 5000000,
    LONGEST_PAUSE = 320000000,
};

/* Chunks are cut into ranges. A worker starts in one of its own, where its caches stay warm, and then helps in the
 * others. */
typedef struct {
    _Alignas(CACHE_LINE) atomic_size_t next;
    size_t end;
} chunk_range;

typedef struct region {
    bio_task task;
    void *context;
    bio_share share;
    fenv_t mode; /* of the caller: how it rounds and treats subnormal numbers is part of the result */
    size_t n_ranges, joined;
    atomic_size_t inside; /* helpers at work; when it is 0 and the region closed, nobody touches it any more */
    struct region *next;
    chunk_range range[MAX_RANGES];
} region;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wanted = PTHREAD_COND_INITIALIZER, finished = PTHREAD_COND_INITIALIZER;
static region *open_regions;
static size_t n_helpers, n_waiting; /* callers asleep until helpers have finished */
static int placed;                  /* whether all helpers were told on which cores to stay */
static int closing;
static pthread_t helpers[MAX_HELPERS];
static atomic_int default_threads = 1;
static atomic_size_t n_shared, n_regretted;

/* ---- shares ---- */

bio_share bio_share_out(size_t n, double cost, int n_threads) {
    const double total = (double)n * cost, each = 2 * BIO_HANDOVER;
    size_t workers = n_threads < 1 ? 1 : (size_t)n_threads;
    if (workers > n) workers = n;
    if ((double)workers * each > total) workers = (size_t)(total / each);
    if (workers <= 1) return (bio_share){n, n ? n : 1, 1};
    double chunk = total / (8 * (double)workers);
    if (chunk > BIO_CHUNK) chunk = BIO_CHUNK;
    if (chunk < BIO_HANDOVER) chunk = BIO_HANDOVER;
    const double step = chunk / cost, fair = (double)((n + workers - 1) / workers);
    return (bio_share){n, step < 1 ? 1 : (size_t)(step < fair ? step : fair), workers};
}

/* Takes chunks until none is left; returns how many. Relaxed: what tasks read and write is ordered by `lock`, `inside`.
 */
static size_t work(region *r, size_t worker) {
    size_t done = 0;
    for (size_t tried = 0, own = worker % r->n_ranges; tried < r->n_ranges;) {
        const size_t chunk = atomic_fetch_add_explicit(&r->range[own].next, 1, memory_order_relaxed);
        if (chunk >= r->range[own].end) {
            own = (own + 1) % r->n_ranges;
            tried++;
            continue;
        }
        const size_t begin = chunk * r->share.step, left = r->share.n - begin;
        r->task(r->context, begin, begin + (left < r->share.step ? left : r->share.step), worker);
        done++;
    }
    return done;
}

/* ---- helpers ---- */

static void close_region(region *r) {
    for (region **at = &open_regions; *at; at = &(*at)->next)
        if (*at == r) {
            *at = r->next;
            return;
        }
}

static void *help(void *unused) {
    (void)unused;
    pthread_mutex_lock(&lock);
    while (!closing) {
        region *r = open_regions;
        if (!r) {
            pthread_cond_wait(&wanted, &lock);
            continue;
        }
        const size_t worker = r->joined++;
        if (r->joined == r->share.workers) close_region(r);
        else pthread_cond_signal(&wanted); /* each wakes one more */
        atomic_fetch_add_explicit(&r->inside, 1, memory_order_relaxed);
        pthread_mutex_unlock(&lock);
        fesetenv(&r->mode);
        work(r, worker);
        atomic_fetch_sub_explicit(&r->inside, 1, memory_order_release);
        pthread_mutex_lock(&lock);
        if (n_waiting) pthread_cond_broadcast(&finished);
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

/* In a child of fork() there is one thread, and no region that anybody waits for. */
static void before_fork(void) { pthread_mutex_lock(&lock); }
static void after_fork(void) { pthread_mutex_unlock(&lock); }
static void in_child(void) {
    open_regions = NULL;
    n_helpers = n_waiting = 0;
    pthread_cond_init(&wanted, NULL);
    pthread_cond_init(&finished, NULL);
    pthread_mutex_unlock(&lock);
}

/* Starts helpers until there are `n`, or as many as the system allows: with fewer, the callers do more themselves. */
static void start_helpers(size_t n) {
    static int prepared;
    if (n_helpers >= n || closing) return;
    if (!prepared) prepared = !pthread_atfork(before_fork, after_fork, in_child);
    pthread_attr_t attributes;
    sigset_t all, before;
    if (!prepared || pthread_attr_init(&attributes)) return;
    pthread_attr_setstacksize(&attributes, STACK);
    sigfillset(&all); /* signals are for the threads of the program */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (n_helpers < n && n_helpers < MAX_HELPERS && !pthread_create(&helpers[n_helpers], &attributes, help, NULL))
        n_helpers++;
    placed = 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
}

/* Keeps helpers off the core that the caller runs on. Woken there, as they often are after a pause, they would get no
 * time until the system moves them, which takes it longer than most regions last. While another call is under way they
 * stay where they are. */
static void make_room(void) {
#ifdef __linux__
    static cpu_set_t told; /* depends on the caller, which may be limited to some cores */
    const int here = sched_getcpu();
    cpu_set_t allowed;
    if (open_regions || here < 0 || sched_getaffinity(0, sizeof allowed, &allowed) || CPU_COUNT(&allowed) == 1) return;
    CPU_CLR(here, &allowed);
    if (placed && CPU_EQUAL(&allowed, &told)) return;
    for (size_t h = 0; h < n_helpers; h++) pthread_setaffinity_np(helpers[h], sizeof allowed, &allowed);
    told = allowed;
    placed = 1;
#endif
}

/* When the process ends or the library is unloaded, nobody is left running in it. */
__attribute__((destructor)) static void stop_helpers(void) {
    pthread_mutex_lock(&lock);
    closing = 1;
    pthread_cond_broadcast(&wanted);
    pthread_mutex_unlock(&lock);
    for (size_t h = 0; h < n_helpers; h++) pthread_join(helpers[h], NULL);
}

/* ---- whether sharing pays: what the calls before this one have met ---- */

static _Atomic int64_t alone_until, pause_length = FIRST_PAUSE; /* ns; guesses, so relaxed */

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* The caller did `mine` of `chunks` in `worked` ns, then waited for the rest. If it waited much longer than doing the
 * rest would have taken, working alone had been better: a helper has lost its core in the middle of a chunk. */
static void judge(size_t mine, size_t chunks, int64_t worked, int64_t waited) {
    const int64_t each = mine ? worked / (int64_t)mine : 0, saved = each * (int64_t)(chunks - mine);
    int64_t length = atomic_load_explicit(&pause_length, memory_order_relaxed);
    if (mine && waited > saved + 2 * BIO_HANDOVER) {
        atomic_store_explicit(&alone_until, now() + length, memory_order_relaxed);
        length = 2 * length < LONGEST_PAUSE ? 2 * length : LONGEST_PAUSE;
        atomic_fetch_add_explicit(&n_regretted, 1, memory_order_relaxed);
    } else if (length > FIRST_PAUSE) length -= length / 16;
    atomic_store_explicit(&pause_length, length, memory_order_relaxed);
}

/* ---- a call ---- */

/* Until no helper is inside: briefly awake, since they should be about to finish, then asleep, so that one that has no
 * core gets this one. */
static void wait_for_helpers(region *r, int64_t patience) {
    const int64_t until = now() + (patience < BIO_CHUNK ? patience : BIO_CHUNK);
    while (atomic_load_explicit(&r->inside, memory_order_acquire)) {
        if (now() < until) continue;
        pthread_mutex_lock(&lock);
        n_waiting++;
        while (atomic_load_explicit(&r->inside, memory_order_acquire)) pthread_cond_wait(&finished, &lock);
        n_waiting--;
        pthread_mutex_unlock(&lock);
    }
}

void bio_parallel(bio_task task, void *context, bio_share share) {
    if (share.n == 0) return;
    const int64_t start = share.workers > 1 ? now() : 0;
    if (share.workers <= 1 || start < atomic_load_explicit(&alone_until, memory_order_relaxed)) {
        task(context, 0, share.n, 0);
        return;
    }
    const size_t chunks = (share.n + share.step - 1) / share.step;
    region r = {.task = task, .context = context, .share = share, .joined = 1};
    fegetenv(&r.mode);
    r.n_ranges = share.workers < MAX_RANGES ? share.workers : MAX_RANGES;
    for (size_t k = 0; k < r.n_ranges; k++) {
        r.range[k].next = k * chunks / r.n_ranges;
        r.range[k].end = (k + 1) * chunks / r.n_ranges;
    }
    pthread_mutex_lock(&lock);
    start_helpers(share.workers - 1);
    make_room();
    r.next = open_regions;
    open_regions = &r;
    pthread_cond_signal(&wanted);
    pthread_mutex_unlock(&lock);

    const size_t mine = work(&r, 0);
    const int64_t end = now();
    pthread_mutex_lock(&lock);
    close_region(&r);
    pthread_mutex_unlock(&lock);
    wait_for_helpers(&r, mine ? (end - start) / (int64_t)mine : 0);
    atomic_fetch_add_explicit(&n_shared, 1, memory_order_relaxed);
    judge(mine, chunks, end - start, now() - end);
}

int bio_default_threads(void) { return atomic_load_explicit(&default_threads, memory_order_relaxed); }

void bio_set_default_threads(int n_threads) {
    atomic_store_explicit(&default_threads, n_threads, memory_order_relaxed);
}

bio_parallel_counts bio_parallel_counted(void) {
    return (bio_parallel_counts){atomic_load_explicit(&n_shared, memory_order_relaxed),
                                 atomic_load_explicit(&n_regretted, memory_order_relaxed)};
}
