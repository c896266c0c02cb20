/*
 * files: small files of the data directory: records of "key value" lines, written whole or not at all.
 *
 *     struct record record;
 *     if (record_read(dir, "exit", &record)) code = record_integer(&record, "code", -1);
 *
 * A record replaces its predecessor by rename, so that a reader sees the old one or the new one. It is not forced to the
 * disk: what it describes are processes, and those are gone as well when the machine stops. A missing, empty or cut
 * record reads as "nothing known", never as an error.
 */
#ifndef WEIR_PLATFORM_LOCAL_FILES_H
#define WEIR_PLATFORM_LOCAL_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct error;

enum { RECORD_MAX_BYTES = 4096 }; /* the longest has seven lines, one of them a path */

struct record {
    char bytes[RECORD_MAX_BYTES];
};

/* false: there is none, or it cannot be read; *out is then empty. */
bool record_read(const char *dir, const char *name, struct record *out);
/* The rest of the first line that starts with "key "; false and "" when there is none. */
bool record_text(const struct record *record, const char *key, char *out, size_t size);
int64_t record_integer(const struct record *record, const char *key, int64_t fallback);

/* Appends a line; a newline in value becomes a blank. false: no room left. */
bool record_put(struct record *record, const char *key, const char *value);
bool record_put_integer(struct record *record, const char *key, int64_t value);
bool record_write(const char *dir, const char *name, const struct record *record, struct error *err);

/* Writes bytes to dir/name with mode 0600, whole or not at all. */
bool file_write(const char *dir, const char *name, const void *bytes, size_t length, struct error *err);
/* Makes a directory and those above it, mode 0700. One that is there is fine. */
bool dir_make(const char *path, struct error *err);
/* Removes a directory with everything in it; symbolic links are not followed. One that is not there is fine. */
bool dir_remove(const char *path, struct error *err);
/* An error of the machine with what to do about it: full or read-only disk, too many files, no permission. */
bool error_set_machine(struct error *err, int number, const char *doing, const char *what);

/* What identifies a process for good: its number can be used again, its number and start time cannot. */
struct process_id {
    pid_t pid;
    uint64_t start; /* clock ticks since the boot: field 22 of /proc/PID/stat; 0: not known */
};
/* Whole numbers that blanks separate; returns how many were there, up to max. */
size_t numbers_read(const char *text, int64_t *out, size_t max);
/* Fields of /proc/PID/stat, counted as its manual page does, from PROCESS_PARENT on: field n becomes out[n - PROCESS_PARENT].
   false: there is no such process, or fewer fields. */
enum { PROCESS_PARENT = 4, PROCESS_USER_TICKS = 14, PROCESS_WAITED_SYSTEM_TICKS = 17, PROCESS_START = 22 };
bool process_fields(pid_t pid, int64_t *out, size_t count);
/* false: there is no such process (any more). */
bool process_read(pid_t pid, struct process_id *out);
/* This boot of the machine; static text, "" when the kernel does not say. */
const char *boot_id(void);

#endif
