/* Sketches as the text that Apache DataSketches (Java) prints of them, and so Druid's -ToString post-aggregators. What the text says of how Java keeps a sketch (its class, its
 * memory) is as of one that was merged from the bytes of several segments, which is what a query over a table mostly has. */
#ifndef HG_SKETCH_DESCRIBE_H
#define HG_SKETCH_DESCRIBE_H

#include "sketch/sketch.h"

/* Appends the text of s (NULL: the empty sketch); of HLL, theta, quantiles. d->bits is an HLL's target type. HG_E_NOMEM; failure of the buffer shows in it. */
enum hg_sketch_made { HG_SKETCH_READ, HG_SKETCH_UNITED, HG_SKETCH_CUT /* theta: as an aggregator or constant has it, from a union or difference, from an intersection */ };
HG_MUST_USE enum hg_rc hg_sketch_describe(const struct hg_sketch_def *d, const struct hg_sketch *s, enum hg_sketch_made made, struct hg_buf *out, struct hg_err *err);

#endif
