/* pg_words: see pg_words.h. */
#include "trigger/family/pg_words.h"

#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/text.h"
#include "trigger/common/dsn.h"

enum { WORDS_MAX_BYTES = 64 * 1024 /* a password or token of some KB, and twice that with all its quotes escaped */ };

struct libpq libpq;
struct lazy libpq_library = LAZY(LIBPQ_FUNCTIONS, "libpq.so.5", "libpq5", &libpq, NULL);

/* No file can have this name: libpq goes on without one, and without looking for one of its own. */
#define NOWHERE "/dev/null/none"

/* What the text may say: where the server is, who asks for what, and how the two speak. */
static const char allowed[] =
    "host,port,user,password,dbname,options,sslmode,application_name,fallback_application_name,client_encoding,"
    "connect_timeout,channel_binding,target_session_attrs,load_balance_hosts,require_auth,keepalives,keepalives_idle,"
    "keepalives_interval,keepalives_count,tcp_user_timeout,sslcompression,sslsni,ssl_min_protocol_version,"
    "ssl_max_protocol_version";

/* ------------------------------------------------------------------ reading */

static const char *remedy_for(const char *word)
{
    if (dsn_word_in("sslcert,sslkey,sslrootcert,sslpassword", word))
        return "give certificates as ca, cert, key and keyPassword in the TriggerAuthentication";
    if (strcmp(word, "passfile") == 0)
        return "give the password itself";
    if (dsn_word_in("service,servicefile", word))
        return "write what it stands for: host, port, dbname";
    return strcmp(word, "hostaddr") == 0 ? "write the address as host" : "leave it out";
}

/* What is meant anyway where no certificates are given may be said. */
static bool is_allowed(const PQconninfoOption *said)
{
    if (strcmp(said->keyword, "sslrootcert") == 0 && strcmp(said->val, "system") == 0)
        return true;
    if (strcmp(said->keyword, "gssencmode") == 0 && strcmp(said->val, "disable") == 0)
        return true;
    return dsn_word_in(allowed, said->keyword);
}

bool pg_words_name_hosts(const PQconninfoOption *words, struct error *err)
{
    const char *host = pg_words_get(words, "host");

    if (!host || !*host)
        return error_set(err, ERROR_INVALID, "connection names no host");
    return (*host != ',' && !strstr(host, ",,") && !string_ends(host, ",")) ||
           error_set(err, ERROR_INVALID, "the list of hosts has an empty entry: leave out the ',' too much");
}

static bool check(const PQconninfoOption *words, struct error *err)
{
    for (const PQconninfoOption *said = words; said->keyword; said++)
        if (said->val && !is_allowed(said))
            return error_set(err, ERROR_INVALID,
                             "connection may not say %s, which is about the machine that Weir runs on: %s",
                             said->keyword, remedy_for(said->keyword));
    return pg_words_name_hosts(words, err);
}

/* Anything else would be a database's name to libpq, on whatever server it finds by itself. */
static bool is_connection_text(const char *text)
{
    return strchr(text, '=') || string_starts(text, "postgres://") || string_starts(text, "postgresql://");
}

PQconninfoOption *pg_words_read(const char *text, struct error *err)
{
    PQconninfoOption *words;

    if (!is_connection_text(text)) {
        error_set(err, ERROR_INVALID, "connection is neither key=value pairs nor a postgres:// address");
        return NULL;
    }
    words = libpq.PQconninfoParse(text, NULL);
    if (!words) {
        error_set(err, ERROR_INVALID,
                  "libpq cannot read connection: it takes its own keywords alone (server settings go into options='-c "
                  "name=value'), and a value with blanks in it wants quotes");
        return NULL;
    }
    if (check(words, err))
        return words;
    pg_words_free(words);
    return NULL;
}

PQconninfoOption *pg_words_none(void)
{
    return libpq.PQconninfoParse("", NULL);
}

void pg_words_set(PQconninfoOption *words, const char *word, const char *value)
{
    for (; value && words->keyword; words++)
        if (strcmp(words->keyword, word) == 0) {
            free(words->val);
            words->val = mem_copy(value);
        }
}

const char *pg_words_get(const PQconninfoOption *words, const char *word)
{
    for (; words->keyword; words++)
        if (strcmp(words->keyword, word) == 0)
            return words->val;
    return NULL;
}

void pg_words_free(PQconninfoOption *words)
{
    for (PQconninfoOption *word = words; word && word->keyword; word++)
        if (word->val)
            explicit_bzero(word->val, strlen(word->val));
    libpq.PQconninfoFree(words);
}

/* ------------------------------------------------------------------ telling */

/* libpq trusts nobody where no file is named, and the system's authorities only by the name of their file. */
static const char *root_certificates(const PQconninfoOption *words, const struct pg_files *files)
{
    const char *mode = pg_words_get(words, "sslmode");

    if (files->ca)
        return files->ca;
    return mode && string_starts(mode, "verify-") ? X509_get_default_cert_file() : NOWHERE;
}

/* What is never the text's to say; NULL: it is. A ticket that this machine happens to have (Kerberos) is asked for by a name that nobody
   has, as libpq would use it whenever a server says so. */
static const char *fixed(const PQconninfoOption *words, const char *word, const struct pg_files *files)
{
    if (dsn_word_in("sslcert,sslkey", word))
        return files->identity ? files->identity : NOWHERE;
    if (strcmp(word, "sslpassword") == 0)
        return files->key_password ? files->key_password : "";
    if (strcmp(word, "sslrootcert") == 0)
        return root_certificates(words, files);
    if (dsn_word_in("passfile,sslcrl", word))
        return NOWHERE;
    if (strcmp(word, "gssencmode") == 0)
        return "disable";
    return strcmp(word, "krbsrvname") == 0 ? "nobody" : NULL;
}

/* What libpq would have looked for in the environment is told, if only that it is empty. */
static const char *value_of(const PQconninfoOption *words, const PQconninfoOption *word, const struct pg_files *files)
{
    const char *ours = fixed(words, word->keyword, files);

    if (ours || word->val)
        return ours ? ours : word->val;
    return word->compiled ? word->compiled : word->envvar ? "" : NULL;
}

char *pg_words_write(const PQconninfoOption *words, const struct pg_files *files)
{
    struct text out;

    text_init(&out, WORDS_MAX_BYTES);
    for (const PQconninfoOption *word = words; word->keyword; word++) {
        const char *value = strcmp(word->keyword, "service") == 0 ? NULL : value_of(words, word, files);

        if (!value)
            continue;
        text_printf(&out, "%s='", word->keyword);
        for (; *value; value++)
            text_printf(&out, strchr("'\\", *value) ? "\\%c" : "%c", *value);
        text_add(&out, "' ");
    }
    if (!out.overflowed)
        return text_take(&out);
    explicit_bzero(out.bytes, out.length);
    text_done(&out);
    return NULL;
}
