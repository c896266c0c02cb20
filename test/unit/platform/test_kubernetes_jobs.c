/* Jobs of ScaledJobs in a cluster: what they look like, that none is made twice, what counts, how they go. */
#include "kube_scale.h"

#define JOBS       "/apis/batch/v1/namespaces/shop/jobs"
#define SCALED_JOB "/apis/keda.sh/v1alpha1/namespaces/shop/scaledjobs/worker"

static void put_scaled_job(struct kube_front *f, int generation, const char *more)
{
    char json[2000];

    snprintf(json, sizeof json,
             "{\"metadata\":{\"uid\":\"u-1\",\"generation\":%d,\"labels\":{\"team\":\"a\",\"secretish\":\"b\","
             "\"scaledjob.keda.sh/name\":"
             "\"x\",\"app.kubernetes.io/name\":\"mine\"},\"annotations\":{\"note\":\"n\",\"scaledjob.keda.sh/"
             "job-excluded-labels\":"
             "\"foo, "
             "secretish\",\"kubectl.kubernetes.io/last-applied-configuration\":\"{}\"}},\"spec\":{%s\"jobTargetRef\":{"
             "\"backoffLimit\":2,\"template\":{\"metadata\":{\"labels\":{\"l\":\"1\"}},\"spec\":{\"containers\":[{"
             "\"name\":\"c\"}]}}}}}",
             generation, more);
    kw_put(f->kw, SCALED_JOB, json);
}

static struct kube_front *start(void)
{
    struct kube_front *f = kf_new();

    put_scaled_job(f, 3, "");
    kf_start(f);
    return f;
}

static struct job_owner *watch(struct kube_front *f, struct kf_outcome *o)
{
    return f->kw->platform->ops->jobs_watch(f->kw->platform, "shop", "worker", 3, kf_changed, o);
}

static size_t jobs_there(const struct kube_front *f)
{
    size_t count = 0;

    for (size_t i = 0; i < f->kw->object_count; i++)
        count += strcmp(f->kw->objects[i].place.plural, "jobs") == 0;
    return count;
}

static size_t count_of(struct kube_front *f, struct job_owner *owner, size_t *pending)
{
    const struct job_view *views;
    size_t count = f->kw->platform->ops->jobs(owner, &views), running = 0, waiting = 0;

    for (size_t i = 0; i < count; i++) {
        running += !views[i].finished;
        waiting += views[i].pending;
    }
    if (pending != NULL)
        *pending = waiting;
    return running;
}

static void test_nothing_is_known_before_the_list(void **state)
{
    struct kube_front *f = start();
    struct kf_outcome o = {0};
    struct error err;

    (void)state;
    const struct platform_ops *ops = f->kw->platform->ops;
    struct job_owner *owner = watch(f, &o);
    assert_int_equal(ops->jobs_known(owner, &err), LOOKUP_PENDING);
    ops->jobs_create(owner, 2, kf_done, &o);
    kw_run(f->kw, 1000);
    assert_true(o.done == 1 && !o.failed); /* it is decided anew */
    assert_int_equal(jobs_there(f), 0);
    assert_int_equal(kw_count(f->kw, "POST "), 0); /* and nobody reads of it */
    assert_int_equal(ops->jobs_known(owner, &err), LOOKUP_FOUND);
    assert_true(o.changed > 0);
    ops->jobs_unwatch(owner);
    kf_free(f);
}

/* Else its Job would be made once more. */
static void test_a_job_that_cannot_be_read_any_more_runs_still(void **state)
{
    struct kube_front *f = start();
    struct kf_outcome o = {0};
    char deep[1000];

    (void)state;
    struct job_owner *owner = watch(f, &o);
    kw_nest(deep, sizeof deep, "{\"metadata\":{\"labels\":{\"scaledjob.keda.sh/name\":\"worker\"}},\"spec\":", "}");
    kw_put(f->kw, JOBS "/worker-old", "{\"metadata\":{\"labels\":{\"scaledjob.keda.sh/name\":\"worker\"}}}");
    kw_run(f->kw, 1000);
    assert_int_equal(count_of(f, owner, NULL), 1);
    kw_put(f->kw, JOBS "/worker-old", deep);
    kw_put(f->kw, JOBS "/worker-new", deep);
    kw_run(f->kw, 10 * 60 * 1000);
    kw_list_anew(f->kw, "jobs");
    assert_int_equal(count_of(f, owner, NULL), 2);
    kw_delete(f->kw, JOBS "/worker-old");
    kw_run(f->kw, 1000);
    assert_int_equal(count_of(f, owner, NULL), 1);
    f->kw->platform->ops->jobs_unwatch(owner);
    kf_free(f);
}

