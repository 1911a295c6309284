/* Values are looked up once per key in the order of precedence, so the first source that sets a key wins and later ones are only
 * checked: a wrong line in the file is reported although a flag overrides it. */
#include "base/config.h"

#include <assert.h>
#include <inttypes.h>

#include "base/config_private.h"
#include "base/file.h"
#include "base/nearest.h"
#include "base/num.h"

extern char **environ;

#define FILE_MOST ((size_t)1 << 20)

/* ---- the table ---- */

enum {
    INGEST = HG_ROLE_INGEST,
    HISTORICAL = HG_ROLE_HISTORICAL,
    BROKER = HG_ROLE_BROKER,
    COORDINATOR = HG_ROLE_COORDINATOR,
    STANDALONE = HG_ROLE_STANDALONE,
    INDEX = HG_ROLE_INDEX,
    CTL = HG_ROLE_CTL,
    INGESTS = INGEST | STANDALONE,
    HISTORICALS = HISTORICAL | STANDALONE,
    BROKERS = BROKER | STANDALONE,
    COORDINATORS = COORDINATOR | STANDALONE,
    DATA = INGEST | HISTORICAL | STANDALONE, /* servers of segments */
    QUERIED = DATA | BROKER,
    SERVERS = INGEST | HISTORICAL | BROKER | COORDINATOR | STANDALONE,
    EVERY = SERVERS | INDEX | CTL,
};

const struct hg_cfg_key hg_cfg_keys[] = {
#define HG_CFG(name, type, def, min, max, roles, text) {name, HG_CFG_##type, def, min, max, roles, text},
#define HG_CFG_FOR(name, role, def)
#include "base/config.def"
#undef HG_CFG
#undef HG_CFG_FOR
};
#define N_KEYS (sizeof hg_cfg_keys / sizeof *hg_cfg_keys)
const size_t hg_cfg_n_keys = N_KEYS;

static const struct {
    const char *name;
    enum hg_role role;
    const char *def;
} role_defaults[] = {
#define HG_CFG(name, type, def, min, max, roles, text)
#define HG_CFG_FOR(name, role, def) {name, HG_ROLE_##role, def},
#include "base/config.def"
#undef HG_CFG
#undef HG_CFG_FOR
};

const struct hg_cfg_role_name hg_cfg_roles[] = {
    {HG_ROLE_INGEST, "ingest"},         {HG_ROLE_HISTORICAL, "historical"}, {HG_ROLE_BROKER, "broker"}, {HG_ROLE_COORDINATOR, "coordinator"},
    {HG_ROLE_STANDALONE, "standalone"}, {HG_ROLE_INDEX, "index"},           {HG_ROLE_CTL, "ctl"},
};
const size_t hg_cfg_n_roles = sizeof hg_cfg_roles / sizeof *hg_cfg_roles;

static const struct {
    const char *alias, *name;
} aliases[] = {{"data", "data.dir"}, {"host", "http.host"}, {"port", "http.port"}, {"kafka", "kafka.bootstrap"}};
#define N_ALIASES (sizeof aliases / sizeof *aliases)

const char *hg_cfg_alias_of(const char *name)
{
    for (size_t i = 0; i < N_ALIASES; i++)
        if (!strcmp(aliases[i].name, name)) return aliases[i].alias;
    return NULL;
}

const char *hg_cfg_default(const struct hg_cfg_key *k, enum hg_role role)
{
    for (size_t i = 0; i < sizeof role_defaults / sizeof *role_defaults; i++)
        if (role_defaults[i].role == role && !strcmp(role_defaults[i].name, k->name)) return role_defaults[i].def;
    return k->def;
}

static void rename_key(const char *prefix, const char *name, char sep, bool upper, char *buf)
{
    int n = snprintf(buf, HG_CFG_FLAG_TEXT, "%s%s", prefix, name);
    assert(n > 0 && n < HG_CFG_FLAG_TEXT);
    (void)n;
    for (char *p = buf + strlen(prefix); *p; p++) {
        if (*p == '.' || *p == '_') *p = sep;
        else if (upper && *p >= 'a' && *p <= 'z') *p = (char)(*p - 'a' + 'A');
    }
}

void hg_cfg_flag_name(const char *name, char *buf) { rename_key("--", name, '-', false, buf); }
void hg_cfg_env_name(const char *name, char *buf) { rename_key("HENGE_", name, '_', true, buf); }

