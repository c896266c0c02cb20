/*
 * trigger: building one from what a manifest says, and what is known about it afterwards.
 *
 * Building reads the parameters into a config in scratch memory, lets the driver check what its table could not say, works
 * out name and target of the metric, and then looks whether the engine already has the same question: same type, same
 * parameters (target and activation apart), same credentials, same namespace where that matters. If so, that trigger is
 * shared; else the config is sealed into one piece of memory.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/atom.h"
#include "base/map.h"
#include "base/quantity.h"
#include "base/tree.h"
#include "net/egress.h"
#include "trigger/common/lazy.h"
#include "trigger/trigger_internal.h"

/* ------------------------------------------------------------------ names and numbers */

void metric_name_write(int index, const char *name, struct text *out)
{
    text_printf(out, "s%d-", index);
    for (const char *c = name; *c; c++)
        text_add_char(out, strchr("/.:%()", *c) ? '-' : *c);
}

bool trigger_metric_strip(int index, const char *metric_name, const char **name)
{
    char prefix[32];
    int length = snprintf(prefix, sizeof(prefix), "s%d-", index);

    if (strncmp(metric_name, prefix, (size_t)length) != 0)
        return false;
    *name = metric_name + length;
    return true;
}

double value_published(double value)
{
    char digits[400]; /* the largest double has 309 digits before the point */

    if (!isfinite(value) || value < 0)
        return 0;
    snprintf(digits, sizeof(digits), "%.3f", value);
    return strtod(digits, NULL);
}

/* ------------------------------------------------------------------ the metric */

static bool wrong_metric_type(const struct trigger_input *input, struct report *report, const char *remedy,
                              const char *text)
{
    struct finding about = {
        .severity = FINDING_ERROR, .code = "metric-type", .place = input->place, .object = input->object};
    char field[200];

    snprintf(field, sizeof(field), "%s%smetricType", input->field ? input->field : "", input->field ? "." : "");
    report_add(report, &about, field, remedy, "%s", text);
    return false;
}

static bool external_target_type(const struct trigger_driver *driver, const struct trigger_input *input,
                                 struct report *report, enum target_type *out)
{
    const char *type = input->metric_type;

    if (driver->average_only || !type || *type == '\0' || strcmp(type, "AverageValue") == 0)
        *out = TARGET_AVERAGE_VALUE;
    else if (strcmp(type, "Value") == 0)
        *out = TARGET_VALUE;
    else if (strcmp(type, "Utilization") == 0)
        return wrong_metric_type(input, report, "write AverageValue or Value",
                                 "Utilization is for cpu and memory triggers only");
    else
        return wrong_metric_type(input, report, "write AverageValue or Value",
                                 "metricType is neither AverageValue nor Value");
    return true;
}

static bool resource_target_type(const struct trigger_input *input, struct report *report, enum target_type *out)
{
    const char *type = input->metric_type;

    if (type && strcmp(type, "Utilization") == 0)
        *out = TARGET_UTILIZATION;
    else if (type && strcmp(type, "AverageValue") == 0)
        *out = TARGET_AVERAGE_VALUE;
    else
        return wrong_metric_type(input, report, "write metricType: Utilization or metricType: AverageValue beside type",
                                 type && *type ? "cpu and memory triggers take Utilization or AverageValue only"
                                               : "cpu and memory triggers need a metricType");
    return true;
}

static double role_value(const struct trigger_driver *driver, const void *config, enum param_role role)
{
    double value = 0;

    for (const struct param *p = driver->params; p->name; p++)
        if (p->role == role && (p->kind == PARAM_KIND_NUMBER || p->kind == PARAM_KIND_WHOLE))
            memcpy(&value, (const char *)config + p->offset, sizeof(value));
    return value;
}

static void fill_metric(const struct trigger_driver *driver, const void *config, const struct trigger_input *input,
                        enum target_type type, struct trigger_metric *metric)
{
    struct text name, normalised;

