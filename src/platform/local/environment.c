/* environment: see environment.h. Rules of $(VAR): Kubernetes' "Define Environment Variables for a Container". */
#include "platform/local/environment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/secret.h"
#include "base/text.h"
#include "platform/local/config.h"
#include "platform/local/spec.h"

extern char **environ;

struct variable {
    const char *name, *value;
};
struct variables { /* in order of their definition; a later one of the same name takes the place of the earlier */
    struct arena *arena;
    struct variable *items;
    size_t count, capacity, bytes;
};

static const char *lookup(const struct variables *vars, const char *name, size_t length)
{
    for (size_t i = 0; i < vars->count; i++) {
        if (strncmp(vars->items[i].name, name, length) == 0 && vars->items[i].name[length] == 0)
            return vars->items[i].value;
    }
    return NULL;
}

/* ------------------------------------------------------------------ $(VAR) */

/* Appends what stands at a '$' and returns how many bytes of the input that were. */
static size_t expand_one(const struct variables *vars, const char *at, struct text *out)
{
    if (at[1] == '$') {
        text_add_char(out, '$');
        return 2;
    }
    const char *end = at[1] == '(' ? strchr(at, ')') : NULL;
    if (end == NULL) {
        text_add_char(out, '$');
        return 1;
    }
    const char *value = lookup(vars, at + 2, (size_t)(end - at - 2));
    if (value != NULL)
        text_add(out, value);
    else
        text_append(out, at, (size_t)(end - at) + 1);
    return (size_t)(end - at) + 1;
}

static bool expand(const struct variables *vars, const char *string, const char **out, struct error *err)
{
    struct text text;

    text_init(&text, LOCAL_ARGUMENT_MAX_BYTES);
    while (*string != 0) {
        size_t plain = strcspn(string, "$");
        text_append(&text, string, plain);
        string += plain;
        if (*string == '$')
            string += expand_one(vars, string, &text);
    }
    bool fits = !text.overflowed;
    if (fits)
        *out = arena_copy_bytes(vars->arena, text.bytes, text.length);
    text_done(&text);
    return fits || error_set(err, ERROR_LIMIT,
                             "an argument or variable grows beyond %d bytes (LOCAL_ARGUMENT_MAX_BYTES); "
                             "pass it in a file",
                             LOCAL_ARGUMENT_MAX_BYTES);
}

static bool expand_all(const struct variables *vars, const char *const *strings, char **out, struct error *err)
{
    for (size_t i = 0; strings[i] != NULL; i++) {
        const char *expanded;
        if (!expand(vars, strings[i], &expanded, err))
            return false;
        out[i] = (char *)expanded;
    }
    return true;
}

/* ------------------------------------------------------------------ variables */

static bool define(struct variables *vars, const char *name, const char *value, struct error *err)
{
    vars->bytes += strlen(name) + strlen(value) + 2;
    if (vars->bytes > LOCAL_ENVIRONMENT_MAX_BYTES)
        return error_set(err, ERROR_LIMIT,
                         "the environment grows beyond %d bytes (LOCAL_ENVIRONMENT_MAX_BYTES); "
                         "mount the data as a volume instead",
                         LOCAL_ENVIRONMENT_MAX_BYTES);
    for (size_t i = 0; i < vars->count; i++) {
        if (strcmp(vars->items[i].name, name) == 0) {
            vars->items[i].value = value;
            return true;
        }
    }
    if (vars->count == vars->capacity) {
        vars->capacity = vars->capacity ? vars->capacity * 2 : 32;
        vars->items = mem_grow(vars->items, vars->capacity, sizeof *vars->items);
    }
    vars->items[vars->count++] = (struct variable){name, value};
    return true;
}

static bool define_from(struct variables *vars, const struct env_from *from, const char *ns,
                        const struct config_store *configs, struct error *err)
{
    const char *name = from->secret_name ? from->secret_name : from->config_name;
    const struct config_object *o = name ? config_find(configs, from->secret_name != NULL, ns, name) : NULL;

    if (o == NULL)
        return from->optional || error_set(err, ERROR_MISSING, "%s %s/%s of envFrom is in no manifest",
                                           from->secret_name ? "Secret" : "ConfigMap", ns, name ? name : "(unnamed)");
    for (size_t i = 0; i < o->value_count; i++) {
        const char *key = o->values[i].key;
        if (strchr(key, '=') != NULL || key[0] == 0)
            continue; /* Kubernetes leaves out what cannot be a variable's name */
        if (!define(vars, arena_printf(vars->arena, "%s%s", from->prefix ? from->prefix : "", key),
                    arena_copy(vars->arena, secret_reveal(o->values[i].value)), err))
            return false;
    }
    return true;
}

/* The value a reference names. *out NULL: it is optional and not there. */
static bool refer(const struct env_var *v, const char *ns, const struct config_store *configs, struct secret **out,
                  struct error *err)
{
    bool secret = v->secret_name != NULL;
    const char *name = secret ? v->secret_name : v->config_name;
    const struct config_object *o = config_find(configs, secret, ns, name);

    *out = o != NULL && v->key != NULL ? config_value_of(o, v->key) : NULL;
    if (*out != NULL || v->optional)
        return true;
    if (o == NULL)
        return error_set(err, ERROR_MISSING, "%s %s/%s of variable %s is in no manifest",
                         secret ? "Secret" : "ConfigMap", ns, name, v->name);
    return error_set(err, ERROR_MISSING, "%s %s/%s has no key \"%s\", which variable %s wants",
                     secret ? "Secret" : "ConfigMap", ns, name, v->key ? v->key : "", v->name);
}

