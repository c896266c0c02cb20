/*
 * tree_yaml_write: a tree as YAML, by libyaml's emitter. What comes out reads back as the same tree: a text that would be taken for a number,
 * a bool or nothing at all stands in quotes, one of several lines as a block. Comments are not in a tree, so there are none.
 */
#include <ctype.h>
#include <string.h>
#include <strings.h>
#include <yaml.h>

#include "base/text.h"
#include "base/tree.h"

static int on_bytes(void *arg, unsigned char *bytes, size_t length)
{
    return text_append(arg, (const char *)bytes, length);
}

/* Those that begin with a letter; all others that mean something begin with a digit or a sign. */
static bool is_word_of_yaml(const char *text)
{
    static const char *const words[] = {"y", "n", "yes", "no", "on", "off", "true", "false", "null", "inf", "nan"};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcasecmp(words[i], text) == 0)
            return true;
    return false;
}

static yaml_scalar_style_t style_of(const char *text, size_t length)
{
    if (memchr(text, '\n', length))
        return YAML_LITERAL_SCALAR_STYLE;
    if (length > 0 && (isalpha((unsigned char)text[0]) || strchr("_/", text[0])) && !is_word_of_yaml(text))
        return YAML_PLAIN_SCALAR_STYLE;
    return YAML_DOUBLE_QUOTED_SCALAR_STYLE;
}

static bool emit_scalar(yaml_emitter_t *emitter, const char *text, size_t length, yaml_scalar_style_t style)
{
    yaml_event_t event;

    return yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)text, (int)length, 1, 1, style) &&
           yaml_emitter_emit(emitter, &event);
}

static bool emit_string(yaml_emitter_t *emitter, const char *text, size_t length)
{
    return emit_scalar(emitter, text, length, style_of(text, length));
}

static bool emit_word(yaml_emitter_t *emitter, const char *word)
{
    return emit_scalar(emitter, word, strlen(word), YAML_PLAIN_SCALAR_STYLE);
}

static bool emit_node(yaml_emitter_t *emitter, const struct tree *node);

/* Depth is bounded by the tree's. */
static bool emit_children(yaml_emitter_t *emitter, const struct tree *node)
{
    bool map = node->type == TREE_MAP;
    yaml_event_t event;

    if (!(map ? yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_MAPPING_STYLE)
              : yaml_sequence_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_SEQUENCE_STYLE)) ||
        !yaml_emitter_emit(emitter, &event))
        return false;
    for (const struct tree *child = node->first; child; child = child->next)
        if ((map && !emit_string(emitter, child->key, strlen(child->key))) || !emit_node(emitter, child))
            return false;
    return (map ? yaml_mapping_end_event_initialize(&event) : yaml_sequence_end_event_initialize(&event)) &&
           yaml_emitter_emit(emitter, &event);
}

static bool emit_node(yaml_emitter_t *emitter, const struct tree *node)
{
    switch (node->type) {
    case TREE_NULL:
        return emit_word(emitter, "null");
    case TREE_BOOL:
        return emit_word(emitter, node->boolean ? "true" : "false");
    case TREE_NUMBER:
        return emit_scalar(emitter, node->text, node->length, YAML_PLAIN_SCALAR_STYLE);
    case TREE_STRING:
        return emit_string(emitter, node->text, node->length);
    case TREE_LIST:
    case TREE_MAP:
        break;
    }
    return emit_children(emitter, node);
}

static bool emit_document(yaml_emitter_t *emitter, const struct tree *node)
{
    yaml_event_t event;

    return yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING) && yaml_emitter_emit(emitter, &event) &&
           yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1) && yaml_emitter_emit(emitter, &event) &&
           emit_node(emitter, node) && yaml_document_end_event_initialize(&event, 1) &&
           yaml_emitter_emit(emitter, &event) && yaml_stream_end_event_initialize(&event) &&
           yaml_emitter_emit(emitter, &event);
}

bool tree_write_yaml(const struct tree *node, struct text *out)
{
    yaml_emitter_t emitter;

    if (!yaml_emitter_initialize(&emitter))
        return false;
    yaml_emitter_set_output(&emitter, on_bytes, out);
    yaml_emitter_set_unicode(&emitter, 1);
    yaml_emitter_set_indent(&emitter, 2);
    yaml_emitter_set_width(&emitter, -1);
    bool fine = emit_document(&emitter, node) && !out->overflowed;
    yaml_emitter_delete(&emitter);
    return fine;
}
