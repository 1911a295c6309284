/* The first line is an Authorization header, the rest the file of tokens: any bytes are read or refused, and nobody is let in by chance. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http/auth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nl = size ? memchr(data, '\n', size) : NULL;
    size_t n = nl ? (size_t)(nl - data) : size, rest = nl ? size - n - 1 : 0;
    char *header = malloc(n + 1), name[HG_AUTH_NAME];
    struct hg_auth_list *l = NULL;
    struct hg_err err;
    enum hg_auth_role role;
    const char *why;
    if (!header) return 0;
    memcpy(header, data, n);
    header[n] = 0;
    if (hg_auth_parse((struct hg_str){rest ? (const char *)nl + 1 : "", rest}, &l, &err) == HG_OK) {
        if (hg_auth_find(l, header, name, &role, &why) && !memchr(name, 0, sizeof name)) abort();
        hg_auth_list_free(l);
    }
    free(header);
    return 0;
}