static const struct hg_cfg_key *key_of(const char *name)
{
    for (size_t i = 0; i < N_KEYS; i++)
        if (!strcmp(hg_cfg_keys[i].name, name)) return &hg_cfg_keys[i];
    return NULL;
}

/* ---- text of one value ---- */

struct unit {
    const char *suffix;
    int64_t factor;
};
/* As Druid's HumanReadableBytes: K is 1,000, Ki is 1,024, each with or without B. */
static const struct unit byte_units[] = {
    {"PiB", INT64_C(1) << 50}, {"TiB", INT64_C(1) << 40}, {"GiB", INT64_C(1) << 30}, {"MiB", INT64_C(1) << 20}, {"KiB", INT64_C(1) << 10},
    {"PB", 1000000000000000},  {"TB", 1000000000000},     {"GB", 1000000000},        {"MB", 1000000},           {"KB", 1000},
};
#define N_BYTE_UNITS (sizeof byte_units / sizeof *byte_units)
static const struct unit time_units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
#define N_TIME_UNITS (sizeof time_units / sizeof *time_units)

static bool same_suffix(const char *a, const char *b) /* b may lack the B of "KiB", "KB" */
{
    size_t n = strlen(a), m = strlen(b);
    return (m == n || (m + 1 == n && a[n - 1] == 'B')) && strncasecmp(a, b, m) == 0;
}

/* Digits, then one of the suffixes or none. */
static bool parse_with_unit(const char *z, const struct unit *units, size_t n_units, bool exact, int64_t *out)
{
    size_t digits = strspn(z, "0123456789");
    int64_t v;
    if (!digits || !hg_parse_i64((struct hg_str){z, digits}, &v)) return false;
    const char *suffix = z + digits;
    if (*suffix == ' ') suffix++;
    if (!*suffix) {
        *out = v;
        return true;
    }
    for (size_t i = 0; i < n_units; i++) {
        bool same = exact ? !strcmp(units[i].suffix, suffix) : same_suffix(units[i].suffix, suffix);
        if (same) return !__builtin_mul_overflow(v, units[i].factor, out);
    }
    return false;
}

static bool parse_bool(const char *z, int64_t *out)
{
    static const char *const words[2][4] = {{"false", "no", "off", "0"}, {"true", "yes", "on", "1"}};
    for (int v = 0; v < 2; v++)
        for (int i = 0; i < 4; i++)
            if (!strcasecmp(words[v][i], z)) return *out = v, true;
    return false;
}

void hg_cfg_number_text(enum hg_cfg_type type, int64_t v, char *buf, size_t cap)
{
    const struct unit *units = type == HG_CFG_BYTES ? byte_units : time_units;
    size_t n = type == HG_CFG_BYTES ? N_BYTE_UNITS : type == HG_CFG_DURATION_MS ? N_TIME_UNITS : 0;
    for (size_t i = 0; i < n && v != 0; i++) {
        if (v % units[i].factor) continue;
        snprintf(buf, cap, "%" PRId64 "%s", v / units[i].factor, units[i].suffix);
        return;
    }
    if (type == HG_CFG_BOOL) snprintf(buf, cap, "%s", v ? "true" : "false");
    else snprintf(buf, cap, "%" PRId64, v);
}

const char *hg_cfg_type_name(enum hg_cfg_type type)
{
    switch (type) {
    case HG_CFG_STRING: return "text";
    case HG_CFG_INT: return "whole number";
    case HG_CFG_BYTES: return "size in bytes";
    case HG_CFG_DURATION_MS: return "duration";
    case HG_CFG_BOOL: return "true or false";
    }
    return "?";
}

/* ---- secrets ---- */

static bool is_secret(const char *name)
{
    static const char *const ends[] = {"secret", "password", "token"};
    size_t n = strlen(name);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        size_t m = strlen(ends[i]);
        if (n >= m && !strcasecmp(name + n - m, ends[i])) return true;
    }
    return false;
}

