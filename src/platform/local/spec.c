/* spec: see spec.h. Kubernetes' meaning of the fields; what a container image would have supplied must stand in the manifest. */
#include "platform/local/spec.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/map.h"
#include "base/selector.h"
#include "base/text.h"
#include "base/tree.h"

struct reading { /* what the functions below share */
    struct spec *spec;
    const struct object_meta *meta;
    const char *field;
    struct report *report;
    bool failed;
};

/* ------------------------------------------------------------------ findings */

static void complain(struct reading *r, enum finding_severity severity, const char *code, const char *below,
                     const char *remedy, const char *text)
{
    char field[512], object[400];

    snprintf(field, sizeof field, "%s%s.%s", r->meta->path_prefix ? r->meta->path_prefix : "", r->field, below);
    snprintf(object, sizeof object, "%s %s/%s", r->meta->kind, r->meta->ns, r->meta->name);
    report_add(r->report,
               &(struct finding){.severity = severity, .code = code, .place = r->meta->place, .object = object}, field,
               remedy, "%s", text);
    if (severity == FINDING_ERROR)
        r->failed = true;
}

static void refuse(struct reading *r, const char *below, const char *remedy, const char *text)
{
    complain(r, FINDING_ERROR, "not-on-this-machine", below, remedy, text);
}

/* ------------------------------------------------------------------ copies */

static const char *copy(struct reading *r, const char *string)
{
    return arena_copy(r->spec->arena, string);
}

static const char *const *copy_strings(struct reading *r, const char *const *strings)
{
    size_t count = 0;

    while (strings != NULL && strings[count] != NULL)
        count++;
    const char **out = arena_array(r->spec->arena, count + 1, sizeof *out);
    for (size_t i = 0; i < count; i++)
        out[i] = copy(r, strings[i]);
    return out;
}

static struct env_var copy_env_var(struct reading *r, const struct env_var *v)
{
    return (struct env_var){.name = copy(r, v->name),
                            .value = copy(r, v->value),
                            .secret_name = copy(r, v->secret_name),
                            .config_name = copy(r, v->config_name),
                            .field_path = copy(r, v->field_path),
                            .resource = copy(r, v->resource),
                            .key = copy(r, v->key),
                            .optional = v->optional};
}

static void check_env_var(struct reading *r, const struct env_var *v, size_t index)
{
    char below[128];

    snprintf(below, sizeof below, "spec.containers[0].env[%zu].valueFrom.%s", index,
             v->field_path ? "fieldRef.fieldPath" : "resourceFieldRef");
    if (v->resource != NULL) {
        refuse(r, below, "write the value itself", "resourceFieldRef has no meaning for a process on this machine");
    } else if (v->field_path != NULL && strcmp(v->field_path, "metadata.name") != 0 &&
               strcmp(v->field_path, "metadata.namespace") != 0) {
        char text[200];
        snprintf(text, sizeof text, "field \"%.100s\" of a pod has no meaning for a process on this machine",
                 v->field_path);
        refuse(r, below, "metadata.name and metadata.namespace are known here", text);
    }
}

static void copy_env(struct reading *r, const struct container *c)
{
    struct env_var *vars = arena_array(r->spec->arena, c->env_count, sizeof *vars);
    struct env_from *from = arena_array(r->spec->arena, c->env_from_count, sizeof *from);

    for (size_t i = 0; i < c->env_count; i++) {
        check_env_var(r, &c->env[i], i);
        vars[i] = copy_env_var(r, &c->env[i]);
    }
    for (size_t i = 0; i < c->env_from_count; i++) {
        const struct env_from *f = &c->env_from[i];
        from[i] = (struct env_from){.prefix = copy(r, f->prefix),
                                    .secret_name = copy(r, f->secret_name),
                                    .config_name = copy(r, f->config_name),
                                    .optional = f->optional};
    }
    r->spec->env = (struct spec_env){.container = copy(r, c->name ? c->name : ""),
                                     .from = from,
                                     .from_count = c->env_from_count,
                                     .vars = vars,
                                     .var_count = c->env_count};
}

