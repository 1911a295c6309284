/* Druid's supervisor API, /druid/indexer/v1/supervisor...: reading and writing of specs in the metadata store, and how those that run here are doing. */
#ifndef HG_INGEST_SUPERVISOR_API_H
#define HG_INGEST_SUPERVISOR_API_H

#include "http/http.h"
#include "ingest/supervisors.h"

struct hg_supervisor_api;
HG_MUST_USE enum hg_rc hg_supervisor_api_new(struct hg_http *http, struct hg_meta *meta, struct hg_supervisors *v, struct hg_supervisor_api **out, struct hg_err *err);
void hg_supervisor_api_free(struct hg_supervisor_api *api); /* its routes are not called any more; NULL allowed */

#endif
