/*
 * secrecy: what the table of a trigger's parameters knows of one of them: a credential, something that cannot be one (a number, a word of a
 * list), or a text that might be anything.
 */
#include <string.h>

#include "trigger/trigger_internal.h"

static bool is_alias(const struct param *param, const char *name)
{
    size_t length = strlen(name);

    for (const char *at = param->aliases; at && *at;) {
        size_t word = strcspn(at, ",");

        if (word == length && strncmp(at, name, length) == 0)
            return true;
        at += word + (at[word] == ',');
    }
    return false;
}

static enum trigger_secrecy secrecy_of_kind(enum param_kind kind)
{
    switch (kind) {
    case PARAM_KIND_SECRET:
        return TRIGGER_SECRET;
    case PARAM_KIND_NUMBER:
    case PARAM_KIND_WHOLE:
    case PARAM_KIND_INTEGER:
    case PARAM_KIND_BOOL:
    case PARAM_KIND_SWITCH:
    case PARAM_KIND_DURATION:
    case PARAM_KIND_SPAN:
    case PARAM_KIND_CHOICE:
        return TRIGGER_PLAIN;
    default:
        return TRIGGER_PERHAPS;
    }
}

/* Blocks hold no blocks. */
static enum trigger_secrecy find_in(const struct param *params, const char *name)
{
    for (const struct param *p = params; p->name; p++) {
        enum trigger_secrecy inner = p->kind == PARAM_KIND_BLOCK ? find_in(p->block->params, name) : TRIGGER_PERHAPS;

        if (inner != TRIGGER_PERHAPS)
            return inner;
        if (p->kind != PARAM_KIND_BLOCK && (strcmp(p->name, name) == 0 || is_alias(p, name)))
            return p->address ? TRIGGER_PERHAPS : secrecy_of_kind(p->kind);
    }
    return TRIGGER_PERHAPS;
}

enum trigger_secrecy trigger_secrecy(const char *type, const char *parameter)
{
    const struct trigger_driver *driver = type ? trigger_driver_find(type) : NULL;

    return driver ? find_in(driver->params, parameter) : TRIGGER_PERHAPS;
}
