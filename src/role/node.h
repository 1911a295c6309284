/* A server process: what every role has (loop, HTTP, wire, metadata store, lease), and the parts of the roles it plays, started in order and stopped in the reverse. */
#ifndef HG_ROLE_NODE_H
#define HG_ROLE_NODE_H

#include "base/config.h"

/* Runs until SIGTERM or SIGINT. parts: the roles played, a set of HG_ROLE_INGEST, _HISTORICAL, _BROKER, _COORDINATOR; role: the one that the process was started as. Returns the exit
 * status: 0 stopped as asked, 1 could not start or lost something it cannot do without. */
int hg_node_run(enum hg_role role, unsigned parts, const struct hg_cfg *cfg);

#endif