/* Text of a value for people: a secret is stars, and so are passwords in URLs ("//user:PASSWORD@", "password=..."). */
static const char *shown(const char *name, const char *text, struct hg_buf *tmp)
{
    static const char stars[] = "********";
    hg_buf_clear(tmp);
    if (*text && is_secret(name)) return stars;
    const char *p = text, *slashes = strstr(text, "://");
    if (slashes) {
        const char *host = slashes + 3, *end = host + strcspn(host, "/?#");
        const char *at = NULL, *colon = memchr(host, ':', (size_t)(end - host));
        for (const char *q = host; q < end; q++)
            if (*q == '@') at = q; /* the last: a password may hold others */
        if (at && colon && colon < at) {
            hg_buf_put(tmp, text, (size_t)(colon + 1 - text));
            hg_buf_puts(tmp, stars);
            p = at;
        }
    }
    for (const char *w; (w = strcasestr(p, "password="));) {
        w += strlen("password=");
        hg_buf_put(tmp, p, (size_t)(w - p));
        hg_buf_puts(tmp, stars);
        p = w + strcspn(w, "& ");
    }
    hg_buf_puts(tmp, p);
    hg_buf_putc(tmp, '\0');
    return tmp->failed ? stars : (const char *)tmp->p;
}

/* ---- loading ---- */

struct value {
    char *text;
    char *origin; /* "flag --http-port", "environment HENGE_HTTP_PORT", "henge.conf:12", "default" */
    int64_t num;
};

struct hg_cfg {
    enum hg_role role;
    struct value values[N_KEYS];
};

static enum hg_rc out_of_memory(struct hg_err *err) { return hg_fail(err, HG_E_NOMEM, "out of memory reading the configuration"); }

static enum hg_rc refuse(const char *name, const char *text, const char *origin, const char *why, struct hg_err *err)
{
    struct hg_buf tmp;
    hg_buf_init(&tmp, 65536);
    enum hg_rc rc = hg_fail(err, HG_E_INVALID, "%s = \"%.200s\" (%s): %s", name, shown(name, text, &tmp), origin, why);
    hg_buf_free(&tmp);
    return rc;
}

static enum hg_rc check(const struct hg_cfg_key *k, const char *text, const char *origin, int64_t *num, struct hg_err *err)
{
    int64_t v = 0;
    switch (k->type) {
    case HG_CFG_STRING: *num = 0; return HG_OK;
    case HG_CFG_BOOL:
        if (!parse_bool(text, num)) return refuse(k->name, text, origin, "neither true nor false", err);
        return HG_OK;
    case HG_CFG_INT:
        if (!hg_parse_i64(hg_str_of(text), &v)) return refuse(k->name, text, origin, "not a whole number", err);
        break;
    case HG_CFG_BYTES:
        if (!parse_with_unit(text, byte_units, N_BYTE_UNITS, false, &v)) return refuse(k->name, text, origin, "not a size in bytes, such as 1048576, 512MiB or 2GB", err);
        break;
    case HG_CFG_DURATION_MS:
        if (!parse_with_unit(text, time_units, N_TIME_UNITS, true, &v)) return refuse(k->name, text, origin, "not a duration, such as 250ms, 30s, 5m, 1h or 2d", err);
        break;
    }
    if (v < k->min || v > k->max) {
        char lo[32], hi[32], why[96];
        hg_cfg_number_text(k->type, k->min, lo, sizeof lo);
        hg_cfg_number_text(k->type, k->max, hi, sizeof hi);
        if (k->max == INT64_MAX) snprintf(why, sizeof why, "out of range, at least %s", lo);
        else snprintf(why, sizeof why, "out of range, %s to %s", lo, hi);
        return refuse(k->name, text, origin, why, err);
    }
    *num = v;
    return HG_OK;
}

/* Checks, and keeps the value unless a source of higher precedence came before. */
static enum hg_rc set(struct hg_cfg *c, const struct hg_cfg_key *k, const char *text, const char *origin, struct hg_err *err)
{
    int64_t num = 0;
    HG_TRY(check(k, text, origin, &num, err));
    struct value *v = &c->values[k - hg_cfg_keys];
    if (v->text) return HG_OK;
    v->text = strdup(text);
    v->origin = strdup(origin);
    v->num = num;
    return v->text && v->origin ? HG_OK : out_of_memory(err);
}

