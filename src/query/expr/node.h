/* The tree of an expression and what its parts share. Included by the files of this folder only. */
#ifndef HG_QUERY_EXPR_NODE_H
#define HG_QUERY_EXPR_NODE_H

#include "query/expr/expr.h"

enum hg_xop {
    X_CONST,
    X_COLUMN, /* slot: input */
    X_LOCAL,  /* slot: lambda parameter */
    X_NEG, X_NOT,
    X_ADD, X_SUB, X_MUL, X_DIV, X_MOD, X_POW,
    X_LT, X_LE, X_GT, X_GE, X_EQ, X_NE,
    X_AND, X_OR, /* two or more */
    X_CALL,
    X_APPLY,  /* args[0] is the lambda's body */
    X_MAP,    /* args[0] for each combination of values of the inputs `slots`: put in by hg_expr_map */
};
static inline bool x_is_arith(enum hg_xop op) { return op >= X_ADD && op <= X_POW; }
static inline bool x_is_compare(enum hg_xop op) { return op >= X_LT && op <= X_NE; }

struct hg_xfn;
struct hg_xnode {
    enum hg_xop op;
    uint32_t at;    /* where in the text */
    uint32_t depth;
    uint32_t slot;
    bool big;       /* CONST: 2^63, which needs a minus before it */
    struct hg_xval val;
    const struct hg_xnode *const *args;
    uint32_t n_args;
    const struct hg_xfn *fn; /* CALL, APPLY */
    const void *bound;       /* CALL: what fn->prepare made of constant arguments */
    const uint32_t *slots;   /* APPLY: parameters; MAP: inputs */
    uint32_t n_slots;
};

/* How the type of a call follows from its arguments'. */
enum hg_xrule {
    R_LONG, R_DOUBLE, R_STRING, R_STRINGS, R_LONG_KNOWN, R_STRING_KNOWN, /* KNOWN: not known when the argument's is not */
    R_ARG0,      /* as the first argument */
    R_MATH,      /* of two numbers: LONG when both are; text when one is */
    R_INT_MATH,  /* the same, and numbers give LONG */
    R_DOUBLE_IF, R_LONG_IF, /* when the argument's type is known */
    R_REDUCE,    /* greatest, least */
    R_IF, R_SEARCHED, R_SIMPLE, R_COALESCE,
    R_CAST, R_ARRAY, R_ARRAY0, R_ARRAY1, R_ELEMENT0,
    R_EXTRACT,   /* timestamp_extract: DOUBLE for centuries */
    R_MAP, R_FILTER, R_FOLD,
    R_NONE,      /* not had */
};
enum { /* flags of a function */
    F_LAZY = 1,    /* evaluates its arguments itself: args is NULL */
    F_APPLY = 2,   /* the first argument is a lambda */
    F_A0 = 4, F_A1 = 8, F_ALL = 16, F_NOT_LAST = 32, /* which arguments are arrays */
    F_ARRAY_OUT = 64,
    F_MACRO = 128, /* some arguments must be constants: fn->prepare */
    F_CASTS = 256, /* F_A0 when the second argument names an array type */
    F_BATCH = 512, F_BATCH_NUM = 1024, /* Druid computes it a batch of rows at a time; where its arguments are numbers. See hg_expr_in_batches */
};
struct hg_xctx {
    struct hg_xval *inputs, *locals;
    struct hg_arena *a;
    const struct hg_exec *x; /* may be NULL */
    uint64_t steps;          /* hg_x_step's, so far */
    uint64_t most;           /* without x: how many there may be; 0: a great many */
};
/* One row can be long work (a lambda over a product, a pattern that is found a million times), so what loops over a row's value says how far it is, in some nanoseconds. Looks at the
 * deadline now and then; without one (constants, while parsing) HG_E_LIMIT after some seconds. */
HG_MUST_USE enum hg_rc hg_x_step(struct hg_xctx *c, uint64_t weight, struct hg_err *err);
typedef enum hg_rc hg_xeval_fn(struct hg_xctx *c, const struct hg_xnode *n, const struct hg_xval *args, struct hg_xval *out, struct hg_err *err);
struct hg_xparse;
typedef enum hg_rc hg_xprepare_fn(struct hg_xparse *ps, struct hg_xnode *n, struct hg_err *err);
struct hg_xfn {
    const char *name;
    uint32_t least, most; /* arguments, the lambda not counted; most UINT32_MAX: any number */
    enum hg_xrule rule;
    uint32_t flags;
    hg_xeval_fn *eval; /* NULL: not had */
    hg_xprepare_fn *prepare;
};
/* In any case; NULL: none. */
const struct hg_xfn *hg_xfn_find(const char *name);
extern const struct hg_xfn hg_xfns[];
extern const uint32_t hg_n_xfns;
/* HG_E_INVALID naming near names, or HG_E_UNSUPPORTED. */
enum hg_rc hg_xfn_unknown(const char *name, struct hg_err *err);
bool hg_xfn_wants_array(const struct hg_xnode *n, uint32_t arg);
enum hg_expr_sketch hg_xfn_takes_sketch(const struct hg_xnode *n, uint32_t arg);