    memset(metric, 0, sizeof(*metric));
    metric->kind = METRIC_EXTERNAL;
    metric->target_type = type;
    metric->target = role_value(driver, config, ROLE_TARGET);
    metric->activation = role_value(driver, config, ROLE_ACTIVATION);
    if (driver->target)
        driver->target(config, metric);
    text_init(&name, TRIGGER_NAME_MAX_BYTES);
    text_init(&normalised, TRIGGER_NAME_MAX_BYTES);
    if (driver->metric_name)
        driver->metric_name(config, input, &name);
    else
        text_add(&name, driver->metric);
    if (driver->resource)
        text_printf(&normalised, "s%d-%s", input->index, name.bytes);
    else
        metric_name_write(input->index, name.bytes, &normalised);
    metric->name = atom_ref(normalised.bytes);
    if (metric->container)
        metric->container = atom_ref(metric->container);
    text_done(&name);
    text_done(&normalised);
}

/* Calls for each of driver->targets that is above 0 in the metadata; the number of the one with that index, or of them all. */
static size_t count_targets(const struct trigger_driver *driver, const struct tree *metadata, size_t wanted,
                            size_t *position)
{
    const char *name = driver->targets;
    size_t count = 0;

    for (size_t at = 0; name; at++) {
        size_t length = strcspn(name, ",");
        double value = 0;

        for (const struct tree *m = metadata ? metadata->first : NULL; m; m = m->next)
            if (m->key && strlen(m->key) == length && memcmp(m->key, name, length) == 0 && m->text)
                value = strtod(m->text, NULL); /* what is no number, params_read says */
        if (value > 0 && count++ == wanted)
            *position = at;
        name = name[length] ? name + length + 1 : NULL;
    }
    return count;
}

size_t trigger_metrics(const char *type, const struct tree *metadata)
{
    const struct trigger_driver *driver = trigger_driver_find(type);
    size_t position = 0, count = driver ? count_targets(driver, metadata, 0, &position) : 0;

    return count > 0 ? count : 1;
}

size_t check_target(const struct trigger_check *check)
{
    size_t position = 0;

    count_targets(check->driver, check->input->metadata, check->input->metric, &position);
    return position;
}

void trigger_metric_done(struct trigger_metric *metric)
{
    atom_unref(metric->name);
    atom_unref(metric->container);
    metric->name = metric->container = NULL;
}

/* ------------------------------------------------------------------ making one */

static struct target_key *target_copy(const struct target_key *key)
{
    struct target_key *copy = mem_alloc(sizeof(*copy));

    copy->ns = atom_ref(key->ns);
    copy->api_version = atom_ref(key->api_version);
    copy->kind = atom_ref(key->kind);
    copy->name = atom_ref(key->name);
    return copy;
}

static void target_free(struct target_key *key)
{
    if (!key)
        return;
    atom_unref(key->ns);
    atom_unref(key->api_version);
    atom_unref(key->kind);
    atom_unref(key->name);
    free(key);
}

static uint64_t hash_word(uint64_t hash, const char *word)
{
    return word ? hash_bytes(hash, word, strlen(word) + 1) : hash_bytes(hash, "\xff", 1);
}

static uint64_t identity_of(const struct trigger *trigger, const void *config)
{
    uint64_t hash = hash_word(trigger->direct ? 1 : 2, trigger->driver->type);

    hash = hash_word(hash, trigger->ns);
    if (trigger->allowed_hosts)
        hash = hash_word(hash, trigger->allowed_hosts);
    if (trigger->target) {
        hash = hash_word(hash_word(hash, trigger->target->ns), trigger->target->api_version);
        hash = hash_word(hash_word(hash, trigger->target->kind), trigger->target->name);
    }
    return config_hash(trigger->driver->params, config, hash);
}

static void release_parts(struct trigger *trigger, void *config, bool sealed)
{
    if (trigger->driver->release)
        trigger->driver->release(config);
    config_release(trigger->driver->params, config, sealed);
    arena_free(trigger->arena);
    target_free(trigger->target);
    atom_unref(trigger->ns);
    atom_unref(trigger->destination);
    atom_unref(trigger->share);
    atom_unref(trigger->allowed_hosts);
}

/* Moves head and config into one piece of memory. */
static struct trigger *seal(const struct trigger *head, const void *config)
{
    const struct trigger_driver *driver = head->driver;
    size_t config_bytes = (driver->config_size + 15) / 16 * 16;
    size_t bytes = TRIGGER_HEAD_BYTES + config_bytes + config_extra_bytes(driver->params, config);
    struct trigger *trigger = mem_alloc(bytes);
    char *free_space = (char *)trigger + TRIGGER_HEAD_BYTES + config_bytes;

