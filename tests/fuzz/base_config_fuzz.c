/* A configuration file of any bytes is read or refused, and what is accepted prints. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fd = memfd_create("config", 0);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size) abort();
    char flag[64];
    snprintf(flag, sizeof flag, "--config=/proc/self/fd/%d", fd);
    char *argv[] = {(char *)"henge", flag}, *rest[2];
    int n_rest;
    struct hg_cfg *c;
    struct hg_err err = {HG_OK, ""};
    enum hg_rc rc = hg_cfg_load(HG_ROLE_STANDALONE, 2, argv, &c, rest, &n_rest, &err);
    close(fd);
    if (rc == HG_OK) {
        FILE *out = fopen("/dev/null", "w");
        if (!out) abort();
        hg_cfg_print(c, out);
        fclose(out);
        hg_cfg_free(c);
    } else if (err.rc != rc || !err.msg[0]) {
        abort(); /* refused without a reason */
    }
    return 0;
}
