/* Errors. A function that can fail returns enum hg_rc and fills the caller's struct hg_err with one sentence of facts: what was
 * wrong and where (JSON path, file and offset, block, partition and offset). Set where the fault is found, given context once at a
 * boundary, logged once where it is handled. Absent is not failed: no rows, an unknown id, an empty filter are HG_OK. */
#ifndef HG_BASE_ERR_H
#define HG_BASE_ERR_H

#include <stdarg.h>
#include <stdbool.h>

#define HG_MUST_USE __attribute__((warn_unused_result))

/* Named by what the caller can do about it. */
enum hg_rc {
    HG_OK = 0,
    HG_E_NOMEM,       /* an allocation failed, process out of memory */
    HG_E_IO,          /* the operating system said no: file, socket, disk full */
    HG_E_CORRUPT,     /* bytes from disk or the network are not what they claim to be */
    HG_E_INVALID,     /* the caller's mistake: a query, spec, configuration or argument */
    HG_E_LIMIT,       /* a budget or limit was reached: memory, rows, bytes, queue */
    HG_E_TIMEOUT,     /* the deadline passed */
    HG_E_CANCELLED,   /* somebody cancelled */
    HG_E_UNAVAILABLE, /* a peer, the database or Kafka cannot be reached now; trying again may help */
    HG_E_NOTFOUND,    /* the thing asked for by name is not there */
    HG_E_CONFLICT,    /* a compare-and-set found another value; read again */
    HG_E_UNSUPPORTED, /* understood, and decided not to have */
};

#define HG_ERR_MSG 768

struct hg_err {
    enum hg_rc rc;
    char msg[HG_ERR_MSG]; /* UTF-8, NUL-terminated, cut at the end if too long */
};

/* Fills *err (NULL allowed) and returns rc, so that a fault is one line: return hg_fail(err, HG_E_IO, "...", ...); */
enum hg_rc hg_fail(struct hg_err *err, enum hg_rc rc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The same, with ": <text of errno>" added. */
enum hg_rc hg_fail_errno(struct hg_err *err, enum hg_rc rc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Puts "context: " in front of the message and returns err->rc. err may be NULL, then returns rc. */
enum hg_rc hg_err_context(struct hg_err *err, enum hg_rc rc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
const char *hg_rc_name(enum hg_rc rc); /* "INVALID", for logs */

/* Propagates a failure; the only macro that returns. Use while holding nothing. */
#define HG_TRY(expr)                            \
    do {                                        \
        enum hg_rc hg_try_rc_ = (expr);         \
        if (hg_try_rc_ != HG_OK) return hg_try_rc_; \
    } while (0)

#endif
