/* tune: of a list of knobs the one that is cheapest among those that keep the promise. A fixed fleet is searched for by halving. */
#include "quality.h"

#include <string.h>

bool is_kept(const struct outcome *outcome)
{
    return outcome->in_slo >= SHARE;
}

static bool is_better(const struct outcome *a, const struct outcome *b)
{
    if (is_kept(a) != is_kept(b))
        return is_kept(a);
    return is_kept(a) ? a->replica_hours < b->replica_hours : a->in_slo > b->in_slo;
}

static bool tune_fixed(const struct contender *c, const struct demand *w, struct outcome *out, struct error *err)
{
    int32_t low = 0, high = REPLICAS_MAX_TRIED; /* low is too few, high enough */

    while (high - low > 1) {
        struct outcome o;

        if (!play(c, w, (low + high) / 2, true, &o, err))
            return false;
        if (is_kept(&o))
            high = (low + high) / 2;
        else
            low = (low + high) / 2;
    }
    return play(c, w, high, true, out, err);
}

bool tune(const struct contender *c, const struct demand *w, struct outcome *out, struct error *err)
{
    if (c->kind == CONTENDER_FIXED)
        return tune_fixed(c, w, out, err);
    if (!c->knobs)
        return play(c, w, 0, true, out, err);
    for (const double *knob = c->knobs; *knob > 0; knob++) {
        struct outcome o;

        if (!play(c, w, *knob, true, &o, err))
            return false;
        if (knob == c->knobs || is_better(&o, out))
            *out = o;
    }
    return true;
}