static void copy_probe(struct reading *r, const struct probe *p, struct spec_probe *out)
{
    size_t n = 0;

    *out = (struct spec_probe){.kind = p->kind,
                               .path = copy(r, p->path),
                               .scheme = copy(r, p->scheme),
                               .port = copy(r, p->port),
                               .command = copy_strings(r, p->command),
                               .initial_delay_s = p->initial_delay_s,
                               .period_s = p->period_s > 0 ? p->period_s : 10,
                               .timeout_s = p->timeout_s > 0 ? p->timeout_s : 1,
                               .success_threshold = p->success_threshold > 0 ? p->success_threshold : 1,
                               .failure_threshold = p->failure_threshold > 0 ? p->failure_threshold : 3,
                               .grace_period_s = p->grace_period_s};
    out->headers = arena_array(r->spec->arena, tree_count(p->headers), sizeof *out->headers);
    for (const struct tree *h = p->headers ? p->headers->first : NULL; h != NULL; h = h->next) {
        /* Kubernetes' list of {name, value}, or a map */
        const char *name = h->type == TREE_MAP ? tree_string(tree_get(h, "name")) : h->key;
        const char *value = h->type == TREE_MAP ? tree_string(tree_get(h, "value")) : tree_string(h);
        if (name != NULL && value != NULL)
            out->headers[n++] = (struct spec_header){copy(r, name), copy(r, value)};
    }
    out->header_count = n;
}

static void copy_labels(struct reading *r, const struct tree *labels)
{
    struct label *out = arena_array(r->spec->arena, tree_count(labels), sizeof *out);
    size_t n = 0;

    for (const struct tree *l = labels ? labels->first : NULL; l != NULL; l = l->next) {
        if (l->key != NULL && tree_string(l) != NULL)
            out[n++] = (struct label){copy(r, l->key), copy(r, tree_string(l))};
    }
    r->spec->labels = out;
    r->spec->label_count = n;
}

/* ------------------------------------------------------------------ volumes */

/* A path below the volume: relative, and never upwards. */
static bool good_path(const char *path)
{
    if (path[0] == '/' || path[0] == 0)
        return false;
    for (const char *part = path; *part != 0;) {
        size_t length = strcspn(part, "/");
        if (length == 0 || (length == 1 && part[0] == '.') || (length == 2 && part[0] == '.' && part[1] == '.'))
            return false;
        part += length + (part[length] == '/');
    }
    return true;
}

static void copy_items(struct reading *r, const struct tree *items, size_t index, struct spec_volume *out)
{
    size_t n = 0;
    char below[96];

    out->items = arena_array(r->spec->arena, tree_count(items) + 1, sizeof *out->items);
    snprintf(below, sizeof below, "spec.volumes[%zu].items", index);
    for (const struct tree *i = items->first; i != NULL; i = i->next) {
        const char *key = i->type == TREE_MAP ? tree_string(tree_get(i, "key")) : i->key;
        const char *path = i->type == TREE_MAP ? tree_string(tree_get(i, "path")) : tree_string(i);
        if (key == NULL || path == NULL || !good_path(path))
            refuse(r, below, "name a key and a relative path without ..", "an item has no usable key or path");
        else
            out->items[n++] = (struct spec_item){copy(r, key), copy(r, path)};
    }
    out->item_count = n;
}

static void copy_volumes(struct reading *r, const struct pod_template *t)
{
    struct spec_volume *out = arena_array(r->spec->arena, t->volume_count, sizeof *out);

    for (size_t i = 0; i < t->volume_count; i++) {
        const struct volume *v = &t->volumes[i];
        char below[64];
        snprintf(below, sizeof below, "spec.volumes[%zu]", i);
        if (v->name == NULL || !good_path(v->name) || strchr(v->name, '/') != NULL)
            refuse(r, below, "give it a name that can be a directory's", "the volume has no usable name");
        else if (v->secret_name == NULL && v->config_name == NULL && !v->empty_dir)
            refuse(r, below, "use a path in env, or a secret, configMap or emptyDir volume",
                   "only Secrets, ConfigMaps and empty directories can be volumes on this machine");
        out[i] = (struct spec_volume){.name = copy(r, v->name),
                                      .secret_name = copy(r, v->secret_name),
                                      .config_name = copy(r, v->config_name),
                                      .optional = v->optional};
        if (v->items != NULL)
            copy_items(r, v->items, i, &out[i]);
    }
    r->spec->volumes = out;
    r->spec->volume_count = t->volume_count;
}

