/* Bytes of an event (a Kafka message, a line of a file) to a row of the schema. The hot loop of ingestion: one parser a thread, no allocation per event once warm. */
#ifndef HG_INGEST_EVENT_H
#define HG_INGEST_EVENT_H

#include "ingest/spec.h"

/* Why an event did not become a row; the names are metric labels and go to the dead-letter topic. */
enum hg_bad_event { HG_EV_OK, HG_EV_EMPTY /* tombstone: no error, no row */, HG_EV_FILTERED /* by transformSpec: no error, no row */, HG_EV_MALFORMED, HG_EV_NO_TIME, HG_EV_BAD_TIME, HG_EV_TOO_LARGE, HG_N_BAD_EVENTS };
const char *hg_bad_event_name(enum hg_bad_event e);

struct hg_event_parser; /* one thread */
HG_MUST_USE enum hg_rc hg_event_parser_new(const struct hg_data_schema *data, const struct hg_input_format *format, struct hg_event_parser **out, struct hg_err *err);
void hg_event_parser_free(struct hg_event_parser *p);
/* One event. On HG_EV_OK *row is filled; its values borrow from the parser until the next call with batch reset (hg_event_parser_reset), so a batch of rows can be collected and handed to the
 * live index at once. Otherwise `why` says what was wrong (NUL-terminated, at most why_cap). bytes need not be padded. */
enum hg_bad_event hg_event_parse(struct hg_event_parser *p, struct hg_span bytes, struct hg_row *row, char *why, size_t why_cap);
void hg_event_parser_reset(struct hg_event_parser *p);
/* From now on the bytes of each event last until the next reset, and HG_EVENT_SLACK bytes behind them can be read, whatever they are: so that events need not be copied. */
#define HG_EVENT_SLACK 64u
void hg_event_parser_borrow(struct hg_event_parser *p);
/* CSV/TSV with a header line: gives the header's columns. */
HG_MUST_USE enum hg_rc hg_event_parser_header(struct hg_event_parser *p, struct hg_span line, struct hg_err *err);

#endif
