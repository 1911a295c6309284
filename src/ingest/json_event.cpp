#include <simdjson.h>

#include <cstdio>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/json_event.h"

using simdjson::dom::element;
using simdjson::dom::element_type;

/* The DOM interface: it checks the whole text, so a message that is broken after the last wanted field is still told to be broken. */
struct hg_json_event {
    simdjson::dom::parser parser;
    std::vector<std::string_view> names;
    const hg_field_path *paths = nullptr;
    size_t n_paths = 0;
    std::vector<uint16_t> table; /* hash -> index + 1 */
    std::unique_ptr<unsigned char[]> padded;
    size_t cap = 0;

    static size_t hash(std::string_view s)
    {
        uint64_t h = s.size() * 0x9E3779B97F4A7C15ull;
        for (char c : s) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001B3ull;
        return static_cast<size_t>(h ^ (h >> 29));
    }
    void index()
    {
        size_t size = 16;
        while (size < names.size() * 3) size *= 2;
        table.assign(size, 0);
        for (size_t i = 0; i < names.size(); i++) {
            size_t at = hash(names[i]) & (size - 1);
            while (table[at]) at = (at + 1) & (size - 1);
            table[at] = static_cast<uint16_t>(i + 1);
        }
    }
    /* Events of one producer have their fields in one order: the field after the last match is the best guess. */
    int find(std::string_view key, size_t guess) const
    {
        if (guess < names.size() && names[guess] == key) return static_cast<int>(guess);
        size_t mask = table.size() - 1, at = hash(key) & mask;
        for (; table[at]; at = (at + 1) & mask)
            if (names[table[at] - 1u] == key) return table[at] - 1;
        return -1;
    }
};

