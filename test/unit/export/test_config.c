/* What is sent where: flags and the environment that OpenTelemetry's libraries read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/secret.h"
#include "export/export_internal.h"

extern char **environ;

static void set_environment(const char *const *pairs)
{
    clearenv();
    for (size_t i = 0; pairs[i]; i += 2)
        setenv(pairs[i], pairs[i + 1], 1);
}

static const char *url_of(const struct otlp_config *config, enum otlp_signal signal)
{
    return config && config->targets[signal].url ? config->targets[signal].url : "-";
}

/* Where metrics, logs and traces go. */
static void addresses_are_found(void **state)
{
    static const struct {
        const char *name;
        struct export_options options;
        const char *environment[9];
        const char *metrics, *logs, *traces;
    } rows[] = {
        {"nothing said", {0}, {NULL}, "-", "-", "-"},
        {"the flag",
         {.otlp_endpoint = "http://c:4318"},
         {NULL},
         "http://c:4318/v1/metrics",
         "http://c:4318/v1/logs",
         "http://c:4318/v1/traces"},
        {"the flag with a path",
         {.otlp_endpoint = "https://c/otlp/"},
         {NULL},
         "https://c/otlp/v1/metrics",
         "https://c/otlp/v1/logs",
         "https://c/otlp/v1/traces"},
        {"the environment",
         {0},
         {"OTEL_EXPORTER_OTLP_ENDPOINT", "http://e:4318"},
         "http://e:4318/v1/metrics",
         "http://e:4318/v1/logs",
         "http://e:4318/v1/traces"},
        {"the flag wins",
         {.otlp_endpoint = "http://c:1"},
         {"OTEL_EXPORTER_OTLP_ENDPOINT", "http://e:4318"},
         "http://c:1/v1/metrics",
         "http://c:1/v1/logs",
         "http://c:1/v1/traces"},
        {"one signal's own, as it is",
         {.otlp_endpoint = "http://c:1"},
         {"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://loki:3100/otlp/v1/logs"},
         "http://c:1/v1/metrics",
         "http://loki:3100/otlp/v1/logs",
         "http://c:1/v1/traces"},
        {"only one signal", {0}, {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://t/x"}, "-", "-", "http://t/x"},
        {"chosen", {.otlp_endpoint = "http://c:1", .logs = true}, {NULL}, "-", "http://c:1/v1/logs", "-"},
        {"left out by the environment",
         {.otlp_endpoint = "http://c:1"},
         {"OTEL_TRACES_EXPORTER", "none", "OTEL_LOGS_EXPORTER", "otlp"},
         "http://c:1/v1/metrics",
         "http://c:1/v1/logs",
         "-"},
        {"chosen over the environment",
         {.otlp_endpoint = "http://c:1", .traces = true},
         {"OTEL_TRACES_EXPORTER", "none"},
         "-",
         "-",
         "http://c:1/v1/traces"},
        {"empty is not there", {0}, {"OTEL_EXPORTER_OTLP_ENDPOINT", ""}, "-", "-", "-"},
        {"disabled", {.otlp_endpoint = "http://c:1"}, {"OTEL_SDK_DISABLED", "TRUE"}, "-", "-", "-"},
        {"not disabled",
         {.otlp_endpoint = "http://c:1", .logs = true},
         {"OTEL_SDK_DISABLED", "false"},
         "-",
         "http://c:1/v1/logs",
         "-"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct otlp_config *config;
        struct error err;

        set_environment(rows[i].environment);
        if (!otlp_config_read(&rows[i].options, &config, &err))
            fail_msg("%s: %s", rows[i].name, err.text);
        if (strcmp(url_of(config, OTLP_METRICS), rows[i].metrics) != 0 ||
            strcmp(url_of(config, OTLP_LOGS), rows[i].logs) != 0 ||
            strcmp(url_of(config, OTLP_TRACES), rows[i].traces) != 0)
            fail_msg("%s: %s %s %s", rows[i].name, url_of(config, OTLP_METRICS), url_of(config, OTLP_LOGS),
                     url_of(config, OTLP_TRACES));
        otlp_config_free(config);
    }
}

/* Each is said, with the place and a remedy. */
static void wrong_values_are_errors(void **state)
{
    static const struct {
        const char *name, *value, *says;
    } rows[] = {
        {"OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", "write it like http"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:canary@c:4318", "OTEL_EXPORTER_OTLP_HEADERS"},
        {"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "/v1/logs", "$OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"},
        {"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "port 4318"},
        {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json", "$OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"},
        {"OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", "gzip or none"},
        {"OTEL_EXPORTER_OTLP_TIMEOUT", "10s", "whole number"},
        {"OTEL_EXPORTER_OTLP_TIMEOUT", "-1", "whole number"},
        {"OTEL_EXPORTER_OTLP_HEADERS", "a=1,canary", "entry 2"},
        {"OTEL_EXPORTER_OTLP_CERTIFICATE", "/nonexistent.pem", "OTEL_EXPORTER_OTLP_CERTIFICATE"},
        {"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/etc/hostname", "needs both"},
        {"OTEL_METRIC_EXPORT_INTERVAL", "5", "100"},
        {"OTEL_BLRP_MAX_QUEUE_SIZE", "0", "from 1"},
        {"OTEL_TRACES_SAMPLER", "jaeger_remote", "always_on"},
        {"OTEL_RESOURCE_ATTRIBUTES", "a=1,=2", "entry 2"},
        {"OTEL_METRICS_EXPORTER", "prometheus", "otlp or none"},
        {"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta", "cumulativetodelta"},
        {"OTEL_SDK_DISABLED", "yes", "true or false"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *const environment[] = {rows[i].name, rows[i].value, NULL};
        struct export_options options = {0};
        struct otlp_config *config;
        struct error err = {0};

        set_environment(environment);
        if (!strstr(rows[i].name, "ENDPOINT"))
            options.otlp_endpoint = "http://c:4318";
        if (otlp_config_read(&options, &config, &err))
            fail_msg("%s=%s was taken", rows[i].name, rows[i].value);
        if (!strstr(err.text, rows[i].says) && !strstr(err.where, rows[i].says))
            fail_msg("%s: %s %s", rows[i].name, err.where, err.text);
        assert_null(strstr(err.text, "canary"));
    }
}

static void details_are_read(void **state)
{
    static const char *const environment[] = {"OTEL_EXPORTER_OTLP_HEADERS",
                                              "Authorization=Bearer%20abc, x-tenant = a%2Cb ",
                                              "OTEL_EXPORTER_OTLP_LOGS_HEADERS",
                                              "x-only=logs",
                                              "OTEL_EXPORTER_OTLP_COMPRESSION",
                                              "gzip",
                                              "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION",
                                              "none",
                                              "OTEL_EXPORTER_OTLP_TIMEOUT",
                                              "2500",
                                              "OTEL_METRIC_EXPORT_INTERVAL",
                                              "1000",
                                              "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
                                              "7",
                                              "OTEL_TRACES_SAMPLER",
                                              "parentbased_traceidratio",
                                              "OTEL_TRACES_SAMPLER_ARG",
                                              "0.25",
                                              "OTEL_SERVICE_NAME",
                                              "scaler",
                                              "OTEL_RESOURCE_ATTRIBUTES",
                                              "service.name=overruled,team=a%20b",
                                              NULL};
    struct otlp_config *config;
    struct error err;

    (void)state;
    set_environment(environment);
    assert_true(otlp_config_read(&(struct export_options){.otlp_endpoint = "http://c"}, &config, &err));
    assert_int_equal(config->targets[OTLP_METRICS].header_count, 2);
    assert_string_equal(config->targets[OTLP_METRICS].headers[0].name, "Authorization");
    assert_string_equal(secret_reveal(config->targets[OTLP_METRICS].headers[0].secret), "Bearer abc");
    assert_string_equal(secret_reveal(config->targets[OTLP_METRICS].headers[1].secret), "a,b");
    assert_int_equal(config->targets[OTLP_LOGS].header_count, 1);
    assert_true(config->targets[OTLP_LOGS].gzip);
    assert_false(config->targets[OTLP_TRACES].gzip);
    assert_int_equal(config->targets[OTLP_TRACES].batch_max, 7);
    assert_int_equal(config->targets[OTLP_TRACES].timeout_ms, 2500);
    assert_int_equal(config->interval_ms, 1000);
    assert_true(config->trace_ratio == 0.25);
    assert_non_null(memmem(config->resource.bytes, config->resource.length, "scaler", 6));
    assert_non_null(memmem(config->resource.bytes, config->resource.length, "a b", 3));
    assert_null(memmem(config->resource.bytes, config->resource.length, "overruled", 9));
    otlp_config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_found),
        cmocka_unit_test(wrong_values_are_errors),
        cmocka_unit_test(details_are_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
