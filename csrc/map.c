/* The feature map in one pass: patches, columns, competition, gate and pooling. Contract: bio.h.
 *
 * One image at a time: its patches, drives and rates never leave the cache. */
#include <math.h>
#include <string.h>

#include "alloc.h"
#include "bio.h"
#include "parallel.h"
#include "tiling.h"

#define BIO_VALUES_ONLY 1
#define BIO_TEMPLATE "map.tmpl.c"
#include "template.h"

typedef bio_status (*map_fn)(const bio_retina *, const bio_map *, const void *, void *, int);

static const map_fn map_table[BIO_N_ISAS][BIO_N_VALUES][BIO_N_INDICES] = BIO_TABLE(map);

bio_status bio_map_forward(bio_value value, const bio_retina *retina, const bio_map *map, const void *r, void *pooled,
                           int n_threads) {
    return BIO_PICK(map_table, value, BIO_INT32)(retina, map, r, pooled, n_threads);
}
