/*
 * tds: see tds.h. The configuration file:
 *
 *     tds_log_in: a line of the book --> all lines, as a new file in memory --dup3--> the descriptor that db-lib knows by its name
 *
 * db-lib opens /proc/self/fd/N whenever it logs in. What it then reads never changes any more: with the next login another file stands
 * behind N. So nobody holds a lock while the network is waited for, and nobody reads a line half written.
 */
#include "trigger/family/tds.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/text.h"
#include "trigger/common/pem_file.h"
#include "trigger/family/mssql_server.h"

enum { LOGIN_MAX_MS = 4000, BOOK_MAX_BYTES = 64 * 1024 /* of a kilobyte for each thread that may log in, and some */ };

/* The macros of sybdb.h that call functions by their names are of no use here. */
struct dblib dblib;
struct lazy dblib_library = LAZY(DBLIB_FUNCTIONS, "libsybdb.so.5", "libsybdb5", &dblib, NULL);

/* ------------------------------------------------------------------ what db-lib reports */

static __thread struct tds_heard heard;

void tds_listen(void)
{
    memset(&heard, 0, sizeof(heard));
}

const struct tds_heard *tds_heard(void)
{
    return &heard;
}

static int on_error(DBPROCESS *process, int severity, int number, int system, char *text, char *system_text)
{
    (void)process;
    (void)severity;
    (void)system;
    (void)system_text;
    heard.timed_out |= number == SYBETIME;
    heard.broken |= number == SYBETIME || number == SYBEREAD || number == SYBEWRIT || number == SYBESEOF ||
                    number == SYBECONN || number == SYBEDDNE || number == SYBEFCON;
    if (!*heard.text && text)
        snprintf(heard.text, sizeof(heard.text), "%s", text);
    return INT_CANCEL;
}

/* Severity 10 and below is information: which database is open now. The first one that is worse says what it is about. */
static int on_message(DBPROCESS *process, DBINT number, int state, int severity, char *text, char *server,
                      char *procedure, int line)
{
    (void)process;
    (void)state;
    (void)server;
    (void)procedure;
    (void)line;
    if (severity > 10 && heard.number == 0) {
        heard.number = number;
        snprintf(heard.text, sizeof(heard.text), "%s", text ? text : "");
    }
    return 0;
}

/* ------------------------------------------------------------------ the book of logins */

struct entry { /* of a login under way, on its thread's stack */
    char name[DSN_HOST_BYTES];
    const char *lines;
    struct entry *next;
};
static struct {
    pthread_mutex_t lock;
    struct entry *entries;
    unsigned long long aliases;
    struct pem_file file;
    bool ready;
} book = {.lock = PTHREAD_MUTEX_INITIALIZER, .file.fd = -1};

/* Of the environment: they would turn a login elsewhere, or write down what is said in it. */
static const char *in_the_way(void)
{
    static const char *const variables[] = {"TDSHOST", "TDSPORT", "TDSVER", "TDSDUMP", "TDSDUMPCONFIG"};

    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
        if (getenv(variables[i]))
            return variables[i];
    return NULL;
}

static void begin_library(void)
{
    book.ready = pem_file_open(&book.file, (const char *const[]){NULL}, NULL);
    dblib.dbinit();
    dblib.dberrhandle(on_error);
    dblib.dbmsghandle(on_message);
    if (book.ready)
        dblib.dbsetifile(book.file.path);
}

/* Under the lock. What stands in the file that is there now stays as it is for those who are reading it. */
static bool write_book(struct error *err)
{
    struct pem_file fresh = {.fd = -1};
    struct text text;
    bool good;

    text_init(&text, BOOK_MAX_BYTES);
    for (const struct entry *entry = book.entries; entry; entry = entry->next)
        text_printf(&text, "[%s]\n%s", entry->name, entry->lines);
    good = !text.overflowed && pem_file_open(&fresh, (const char *const[]){text.bytes, NULL}, err);
    text_done(&text);
    if (good && dup3(fresh.fd, book.file.fd, O_CLOEXEC) < 0)
        good = error_set(err, ERROR_INTERNAL, "no configuration for FreeTDS: %s", strerror(errno));
    pem_file_close(&fresh);
    return good;
}

static bool is_in_book(const char *name)
{
    for (const struct entry *entry = book.entries; entry; entry = entry->next)
        if (strcasecmp(entry->name, name) == 0)
            return true;
    return false;
}

static void leave_book(struct entry *entry)
{
    struct entry **link = &book.entries;

    pthread_mutex_lock(&book.lock);
    while (*link != entry)
        link = &(*link)->next;
    *link = entry->next;
    pthread_mutex_unlock(&book.lock);
}

/* The server is told the name, too: Azure's wants to hear its own, so another one is taken only while two log in to one host, and for a
   host that is called as FreeTDS calls what it reads for all of them. */