/* ------------------------------------------------------------------ ports */

static int port_number(const char *text)
{
    char *end;

    if (text == NULL || text[0] == 0)
        return 0;
    long number = strtol(text, &end, 10);
    return *end == 0 && number > 0 && number <= 65535 ? (int)number : 0;
}

static void copy_ports(struct reading *r, const struct container *c)
{
    size_t n = 0, most = tree_count(c->ports) + 1;
    struct spec_port *out = arena_array(r->spec->arena, most, sizeof *out);

    for (const struct tree *p = c->ports ? c->ports->first : NULL; p != NULL; p = p->next) {
        const char *name = tree_string(tree_get(p, "name"));
        int64_t number;
        if (tree_integer(tree_get(p, "containerPort"), &number) && number > 0 && number <= 65535)
            out[n++] = (struct spec_port){copy(r, name ? name : ""), (int)number};
    }
    if (n == 0 && port_number(c->first_port) != 0)
        out[n++] = (struct spec_port){"", port_number(c->first_port)};
    r->spec->ports = out;
    r->spec->port_count = n;
}

static bool mentions_port(const char *text)
{
    static const char *const forms[] = {"$(PORT)", "${PORT"};

    if (text == NULL)
        return false;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (strstr(text, forms[i]) != NULL)
            return true;
    }
    for (const char *at = text; (at = strstr(at, "$PORT")) != NULL; at += 5) {
        if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_", at[5]) == NULL || at[5] == 0)
            return true;
    }
    return false;
}

static bool any_mentions_port(const char *const *texts)
{
    for (; *texts != NULL; texts++) {
        if (mentions_port(*texts))
            return true;
    }
    return false;
}

static void decide_mapping(struct spec *spec)
{
    bool mapped = spec->port_count == 0 || any_mentions_port(spec->command) || any_mentions_port(spec->args);
    int number = spec->port_count > 0 ? spec->ports[0].number : 0;

    for (size_t i = 0; i < spec->env.var_count; i++) {
        const struct env_var *v = &spec->env.vars[i];
        mapped = mapped || mentions_port(v->value);
        if (strcmp(v->name, "PORT") == 0) {
            mapped = true;
            number = port_number(v->value) != 0 ? port_number(v->value) : number;
        }
    }
    spec->port_is_mapped = mapped;
    spec->mapped_number = mapped ? number : 0;
}

int spec_port(const struct spec *spec, const char *port, int assigned)
{
    int number = port_number(port);

    if (port == NULL)
        number = spec->port_is_mapped ? spec->mapped_number : spec->ports[0].number;
    else if (strcmp(port, "$PORT") == 0 || strcmp(port, "$(PORT)") == 0 || strcmp(port, "PORT") == 0)
        return assigned;
    for (size_t i = 0; number == 0 && port != NULL && i < spec->port_count; i++) {
        if (strcmp(spec->ports[i].name, port) == 0)
            number = spec->ports[i].number;
    }
    return spec->port_is_mapped && number == spec->mapped_number && (number != 0 || port == NULL) ? assigned : number;
}

/* ------------------------------------------------------------------ environment of other containers */

static bool optional_of(const struct tree *reference)
{
    bool optional;

    return tree_bool(tree_get(reference, "optional"), &optional) && optional;
}

static struct env_var read_env_var(struct reading *r, const struct tree *t)
{
    const struct tree *from = tree_get(t, "valueFrom"), *secret = tree_get(from, "secretKeyRef"),
                      *config = tree_get(from, "configMapKeyRef"), *reference = secret ? secret : config;
    const char *name = tree_string(tree_get(t, "name")), *value = tree_string(tree_get(t, "value"));

