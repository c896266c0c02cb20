/*
 * sarif: see sarif.h. Rules come from the table of codes; a result refers to its rule by index. Columns are code points, as libyaml
 * counts them. A fingerprint of code, object and field lets a reviewer's tool follow a finding when lines move.
 */
#include "policy/sarif.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdint.h>
#include <string.h>

#include "base/map.h"
#include "base/report.h"
#include "base/text.h"
#include "policy/codes.h"

enum { SARIF_MESSAGE_MAX_BYTES = 64 * 1024 }; /* sentence and remedy: both were cut to less when they were made */

static void put_string(struct text *out, const char *before, const char *value)
{
    text_add(out, before);
    text_add_json_string(out, value, strlen(value));
}

static const char *level_of(enum finding_severity severity)
{
    return severity == FINDING_ERROR ? "error" : severity == FINDING_WARNING ? "warning" : "note";
}

/* ------------------------------------------------------------------ rules */

static void write_rule(const struct lint_code *code, struct text *out)
{
    put_string(out, "{\"id\":", code->code);
    put_string(out, ",\"shortDescription\":{\"text\":", code->title);
    put_string(out, "},\"fullDescription\":{\"text\":", code->text);
    put_string(out, "},\"help\":{\"text\":", code->text);
    put_string(out, ",\"markdown\":", code->text);
    put_string(out, "},\"defaultConfiguration\":{\"level\":", level_of(code->severity));
    put_string(out, "},\"properties\":{\"category\":", code->group);
    text_add(out, "}}");
}

static void write_tool(struct text *out)
{
    size_t count;
    const struct lint_code *codes = lint_codes(&count);

    text_add(out, "{\"driver\":{\"name\":\"weir\",\"semanticVersion\":\"" WEIR_VERSION "\",\"rules\":[\n");
    for (size_t i = 0; i < count; i++) {
        text_add(out, i ? ",\n" : "");
        write_rule(&codes[i], out);
    }
    text_add(out, "]}}");
}

/* ------------------------------------------------------------------ results */

/* A path as a URI: relative ones stay relative, so that they are found from the root of the repository. */
static void write_uri(const char *path, struct text *out)
{
    text_add(out, *path == '/' ? "\"file://" : "\"");
    for (const char *c = path; *c; c++) {
        if (isalnum((unsigned char)*c) || strchr("-._~/", *c))
            text_add_char(out, *c);
        else
            text_printf(out, "%%%02X", (unsigned char)*c);
    }
    text_add_char(out, '"');
}

static void write_location(const struct finding *f, struct text *out)
{
    text_add(out, ",\"locations\":[");
    if (f->place.file) {
        text_add(out, "{\"physicalLocation\":{\"artifactLocation\":{\"uri\":");
        write_uri(strcmp(f->place.file, "-") == 0 ? "stdin" : f->place.file, out);
        text_add_char(out, '}');
        if (f->place.line > 0)
            text_printf(out, ",\"region\":{\"startLine\":%d", f->place.line);
        if (f->place.line > 0 && f->place.column > 0)
            text_printf(out, ",\"startColumn\":%d", f->place.column);
        text_add(out, f->place.line > 0 ? "}}" : "}");
        if (f->object || f->field[0]) {
            put_string(out, ",\"logicalLocations\":[{\"fullyQualifiedName\":", f->object ? f->object : f->field);
            if (f->object && f->field[0])
                put_string(out, ",\"name\":", f->field);
            text_add(out, "}]");
        }
        text_add_char(out, '}');
    }
    text_add_char(out, ']');
}

static int rule_index(const char *code)
{
    size_t count;
    const struct lint_code *codes = lint_codes(&count);

    for (size_t i = 0; i < count; i++) {
        if (strcmp(codes[i].code, code) == 0)
            return (int)i;
    }
    return -1;
}

static uint64_t fingerprint(const struct finding *f)
{
    return hash_string(hash_string(hash_string(0, f->code), f->object ? f->object : ""), f->field);
}

static void write_message(const struct finding *f, struct text *out)
{
    struct text message;

    text_init(&message, SARIF_MESSAGE_MAX_BYTES);
    text_printf(&message, "%s%s%s", f->text, f->remedy ? ". Help: " : "", f->remedy ? f->remedy : "");
    put_string(out, ",\"message\":{\"text\":", message.bytes);
    text_add_char(out, '}');
    text_done(&message);
}

static void write_result(const struct finding *f, struct text *out)
{
    put_string(out, "{\"ruleId\":", f->code);
    text_printf(out, ",\"ruleIndex\":%d", rule_index(f->code));
    put_string(out, ",\"level\":", level_of(f->severity));
    write_message(f, out);
    write_location(f, out);
    text_printf(out, ",\"partialFingerprints\":{\"weir/v1\":\"%016" PRIx64 "\"}", fingerprint(f));
    if (f->silenced) {
        put_string(out, ",\"suppressions\":[{\"kind\":\"inSource\",\"justification\":", f->silenced);
        text_add(out, "}]");
    }
    text_add_char(out, '}');
}

void report_write_sarif(const struct report *report, struct text *out)
{
    text_add(
        out,
        "{\"$schema\":\"https://json.schemastore.org/sarif-2.1.0.json\",\"version\":\"2.1.0\",\"runs\":[{\"tool\":");
    write_tool(out);
    text_add(out, ",\"columnKind\":\"unicodeCodePoints\",\"results\":[");
    for (size_t i = 0; i < report_count(report); i++) {
        text_add(out, i ? ",\n" : "\n");
        write_result(report_at(report, i), out);
    }
    text_add(out, "]}]}\n");
}