static bool define_var(struct variables *vars, const struct env_var *v, const struct replica_identity *who,
                       const struct config_store *configs, struct error *err)
{
    const char *value = NULL;
    struct secret *secret;

    if (v->field_path != NULL) {
        value = strcmp(v->field_path, "metadata.name") == 0 ? who->pod_name : who->ns;
    } else if (v->secret_name != NULL || v->config_name != NULL) {
        if (!refer(v, who->ns, configs, &secret, err))
            return false;
        if (secret == NULL)
            return true;
        value = secret_reveal(secret);
    } else if (!expand(vars, v->value ? v->value : "", &value, err)) {
        return false;
    }
    return define(vars, v->name, arena_copy(vars->arena, value), err);
}

static bool is_reserved(const char *name)
{
    static const char *const names[] = {"PORT", "WEIR_REPLICA", "WEIR_POD_NAME", "WEIR_NAMESPACE", "WEIR_VOLUMES"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], name) == 0)
            return true;
    }
    return false;
}

static bool define_reserved(struct variables *vars, const struct replica_identity *who, struct error *err)
{
    bool good = define(vars, "WEIR_REPLICA", who->ordinal, err) && define(vars, "WEIR_POD_NAME", who->pod_name, err) &&
                define(vars, "WEIR_NAMESPACE", who->ns, err) && define(vars, "WEIR_VOLUMES", who->volumes_dir, err);

    if (good && who->port != 0)
        good = define(vars, "PORT", arena_printf(vars->arena, "%d", who->port), err);
    return good;
}

static bool define_all(struct variables *vars, const struct spec_env *env, const struct replica_identity *who,
                       const struct config_store *configs, struct error *err)
{
    for (size_t i = 0; i < env->from_count; i++) {
        if (!define_from(vars, &env->from[i], who->ns, configs, err))
            return false;
    }
    if (!define_reserved(vars, who, err)) /* known to the values of env ... */
        return false;
    for (size_t i = 0; i < env->var_count; i++) {
        if (!is_reserved(env->vars[i].name) && !define_var(vars, &env->vars[i], who, configs, err))
            return false;
    }
    return true;
}

/* ------------------------------------------------------------------ the image of a process */

static bool is_inherited(const char *entry)
{
    static const char *const names[] = {
        "PATH=", "HOME=", "USER=", "LOGNAME=", "SHELL=", "LANG=", "LC_", "TZ=", "TMPDIR=", "LD_LIBRARY_PATH="};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (string_starts(entry, names[i]))
            return true;
    }
    return false;
}

static char **make_envp(const struct variables *vars)
{
    size_t inherited = 0, n = 0;

    while (environ[inherited] != NULL)
        inherited++;
    char **envp = arena_array(vars->arena, inherited + vars->count + 1, sizeof *envp);
    for (size_t i = 0; i < inherited; i++) {
        if (is_inherited(environ[i]) && lookup(vars, environ[i], strcspn(environ[i], "=")) == NULL)
            envp[n++] = arena_copy(vars->arena, environ[i]);
    }
    for (size_t i = 0; i < vars->count; i++)
        envp[n++] = arena_printf(vars->arena, "%s=%s", vars->items[i].name, vars->items[i].value);
    return envp;
}

static size_t count_strings(const char *const *strings)
{
    size_t count = 0;

    while (strings[count] != NULL)
        count++;
    return count;
}

bool environment_make(const struct spec *spec, const struct replica_identity *who, const struct config_store *configs,
                      struct arena *arena, struct process_image *out, struct error *err)
{
    struct variables vars = {.arena = arena};
    size_t commands = count_strings(spec->command);
    char **argv = arena_array(arena, commands + count_strings(spec->args) + 1, sizeof *argv);

    bool good = define_all(&vars, &spec->env, who, configs, err) && expand_all(&vars, spec->command, argv, err) &&
                expand_all(&vars, spec->args, argv + commands, err);
    if (good)
        *out = (struct process_image){.argv = argv, .envp = make_envp(&vars)};
    free(vars.items);
    return good;
}

bool environment_expand(const char *const *strings, char *const *envp, struct arena *arena, char ***out,
                        struct error *err)
{
    struct variables vars = {.arena = arena};
    char **argv = arena_array(arena, count_strings(strings) + 1, sizeof *argv);
    bool good = true;

    for (size_t i = 0; good && envp[i] != NULL; i++) {
        size_t length = strcspn(envp[i], "=");
        good =
            envp[i][length] == 0 || define(&vars, arena_copy_bytes(arena, envp[i], length), envp[i] + length + 1, err);
    }
    good = good && expand_all(&vars, strings, argv, err);
    if (good)
        *out = argv;
    free(vars.items);
    return good;
}

bool environment_value(const struct spec_env *env, const char *ns, const struct config_store *configs, const char *name,
                       struct secret **out, struct error *err)
{
    struct replica_identity nobody = {.ns = ns, .pod_name = "", .ordinal = "", .volumes_dir = ""};
    struct arena *arena = arena_new(ARENA_USUAL);
    struct variables vars = {.arena = arena};
    bool good = true, found = false;

    /* What another variable refers to may be missing without harm to this one. */
    error_set(err, ERROR_MISSING, "the container has no variable %s", name);
    for (size_t i = 0; i < env->from_count; i++)
        define_from(&vars, &env->from[i], ns, configs, err);
    for (size_t i = 0; good && i < env->var_count; i++) {
        const struct env_var *v = &env->vars[i];
        bool differs = string_equal(v->field_path, "metadata.name"); /* from replica to replica */
        bool defined = !differs && define_var(&vars, v, &nobody, configs, err);
        good = defined || strcmp(v->name, name) != 0;
    }
    const char *value = good ? lookup(&vars, name, strlen(name)) : NULL;
    if (value != NULL) {
        *out = secret_new(value, strlen(value));
        found = true;
    }
    free(vars.items);
    arena_free(arena);
    return found;
}
