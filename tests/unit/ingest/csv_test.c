/* The cutting of lines against a look at every byte, over lines in memory of exactly their size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "ingest/csv.h"

static uint32_t naive(const char *line, size_t len, char delimiter, uint32_t max, uint32_t *ends)
{
    uint32_t n = 0;
    for (size_t i = 0; i <= len && n < max; i++)
        if (i == len || line[i] == delimiter) ends[n++] = (uint32_t)i;
    return n;
}

static void check(const char *line, size_t len, char delimiter, uint32_t max)
{
    uint32_t *got = malloc((max + 1) * sizeof *got), *want = malloc((max + 1) * sizeof *want);
    uint32_t n = hg_csv_cut(line, len, delimiter, max, got), m = naive(line, len, delimiter, max, want);
    assert_int_equal(n, m);
    if (n) assert_memory_equal(got, want, n * sizeof *got);
    free(got);
    free(want);
}

static void every_length(void **state)
{
    (void)state;
    uint64_t rng = 20240308;
    static const char delimiters[] = {',', '\t', '\0', '\x80', '\xff', '\x01'};
    for (size_t len = 0; len < 300; len++)
        for (unsigned round = 0; round < 24; round++) {
            char *line = malloc(len ? len : 1), delimiter = delimiters[round % sizeof delimiters];
            for (size_t i = 0; i < len; i++) {
                rng = hg_mix64(rng + 0x9e3779b97f4a7c15u);
                line[i] = rng % (1 + round % 7) == 0 ? delimiter : (char)(rng >> 32);
            }
            check(line, len, delimiter, 1000);
            check(line, len, delimiter, (uint32_t)(rng >> 40) % 20);
            free(line);
        }
}

/* Bytes that differ from the delimiter by one bit, or stand beside one, are what a subtraction over eight bytes would get wrong. */
static void neighbours(void **state)
{
    (void)state;
    for (unsigned d = 0; d < 256; d++) {
        char line[80];
        for (unsigned i = 0; i < sizeof line; i++) line[i] = (char)(i % 3 == 0 ? d : i % 3 == 1 ? d + 1 : d ^ 0x80);
        check(line, sizeof line, (char)d, 100);
        memset(line, (int)d, sizeof line);
        check(line, sizeof line, (char)d, 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_length), cmocka_unit_test(neighbours)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