static const char *text_at(const json_t *value, const char *first, const char *second, const char *third)
{
    const json_t *at = json_object_get(json_object_get(value, first), second);

    return json_string_value(third ? json_object_get(at, third) : at);
}

static void test_what_a_job_looks_like(void **state)
{
    struct kube_front *f = start();
    struct kf_outcome o = {0};
    json_t *job = NULL;

    (void)state;
    struct job_owner *owner = watch(f, &o);
    kw_run(f->kw, 1000);
    f->kw->platform->ops->jobs_create(owner, 1, kf_done, &o);
    assert_int_equal(count_of(f, owner, NULL), 1); /* at once */
    kw_run(f->kw, 1000);
    assert_true(o.done == 1 && !o.failed);
    for (size_t i = 0; i < f->kw->object_count; i++)
        if (strcmp(f->kw->objects[i].place.plural, "jobs") == 0)
            job = f->kw->objects[i].value;
    assert_non_null(job);
    assert_int_equal(strncmp(text_at(job, "metadata", "name", NULL), "worker-", 7), 0);
    assert_int_equal(strlen(text_at(job, "metadata", "name", NULL)), 12);
    assert_string_equal(text_at(job, "metadata", "labels", "scaledjob.keda.sh/name"), "worker");
    assert_string_equal(text_at(job, "metadata", "labels", "team"), "a");
    assert_string_equal(text_at(job, "metadata", "labels", "app.kubernetes.io/name"), "mine");
    assert_string_equal(text_at(job, "metadata", "labels", "app.kubernetes.io/part-of"), "worker");
    assert_string_equal(text_at(job, "metadata", "labels", "app.kubernetes.io/managed-by"), "keda-operator");
    assert_null(text_at(job, "metadata", "labels", "secretish"));
    assert_string_equal(text_at(job, "metadata", "annotations", "scaledjob.keda.sh/generation"), "3");
    assert_string_equal(text_at(job, "metadata", "annotations", "note"), "n");
    assert_string_equal(text_at(job, "metadata", "annotations", "weir.dev/sequence"), "1");
    assert_null(text_at(job, "metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration"));
    const json_t *owner_ref = json_array_get(json_object_get(json_object_get(job, "metadata"), "ownerReferences"), 0);
    assert_string_equal(json_string_value(json_object_get(owner_ref, "uid")), "u-1");
    assert_true(json_is_true(json_object_get(owner_ref, "controller")));
    const json_t *spec = json_object_get(job, "spec"), *template = json_object_get(spec, "template");
    assert_int_equal(json_integer_value(json_object_get(spec, "backoffLimit")), 2);
    assert_string_equal(text_at(template, "metadata", "generateName", NULL), "worker-");
    assert_string_equal(text_at(template, "metadata", "labels", "scaledjob.keda.sh/name"), "worker");
    assert_string_equal(text_at(template, "metadata", "labels", "l"), "1");
    assert_string_equal(text_at(template, "spec", "restartPolicy", NULL), "OnFailure");
    f->kw->platform->ops->jobs_unwatch(owner);
    kf_free(f);
}

static void test_an_answer_that_was_lost_makes_no_second_job(void **state)
{
    struct kube_front *f = start();
    struct kf_outcome o = {0};

    (void)state;
    const struct platform_ops *ops = f->kw->platform->ops;
    struct job_owner *owner = watch(f, &o);
    kw_run(f->kw, 1000);
    f->lose = "POST " JOBS;
    ops->jobs_create(owner, 3, kf_done, &o);
    kw_run(f->kw, 120 * 1000);
    assert_true(o.done == 1 && !o.failed); /* the watch has shown it */
    assert_int_equal(jobs_there(f), 3);
    assert_int_equal(count_of(f, owner, NULL), 3);
    ops->jobs_create(owner, 2, kf_done, &o);
    kw_run(f->kw, 10 * 1000);
    assert_true(o.done == 2 && !o.failed);
    assert_int_equal(jobs_there(f), 5);
    ops->jobs_unwatch(owner);
    kf_free(f);
}

