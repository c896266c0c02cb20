/*
 * ask: the same question asked once for all who need it. A question is one interned trigger; objects that ask while it is under way
 * join, and an answer younger than a quarter of the asker's interval is taken as it is. A source that tells by itself is listened to once,
 * too, and what it tells goes to all objects that ask it.
 */
#include "autoscaler/autoscaler_internal.h"

#include <assert.h>
#include <stdlib.h>

#include "base/log.h"

enum {
    DENIED_OBJECTS_MAX = 16
}; /* of many that ask alike: their credentials are the same, and mostly from one place */

struct asker {
    struct object *object;
    uint16_t index;
};

struct hearer {
    struct object *object;
    uint32_t times; /* triggers of it, of the version before too while there are both */
};

struct question {
    struct autoscaler *a;
    struct trigger *trigger;
    struct trigger_poll *poll; /* under way, or NULL */
    struct sample sample;      /* the last answer */
    int64_t answered_ticks_ms, took_ms;
    struct error *why;    /* of a missing or failed sample; NULL: nothing to say */
    char *note;           /* of a good one, or NULL: ten thousand have one, so no more is kept than its words */
    struct asker *askers; /* who waits for the poll under way */
    uint32_t asker_count, asker_size;
    uint32_t users;                      /* object triggers that hold it */
    struct trigger_listening *listening; /* NULL: its source does not tell by itself */
    struct hearer *hearers;
    uint32_t hearer_count;
    bool deaf; /* said: it does not hear its source */
};

struct question *question_get(struct autoscaler *a, struct trigger *trigger)
{
    struct question *question = *trigger_place(trigger); /* interned: equal questions are the same trigger */

    if (!question) {
        question = mem_alloc(sizeof(*question));
        question->a = a;
        question->trigger = trigger_ref(trigger);
        *trigger_place(trigger) = question;
        a->stats.questions++;
    }
    question->users++;
    return question;
}

void question_forget(struct question *question, const struct object *object)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < question->asker_count; i++)
        if (question->askers[i].object != object)
            question->askers[kept++] = question->askers[i];
    question->asker_count = kept;
}

/* Each is told, also one that is gone from the list before its turn: none goes in an object's push. */
static void on_push(void *arg, const struct trigger_push *push)
{
    struct question *question = arg;

    question_expire(question); /* or the object would be given the answer of before */
    for (uint32_t i = 0; i < question->hearer_count; i++)
        object_pushed(question->hearers[i].object, question, push);
}

void question_listen(struct question *question, struct object *object)
{
    uint32_t i = 0;

    if (!trigger_pushes(question->trigger) || is_rehearsal(question->a))
        return;
    if (!question->listening)
        question->listening = trigger_listen(question->a->parts.engine, question->trigger, on_push, question);
    while (i < question->hearer_count && question->hearers[i].object != object)
        i++;
    if (i == question->hearer_count) {
        question->hearers = mem_grow(question->hearers, question->hearer_count + 1, sizeof(struct hearer));
        question->hearers[question->hearer_count++] = (struct hearer){.object = object};
    }
    question->hearers[i].times++;
}

static void hearer_leaves(struct question *question, const struct object *object)
{
    for (uint32_t i = 0; i < question->hearer_count; i++) {
        if (question->hearers[i].object != object)
            continue;
        if (--question->hearers[i].times == 0)
            question->hearers[i] = question->hearers[--question->hearer_count];
        return;
    }
}

void question_put(struct question *question, struct object *object)
{
    question_forget(question, object);
    hearer_leaves(question, object);
    assert(question->users > 0);
    if (--question->users > 0)
        return;
    if (question->poll)
        trigger_poll_cancel(question->poll);
    *trigger_place(question->trigger) = NULL;
    question->a->stats.questions--;
    trigger_unref(question->trigger);
    trigger_listen_stop(question->listening);
    free(question->hearers);
    free(question->why);
    free(question->note);
    free(question->askers);
    free(question);
}

static void keep_why(struct question *question, const struct error *why)
{
    bool is_note = why && why->kind == ERROR_NONE;
    const char *note = is_note && why->text[0] ? why->text : NULL;

    if (!string_equal(question->note, note)) {
        free(question->note);
        question->note = note ? mem_copy(note) : NULL;
    }
    if (!why || is_note) {
        free(question->why);
        question->why = NULL;
        return;
    }
    if (!question->why)
        question->why = mem_alloc(sizeof(*question->why));
    *question->why = *why;
}

/* Somebody who knows stands in for the source. */
static bool is_known(const struct object *object, uint16_t index, struct sample *sample, struct error *why)
{
    const struct autoscaler_hooks *hooks = object->a->parts.hooks;

    if (!hooks || !hooks->sample)
        return false;
    *sample = (struct sample){.at_ms = loop_now_ms(object->a->parts.loop)};
    why->kind = ERROR_NONE;
    return hooks->sample(hooks->arg, object->key, object->policy, index, sample, why);
}