static bool enter_book(struct entry *entry, const char *host, struct error *err)
{
    bool good;

    pthread_mutex_lock(&book.lock);
    snprintf(entry->name, sizeof(entry->name), "%s", host);
    if (is_in_book(entry->name) || strcasecmp(entry->name, "global") == 0)
        snprintf(entry->name, sizeof(entry->name), "weir login %llu", ++book.aliases);
    entry->next = book.entries;
    book.entries = entry;
    good = write_book(err);
    if (!good)
        book.entries = entry->next;
    pthread_mutex_unlock(&book.lock);
    return good;
}

/* ------------------------------------------------------------------ a login */

/* SQL Server's messages that refuse a login: user, password, database, or how one signs in. */
static bool is_denial(int number)
{
    static const int denials[] = {18456, 916, 4060, 18450, 18451, 18452, 18470, 18486, 18487, 18488};

    for (size_t i = 0; i < sizeof(denials) / sizeof(denials[0]); i++)
        if (number == denials[i])
            return true;
    return false;
}

static long seconds(int64_t ms)
{
    return ms < 1000 ? 1 : (long)(ms / 1000);
}

static LOGINREC *login_of(const struct mssql_server *server)
{
    LOGINREC *login = dblib.dblogin();

    dblib.dbsetlname(login, server->user, DBSETUSER);
    dblib.dbsetlname(login, server->password ? server->password : "", DBSETPWD);
    if (server->database && *server->database)
        dblib.dbsetlname(login, server->database, DBSETDBNAME);
    dblib.dbsetlname(login, server->application && *server->application ? server->application : "weir", DBSETAPP);
    dblib.dbsetlbool(login, TRUE, DBSETUTF16);
    dblib.dbsetlversion(login, DBVERSION_74);
    return login;
}

static void write_lines(const struct mssql_server *server, const char *ca_file, int64_t left_ms, struct text *out)
{
    static const char *const words[] = {
        [ENCRYPT_LOGIN] = "request", [ENCRYPT_NOT] = "off", [ENCRYPT_ALL] = "require", [ENCRYPT_STRICT] = "require"};
    long login_s = seconds(left_ms < LOGIN_MAX_MS ? left_ms : LOGIN_MAX_MS);

    text_printf(out, "host = %s\n", server->host);
    if (*server->instance)
        text_printf(out, "instance = %s\n", server->instance);
    else
        text_printf(out, "port = %d\n", server->port);
    text_printf(out, "encryption = %s\nconnect timeout = %ld\ntimeout = %ld\n", words[server->encryption], login_s,
                login_s);
    if (!server->unchecked)
        text_printf(out, "ca file = %s\ncheck certificate hostname = yes\n", ca_file);
}

static DBPROCESS *open_process(const struct mssql_server *server, const char *ca_file, int64_t left_ms,
                               struct error *err)
{
    struct entry entry;
    LOGINREC *login = NULL;
    DBPROCESS *process = NULL;
    struct text lines;

    text_init(&lines, BOOK_MAX_BYTES);
    write_lines(server, ca_file, left_ms, &lines);
    entry.lines = lines.bytes;
    if (enter_book(&entry, server->host, err)) {
        login = login_of(server);
        process = dblib.tdsdbopen(login, entry.name, 0);
        dblib.dbloginfree(login);
        leave_book(&entry);
        if (!process)
            error_set(err, is_denial(heard.number) ? ERROR_DENIED : ERROR_UNREACHABLE, "%s: %s",
                      is_denial(heard.number) ? "SQL Server lets us not in" : "no connection to SQL Server",
                      heard.text);
    }
    text_done(&lines);
    return process;
}

DBPROCESS *tds_log_in(const struct mssql_server *server, const char *ca, int64_t left_ms, struct error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct pem_file trust = {.fd = -1};
    const char *variable = in_the_way();
    DBPROCESS *process = NULL;

    pthread_once(&once, begin_library);
    memset(&heard, 0, sizeof(heard));
    if (variable || !book.ready)
        error_set(err, ERROR_INVALID,
                  variable ? "%s in Weir's environment would change where logins go: unset it" : "%s",
                  variable ? variable : "there is no memory file for the configuration of FreeTDS");
    else if (!server->user || !*server->user)
        error_set(err, ERROR_INVALID,
                  "no user is given, and signing in as the machine that Weir runs on is not built in");
    else if (!ca || pem_file_open(&trust, (const char *const[]){ca, NULL}, err))
        process = open_process(server, ca ? trust.path : "system", left_ms, err);
    pem_file_close(&trust);
    return process;
}

void tds_limit(DBPROCESS *process, int64_t left_ms)
{
    char digits[24];

    snprintf(digits, sizeof(digits), "%ld", seconds(left_ms));
    dblib.dbsetopt(process, DBSETTIME, digits, 0);
}
