/* A historical: keeps the segments that the coordinator assigned to it on local disk, and serves them. Its manifest says what it has, so that a restart serves the same
 * files at once without asking anybody. */
#ifndef HG_HISTORICAL_HISTORICAL_H
#define HG_HISTORICAL_HISTORICAL_H

#include "http/http.h"
#include "server/dataserver.h"
#include "store/store.h"

struct hg_historical;
struct hg_historical_options {
    const char *dir;         /* segment cache; made if need be */
    int64_t capacity_bytes;  /* 0: no limit; loads past it are refused */
    unsigned loaders;        /* segments fetched at once */
    bool hot;                /* segments are copied into locked memory, uncompressed and packed; capacity_bytes is what may be locked */
    int64_t cache_bytes;     /* not hot: memory for decompressed blocks, shared by all segments; 0: none is kept */
};
/* Opens what the manifest lists and announces it, then takes assignments. A segment whose file is gone or bad is dropped with a log line; the coordinator assigns it again. HG_E_IO: the folder
 * cannot be used. HG_E_NOMEM: the system has no memory, or no more maps (vm.max_map_count), for what is there. */
HG_MUST_USE enum hg_rc hg_historical_new(struct hg_dataserver *d, struct hg_store *store, struct hg_wire_server *wire, struct hg_http *http, const struct hg_historical_options *o,
                                         struct hg_historical **out, struct hg_err *err);
/* Refuses assignments from here on and waits for loads at work; those that wait are given up. The files stay. Before hg_dataserver_free. */
void hg_historical_stop(struct hg_historical *h);
/* After hg_dataserver_free, which gave the segments back. */
void hg_historical_free(struct hg_historical *h);

#endif