bool question_stand_in(struct object *object, uint16_t index)
{
    struct sample known;
    struct error why;

    if (!is_rehearsal(object->a) || !is_known(object, index, &known, &why))
        return false;
    object_answered(object, index, &known);
    return true;
}

/* Polls go on meanwhile, so it is looked at with each of them. */
static void note_listening(struct question *question)
{
    const struct error *why = trigger_listen_why(question->listening);

    if (question->deaf == (why != NULL))
        return;
    question->deaf = why != NULL;
    if (why)
        log_warning("the source is polled but not heard", "source", trigger_destination(question->trigger), "error",
                    why->text, NULL);
    else
        log_info("the source is heard again", "source", trigger_destination(question->trigger), NULL);
}

static void on_answer(void *arg, const struct sample *sample, const struct error *why, int64_t took_ms)
{
    struct question *question = arg;
    struct asker *askers = question->askers;
    uint32_t count = question->asker_count;

    question->poll = NULL;
    question->sample = *sample;
    question->answered_ticks_ms = loop_ticks_ms(question->a->parts.loop);
    question->took_ms = took_ms;
    keep_why(question, why);
    note_listening(question);
    for (uint32_t i = 0; i < count && i < DENIED_OBJECTS_MAX; i++)
        if (why && why->kind == ERROR_DENIED && sample->state == SAMPLE_FAILED)
            credentials_denied(askers[i].object, askers[i].index);
    for (uint32_t i = 0; i < count; i++)
        object_answered(askers[i].object, askers[i].index, sample);
    question->asker_count = 0;
    if (question->asker_size > 4) { /* a crowd asked: do not keep its room */
        free(question->askers);
        question->askers = NULL;
        question->asker_size = 0;
    }
}

static void add_asker(struct question *question, struct object *object, uint16_t index)
{
    if (question->asker_count == question->asker_size) {
        question->asker_size = question->asker_size ? question->asker_size * 2 : 1;
        question->askers = mem_grow(question->askers, question->asker_size, sizeof(struct asker));
    }
    question->askers[question->asker_count++] = (struct asker){object, index};
}

bool question_ask(struct question *question, struct object *object, uint16_t index, int64_t interval_ms)
{
    struct autoscaler *a = question->a;
    int64_t ticks = loop_ticks_ms(a->parts.loop);
    struct sample known;
    struct error why;

    if (is_known(object, index, &known, &why)) {
        keep_why(question, why.kind == ERROR_NONE ? NULL : &why);
        object_answered(object, index, &known);
        return false;
    }
    if (question->poll) {
        a->stats.polls_shared++;
    } else if (question->sample.state != SAMPLE_NONE && question->users > 1 &&
               ticks - question->answered_ticks_ms < interval_ms / 4) {
        a->stats.polls_shared++;
        object_answered(object, index, &question->sample);
        return false;
    } else {
        question->poll = trigger_poll_start(a->parts.engine, question->trigger, on_answer, question);
    }
    add_asker(question, object, index);
    return true;
}

/* ------------------------------------------------------------------ what is counted */

static struct request_count *count_of(struct object_trigger *t, int16_t status)
{
    size_t i = 0;

    while (i < t->request_count && t->requests[i].status != status)
        i++;
    if (i < t->request_count)
        return &t->requests[i];
    if (i == REQUEST_STATUSES_MAX)
        return count_of(t, STATUS_OTHER);
    t->requests = mem_grow(t->requests, i + 1, sizeof(*t->requests));
    t->requests[i] = (struct request_count){.status = i + 1 == REQUEST_STATUSES_MAX ? STATUS_OTHER : status};
    t->request_count++;
    return &t->requests[i];
}

/* The poll is that of who asked first; who joined was spared a request. */
static void on_request(void *arg, struct trigger *trigger, int status)
{
    const struct question *question = *trigger_place(trigger);

    (void)arg;
    if (question && question->asker_count > 0)
        count_of(&question->askers[0].object->triggers[question->askers[0].index], (int16_t)status)->count++;
}

static void on_empty(void *arg, struct trigger *trigger)
{
    const struct question *question = *trigger_place(trigger);

    (void)arg;
    for (uint32_t i = 0; question && i < question->asker_count; i++)
        question->askers[i].object->triggers[question->askers[i].index].empties++;
}

void questions_observe(struct autoscaler *a)
{
    if (a->parts.engine)
        trigger_engine_observe(a->parts.engine,
                               &(struct trigger_observer){.arg = a, .requested = on_request, .empty = on_empty});
}

/* ------------------------------------------------------------------ what is known */

void question_expire(struct question *question)
{
    question->sample.state = SAMPLE_NONE;
}

const struct error *question_why(const struct question *question)
{
    return question->why;
}

const char *question_note(const struct question *question)
{
    return question->note ? question->note : "";
}

int64_t question_took_ms(const struct question *question)
{
    return question->took_ms;
}

uint32_t question_users(const struct question *question)
{
    return question->users;
}