/* Killed between the request and its landing: what is asked for after the restart has the same name. */
static void test_a_restart_makes_no_second_job(void **state)
{
    struct kube_front *f = start();
    struct kf_outcome o = {0}, later = {0};
    char path[200], name[100];
    json_t *late = NULL;

    (void)state;
    struct job_owner *owner = watch(f, &o);
    kw_run(f->kw, 1000);
    f->kw->platform->ops->jobs_create(owner, 2, kf_done, &o);
    kw_run(f->kw, 1000);
    assert_int_equal(jobs_there(f), 2);
    for (size_t i = 0; i < f->kw->object_count; i++)
        if (strcmp(f->kw->objects[i].place.plural, "jobs") == 0 &&
            strcmp(text_at(f->kw->objects[i].value, "metadata", "annotations", "weir.dev/sequence"), "2") == 0)
            late = json_deep_copy(f->kw->objects[i].value);
    snprintf(name, sizeof name, "%s", text_at(late, "metadata", "name", NULL));
    snprintf(path, sizeof path, JOBS "/%s", name);
    kw_delete(f->kw, path);                      /* as if it had not landed yet */
    f->kw->platform->ops->free(f->kw->platform); /* kill -9, as far as the cluster can tell */
    kf_start(f);
    owner = watch(f, &later);
    kw_run(f->kw, 1000);
    assert_int_equal(count_of(f, owner, NULL), 1);
    f->kw->platform->ops->jobs_create(owner, 1, kf_done, &later);
    char *json = json_dumps(late, 0);
    kw_put(f->kw, path, json); /* and now it lands */
    free(json);
    json_decref(late);
    kw_run(f->kw, 1000);
    assert_true(later.done == 1 && !later.failed);
    assert_int_equal(jobs_there(f), 2);
    assert_int_equal(count_of(f, owner, NULL), 2);
    f->kw->platform->ops->jobs_unwatch(owner);
    kf_free(f);
}

static void test_a_name_that_another_has_is_passed_over(void **state)
{
    struct kube_front *f = start();
    struct kf_outcome o = {0};
    char path[200];
    const char *name;

    (void)state;
    const struct platform_ops *ops = f->kw->platform->ops;
    struct job_owner *owner = watch(f, &o);
    kw_run(f->kw, 1000);
    ops->jobs_create(owner, 1, kf_done, &o);
    kw_run(f->kw, 1000);
    const struct job_view *views;
    assert_int_equal(ops->jobs(owner, &views), 1);
    name = views[0].name;
    snprintf(path, sizeof path, JOBS "/%s", name);
    kw_delete(f->kw, path);
    ops->free(f->kw->platform);
    kw_put(f->kw, path, "{\"metadata\":{\"uid\":\"other\"},\"spec\":{}}"); /* not of the ScaledJob */
    kf_start(f);
    owner = watch(f, &o);
    kw_run(f->kw, 1000);
    f->kw->platform->ops->jobs_create(owner, 2, kf_done, &o);
    kw_run(f->kw, 1000);
    assert_false(o.failed);
    assert_int_equal(jobs_there(f), 3);
    f->kw->platform->ops->jobs_unwatch(owner);
    kf_free(f);
}

static size_t events_there(const struct kube_front *f, const char *reason, const char *note)
{
    size_t count = 0;

    for (size_t i = 0; i < f->kw->object_count; i++) {
        const json_t *value = f->kw->objects[i].value;
        if (strcmp(f->kw->objects[i].place.plural, "events") == 0 &&
            strcmp(json_string_value(json_object_get(value, "reason")), reason) == 0 &&
            strstr(json_string_value(json_object_get(value, "note")), note) != NULL)
            count++;
    }
    return count;
}

