/* Feeds every file named, or in the folders named, to the fuzz target: the corpus under ctest, without a fuzz engine. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int one(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f) return perror(path), 1;
    uint8_t *p = NULL;
    size_t n = 0, cap = 0, got;
    do {
        if (cap - n < 65536) {
            uint8_t *q = realloc(p, cap = cap * 2 + 65536);
            if (!q) abort();
            p = q;
        }
        got = fread(p + n, 1, cap - n, f);
        n += got;
    } while (got > 0);
    fclose(f);
    /* An exact-size copy, so that the sanitizer sees one byte past the end. */
    uint8_t *exact = malloc(n ? n : 1);
    if (!exact) abort();
    memcpy(exact, p, n);
    LLVMFuzzerTestOneInput(exact, n);
    free(exact);
    free(p);
    return 0;
}

int main(int argc, char **argv)
{
    size_t files = 0;
    for (int i = 1; i < argc; i++) {
        DIR *d = opendir(argv[i]);
        if (!d) {
            if (one(argv[i])) return 1;
            files++;
            continue;
        }
        for (struct dirent *e; (e = readdir(d));) {
            if (e->d_name[0] == '.') continue;
            char path[4096];
            snprintf(path, sizeof path, "%s/%s", argv[i], e->d_name);
            if (one(path)) return 1;
            files++;
        }
        closedir(d);
    }
    printf("%zu inputs replayed\n", files);
    return files == 0; /* an empty corpus proves nothing */
}
