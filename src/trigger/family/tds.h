/*
 * tds: logging in to SQL Server by FreeTDS' db-lib, and what the library reports. Blocks: for worker threads.
 *
 *     DBPROCESS *process = tds_log_in(&server, ca_pem, left_ms, &err);
 *     tds_listen();                                                       -- before each question
 *     tds_limit(process, left_ms);
 *
 * db-lib reports through two functions for the whole process: what they hear is kept per thread, for whoever just called.
 *
 * How a login is to be encrypted and checked, db-lib takes from a configuration file alone, one for the process, in which it looks for
 * the server's name. Ours is in memory and has those that are being logged in to at this moment, and no file of the machine is looked
 * into. A login never waits for another one.
 */
#ifndef WEIR_TRIGGER_TDS_H
#define WEIR_TRIGGER_TDS_H

#include <stdbool.h>
#include <stdint.h>
#include <sybdb.h>
#include <sybfront.h>

#include "base/error.h"
#include "trigger/common/lazy.h"

struct mssql_server;

/* clang-format off */
#define DBLIB_FUNCTIONS(X) \
    X(dbcancel) X(dbcanquery) X(dbclose) X(dbcmd) X(dbcoltype) X(dbconvert) X(dbdata) X(dbdatlen) X(dbdead) \
    X(dberrhandle) X(dbinit) X(dblogin) X(dbloginfree) X(dbmsghandle) X(dbnextrow) X(dbnumcols) \
    X(dbresults) X(dbsetifile) X(dbsetlbool) X(dbsetlname) X(dbsetlversion) X(dbsetopt) X(dbsqlexec) \
    X(tdsdbopen)
/* clang-format on */
extern struct dblib {
    DBLIB_FUNCTIONS(LAZY_POINTER)
} dblib;
extern struct lazy dblib_library; /* for TRIGGER() */

struct tds_heard { /* by this thread, since tds_listen() */
    char text[256];
    int number; /* of the server's message; 0: none */
    bool timed_out, broken;
};
void tds_listen(void);
const struct tds_heard *tds_heard(void);

/* ca: certificates trusted instead of the system's, PEM, or NULL. Closed with dbclose(). NULL: *err, of kind DENIED where the server
   does not want us. */
DBPROCESS *tds_log_in(const struct mssql_server *server, const char *ca, int64_t left_ms, struct error *err);
void tds_limit(DBPROCESS *process,
               int64_t left_ms); /* until the server says anything more; whole seconds, at least one */

#endif