static void test_many_at_once(void **state)
{
    struct kube_front *f = start();
    struct kf_outcome o = {0};

    (void)state;
    struct job_owner *owner = watch(f, &o);
    kw_run(f->kw, 1000);
    f->post_takes_ms = 120;
    f->kw->platform->ops->jobs_create(owner, 42, kf_done, &o);
    kw_run(f->kw, 100);
    assert_int_equal(jobs_there(f), JOB_CREATIONS_MAX);
    kw_run(f->kw, 300); /* in threes, not 42 times 120 ms */
    assert_true(o.done == 1 && !o.failed);
    assert_int_equal(jobs_there(f), 42);
    assert_int_equal(count_of(f, owner, NULL), 42);
    kw_run(f->kw, 1000);
    assert_int_equal(events_there(f, "KEDAJobsCreated", "Created 42 jobs"), 1);
    assert_int_equal(events_there(f, "KEDAJobCreateFailed", ""), 0);
    kf_free(f);
}

static void test_one_that_fails_stops_no_other(void **state)
{
    struct kube_front *f = start();
    struct kf_outcome o = {0};

    (void)state;
    struct job_owner *owner = watch(f, &o);
    kw_run(f->kw, 1000);
    kw_fault(f->kw, "POST " JOBS, 403, 3);
    f->kw->platform->ops->jobs_create(owner, 20, kf_done, &o);
    kw_run(f->kw, 2000);
    assert_true(o.done == 1 && o.failed);
    assert_non_null(strstr(o.error.where, "3 of 20 Jobs"));
    assert_int_equal(jobs_there(f), 17);
    assert_int_equal(events_there(f, "KEDAJobsCreated", "Created 17 jobs"), 1);
    assert_int_equal(events_there(f, "KEDAJobCreateFailed", "Failed to create job worker-: "), 1);
    assert_int_equal(events_there(f, "KEDAJobCreateFailed", "(3 jobs in all)"), 1);

    kw_fault(f->kw, "POST " JOBS, 500, 1); /* the server is ill: what is not sent yet is left for the next time */
    f->post_takes_ms = 10;
    f->kw->platform->ops->jobs_create(owner, 40, kf_done, &o);
    kw_run(f->kw, 2000);
    assert_true(o.done == 2 && o.failed);
    assert_int_equal(jobs_there(f), 17 + JOB_CREATIONS_MAX - 1);
    kf_free(f);
}

/* Of four that were under way at the end of the Weir before, the second and the last had landed, and the first lands now. */
static void test_numbers_that_are_missing_are_asked_for_first(void **state)
{
    struct kube_front *f = start();
    struct kf_outcome o = {0};
    json_t *first = NULL;
    char path[4][200];

    (void)state;
    struct job_owner *owner = watch(f, &o);
    kw_run(f->kw, 1000);
    f->kw->platform->ops->jobs_create(owner, 4, kf_done, &o);
    kw_run(f->kw, 1000);
    for (size_t i = 0; i < f->kw->object_count; i++) {
        json_t *value = f->kw->objects[i].value;
        if (strcmp(f->kw->objects[i].place.plural, "jobs") != 0)
            continue;
        int number = atoi(text_at(value, "metadata", "annotations", "weir.dev/sequence"));
        assert_in_range(number, 1, 4);
        snprintf(path[number - 1], sizeof path[0], JOBS "/%s", text_at(value, "metadata", "name", NULL));
        if (number == 1)
            first = json_deep_copy(value);
    }
    kw_delete(f->kw, path[0]);
    kw_delete(f->kw, path[2]);
    f->kw->platform->ops->free(f->kw->platform);
    kf_start(f);
    owner = watch(f, &o);
    kw_run(f->kw, 1000);
    assert_int_equal(count_of(f, owner, NULL), 2);
    f->kw->platform->ops->jobs_create(owner, 3, kf_done, &o);
    char *json = json_dumps(first, 0);
    kw_put(f->kw, path[0], json);
    free(json);
    json_decref(first);
    kw_run(f->kw, 1000);
    assert_true(o.done == 2 && !o.failed);
    assert_int_equal(jobs_there(f), 5);
    assert_int_equal(count_of(f, owner, NULL), 5);
    kf_free(f);
}

