/* What a data server says it did, as a broker reads it: the first byte is the number of segments that it covers. What was read, written and read again is the same. */
#include <stdlib.h>
#include <string.h>

#include "query/profile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(x) do { if (!(x)) abort(); } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hg_err err;
    struct hg_profile p, q;
    const uint8_t *fates, *again;
    if (!size) return 0;
    if (hg_profile_decode((struct hg_span){data + 1, size - 1}, data[0], &p, &fates, &err) != HG_OK) return 0;
    struct hg_buf b;
    hg_buf_init(&b, 1 << 20);
    hg_profile_encode(&p, fates, data[0], &b);
    MUST(hg_profile_decode(hg_buf_span(&b), data[0], &q, &again, &err) == HG_OK);
    MUST(memcmp(&p.stats, &q.stats, sizeof p.stats) == 0 && p.n_names == q.n_names && (data[0] == 0 || memcmp(fates, again, data[0]) == 0));
    hg_profile_add(&p, &q);
    MUST(p.n_names == q.n_names && p.stats.rows_scanned >= q.stats.rows_scanned);
    hg_buf_free(&b);
    return 0;
}
