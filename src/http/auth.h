/* Who may use HTTP: tokens and the role that each has, from a file that holds only their hashes. Tokens are made here, 256 random bits each, so one plain SHA-256 is enough to keep them
 * and guessing is no matter.
 *
 * A line of the file: NAME ROLE sha256:HEX, with # before comments. Roles: "read" asks queries and looks at things, "admin" changes them too. A request brings its token as
 * "Authorization: Bearer TOKEN", or as the password of NAME in "Authorization: Basic". */
#ifndef HG_HTTP_AUTH_H
#define HG_HTTP_AUTH_H

#include "http/http.h"

#define HG_AUTH_NAME 64   /* bytes of a name, with its end */
#define HG_AUTH_TOKEN 48  /* of a token's text */
#define HG_AUTH_LINE 192

enum hg_auth_role { HG_AUTH_READ = 1, HG_AUTH_ADMIN = 2 };
bool hg_auth_role_parse(const char *text, enum hg_auth_role *out);

struct hg_auth;
/* Reads the file, and again whenever it changes (looked at every poll_ms; 0: 2 s), on a thread of its own. A file that is wrong later leaves what was known in force, and the log says so. HG_E_INVALID names line and fault; the file must
 * name somebody. */
HG_MUST_USE enum hg_rc hg_auth_open(const char *path, int64_t poll_ms, struct hg_auth **out, struct hg_err *err);
void hg_auth_close(struct hg_auth *x); /* after the HTTP server is closed */
/* For hg_http_guard, with the hg_auth as arg: answers 401 or 403 itself where it does not let the request through. The probes are open to all: /status/health, /status/ready,
 * /status/selfDiscovered. */
bool hg_auth_guard(void *arg, struct hg_http_req *rq);

/* A new token, and its line for the file. HG_E_INVALID: a name has 1 to 63 letters, digits, '.', '-', '_', '@'. */
HG_MUST_USE enum hg_rc hg_auth_new_token(const char *name, enum hg_auth_role role, char token[HG_AUTH_TOKEN], char line[HG_AUTH_LINE], struct hg_err *err);

/* ---- for tests ---- */
struct hg_auth_list; /* the file's content */
HG_MUST_USE enum hg_rc hg_auth_parse(struct hg_str text, struct hg_auth_list **out, struct hg_err *err); /* returns owned */
void hg_auth_list_free(struct hg_auth_list *l);
/* Whose the header's value is; NULL: nobody's, which *why says. name: HG_AUTH_NAME bytes. */
bool hg_auth_find(const struct hg_auth_list *l, const char *authorization, char name[HG_AUTH_NAME], enum hg_auth_role *role, const char **why);

#endif
