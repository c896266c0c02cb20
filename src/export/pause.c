/* pause: how long until something is tried again, the same for all that is sent; and bytes nobody can guess. */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/limits.h"
#include "export/export_internal.h"

void random_bytes(void *out, size_t length)
{
    char *at = out;

    while (length > 0) {
        ssize_t got = getrandom(at, length, 0);

        if (got <= 0)
            continue; /* a signal came between */
        at += got;
        length -= (size_t)got;
    }
}

int64_t pause_ms(int failures, int64_t max_ms, int64_t asked_ms)
{
    int64_t pause = EXPORT_PAUSE_MIN_MS;
    uint16_t random;

    for (int i = 1; i < failures && pause < max_ms; i++)
        pause *= 2;
    if (pause > max_ms)
        pause = max_ms;
    random_bytes(&random, sizeof(random));
    pause += pause / 5 * (random % 201 - 100) / 100;
    return pause > asked_ms ? pause : asked_ms;
}

int64_t pause_asked_ms(const struct http_reply *reply, int64_t now_ms)
{
    const char *value = reply->failed ? NULL : http_reply_header(reply, "retry-after");
    struct tm when = {0};
    int64_t asked_ms = 0;

    if (!value)
        return 0;
    if (*value >= '0' && *value <= '9')
        asked_ms = (int64_t)(strtoul(value, NULL, 10) % 100000) * 1000;
    else if (strptime(value, "%a, %d %b %Y %H:%M:%S GMT", &when))
        asked_ms = (int64_t)timegm(&when) * 1000 - now_ms;
    if (asked_ms < 0)
        return 0;
    return asked_ms < RETRY_AFTER_MAX_MS ? asked_ms : RETRY_AFTER_MAX_MS;
}