    *trigger = *head;
    trigger->bytes = (uint32_t)bytes;
    trigger->references = 1;
    memcpy(trigger_config(trigger), config, driver->config_size);
    config_seal(driver->params, trigger_config(trigger), &free_space);
    return trigger;
}

static struct trigger *share_or_seal(struct trigger_engine *engine, struct trigger *head, void *config)
{
    struct trigger *trigger = engine ? engine_find(engine, head, config) : NULL;

    if (trigger) {
        release_parts(head, config, false);
        return trigger_ref(trigger);
    }
    trigger = seal(head, config);
    if (engine)
        engine_add(engine, trigger);
    return trigger;
}

/* Then what it asks is its namespace's own question: another may not be allowed to ask it. */
static bool has_own_egress(const struct trigger_engine *engine, const char *ns)
{
    return engine && egress_scope(transport_egress(engine->transport), ns);
}

static void fill_head(struct trigger *head, const struct trigger_engine *engine, const struct trigger_input *input,
                      void *config)
{
    const struct trigger_driver *driver = head->driver;
    char destination[300] = "";

    head->direct = input->direct;
    if ((driver->scope & SCOPE_NAMESPACE) || has_own_egress(engine, input->ns))
        head->ns = atom_ref(input->ns ? input->ns : "");
    head->share = input->ns && *input->ns ? atom_ref(input->ns) : NULL;
    if ((driver->scope & SCOPE_TARGET) && input->target)
        head->target = target_copy(input->target);
    head->allowed_hosts = atom_ref(input->credential ? input->credential->allowed_hosts : NULL);
    if (destinations_first(driver, config, destination, sizeof(destination)))
        head->destination = atom_ref(destination);
    head->identity = identity_of(head, config);
}

struct going { /* where the trigger's credential would go */
    const char *allowed_hosts;
    size_t places;
    bool refused;
    struct error why;
};

static void look_at_place(void *arg, const char *host, int port)
{
    struct going *going = arg;
    char place[320];

    going->places++;
    if (port > 0)
        snprintf(place, sizeof(place), strchr(host, ':') ? "[%s]:%d" : "%s:%d", host, port);
    else
        snprintf(place, sizeof(place), strchr(host, ':') ? "[%s]" : "%s", host);
    if (!going->refused)
        going->refused = !credential_may_go(going->allowed_hosts, place, &going->why);
}

/* All that is known before anything is asked, for the library of a query connects by itself. What the others are told on the way is
   looked at when they turn there. */
static bool may_go(const struct trigger *head, const void *config, const struct trigger_input *input,
                   struct report *report)
{
    struct finding about = {
        .severity = FINDING_ERROR, .code = "host-not-allowed", .place = input->place, .object = input->object};
    struct going going = {.allowed_hosts = head->allowed_hosts};

    if (!head->allowed_hosts)
        return true;
    destinations_walk(head->driver, config, look_at_place, &going);
    if (going.places == 0 && head->driver->query && !input->credential_unknown) /* else the address may be in it */
        look_at_place(&going, "", 0);
    if (!going.refused)
        return true;
    report_add(report, &about, input->field ? input->field : "",
               "ask a host that the annotation names, or have it added there", "%s", going.why.text);
    return false;
}

static bool find_driver(const struct trigger_input *input, struct report *report, const struct trigger_driver **driver)
{
    struct finding about = {.severity = FINDING_ERROR, .place = input->place, .object = input->object};
    char field[200], remedy[200];
    const char *near;
    bool known;

    *driver = trigger_driver_find(input->type);
    if (*driver)
        return true;
    known = trigger_support(input->type) == TRIGGER_KNOWN;
    near = trigger_nearest_type(input->type); /* compares with all types: only where it is needed */
    about.code = known ? "trigger-not-built-in" : "unknown-trigger-type";
    snprintf(field, sizeof(field), "%s%stype", input->field ? input->field : "", input->field ? "." : "");
    snprintf(remedy, sizeof(remedy),
             near ? "did you mean %s? `weir triggers` lists all" : "`weir triggers` lists all types", near);
    report_add(report, &about, field, known ? "`weir triggers` lists what is built in" : remedy,
               known ? "trigger type %s is not built in" : "there is no trigger type %s",
               input->type ? input->type : "\"\"");
    return false;
}