    return (struct env_var){.name = copy(r, name ? name : ""),
                            .value = copy(r, from    ? NULL
                                             : value ? value
                                                     : ""),
                            .secret_name = copy(r, tree_string(tree_get(secret, "name"))),
                            .config_name = copy(r, tree_string(tree_get(config, "name"))),
                            .field_path = copy(r, tree_string(tree_at(from, "fieldRef.fieldPath"))),
                            .key = copy(r, tree_string(tree_get(reference, "key"))),
                            .optional = optional_of(reference)};
}

static struct spec_env read_env(struct reading *r, const struct tree *container)
{
    const struct tree *vars = tree_get(container, "env"), *from = tree_get(container, "envFrom");
    const char *name = tree_string(tree_get(container, "name"));
    struct env_var *v = arena_array(r->spec->arena, tree_count(vars), sizeof *v);
    struct env_from *f = arena_array(r->spec->arena, tree_count(from), sizeof *f);
    size_t vs = 0, fs = 0;

    for (const struct tree *t = vars ? vars->first : NULL; t != NULL; t = t->next)
        v[vs++] = read_env_var(r, t);
    for (const struct tree *t = from ? from->first : NULL; t != NULL; t = t->next) {
        const struct tree *secret = tree_get(t, "secretRef"), *config = tree_get(t, "configMapRef");
        f[fs++] = (struct env_from){.prefix = copy(r, tree_string(tree_get(t, "prefix"))),
                                    .secret_name = copy(r, tree_string(tree_get(secret, "name"))),
                                    .config_name = copy(r, tree_string(tree_get(config, "name"))),
                                    .optional = optional_of(secret ? secret : config)};
    }
    return (struct spec_env){
        .container = copy(r, name ? name : ""), .from = f, .from_count = fs, .vars = v, .var_count = vs};
}

static void copy_other_containers(struct reading *r, const struct tree *template)
{
    const struct tree *containers = tree_at(template, "spec.containers");
    size_t count = tree_count(containers);
    struct spec_env *out = arena_array(r->spec->arena, count, sizeof *out);
    size_t n = 0;

    for (size_t i = 1; i < count; i++)
        out[n++] = read_env(r, tree_index(containers, i));
    r->spec->others = out;
    r->spec->other_count = n;
}

/* ------------------------------------------------------------------ hash */

static uint64_t hash_text(uint64_t seed, const char *text)
{
    return text == NULL ? hash_bytes(seed, "\1", 1) : hash_bytes(seed, text, strlen(text) + 1);
}

static uint64_t hash_strings(uint64_t h, const char *const *texts)
{
    for (; *texts != NULL; texts++)
        h = hash_text(h, *texts);
    return hash_bytes(h, "\2", 1);
}

static uint64_t hash_numbers(uint64_t h, const int64_t *numbers, size_t count)
{
    return hash_bytes(h, numbers, count * sizeof *numbers);
}

static uint64_t hash_probe(uint64_t h, const struct spec_probe *p)
{
    const int64_t numbers[] = {p->kind,          p->initial_delay_s,   p->period_s,
                               p->timeout_s,     p->success_threshold, p->failure_threshold,
                               p->grace_period_s};

    h = hash_strings(hash_text(hash_text(hash_text(h, p->path), p->scheme), p->port), p->command);
    for (size_t i = 0; i < p->header_count; i++)
        h = hash_text(hash_text(h, p->headers[i].name), p->headers[i].value);
    return hash_numbers(h, numbers, sizeof numbers / sizeof numbers[0]);
}

static uint64_t hash_env(uint64_t h, const struct spec_env *env)
{
    for (size_t i = 0; i < env->from_count; i++) {
        const struct env_from *f = &env->from[i];
        h = hash_text(hash_text(hash_text(h, f->prefix), f->secret_name), f->config_name);
    }
    for (size_t i = 0; i < env->var_count; i++) {
        const struct env_var *v = &env->vars[i];
        const char *const texts[] = {v->name,
                                     v->value ? v->value : "",
                                     v->secret_name ? v->secret_name : "",
                                     v->config_name ? v->config_name : "",
                                     v->field_path ? v->field_path : "",
                                     v->key ? v->key : "",
                                     NULL};
        h = hash_strings(h, texts);
    }
    return h;
}