/* form renders a key as the source writes it, so that the suggestion can be pasted. */
static enum hg_rc unknown(const char *name, const char *text, const char *origin, void (*form)(const char *, char *), struct hg_err *err)
{
    size_t best = SIZE_MAX;
    char near[HG_CFG_FLAG_TEXT] = "", form_of[HG_CFG_FLAG_TEXT], why[HG_CFG_FLAG_TEXT + 48];
    for (size_t i = 0; i < N_KEYS; i++) {
        if (form) form(hg_cfg_keys[i].name, form_of);
        else snprintf(form_of, sizeof form_of, "%s", hg_cfg_keys[i].name);
        size_t d = hg_edit_distance(name, form_of);
        if (d >= best) continue;
        best = d;
        memcpy(near, form_of, sizeof near);
    }
    if (hg_is_near(name, best)) snprintf(why, sizeof why, "no such setting; did you mean %s?", near);
    else snprintf(why, sizeof why, "no such setting");
    bool close_to_secret = hg_is_near(name, best) && is_secret(near); /* a misspelt one is a secret still */
    return refuse(name, close_to_secret ? "********" : text, origin, why, err);
}

/* ---- flags ---- */

/* The key of a flag's name (after the dashes, up to '='), in the form --http-port, --http.port or an alias. */
static const struct hg_cfg_key *key_of_flag(const char *name)
{
    char given[HG_CFG_FLAG_TEXT], flag[HG_CFG_FLAG_TEXT];
    for (size_t i = 0; i < N_ALIASES; i++)
        if (!strcmp(aliases[i].alias, name)) return key_of(aliases[i].name);
    if (strlen(name) + 3 > sizeof given) return NULL;
    hg_cfg_flag_name(name, given);
    for (size_t i = 0; i < N_KEYS; i++) {
        hg_cfg_flag_name(hg_cfg_keys[i].name, flag);
        if (!strcmp(flag, given)) return &hg_cfg_keys[i];
    }
    return NULL;
}

static bool for_main(const char *word) { return !strcmp(word, "--help") || !strcmp(word, "--version") || !strcmp(word, "--check-config"); }

static enum hg_rc one_flag(struct hg_cfg *c, const char *name, const struct hg_cfg_key *k, const char *text, struct hg_err *err)
{
    char origin[HG_CFG_FLAG_TEXT + 16];
    snprintf(origin, sizeof origin, "flag --%.90s", name);
    if (!(k->roles & c->role)) {
        char why[64];
        const char *role = "?";
        for (size_t i = 0; i < hg_cfg_n_roles; i++)
            if (hg_cfg_roles[i].role == c->role) role = hg_cfg_roles[i].name;
        snprintf(why, sizeof why, "not a setting of henge %s", role);
        return refuse(k->name, text, origin, why, err);
    }
    if (c->values[k - hg_cfg_keys].text) return refuse(k->name, text, origin, "given twice", err);
    return set(c, k, text, origin, err);
}

static enum hg_rc load_flags(struct hg_cfg *c, int argc, char **argv, const char **file, char **rest, int *n_rest, struct hg_err *err)
{
    bool over = false;
    for (int i = 1; i < argc; i++) {
        char *word = argv[i];
        if (over || strncmp(word, "--", 2) != 0 || for_main(word)) {
            rest[(*n_rest)++] = word;
            continue;
        }
        if (!word[2]) { /* "--": what follows is no flag */
            over = true;
            continue;
        }
        char name[HG_CFG_FLAG_TEXT];
        const char *eq = strchr(word, '=');
        size_t len = eq ? (size_t)(eq - word - 2) : strlen(word + 2);
        const struct hg_cfg_key *k = NULL;
        bool is_file = false;
        if (len < sizeof name) {
            memcpy(name, word + 2, len);
            name[len] = '\0';
            k = key_of_flag(name);
            is_file = !strcmp(name, "config");
        }
        if (!k && !is_file) {
            if (c->role == HG_ROLE_CTL) { /* an option of the command */
                rest[(*n_rest)++] = word;
                continue;
            }
            char shown_name[HG_CFG_FLAG_TEXT];
            snprintf(shown_name, sizeof shown_name, "%.*s", (int)(len + 2 < 90 ? len + 2 : 90), word);
            return unknown(shown_name, eq ? eq + 1 : i + 1 < argc ? argv[i + 1] : "", "flag", hg_cfg_flag_name, err);
        }
        const char *text = eq ? eq + 1 : NULL;
        if (!text && k && k->type == HG_CFG_BOOL) {
            int64_t ignored;
            text = i + 1 < argc && parse_bool(argv[i + 1], &ignored) ? argv[++i] : "true";
        } else if (!text) {
            if (i + 1 >= argc || !strncmp(argv[i + 1], "--", 2)) return hg_fail(err, HG_E_INVALID, "flag --%s: its value is missing", name);
            text = argv[++i];
        }
        if (is_file) *file = text;
        else HG_TRY(one_flag(c, name, k, text, err));
    }
    return HG_OK;
}

