/* JSON of any bytes: parsed or refused with a reason; what is parsed has a text that parses to an equal value. */
#include <stdint.h>
#include <stdlib.h>

#include "base/json_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hg_err err = {HG_OK, ""};
    json_t *v, *again;
    json_t *quick = hg_json_quick((struct hg_str){(const char *)data, size});
    if (quick) { /* what is read quickly is what jansson reads */
        json_t *slow = json_loadb((const char *)data, size, JSON_DECODE_ANY, NULL);
        if (!slow || !json_equal(quick, slow)) abort();
        json_decref(slow);
        json_decref(quick);
    }
    enum hg_rc rc = hg_json_parse((struct hg_str){(const char *)data, size}, &v, &err);
    if (rc != HG_OK) {
        if (err.rc != rc || !err.msg[0]) abort();
        return 0;
    }
    int64_t i = 0;
    const char *s = NULL;
    double d = 0;
    bool b = false;
    (void)!hg_jget_i64(v, "k", &hg_jroot, true, &i, &err);
    (void)!hg_jget_str(v, "k", &hg_jroot, true, &s, &err);
    (void)!hg_jget_f64(v, "k", &hg_jroot, false, &d, &err);
    (void)!hg_jget_bool(v, "k", &hg_jroot, false, &b, &err);
    char *text = hg_json_text(v);
    if (!text || hg_json_parse(hg_str_of(text), &again, &err) != HG_OK) abort();
    if (!json_equal(v, again)) abort();
    json_decref(again);
    json_decref(v);
    free(text);
    return 0;
}
