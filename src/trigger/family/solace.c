/* solace: see solace.h. */
#include "trigger/family/solace.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/text.h"

static bool has_scheme(const char *url)
{
    const char *scheme = strstr(url, "http://");

    if (!scheme)
        scheme = strstr(url, "https://");
    return scheme && strstr(scheme, "://")[3] != '\0';
}

bool solace_prepare(struct solace *solace, struct trigger_check *check)
{
    const char *at = solace->urls;

    solace->auth.modes = HTTP_AUTH_BASIC;
    solace->which = (int64_t)check_target(check);
    while (at) {
        size_t length = strcspn(at, ","), left = length;
        const char *next = at[length] ? at + length + 1 : NULL;

        while (left > 0 && (*at == ' ' || *at == '\t')) {
            at++;
            left--;
        }
        while (left > 0 && (at[left - 1] == ' ' || at[left - 1] == '\t'))
            left--;
        if (solace->host_count == SOLACE_HOSTS_MAX)
            return check_error(check, "solaceSempBaseURL", "name fewer", "more than %d addresses are named",
                               SOLACE_HOSTS_MAX);
        solace->hosts[solace->host_count] = arena_copy_bytes(check_arena(check), at, left);
        if (!has_scheme(solace->hosts[solace->host_count]))
            return check_error(check, "solaceSempBaseURL", "write it like https://broker:943",
                               "\"%.80s\" is no address", solace->hosts[solace->host_count]);
        solace->host_count++;
        at = next;
    }
    return true;
}

void solace_destinations(const void *config, struct destinations *out)
{
    const struct solace *solace = config;

    for (size_t i = 0; i < solace->host_count; i++)
        destinations_add_url(out, solace->hosts[i]);
}