static bool load_library(struct trigger_check *check)
{
    struct lazy *library = check->driver->library;
    struct error why;
    char remedy[128];

    if (!library || lazy_load(library, &why))
        return true;
    snprintf(remedy, sizeof(remedy), "install Debian's %s", library->package);
    return check_error(check, NULL, remedy, "%s", why.text);
}

bool trigger_build(struct trigger_engine *engine, const struct trigger_input *input, struct report *report,
                   struct trigger **out, struct trigger_metric *metric)
{
    struct trigger_check check = {.input = input, .report = report};
    enum target_type type = TARGET_AVERAGE_VALUE;
    struct trigger head = {0};
    void *config;
    bool fits, built = false;

    if (!find_driver(input, report, &check.driver))
        return false;
    check.scratch = arena_new(ARENA_USUAL);
    config = arena_alloc(check.scratch, (check.driver->config_size + 15) / 16 * 16);
    fits = check.driver->resource ? resource_target_type(input, report, &type)
                                  : external_target_type(check.driver, input, report, &type);
    params_read(&check, config);
    params_check_unknown(&check);
    if (!load_library(&check) || (check.driver->prepare && !check.driver->prepare(config, &check)))
        check.errors += check.errors == 0;
    head.arena = check.kept;
    head.driver = check.driver;
    if (check.errors == 0 && fits) {
        fill_head(&head, engine, input, config);
        built = may_go(&head, config, input, report);
    }
    if (built) {
        fill_metric(check.driver, config, input, type, metric);
        *out = share_or_seal(engine, &head, config);
    } else {
        release_parts(&head, config, false);
    }
    arena_free(check.scratch);
    return built;
}

struct trigger *trigger_ref(struct trigger *trigger)
{
    trigger->references++;
    return trigger;
}

void trigger_unref(struct trigger *trigger)
{
    if (!trigger || --trigger->references > 0)
        return;
    if (trigger->watched && trigger->engine)
        trigger->engine->platform->ops->target_unwatch(trigger->watched);
    party_leave(trigger);
    if (trigger->engine)
        engine_remove(trigger->engine, trigger);
    if (trigger->memory) {
        if (trigger->driver->forget)
            trigger->driver->forget(trigger->memory);
        free(trigger->memory);
    }
    release_parts(trigger, trigger_config(trigger), true);
    free(trigger);
}

/* ------------------------------------------------------------------ what is known about it */

const char *trigger_destination(const struct trigger *trigger)
{
    return trigger->destination ? trigger->destination : "";
}

double trigger_told_target(const struct trigger *trigger)
{
    return trigger->told_target;
}

bool trigger_target_is_told(const struct trigger *trigger)
{
    const struct trigger_driver *driver = trigger->driver;
    bool has_parameter = driver->target != NULL;

    for (const struct param *p = driver->params; p->name; p++)
        has_parameter |= p->role == ROLE_TARGET;
    return !driver->resource && !has_parameter;
}

uint64_t trigger_identity(const struct trigger *trigger)
{
    return trigger->identity;
}

bool trigger_is_resource(const struct trigger *trigger)
{
    return trigger->driver->resource;
}

enum trigger_nulls trigger_nulls(const struct trigger *trigger)
{
    for (const struct param *p = trigger->driver->params; p && p->name; p++) {
        enum param_switch said;

        if (p->kind != PARAM_KIND_SWITCH || strcmp(p->name, "ignoreNullValues") != 0)
            continue;
        memcpy(&said, (const char *)trigger_config_of(trigger) + p->offset, sizeof(said));
        return said == SWITCH_FALSE ? NULLS_FAIL : NULLS_IGNORED;
    }
    return NULLS_UNKNOWN;
}

void **trigger_place(struct trigger *trigger)
{
    return &trigger->place;
}

size_t trigger_bytes(const struct trigger *trigger)
{
    return trigger->bytes + (trigger->arena ? arena_bytes(trigger->arena) : 0) +
           (trigger->memory ? trigger->driver->memory_size : 0) + (trigger->target ? sizeof(*trigger->target) : 0);
}

const struct trigger_driver *trigger_driver_of(const struct trigger *trigger)
{
    return trigger->driver;
}

const void *trigger_config_of(const struct trigger *trigger)
{
    return (const char *)trigger + TRIGGER_HEAD_BYTES;
}