/* The order of members says nothing, so the hashes of a map's members are added. Depth: TREE_DEPTH_MAX, by the reader. */
static uint64_t hash_tree(const struct tree *node)
{
    uint64_t h = hash_bytes((uint64_t)node->type + 1, node->text ? node->text : "", node->text ? node->length : 0);

    if (node->type == TREE_BOOL)
        h ^= node->boolean;
    for (const struct tree *child = node->first; child != NULL; child = child->next) {
        if (node->type == TREE_MAP)
            h += hash_text(hash_tree(child), child->key);
        else
            h = h * 31 + hash_tree(child);
    }
    return h;
}

static uint64_t hash_spec(const struct spec *s, const struct tree *template)
{
    uint64_t h = hash_strings(hash_strings(0, s->command), s->args);
    const int64_t numbers[] = {s->grace_ms, s->cpu_request_milli, s->memory_request_milli, s->restart_never};

    h = hash_numbers(hash_text(hash_env(h, &s->env), s->cwd), numbers, sizeof numbers / sizeof numbers[0]);
    for (size_t i = 0; i < s->volume_count; i++) {
        const struct spec_volume *v = &s->volumes[i];
        h = hash_text(hash_text(hash_text(h, v->name), v->secret_name), v->config_name);
    }
    for (size_t i = 0; i < s->port_count; i++)
        h = hash_numbers(hash_text(h, s->ports[i].name), &(int64_t){s->ports[i].number}, 1);
    h = hash_probe(hash_probe(hash_probe(h, &s->readiness), &s->liveness), &s->startup);
    return template != NULL ? h + hash_tree(template) : h;
}

/* ------------------------------------------------------------------ new, ref, unref */

static const char *absolute_dir(struct reading *r, const char *dir, const char *file_dir)
{
    if (dir == NULL || dir[0] == 0)
        return copy(r, file_dir);
    return dir[0] == '/' ? copy(r, dir) : arena_printf(r->spec->arena, "%s/%s", file_dir, dir);
}

static void check_containers(struct reading *r, const struct pod_template *t)
{
    if (t->main.command == NULL || t->main.command[0] == NULL || t->main.command[0][0] == 0)
        refuse(r, "spec.containers[0].command", "write the program to run, e.g. [\"python3\", \"serve.py\"]",
               "command is required on this machine: there is no image to take it from");
    if (t->container_count > 1)
        complain(r, FINDING_WARNING, "first-container-only", "spec.containers[1]", "make a Deployment of its own of it",
                 "only the first container runs on this machine");
}

struct spec *spec_new(const struct pod_template *t, const struct object_meta *meta, const char *field,
                      const char *file_dir, struct report *report)
{
    struct arena *arena = arena_new(ARENA_USUAL);
    struct spec *s = arena_alloc(arena, sizeof *s);
    struct reading r = {.spec = s, .meta = meta, .field = field, .report = report};

    s->arena = arena;
    s->references = 1;
    check_containers(&r, t);
    s->command = copy_strings(&r, t->main.command);
    s->args = copy_strings(&r, t->main.args);
    s->cwd = absolute_dir(&r, t->main.working_dir, file_dir);
    copy_env(&r, &t->main);
    copy_other_containers(&r, t->tree);
    copy_labels(&r, t->labels);
    copy_volumes(&r, t);
    copy_ports(&r, &t->main);
    decide_mapping(s);
    copy_probe(&r, &t->main.readiness, &s->readiness);
    copy_probe(&r, &t->main.liveness, &s->liveness);
    copy_probe(&r, &t->main.startup, &s->startup);
    s->grace_ms = (t->grace_period_s >= 0 ? t->grace_period_s : DEFAULT_GRACE_PERIOD_S) * INT64_C(1000);
    s->restart_never = string_equal(t->restart_policy, "Never");
    s->cpu_request_milli = t->main.cpu_request_milli;
    s->memory_request_milli = t->main.memory_request_milli;
    s->hash = hash_spec(s, t->tree);
    if (!r.failed)
        return s;
    spec_unref(s);
    return NULL;
}

struct spec *spec_ref(struct spec *spec)
{
    spec->references++;
    return spec;
}

void spec_unref(struct spec *spec)
{
    if (spec != NULL && --spec->references == 0)
        arena_free(spec->arena);
}