/* ---- while parsing ---- */
struct hg_xparse {
    struct hg_arena *a;
    const char *text;
    size_t len, at; /* at: of the lexer */
    const struct hg_expr_lookups *lookups;
    struct hg_err *err;
    enum hg_rc rc;
    struct hg_expr_input *inputs;
    uint32_t n_inputs, cap_inputs;
    uint64_t folding; /* steps that constants have taken so far */
    struct { const char *name; uint32_t slot; } *scope; /* lambda parameters in sight, innermost last */
    uint32_t n_scope, cap_scope, n_locals;
    const struct hg_xnode *root;
};
struct hg_xlist { /* arguments while they are being read */
    const struct hg_xnode **v;
    uint32_t n, cap;
};
/* Each returns NULL after setting rc and err. */
const struct hg_xnode *hg_xp_const(struct hg_xparse *ps, uint32_t at, struct hg_xval v);
const struct hg_xnode *hg_xp_ident(struct hg_xparse *ps, uint32_t at, const char *name);
const struct hg_xnode *hg_xp_unary(struct hg_xparse *ps, uint32_t at, enum hg_xop op, const struct hg_xnode *x);
const struct hg_xnode *hg_xp_binary(struct hg_xparse *ps, uint32_t at, enum hg_xop op, const struct hg_xnode *l, const struct hg_xnode *r);
const struct hg_xnode *hg_xp_call(struct hg_xparse *ps, uint32_t at, const char *name, const struct hg_xlist *args);
const struct hg_xnode *hg_xp_apply(struct hg_xparse *ps, uint32_t at, const char *name, uint32_t first_slot, uint32_t n_params, const struct hg_xnode *body, const struct hg_xlist *args);
const struct hg_xnode *hg_xp_array(struct hg_xparse *ps, uint32_t at, enum hg_xtype type, const struct hg_xlist *items); /* type NONE: of the elements */
struct hg_xlist *hg_xp_list(struct hg_xparse *ps, struct hg_xlist *list, const struct hg_xnode *x); /* list NULL: a new one; x NULL: nothing added */
/* A parameter comes into sight; hg_xp_leave takes the innermost n away. */
bool hg_xp_param(struct hg_xparse *ps, const char *name);
void hg_xp_leave(struct hg_xparse *ps, uint32_t n);
enum hg_rc hg_xp_fail(struct hg_xparse *ps, uint32_t at, enum hg_rc rc, const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* ---- evaluating ---- */
HG_MUST_USE enum hg_rc hg_x_eval(struct hg_xctx *c, const struct hg_xnode *n, struct hg_xval *out, struct hg_err *err);
/* The operators on values; the kernels of vector.c agree with them. */
HG_MUST_USE enum hg_rc hg_x_operate(struct hg_xctx *c, enum hg_xop op, const struct hg_xval *l, const struct hg_xval *r, struct hg_xval *out, struct hg_err *err);
int64_t hg_x_pow_i64(int64_t base, int64_t exp); /* exp >= 0; wraps */
double hg_x_pow(double a, double b);             /* Java's */
HG_MUST_USE enum hg_rc hg_x_arg_text(struct hg_xctx *c, const struct hg_xval *v, struct hg_str *out, struct hg_err *err);
/* Bytes of the evaluation's arena for a text; HG_E_LIMIT past HG_X_MAX_TEXT. */
#define HG_X_MAX_TEXT (16u << 20)
HG_MUST_USE enum hg_rc hg_x_room(struct hg_xctx *c, size_t n, char **out, struct hg_err *err);
double hg_x_round(double v, int32_t digits); /* half up on the decimal digits, as Java's BigDecimal.valueOf(v).setScale; NaN is 0 */
enum hg_rc hg_x_bad_arg(const struct hg_xnode *n, struct hg_err *err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
enum hg_xtype hg_x_type(const struct hg_xnode *n, const enum hg_xtype *inputs, enum hg_xtype *locals);
enum hg_xtype hg_xtype_function(enum hg_xtype a, enum hg_xtype b);
enum hg_xtype hg_xtype_common(enum hg_xtype a, enum hg_xtype b); /* least restrictive */

bool hg_x_gives_arrays(const struct hg_xnode *n);
bool hg_x_extracts_double(const struct hg_xnode *n);

/* ---- the functions, by file ---- */
#define X(name, least, most, rule, flags, eval, prepare, doc) hg_xeval_fn eval;
#define X_NOT_HAD(name, why)
#include "query/expr/functions.def"
#undef X
#undef X_NOT_HAD
hg_xprepare_fn hg_xprep_like, hg_xprep_regex, hg_xprep_time, hg_xprep_lookup, hg_xprep_cast, hg_xprep_ident, hg_xprep_fixed, hg_xprep_sketch;

#endif
