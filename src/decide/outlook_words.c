/*
 * outlook_words: an outlook in sentences. All texts come from the tables here, as those of decisions come from decide.h; nothing is
 * decided here.
 */
#include <math.h>
#include <string.h>

#include "base/text.h"
#include "base/time.h"
#include "decide/decide_internal.h"
#include "decide/outlook.h"

/* {cause} the trigger; {value} the edge; {replicas} what it would be; {now}; {then}; {at} an instant; {span} a duration; {end} what ends
   then. */
#define OUTLOOK_SENTENCES(SENTENCE)                                                                                    \
    SENTENCE(PAUSED, "the object is paused: nothing changes before it is resumed")                                     \
    SENTENCE(TIME, "with the values of now nothing changes before {at}, when {end}: then {then} (now {now})")          \
    SENTENCE(ABOVE, "{cause} above {value} would make it {replicas} (now {now})")                                      \
    SENTENCE(FROM, "{cause} at {value} or above would make it {replicas} (now {now})")                                 \
    SENTENCE(BELOW, "{cause} below {value} would make it {replicas} (now {now})")                                      \
    SENTENCE(UP_TO, "{cause} at {value} or below would make it {replicas} (now {now})")                                \
    SENTENCE(AT_ZERO, "{cause} at 0 would make it {replicas} (now {now})")                                             \
    SENTENCE(ANY, "any value of {cause} would make it {replicas} (now {now})")                                         \
    SENTENCE(ABOVE_FOR, "{cause} above {value} for {span} would make it {replicas} (now {now}), when {end}")           \
    SENTENCE(FROM_FOR, "{cause} at {value} or above for {span} would make it {replicas} (now {now}), when {end}")      \
    SENTENCE(BELOW_FOR, "{cause} below {value} for {span} would make it {replicas} (now {now}), when {end}")           \
    SENTENCE(UP_TO_FOR, "{cause} at {value} or below for {span} would make it {replicas} (now {now}), when {end}")     \
    SENTENCE(AT_ZERO_FOR, "{cause} at 0 for {span} would make it {replicas} (now {now}), when {end}")                  \
    SENTENCE(ANY_FOR, "any value of {cause} for {span} would make it {replicas} (now {now}), when {end}")              \
    SENTENCE(AT_MAX, "{now} is the maximum: nothing makes it more")                                                    \
    SENTENCE(AT_MIN, "{now} is the minimum: nothing makes it fewer")                                                   \
    SENTENCE(NO_MORE, "no value of one trigger alone would make it more than {now}")                                   \
    SENTENCE(NO_FEWER, "no value of one trigger alone would make it fewer than {now}")                                 \
    SENTENCE(LEFT_TO_HPA, "how many run, once there are any, is left to the HorizontalPodAutoscaler")                  \
    SENTENCE(CUT, "not everything was tried: one evaluation of the formula takes too long for that")

enum sentence {
#define SENTENCE(name, text) SENTENCE_##name,
    OUTLOOK_SENTENCES(SENTENCE)
#undef SENTENCE
        SENTENCES
};
/* ABOVE_FOR and its like stand in the order of ABOVE and its like. */
enum { SENTENCE_LATER = SENTENCE_ABOVE_FOR - SENTENCE_ABOVE, SENTENCE_MAX_BYTES = 8192 };

static const char *const sentences[SENTENCES] = {
#define SENTENCE(name, text) text,
    OUTLOOK_SENTENCES(SENTENCE)
#undef SENTENCE
};

static const struct {
    enum step_kind kind;
    const char *words;
} ends[] = {
    {STEP_COOLDOWN, "the cooldown ends"},
    {STEP_HELD_MISSING, "a missing value is held no longer"},
    {STEP_STABILIZED_DOWN, "the stabilization window ends"},
    {STEP_STABILIZED_UP, "the stabilization window ends"},
    {STEP_RATE_LIMITED_UP, "scaling up is not limited any more"},
    {STEP_RATE_LIMITED_DOWN, "scaling down is not limited any more"},
};

struct telling {
    const struct outlook *outlook;
    const struct decision_names *names;
    struct text text; /* of one sentence */
    outlook_say *say;
    void *arg;
};

/* ------------------------------------------------------------------ one sentence */

static const char *end_of(enum step_kind why)
{
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
        if (ends[i].kind == why)
            return ends[i].words;
    return "enough time has passed";
}

/* Of sentences about the object as a whole. */
static const struct outlook_edge no_edge;

