/* Any bytes as a line to cut: the fields' ends are those that a look at every byte finds. The first byte is the delimiter, the second says how many fields at most. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/csv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) return 0;
    uint32_t ends[256], max = data[1], n = 0;
    size_t len = size - 2;
    char *line = malloc(len ? len : 1); /* exactly as large as it is */
    if (!line) return 0;
    memcpy(line, data + 2, len);
    uint32_t got = hg_csv_cut(line, len, (char)data[0], max, ends);
    for (size_t i = 0; i <= len && n < max; i++) {
        if (i < len && (uint8_t)line[i] != data[0]) continue;
        if (n == got || ends[n] != i) abort();
        n++;
    }
    if (n != got) abort();
    free(line);
    return 0;
}
