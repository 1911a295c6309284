/* A server's lookups over HTTP, as Druid's servers show them: GET /druid/listen/v1/lookups[/NAME], GET /druid/v1/lookups/introspect/NAME[/keys|/values|/version]. */
#ifndef HG_CLUSTER_LOOKUPS_HTTP_H
#define HG_CLUSTER_LOOKUPS_HTTP_H

#include "http/http.h"

void hg_lookups_routes(struct hg_http *http);

#endif