/* One placeholder. */
static void add_word(struct telling *t, const char *word, int32_t cause, const struct outlook_edge *edge)
{
    const struct outlook *o = t->outlook;

    if (strcmp(word, "now") == 0)
        text_printf(&t->text, "%d", o->now);
    else if (strcmp(word, "then") == 0)
        text_printf(&t->text, "%d", o->then);
    else if (strcmp(word, "at") == 0)
        words_time((double)o->at_ms / 1000, &t->text);
    else if (strcmp(word, "end") == 0)
        text_add(&t->text, end_of(edge->why));
    else if (strcmp(word, "cause") == 0)
        words_cause(cause, t->names, &t->text);
    else if (strcmp(word, "value") == 0)
        words_number(edge->value, &t->text);
    else if (strcmp(word, "replicas") == 0)
        text_printf(&t->text, "%d", edge->replicas);
    else if (strcmp(word, "span") == 0)
        words_duration(fmax(1, round((double)edge->after_ms / 1000)), &t->text);
}

static void tell(struct telling *t, enum sentence sentence, int32_t cause, const struct outlook_edge *edge)
{
    const char *at = sentences[sentence];
    char word[16];

    text_clear(&t->text);
    for (const char *open = strchr(at, '{'); open; open = strchr(at, '{')) {
        size_t length = strcspn(open + 1, "}");

        text_append(&t->text, at, (size_t)(open - at));
        memcpy(word, open + 1, length);
        word[length] = '\0';
        add_word(t, word, cause, edge);
        at = open + length + 2;
    }
    text_add(&t->text, at);
    t->say(t->arg, t->text.bytes);
}

/* ------------------------------------------------------------------ which sentences */

static enum sentence sentence_of(const struct outlook_edge *edge)
{
    enum sentence sentence = edge->above ? (edge->at ? SENTENCE_FROM : SENTENCE_ABOVE)
                             : edge->at  ? SENTENCE_UP_TO
                                         : SENTENCE_BELOW;

    if (edge->any)
        sentence = SENTENCE_ANY;
    else if (edge->value == 0 && sentence == SENTENCE_UP_TO)
        sentence = SENTENCE_AT_ZERO;
    return edge->after_ms > 0 ? (enum sentence)(sentence + SENTENCE_LATER) : sentence;
}

/* true: there was an edge. */
static bool tell_edges(struct telling *t, bool up)
{
    const struct outlook *o = t->outlook;
    bool told = false;

    for (uint16_t i = 0; i < o->trigger_count; i++) {
        const struct outlook_edge *edge = up ? &o->triggers[i].up : &o->triggers[i].down;

        if (!edge->known)
            continue;
        tell(t, sentence_of(edge), i, edge);
        told = true;
    }
    return told;
}

static void tell_more(struct telling *t)
{
    const struct outlook *o = t->outlook;
    bool in_time = o->at_ms != 0 && o->then > o->now;

    if (tell_edges(t, true) || in_time)
        return;
    if (o->at_max)
        tell(t, SENTENCE_AT_MAX, 0, &no_edge);
    else if (!o->cut)
        tell(t, SENTENCE_NO_MORE, 0, &no_edge);
}

static void tell_fewer(struct telling *t)
{
    const struct outlook *o = t->outlook;
    bool in_time = o->at_ms != 0 && o->then < o->now;

    if (tell_edges(t, false) || in_time || o->now == 0)
        return;
    if (o->at_min)
        tell(t, SENTENCE_AT_MIN, 0, &no_edge);
    else if (!o->cut)
        tell(t, SENTENCE_NO_FEWER, 0, &no_edge);
}

void outlook_write_sentences(const struct outlook *o, const struct decision_names *names, outlook_say *heard, void *arg)
{
    struct telling t = {.outlook = o, .names = names, .say = heard, .arg = arg};

    text_init(&t.text, SENTENCE_MAX_BYTES);
    if (o->paused)
        tell(&t, SENTENCE_PAUSED, 0, &no_edge);
    if (o->at_ms != 0)
        tell(&t, SENTENCE_TIME, 0, &(struct outlook_edge){.why = o->why});
    if (!o->paused && o->now >= 0) {
        tell_more(&t);
        tell_fewer(&t);
        if (o->left_to_hpa)
            tell(&t, SENTENCE_LEFT_TO_HPA, 0, &no_edge);
        if (o->cut)
            tell(&t, SENTENCE_CUT, 0, &no_edge);
    }
    text_done(&t.text);
}
