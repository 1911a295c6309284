/* A server's own lease: beats in the metadata store from a thread of its own until stopped. The store may be down at start or later: it is tried again, and
 * said once each way in the log. */
#ifndef HG_CLUSTER_MEMBER_H
#define HG_CLUSTER_MEMBER_H

#include "meta/meta.h"

struct hg_member;
HG_MUST_USE enum hg_rc hg_member_start(struct hg_meta *meta, const struct hg_server_row *row, int64_t ttl_ms, struct hg_member **out, struct hg_err *err); /* copies row */
void hg_member_set_state(struct hg_member *m, const char *state); /* beats at once */
void hg_member_stop(struct hg_member *m);                         /* takes the lease back */

#endif