/* ---- environment ---- */

/* Variables that are ours but no settings, and those that Kubernetes makes of a service whose name begins with "henge". */
static bool foreign(const char *name, const char *text)
{
    static const char *const known[] = {"HENGE_CONFIG", "HENGE_CLOCK_OFFSET_MS", "HENGE_CPU", "HENGE_SOURCE_DIR"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(known[i], name)) return true;
    if (!strncmp(name, "HENGE_TEST_", 11)) return true;
    return strstr(name, "_SERVICE_HOST") || strstr(name, "_SERVICE_PORT") || strstr(name, "_TCP") || strstr(name, "_UDP") || !strncmp(text, "tcp://", 6) ||
           !strncmp(text, "udp://", 6);
}

static enum hg_rc load_environment(struct hg_cfg *c, struct hg_err *err)
{
    for (char **e = environ; e && *e; e++) {
        const char *eq = strchr(*e, '=');
        if (!eq || strncmp(*e, "HENGE_", 6) != 0) continue;
        char name[256], form[HG_CFG_FLAG_TEXT], origin[300];
        int n = snprintf(name, sizeof name, "%.*s", (int)(eq - *e), *e);
        if (n < 0) continue;
        const char *text = eq + 1;
        if (!*text) continue; /* set to nothing is not set */
        snprintf(origin, sizeof origin, "environment %s", name);
        const struct hg_cfg_key *k = NULL;
        for (size_t i = 0; i < N_KEYS && !k; i++) {
            hg_cfg_env_name(hg_cfg_keys[i].name, form);
            if (!strcmp(form, name)) k = &hg_cfg_keys[i];
        }
        if (k) HG_TRY(set(c, k, text, origin, err));
        else if (!foreign(name, text)) return unknown(name, text, "environment", hg_cfg_env_name, err);
    }
    return HG_OK;
}

/* ---- file ---- */

static char *trim(char *z)
{
    z += strspn(z, " \t\r");
    size_t n = strlen(z);
    while (n && strchr(" \t\r", z[n - 1])) z[--n] = '\0';
    return z;
}

/* The value after '=', in place: "quoted" with \" and \\, or plain up to a '#' that follows a blank. False: malformed. */
static bool unquote(char *z)
{
    if (*z != '"') {
        for (char *p = z; *p; p++)
            if (*p == '#' && (p == z || p[-1] == ' ' || p[-1] == '\t')) {
                *p = '\0';
                break;
            }
        size_t n = strlen(z);
        while (n && (z[n - 1] == ' ' || z[n - 1] == '\t')) z[--n] = '\0';
        return true;
    }
    char *to = z;
    const char *p = z + 1;
    for (; *p && *p != '"'; p++) {
        if (*p == '\\' && (p[1] == '"' || p[1] == '\\')) p++;
        *to++ = *p;
    }
    if (!*p) return false;
    p++;
    p += strspn(p, " \t");
    *to = '\0';
    return !*p || *p == '#';
}

static enum hg_rc load_line(struct hg_cfg *c, const char *file, int line, char *text, int *seen, struct hg_err *err)
{
    char origin[512];
    snprintf(origin, sizeof origin, "%.480s:%d", file, line);
    text = trim(text);
    if (!*text || *text == '#') return HG_OK;
    char *eq = strchr(text, '=');
    if (!eq || eq == text) return hg_fail(err, HG_E_INVALID, "%s: expected \"key = value\", got \"%.40s\"", origin, text);
    *eq = '\0';
    char *name = trim(text), *value = trim(eq + 1);
    if (!unquote(value)) return hg_fail(err, HG_E_INVALID, "%s: %.80s: text after, or missing, the closing quote", origin, name);
    const struct hg_cfg_key *k = key_of(name);
    if (!k) return unknown(name, value, origin, NULL, err);
    int *before = &seen[k - hg_cfg_keys];
    if (*before) {
        char why[48];
        snprintf(why, sizeof why, "given twice, also on line %d", *before);
        return refuse(name, value, origin, why, err);
    }
    *before = line;
    return set(c, k, value, origin, err);
}

