/*
 * fuzz_access: what reaches the face of the external metrics from outside. The first byte picks the reader:
 *
 *     0 the selector of a metric request   1 the ConfigMap that says who clients are   2 the user of a TokenReview
 *     3 a certificate and, behind a 0 byte, its key
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/tree.h"
#include "serve/cluster_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_selector(const char *text)
{
    char name[OBJECT_NAME_BYTES] = "";
    struct error err = {0};
    int code = 0;

    if (external_selector_object(text, name, &code, &err))
        assert(name[0] && strlen(name) < sizeof(name) && strstr(text, name));
    else
        assert(err.text[0] && (code == 400 || code == 500));
}

static void read_config(const struct tree *tree)
{
    struct error err = {0};
    struct access_config *config = access_config_read(tree, &err);

    assert(config || err.text[0]);
    access_config_free(config);
}

/* Whatever a user is called, the review that asks about him is JSON and about nobody else. */
static void read_user(const struct tree *tree, struct arena *arena)
{
    struct access_user user;
    struct tree *again;
    struct text json;

    if (!access_user_of_review(tree, arena, &user))
        return;
    text_init(&json, 4 * ACCESS_USER_MAX_BYTES);
    text_printf(&json, "{%s}", user.spec);
    assert(tree_read_json(json.bytes, json.length, false, arena, &again, NULL));
    assert(tree_string(tree_get(again, "user")) && tree_get(again, "groups")->count > 0);
    text_done(&json);
}

static void read_pair(const char *text, size_t length)
{
    size_t first = strlen(text);
    struct secret *key = first < length ? secret_new(text + first + 1, length - first - 1) : secret_new("", 0);
    struct error err = {0};
    int64_t expires_at_ms;

    if (!pki_pair_read(text, key, &expires_at_ms, &err))
        assert(err.text[0]);
    secret_unref(key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct arena *arena = arena_new(ARENA_USUAL);
    const char *text = arena_copy_bytes(arena, data + 1, size - 1);
    struct tree *tree = NULL;

    if (data[0] == 0)
        read_selector(text);
    else if (data[0] == 3)
        read_pair(text, size - 1);
    else if (tree_read_json(text, size - 1, false, arena, &tree, NULL) && data[0] == 1)
        read_config(tree);
    else if (tree && data[0] == 2)
        read_user(tree, arena);
    arena_free(arena);
    return 0;
}
