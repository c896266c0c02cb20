/* kafka_kerberos_absent: kafka_kerberos.h in a Weir that was built without libkrb5. The trigger says so before it asks for a ticket. */
#include <stddef.h>

#include "base/error.h"
#include "trigger/family/kafka_kerberos.h"

bool kafka_kerberos_is_there(void)
{
    return false;
}

struct kafka_kerberos *kafka_kerberos_new(void)
{
    return NULL;
}

void kafka_kerberos_end(struct kafka_kerberos *kerberos)
{
    (void)kerberos;
}

void kafka_kerberos_free(struct kafka_kerberos *kerberos)
{
    (void)kerberos;
}

bool kafka_kerberos_renew(struct kafka_kerberos *kerberos, const struct kafka_access *access, struct error *err)
{
    (void)kerberos, (void)access;
    return error_set(err, ERROR_INVALID, "Kerberos is not built in");
}

bool kafka_kerberos_enter(struct kafka_kerberos *kerberos)
{
    (void)kerberos;
    return false;
}

bool kafka_kerberos_lacks_kdc(const struct kafka_kerberos *kerberos, const char **refused)
{
    (void)kerberos, (void)refused;
    return false;
}

bool kafka_kerberos_is_ours(struct error *err)
{
    return error_set(err, ERROR_INVALID, "Kerberos is not built in");
}

int64_t kafka_kerberos_fresh_ms(int64_t life_ms)
{
    return life_ms;
}
