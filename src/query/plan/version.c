/* Maven's ComparableVersion. A version is a list of numbers and words between dots; a dash, and a change between digits and letters, opens a list in the list, which is its last item.
 * Items at the end of a list that mean nothing (0, "ga", "final") are left out, also before an inner list: 1.0-1 is [1, [1]]. Then lists are compared item by item, a missing one
 * counting as nothing.
 *
 * Lists are read from the text as they are needed, so nothing is allocated. Each text is walked twice: once for where its last item with a meaning begins, once by the comparison. */
#include "query/plan/version.h"

#include <string.h>
#include <strings.h>

enum kind { NOTHING, NUMBER, WORD, LIST };
struct item {
    enum kind kind;
    bool before_digit; /* WORD: directly */
    struct hg_str s;   /* a NUMBER may be empty, which is 0 */
};
/* What follows an item. */
enum next { DOT, INNER, END };

static bool digit(char c) { return c >= '0' && c <= '9'; }

/* The item at *at, which is moved behind it and its separator. */
static enum next read_item(struct hg_str v, size_t *at, struct item *out)
{
    size_t from = *at, k = from;
    bool number = k < v.len && digit(v.p[k]);
    while (k < v.len && v.p[k] != '.' && v.p[k] != '-' && digit(v.p[k]) == number) k++;
    *out = (struct item){.kind = k > from && !number ? WORD : NUMBER, .s = {v.p + from, k - from}};
    *at = k;
    if (k == v.len) return END;
    if (v.p[k] != '.' && v.p[k] != '-') return out->before_digit = !number, INNER;
    *at = k + 1;
    return v.p[k] == '.' ? DOT : INNER;
}

/* ---- items ---- */

enum { RELEASE = 5, OTHER_WORD = 7 };
static int word_rank(const struct item *i)
{
    static const struct { const char *word; int rank; } known[] = {{"alpha", 0}, {"beta", 1}, {"milestone", 2}, {"rc", 3}, {"cr", 3}, {"snapshot", 4}, {"ga", 5}, {"final", 5}, {"release", 5}, {"sp", 6}};
    if (i->before_digit && i->s.len == 1) { /* 1a2 is 1-alpha-2 */
        const char *letter = strchr("aAbBmM", i->s.p[0]);
        if (letter && *letter) return (int)(letter - "aAbBmM") / 2;
    }
    for (size_t k = 0; k < sizeof known / sizeof *known; k++)
        if (strlen(known[k].word) == i->s.len && strncasecmp(known[k].word, i->s.p, i->s.len) == 0) return known[k].rank;
    return OTHER_WORD;
}

static int word_cmp(const struct item *a, const struct item *b)
{
    int ra = word_rank(a), rb = word_rank(b);
    if (ra != rb || ra < OTHER_WORD) return ra - rb;
    size_t n = a->s.len < b->s.len ? a->s.len : b->s.len;
    int k = strncasecmp(a->s.p, b->s.p, n);
    return k ? k : (a->s.len > n) - (b->s.len > n);
}

static struct hg_str significant(struct hg_str s)
{
    while (s.len && *s.p == '0') s.p++, s.len--;
    return s;
}

static int number_cmp(const struct item *a, const struct item *b)
{
    struct hg_str x = significant(a->s), y = significant(b->s);
    if (x.len != y.len) return x.len < y.len ? -1 : 1;
    return x.len ? memcmp(x.p, y.p, x.len) : 0;
}

/* A number or word beside nothing. */
static int against_nothing(const struct item *i) { return i->kind == NUMBER ? significant(i->s).len != 0 : word_rank(i) - RELEASE; }

/* ---- lists ---- */

struct list {
    struct hg_str v;
    size_t at;      /* of the next item */
    size_t last;    /* where the last item of all that means something begins; SIZE_MAX: there is none */
    uint32_t items; /* still to come in this list */
    bool inner;     /* then there is an inner list */
    size_t inner_at;
};

static void open_list(struct list *l, size_t at)
{
    struct item i;
    uint32_t n = 0;
    l->at = at;
    l->items = 0;
    enum next next = DOT;
    for (; next == DOT && at < l->v.len; n++) {
        next = read_item(l->v, &at, &i);
        if (against_nothing(&i)) l->items = n + 1;
    }
    l->inner_at = at;
    l->inner = next == INNER && l->last != SIZE_MAX && l->last >= at;
}

static void open_version(struct list *l, struct hg_str v)
{
    struct item i;
    *l = (struct list){.v = v, .last = SIZE_MAX};
    for (size_t at = 0, from = 0; at < v.len; from = at) {
        read_item(v, &at, &i);
        if (against_nothing(&i)) l->last = from;
    }
    open_list(l, 0);
}

static struct item take(struct list *l)
{
    struct item i = {.kind = NOTHING};
    if (l->items) {
        l->items--;
        read_item(l->v, &l->at, &i);
    } else if (l->inner) {
        i.kind = LIST;
    }
    return i;
}

/* A list beside nothing is as its first item is. */
static int list_against_nothing(struct list *l)
{
    struct item i = {.kind = LIST};
    while (i.kind == LIST) {
        open_list(l, l->inner_at);
        i = take(l);
    }
    return i.kind == NOTHING ? 0 : against_nothing(&i);
}

static int item_cmp(const struct item *a, const struct item *b, struct list *la, struct list *lb)
{
    if (a->kind == NOTHING) return b->kind == NOTHING ? 0 : b->kind == LIST ? -list_against_nothing(lb) : -against_nothing(b);
    if (b->kind == NOTHING) return a->kind == LIST ? list_against_nothing(la) : against_nothing(a);
    if (a->kind == b->kind) return a->kind == NUMBER ? number_cmp(a, b) : word_cmp(a, b);
    /* 1.1 is after 1-1, which is after 1-sp */
    static const int rank[] = {[WORD] = 0, [LIST] = 1, [NUMBER] = 2};
    return rank[a->kind] - rank[b->kind];
}

int hg_version_cmp(struct hg_str a, struct hg_str b)
{
    struct list la, lb;
    open_version(&la, a);
    open_version(&lb, b);
    for (;;) {
        struct item x = take(&la), y = take(&lb);
        if (x.kind == LIST && y.kind == LIST) {
            open_list(&la, la.inner_at);
            open_list(&lb, lb.inner_at);
            continue;
        }
        int k = item_cmp(&x, &y, &la, &lb);
        if (k) return k < 0 ? -1 : 1;
        if (x.kind == NOTHING && y.kind == NOTHING) return 0;
        if (x.kind == LIST) la.items = 0, la.inner = false; /* it has been compared, and nothing is behind it */
        if (y.kind == LIST) lb.items = 0, lb.inner = false;
    }
}