static void test_a_refusal_is_told_and_does_not_count(void **state)
{
    struct kube_front *f = start();
    struct kf_outcome o = {0};

    (void)state;
    const struct platform_ops *ops = f->kw->platform->ops;
    struct job_owner *owner = watch(f, &o);
    kw_run(f->kw, 1000);
    kw_fault(f->kw, "POST " JOBS, 403, 4);
    ops->jobs_create(owner, 4, kf_done, &o);
    assert_int_equal(count_of(f, owner, NULL), 4);
    kw_run(f->kw, 2000);
    assert_true(o.done == 1 && o.failed);
    assert_int_equal(count_of(f, owner, NULL), 0);
    assert_int_equal(kw_count(f->kw, "POST " JOBS), 4); /* each was tried */
    assert_int_equal(events_there(f, "KEDAJobsCreated", ""), 0);

    put_scaled_job(f, 4, ""); /* decided for a generation that is over: nothing failed */
    ops->jobs_create(owner, 1, kf_done, &o);
    kw_run(f->kw, 2000);
    assert_true(o.done == 2 && !o.failed);
    assert_int_equal(jobs_there(f), 0);
    assert_int_equal(events_there(f, "KEDAJobCreateFailed", ""), 1);
    ops->jobs_unwatch(owner);
    kf_free(f);
}

static void put_job(struct kube_front *f, const char *name, int generation, const char *status)
{
    char path[200], json[1000];

    snprintf(path, sizeof path, JOBS "/%s", name);
    snprintf(json, sizeof json,
             "{\"metadata\":{\"labels\":{\"scaledjob.keda.sh/name\":\"worker\"},\"annotations\":{\"scaledjob.keda.sh/"
             "generation\":\"%d\"},"
             "\"creationTimestamp\":\"2026-01-01T00:00:00Z\"},\"status\":{%s}}",
             generation, status);
    kw_put(f->kw, path, json);
}

static void test_ends_and_what_is_pending(void **state)
{
    struct kube_front *f = start();
    struct kf_outcome o = {0};
    const struct job_view *views;
    size_t pending;

    (void)state;
    put_job(f, "done", 3,
            "\"completionTime\":\"2026-01-01T01:00:00Z\",\"conditions\":[{\"type\":\"SuccessCriteriaMet\",\"status\":"
            "\"True\"},{\"type\":"
            "\"Complete\",\"status\":\"True\"}]");
    put_job(
        f, "failed", 2,
        "\"conditions\":[{\"type\":\"Failed\",\"status\":\"True\",\"lastTransitionTime\":\"2026-01-01T02:00:00Z\"}]");
    put_job(f, "waiting", 3, "\"active\":1,\"ready\":0,\"conditions\":[{\"type\":\"Failed\",\"status\":\"False\"}]");
    put_job(f, "working", 3, "\"active\":1,\"ready\":1");
    const struct platform_ops *ops = f->kw->platform->ops;
    struct job_owner *owner = watch(f, &o);
    kw_run(f->kw, 1000);
    assert_int_equal(ops->jobs(owner, &views), 4);
    for (int i = 0; i < 4; i++) {
        bool done = strcmp(views[i].name, "done") == 0, failed = strcmp(views[i].name, "failed") == 0;
        assert_int_equal(views[i].finished, done || failed);
        assert_int_equal(views[i].succeeded, done);
        assert_int_equal(views[i].generation, failed ? 2 : 3);
        assert_int_equal(views[i].finished_at_ms - views[i].created_at_ms > 0, done || failed);
    }
    assert_int_equal(count_of(f, owner, &pending), 2);
    assert_int_equal(pending, 1);
    kf_free(f);
}

static void put_job_pod(struct kube_front *f, const char *job, const char *phase, const char *conditions)
{
    char path[200], json[600];

    snprintf(path, sizeof path, "/api/v1/namespaces/shop/pods/%s-x", job);
    snprintf(json, sizeof json,
             "{\"metadata\":{\"labels\":{\"scaledjob.keda.sh/"
             "name\":\"worker\",\"job-name\":\"%s\"}},\"spec\":{},\"status\":{\"phase\":\"%s\","
             "\"conditions\":[%s]}}",
             job, phase, conditions);
    kw_put(f->kw, path, json);
}

