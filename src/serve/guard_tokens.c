/*
 * guard_tokens: the file of --token-file. A line is a token and, after blanks, the name of who has it; empty lines and those that begin
 * with # say nothing. Tokens are kept as digests with a salt of this process, and all are compared, so that neither the memory nor the
 * time says anything of them.
 *
 * The file is looked at again when somebody asks, once in TOKENS_LOOK_MS: what was taken out ends then. When it cannot be read any more,
 * nobody has a token, until it can.
 */
#include "serve/guard_internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/log.h"
#include "net/loop.h"

enum { SALT_BYTES = 32 };

struct token {
    unsigned char digest[GUARD_DIGEST_BYTES];
    const char *name;
};
struct guard_tokens {
    struct loop *loop;
    char *path;
    struct arena *arena; /* names */
    struct token list[TOKENS_MAX];
    size_t count;
    struct stat seen;
    int64_t look_ticks_ms; /* when it is looked at next */
    bool in_trouble;       /* said that it cannot be read */
    unsigned char salt[SALT_BYTES];
};

/* ------------------------------------------------------------------ reading */

static void digest_of(const struct guard_tokens *tokens, const char *token, size_t length,
                      unsigned char out[GUARD_DIGEST_BYTES])
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();

    if (!context || EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1 ||
        EVP_DigestUpdate(context, tokens->salt, SALT_BYTES) != 1 || EVP_DigestUpdate(context, token, length) != 1 ||
        EVP_DigestFinal_ex(context, out, NULL) != 1)
        abort(); /* SHA-256 is always there */
    EVP_MD_CTX_free(context);
}

static bool read_line(struct guard_tokens *tokens, const char *line, size_t length, int number, struct error *err)
{
    static const char blanks[] = " \t\r";
    size_t skipped = 0, token, name;

    while (skipped < length && strchr(blanks, line[skipped]))
        skipped++;
    line += skipped;
    length -= skipped;
    if (length == 0 || *line == '#')
        return true;
    for (token = 0; token < length && !strchr(blanks, line[token]);)
        token++;
    for (name = token; name < length && strchr(blanks, line[name]);)
        name++;
    while (length > name && strchr(blanks, line[length - 1]))
        length--;
    if (token < TOKEN_MIN_BYTES || token > ACCESS_TOKEN_MAX_BYTES)
        return error_set(err, ERROR_INVALID,
                         "%.200s:%d: a token has %d to %d characters; make one with 'openssl rand -hex 32'",
                         tokens->path, number, TOKEN_MIN_BYTES, ACCESS_TOKEN_MAX_BYTES);
    if (tokens->count == TOKENS_MAX)
        return error_set(err, ERROR_LIMIT, "%.200s:%d: there are more than %d tokens (TOKENS_MAX)", tokens->path,
                         number, TOKENS_MAX);
    digest_of(tokens, line, token, tokens->list[tokens->count].digest);
    tokens->list[tokens->count++].name = length > name ? arena_copy_bytes(tokens->arena, line + name, length - name)
                                                       : arena_printf(tokens->arena, "line %d", number);
    return true;
}

static bool read_lines(struct guard_tokens *tokens, const struct text *bytes, struct error *err)
{
    const char *at = bytes->bytes, *end = at + bytes->length;

    for (int number = 1; at < end; number++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t length = (size_t)((newline ? newline : end) - at);

        if (memchr(at, '\0', length))
            return error_set(err, ERROR_INVALID, "%.200s:%d: this is no text", tokens->path, number);
        if (!read_line(tokens, at, length, number, err))
            return false;
        at += length + 1;
    }
    return tokens->count > 0 ||
           error_set(err, ERROR_INVALID, "%.200s names no token; write lines of a token and a name", tokens->path);
}

typedef bool reader(const char *path, struct text *out, struct error *err);

static bool read_file(struct guard_tokens *tokens, reader *read_bytes, struct error *err)
{
    struct text bytes;
    bool read;

    tokens->count = 0;
    arena_reset(tokens->arena);
    text_init(&bytes, TOKENS_FILE_MAX_BYTES);
    read = read_bytes(tokens->path, &bytes, err) && read_lines(tokens, &bytes, err);
    if (bytes.bytes)
        OPENSSL_cleanse(bytes.bytes, bytes.length);
    text_done(&bytes);
    if (!read)
        tokens->count = 0;
    return read;
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
           a->st_ctim.tv_nsec == b->st_ctim.tv_nsec; /* cp -p keeps the former */
}

static void look(struct guard_tokens *tokens)
{
    int64_t ticks_ms = loop_ticks_ms(tokens->loop);
    struct stat now = {0};
    struct error err;

    if (ticks_ms < tokens->look_ticks_ms)
        return;
    tokens->look_ticks_ms = ticks_ms + TOKENS_LOOK_MS;
    if (stat(tokens->path, &now) == 0 && !tokens->in_trouble && is_same_file(&now, &tokens->seen))
        return;
    tokens->seen = now;
    if (read_file(tokens, file_read_plain, &err)) {
        log_info("tokens were read again", "file", tokens->path, NULL);
        tokens->in_trouble = false;
    } else if (!tokens->in_trouble) {
        log_error("nobody is let in by a token: the file cannot be used", "file", tokens->path, "error", err.text,
                  NULL);
        tokens->in_trouble = true;
    }
}

/* ------------------------------------------------------------------ looking up */

/* All are compared, and none sooner than another. */
static const struct token *find(const struct guard_tokens *tokens, const unsigned char *digest)
{
    const struct token *found = NULL;

    for (size_t i = 0; i < tokens->count; i++)
        if (CRYPTO_memcmp(tokens->list[i].digest, digest, GUARD_DIGEST_BYTES) == 0)
            found = &tokens->list[i];
    return found;
}

const char *guard_tokens_name(struct guard_tokens *tokens, const unsigned char digest[GUARD_DIGEST_BYTES])
{
    const struct token *token;

    if (!tokens)
        return NULL;
    look(tokens);
    token = find(tokens, digest);
    return token ? token->name : NULL;
}

const char *guard_tokens_find(struct guard_tokens *tokens, const char *token, unsigned char digest[GUARD_DIGEST_BYTES])
{
    if (!tokens)
        return NULL;
    digest_of(tokens, token, strlen(token), digest);
    return guard_tokens_name(tokens, digest);
}

/* ------------------------------------------------------------------ the whole */

bool guard_tokens_new(struct loop *loop, const char *path, struct guard_tokens **out, struct error *err)
{
    struct guard_tokens *tokens = mem_alloc(sizeof(*tokens));

    tokens->loop = loop;
    tokens->path = mem_copy(path);
    tokens->arena = arena_new(ARENA_SMALL);
    tokens->look_ticks_ms = loop_ticks_ms(loop) + TOKENS_LOOK_MS;
    if (RAND_bytes(tokens->salt, SALT_BYTES) != 1)
        abort();
    if (stat(path, &tokens->seen) != 0)
        tokens->seen = (struct stat){0};
    if (!read_file(tokens, file_read, err)) { /* at the start a shell's <(...) may say them */
        guard_tokens_free(tokens);
        return false;
    }
    *out = tokens;
    return true;
}

void guard_tokens_free(struct guard_tokens *tokens)
{
    if (!tokens)
        return;
    OPENSSL_cleanse(tokens->list, sizeof(tokens->list));
    arena_free(tokens->arena);
    free(tokens->path);
    free(tokens);
}