static enum hg_rc load_file(struct hg_cfg *c, const char *file, struct hg_err *err)
{
    struct hg_buf b;
    hg_buf_init(&b, FILE_MOST + 1);
    enum hg_rc rc = hg_file_read(file, FILE_MOST, &b, err);
    if (rc != HG_OK) {
        hg_buf_free(&b);
        return hg_err_context(err, rc, "configuration file");
    }
    hg_buf_putc(&b, '\0');
    rc = hg_buf_check(&b, file, err);
    int seen[N_KEYS] = {0}, line = 0;
    char *at = (char *)b.p;
    size_t left = rc == HG_OK ? b.len - 1 : 0;
    if (rc == HG_OK && memchr(at, '\0', left)) rc = hg_fail(err, HG_E_INVALID, "configuration file %s: holds a NUL byte; not a text file", file);
    while (rc == HG_OK && *at) {
        char *end = strchr(at, '\n');
        if (end) *end = '\0';
        rc = load_line(c, file, ++line, at, seen, err);
        if (!end) break;
        at = end + 1;
    }
    hg_buf_free(&b);
    return rc;
}

enum hg_rc hg_cfg_load(enum hg_role role, int argc, char **argv, struct hg_cfg **out, char **rest, int *n_rest, struct hg_err *err)
{
    struct hg_cfg *c = calloc(1, sizeof *c);
    if (!c) return out_of_memory(err);
    c->role = role;
    *n_rest = 0;
    const char *file = getenv("HENGE_CONFIG");
    enum hg_rc rc = load_flags(c, argc, argv, &file, rest, n_rest, err);
    if (rc == HG_OK) rc = load_environment(c, err);
    if (rc == HG_OK && file && *file) rc = load_file(c, file, err);
    for (size_t i = 0; rc == HG_OK && i < N_KEYS; i++) rc = set(c, &hg_cfg_keys[i], hg_cfg_default(&hg_cfg_keys[i], role), "default", err);
    if (rc != HG_OK) {
        hg_cfg_free(c);
        return rc;
    }
    *out = c;
    return HG_OK;
}

void hg_cfg_free(struct hg_cfg *c)
{
    if (!c) return;
    for (size_t i = 0; i < N_KEYS; i++) {
        free(c->values[i].text);
        free(c->values[i].origin);
    }
    free(c);
}

/* ---- reading ---- */

static const struct value *value_of(const struct hg_cfg *c, const char *name, bool text)
{
    const struct hg_cfg_key *k = key_of(name);
    if (!k || (k->type == HG_CFG_STRING) != text) { /* our mistake; also in builds without assert */
        fprintf(stderr, "henge: no setting %s of the type asked for\n", name);
        abort();
    }
    return &c->values[k - hg_cfg_keys];
}

const char *hg_cfg_str(const struct hg_cfg *c, const char *name) { return value_of(c, name, true)->text; }
int64_t hg_cfg_int(const struct hg_cfg *c, const char *name) { return value_of(c, name, false)->num; }
bool hg_cfg_bool(const struct hg_cfg *c, const char *name) { return value_of(c, name, false)->num != 0; }

bool hg_cfg_asked(char **rest, int *n_rest, const char *flag)
{
    for (int i = 0; i < *n_rest; i++) {
        if (strcmp(rest[i], flag) != 0) continue;
        memmove(&rest[i], &rest[i + 1], (size_t)(*n_rest - i - 1) * sizeof *rest);
        --*n_rest;
        return true;
    }
    return false;
}

void hg_cfg_print(const struct hg_cfg *c, FILE *out)
{
    struct hg_buf tmp;
    hg_buf_init(&tmp, 1 << 20);
    for (size_t i = 0; i < N_KEYS; i++) {
        const struct hg_cfg_key *k = &hg_cfg_keys[i];
        if (!(k->roles & c->role)) continue;
        const char *text = shown(k->name, c->values[i].text, &tmp);
        int n = fprintf(out, "%s = ", k->name);
        bool quote = *text == '"' || *text == '#' || *text == ' ' || strstr(text, " #") || (*text && text[strlen(text) - 1] == ' ');
        if (quote) {
            n += fprintf(out, "\"");
            for (const char *p = text; *p; p++) n += fprintf(out, *p == '"' || *p == '\\' ? "\\%c" : "%c", *p);
            n += fprintf(out, "\"");
        } else {
            n += fprintf(out, "%s", text);
        }
        fprintf(out, "%*s # %s\n", n < 44 ? 44 - n : 0, "", c->values[i].origin);
    }
    hg_buf_free(&tmp);
}