static void test_pending_by_pods(void **state)
{
    static const char *const wanted[] = {"Ready", "PodScheduled"};
    struct kube_front *f = start();
    struct kf_outcome o = {0};
    struct error err;
    size_t pending;

    (void)state;
    for (int i = 0; i < 3; i++)
        put_job(f, (const char *[]){"a", "b", "c"}[i], 3, "");
    put_job_pod(f, "a", "Running",
                "{\"type\":\"Ready\",\"status\":\"True\"},{\"type\":\"PodScheduled\",\"status\":\"True\"}");
    put_job_pod(f, "b", "Succeeded",
                "{\"type\":\"PodScheduled\",\"status\":\"True\"},{\"type\":\"Ready\",\"status\":\"False\"}");
    const struct platform_ops *ops = f->kw->platform->ops;
    struct job_owner *owner = watch(f, &o);
    ops->jobs_want_pending(owner, NULL, 0);
    kw_run(f->kw, 1000);
    assert_int_equal(ops->jobs_known(owner, &err), LOOKUP_FOUND);
    assert_int_equal(count_of(f, owner, &pending), 3);
    assert_int_equal(pending, 1); /* c */
    ops->jobs_want_pending(owner, wanted, 2);
    count_of(f, owner, &pending);
    assert_int_equal(pending, 2); /* and b */
    ops->jobs_unwatch(owner);
    kf_free(f);
}

static void test_deletions(void **state)
{
    struct kube_front *f = start();
    struct kf_outcome o = {0};
    const struct job_view *views;

    (void)state;
    put_scaled_job(f, 3, "\"rollout\":{\"propagationPolicy\":\"foreground\"},");
    put_job(f, "old-1", 2, "");
    put_job(f, "old-2", 2, "");
    put_job(f, "new", 3, "\"conditions\":[{\"type\":\"Complete\",\"status\":\"True\"}]");
    const struct platform_ops *ops = f->kw->platform->ops;
    struct job_owner *owner = watch(f, &o);
    kw_run(f->kw, 1000);
    kw_fault(f->kw, "DELETE " JOBS "/old-2", 403, 1);
    ops->job_delete(owner, "old-1");
    ops->job_delete(owner, "old-2");
    ops->job_delete(owner, "new");
    ops->job_delete(owner, "new");
    ops->job_delete(owner, "none");
    assert_int_equal(ops->jobs(owner, &views), 0); /* not shown any more */
    kw_run(f->kw, 5000);
    assert_int_equal(kw_count(f->kw, "DELETE"), 3);
    assert_non_null(strstr(kw_last(f->kw, "DELETE " JOBS "/old-1"), "\"Foreground\""));
    assert_non_null(strstr(kw_last(f->kw, "DELETE " JOBS "/new"), "\"Background\""));
    assert_int_equal(ops->jobs(owner, &views), 1); /* the refused one is there still */
    assert_string_equal(views[0].name, "old-2");
    assert_int_equal(events_there(f, "ScaledJobRolloutCleanupFailed", "old-2"), 1);
    assert_int_equal(events_there(f, "ScaledJobRolloutCleanupCompleted", ""), 0);
    ops->job_delete(owner, "old-2");
    kw_run(f->kw, 5000);
    assert_int_equal(events_there(f, "ScaledJobRolloutCleanupCompleted",
                                  "Deleted 1 jobs owned by the previous version of the scaledJob"),
                     1);
    ops->jobs_unwatch(owner);
    kf_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_known_before_the_list),
        cmocka_unit_test(test_a_job_that_cannot_be_read_any_more_runs_still),
        cmocka_unit_test(test_what_a_job_looks_like),
        cmocka_unit_test(test_an_answer_that_was_lost_makes_no_second_job),
        cmocka_unit_test(test_a_restart_makes_no_second_job),
        cmocka_unit_test(test_a_name_that_another_has_is_passed_over),
        cmocka_unit_test(test_many_at_once),
        cmocka_unit_test(test_one_that_fails_stops_no_other),
        cmocka_unit_test(test_numbers_that_are_missing_are_asked_for_first),
        cmocka_unit_test(test_a_refusal_is_told_and_does_not_count),
        cmocka_unit_test(test_ends_and_what_is_pending),
        cmocka_unit_test(test_pending_by_pods),
        cmocka_unit_test(test_deletions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