namespace {

/* Where an event's texts go: one piece of memory, as large as the event, which has room for all of them unless a path asks for one twice. */
struct room {
    hg_arena *a;
    char *p;
    size_t left;
};

bool copy(room &to, std::string_view s, hg_str *out)
{
    char *p = to.p;
    if (s.size() < to.left) to.p += s.size(), to.left -= s.size();
    else p = static_cast<char *>(hg_arena_alloc(to.a, s.size() + 1));
    if (!p) return false;
    std::memcpy(p, s.data(), s.size());
    *out = {p, s.size()};
    return true;
}

/* One value as text, for multi-values and nested things. */
bool text_of(room &a, element e, hg_str *out)
{
    switch (e.type()) {
    case element_type::NULL_VALUE: *out = {nullptr, 0}; return true;
    case element_type::STRING: return copy(a, e.get_string().value_unsafe(), out);
    case element_type::BOOL: return copy(a, e.get_bool().value_unsafe() ? "true" : "false", out);
    default: return copy(a, simdjson::minify(e), out); /* numbers and nested values as JSON */
    }
}

bool list_of(room &a, simdjson::dom::array arr, hg_value *out)
{
    size_t n = 0;
    for (element e : arr) (void)e, n++;
    hg_str *v = static_cast<hg_str *>(hg_arena_array(a.a, n ? n : 1, sizeof(hg_str)));
    if (!v) return false;
    size_t i = 0;
    for (element e : arr)
        if (!text_of(a, e, &v[i++])) return false;
    out->kind = hg_value::HG_V_LIST;
    out->u.list.v = v;
    out->u.list.n = static_cast<uint32_t>(n);
    return true;
}

bool value_of(room &a, element e, hg_value *out)
{
    switch (e.type()) {
    case element_type::NULL_VALUE: out->kind = hg_value::HG_V_NULL; return true;
    case element_type::INT64:
        out->kind = hg_value::HG_V_LONG;
        out->u.i = e.get_int64().value_unsafe();
        return true;
    case element_type::DOUBLE:
        out->kind = hg_value::HG_V_DOUBLE;
        out->u.d = e.get_double().value_unsafe();
        return true;
    case element_type::ARRAY: return list_of(a, e.get_array().value_unsafe(), out);
    default: out->kind = hg_value::HG_V_STR; return text_of(a, e, &out->u.s); /* UINT64 past int64 keeps its digits */
    }
}

bool walk(element root, const hg_field_path &f, element *out)
{
    element at = root;
    for (uint32_t i = 0; i < f.n_steps; i++) {
        simdjson::simdjson_result<element> next = simdjson::NO_SUCH_FIELD;
        if (f.steps[i].key) {
            if (at.type() != element_type::OBJECT) return false;
            next = at.at_key(f.steps[i].key);
        } else {
            if (at.type() != element_type::ARRAY) return false;
            next = simdjson::dom::array(at.get_array().value_unsafe()).at(static_cast<size_t>(f.steps[i].index));
        }
        if (next.error()) return false;
        at = next.value_unsafe();
    }
    *out = at;
    return true;
}

static_assert(simdjson::SIMDJSON_PADDING <= HG_JSON_EVENT_PADDING);

/* The bytes with as many behind them as the parser may read. */
const unsigned char *pad(hg_json_event *j, const unsigned char *bytes, size_t len)
{
    if (len + simdjson::SIMDJSON_PADDING > j->cap) {
        j->cap = 2 * len + 4096 + simdjson::SIMDJSON_PADDING;
        j->padded = std::make_unique<unsigned char[]>(j->cap);
    }
    std::memcpy(j->padded.get(), bytes, len);
    std::memset(j->padded.get() + len, ' ', simdjson::SIMDJSON_PADDING);
    return j->padded.get();
}

bool parse(hg_json_event *j, const unsigned char *bytes, size_t len, bool padded, hg_arena *arena, hg_value *values, char *why, size_t why_cap)
{
    element root;
    auto err = j->parser.parse(padded ? bytes : pad(j, bytes, len), len, false).get(root);
    if (err) {
        std::snprintf(why, why_cap, "not JSON: %s", simdjson::error_message(err));
        return false;
    }
    if (root.type() != element_type::OBJECT) {
        std::snprintf(why, why_cap, "not a JSON object");
        return false;
    }
    for (size_t i = 0; i < j->names.size() + j->n_paths; i++) values[i].kind = hg_value::HG_V_NULL;
    size_t guess = 0;
    room a = {arena, static_cast<char *>(hg_arena_alloc(arena, len + 1)), len + 1};
    bool ok = a.p != nullptr;
    simdjson::dom::object fields = root.get_object().value_unsafe(); /* named: a loop over a temporary would outlive it */
    for (auto field : fields) {
        int at = j->find(field.key, guess);
        if (at < 0 || !ok) continue;
        guess = static_cast<size_t>(at) + 1;
        ok = ok && value_of(a, field.value, &values[at]);
    }
    for (size_t i = 0; i < j->n_paths; i++) {
        element e;
        if (walk(root, j->paths[i], &e)) ok = ok && value_of(a, e, &values[j->names.size() + i]);
    }
    if (!ok) std::snprintf(why, why_cap, "the event's values do not fit in memory");
    return ok;
}

} // namespace

extern "C" struct hg_json_event *hg_json_event_new(const char *const *names, size_t n_names, const struct hg_field_path *paths, size_t n_paths)
{
    try {
        auto j = std::make_unique<hg_json_event>();
        if (n_names > 60000) return nullptr;
        for (size_t i = 0; i < n_names; i++) j->names.emplace_back(names[i]);
        j->paths = paths;
        j->n_paths = n_paths;
        j->index();
        return j.release();
    } catch (const std::bad_alloc &) {
        return nullptr;
    }
}

extern "C" void hg_json_event_free(struct hg_json_event *j) { delete j; }

extern "C" bool hg_json_event_parse(struct hg_json_event *j, const unsigned char *bytes, size_t len, bool padded, struct hg_arena *a, struct hg_value *values, char *why, size_t why_cap)
{
    try {
        return parse(j, bytes, len, padded, a, values, why, why_cap);
    } catch (const std::exception &e) {
        std::snprintf(why, why_cap, "%s", e.what());
        return false;
    }
}
