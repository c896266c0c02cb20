/*
 * lexer: characters to tokens (expr-language.md 3), one at a time, as the parser asks; so that the first fault in the
 * text is the one reported, whoever finds it.
 *
 * The operators have their oddities, all of which formulas in the field may depend on: any of & ! = * < > swallows one
 * following & = or *, so that "a<*b" holds one senseless token; "?" swallows "." and "?"; a "." belongs to a number
 * only before a digit, and to a range after another "."; what sticks to a "#" is a pointer's name, even if it is "in"
 * or "1".
 */
#include <stdlib.h>
#include <string.h>

#include "formula/formula_internal.h"

static bool is_digit(uint32_t c)
{
    return c - '0' < 10;
}

/* Bytes by what they may be part of. '_' stands among digits of every base. */
enum { IN_WORD = 1, IN_BINARY = 2, IN_OCTAL = 4, IN_DECIMAL = 8, IN_HEX = 16 };
static const uint8_t classes[256] = {
    ['0' ... '1'] = IN_WORD | IN_BINARY | IN_OCTAL | IN_DECIMAL | IN_HEX,
    ['2' ... '7'] = IN_WORD | IN_OCTAL | IN_DECIMAL | IN_HEX,
    ['8' ... '9'] = IN_WORD | IN_DECIMAL | IN_HEX,
    ['a' ... 'f'] = IN_WORD | IN_HEX,
    ['A' ... 'F'] = IN_WORD | IN_HEX,
    ['g' ... 'z'] = IN_WORD,
    ['G' ... 'Z'] = IN_WORD,
    ['$'] = IN_WORD,
    ['_'] = IN_WORD | IN_BINARY | IN_OCTAL | IN_DECIMAL | IN_HEX,
};

static uint32_t peek(const struct lexer *l, size_t *width)
{
    unsigned char c;

    if (l->at >= l->length) {
        *width = 0;
        return 0;
    }
    c = (unsigned char)l->text[l->at];
    *width = 1;
    return c < 0x80 ? c : lib_point_at((struct span){l->text, l->length}, l->at, width);
}

static bool is_word_character(uint32_t c)
{
    if (c < 0x80)
        return classes[c] & IN_WORD;
    return lib_point_is_letter(c) || lib_point_is_digit(c);
}

static bool at_word(const struct lexer *l, size_t *width)
{
    uint32_t c = peek(l, width);

    return *width > 0 && is_word_character(c);
}

static bool fail(struct lexer *l, struct token *token, uint32_t at, const char *why)
{
    if (!l->fault) {
        l->fault = why;
        l->fault_at = at;
    }
    *token = (struct token){TOKEN_END, OP_NONE, at, at};
    l->at = l->length;
    return false;
}

static void skip_run(struct lexer *l, uint8_t class)
{
    while (l->at < l->length && (classes[(unsigned char)l->text[l->at]] & class))
        l->at++;
}

static void skip_word(struct lexer *l)
{
    skip_run(l, IN_WORD);
    for (size_t width; at_word(l, &width);) /* letters of other scripts */
        l->at += (uint32_t)width;
}

static bool accept(struct lexer *l, char one)
{
    if (l->at >= l->length || l->text[l->at] != one)
        return false;
    l->at++;
    return true;
}

static bool accept_letter(struct lexer *l, char small)
{
    if (l->at >= l->length || (l->text[l->at] | 0x20) != small)
        return false;
    l->at++;
    return true;
}

static bool lex_number(struct lexer *l, struct token *token)
{
    uint8_t digits = IN_DECIMAL;
    size_t width;

    if (accept(l, '0')) {
        if (accept_letter(l, 'x'))
            digits = IN_HEX;
        else if (accept_letter(l, 'o'))
            digits = IN_OCTAL;
        else if (accept_letter(l, 'b'))
            digits = IN_BINARY;
    }
    skip_run(l, digits);
    if (l->at < l->length && l->text[l->at] == '.') {
        if (l->at + 1 < l->length && l->text[l->at + 1] == '.')
            goto done; /* 1..3 */
        l->at++;
        skip_run(l, digits);
    }
    if (accept_letter(l, 'e')) {
        if (!accept(l, '+'))
            accept(l, '-');
        skip_run(l, digits);
    }
    if (at_word(l, &width))
        return fail(l, token, token->begin, "bad number syntax");
done:
    token->kind = TOKEN_NUMBER;
    token->end = l->at;
    return true;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

/* What follows a backslash; the values are made by lexer_unquote. */
static bool skip_escape(struct lexer *l, char quote)
{
    char c = l->at < l->length ? l->text[l->at] : '\0';
    int digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;

    if (c && (strchr("abfnrtv\\", c) || c == quote)) {
        l->at++;
        return true;
    }
    if (c >= '0' && c <= '7') {
        for (int i = 0; i < 3; i++, l->at++)
            if (l->at >= l->length || l->text[l->at] < '0' || l->text[l->at] > '7')
                return false;
        return true;
    }
    if (digits == 0)
        return false;
    l->at++;
    if (c == 'u' && l->at < l->length && l->text[l->at] == '{') {
        uint32_t start = ++l->at;

        while (l->at < l->length && is_hex(l->text[l->at]))
            l->at++;
        if (l->at == start || l->at - start > 6 || l->at >= l->length || l->text[l->at] != '}')
            return false;
        l->at++;
        return true;
    }
    for (int i = 0; i < digits; i++, l->at++)
        if (l->at >= l->length || !is_hex(l->text[l->at]))
            return false;
    return true;
}

static bool lex_string(struct lexer *l, struct token *token, char quote, enum token_kind kind)
{
    for (;;) {
        if (l->at >= l->length || l->text[l->at] == '\n')
            return fail(l, token, token->begin, "literal not terminated");
        char c = l->text[l->at++];
        if (c == quote)
            break;
        if (c == '\\' && !skip_escape(l, quote))
            return fail(l, token, l->at, "invalid escape in a string");
    }
    token->kind = (uint8_t)kind;
    token->end = l->at;
    return true;
}

static bool lex_raw_string(struct lexer *l, struct token *token)
{
    for (;;) {
        if (l->at >= l->length)
            return fail(l, token, token->begin, "literal not terminated");
        if (l->text[l->at++] != '`')
            continue;
        if (l->at >= l->length || l->text[l->at] != '`')
            break;
        l->at++;
    }
    token->kind = TOKEN_STRING;
    token->end = l->at;
    return true;
}

static const struct {
    const char *word;
    uint8_t length, op;
} words[] = {{"in", 2, OP_IN},
             {"or", 2, OP_OR},
             {"and", 3, OP_AND},
             {"matches", 7, OP_MATCHES},
             {"contains", 8, OP_CONTAINS},
             {"startsWith", 10, OP_STARTS_WITH},
             {"endsWith", 8, OP_ENDS_WITH},
             {"let", 3, OP_LET},
             {"if", 2, OP_IF},
             {"else", 4, OP_ELSE},
             {"not", 3, OP_NOT}};

static void lex_word(struct lexer *l, struct token *token)
{
    const char *start = l->text + token->begin;
    uint32_t length;

    skip_word(l);
    length = l->at - token->begin;
    token->kind = TOKEN_NAME;
    token->end = l->at;
    if (length < 2 || length > 10)
        return;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (words[i].length == length && words[i].word[0] == *start && memcmp(words[i].word, start, length) == 0) {
            token->kind = TOKEN_OPERATOR;
            token->op = words[i].op;
        }
}

static void lex_double(struct lexer *l, struct token *token, char first)
{
    static const struct {
        char text[3];
        uint8_t op;
    } known[] = {{"&&", OP_AND}, {"!=", OP_NE}, {"==", OP_EQ}, {"**", OP_POW}, {"<=", OP_LE}, {">=", OP_GE}};
    char second = '\0';

    if (l->at < l->length && (l->text[l->at] == '&' || l->text[l->at] == '=' || l->text[l->at] == '*'))
        second = l->text[l->at++];
    if (!second) {
        token->op = first == '!'   ? OP_NOT
                    : first == '=' ? OP_ASSIGN
                    : first == '*' ? OP_MUL
                    : first == '<' ? OP_LT
                    : first == '>' ? OP_GT
                                   : OP_NO_SUCH;
        return;
    }
    token->op = OP_NO_SUCH;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (known[i].text[0] == first && known[i].text[1] == second)
            token->op = known[i].op;
}

/* ASCII characters that are a token, and what they are together with the one that may follow. */
static const struct {
    uint8_t op;
    char next; /* or 0 */
    uint8_t both;
} marks[128] = {
    ['('] = {OP_OPEN},
    [')'] = {OP_CLOSE},
    ['['] = {OP_OPEN_BRACKET},
    [']'] = {OP_CLOSE_BRACKET},
    ['{'] = {OP_OPEN_BRACE},
    ['}'] = {OP_CLOSE_BRACE},
    [','] = {OP_COMMA},
    [';'] = {OP_SEMICOLON},
    ['%'] = {OP_MOD},
    ['+'] = {OP_ADD},
    ['-'] = {OP_SUB},
    ['^'] = {OP_POW},
    ['/'] = {OP_DIV},
    ['#'] = {OP_HASH},
    ['|'] = {OP_PIPE, '|', OP_OR},
    [':'] = {OP_COLON, ':', OP_COLON_COLON},
    ['.'] = {OP_DOT, '.', OP_RANGE},
    ['?'] = {OP_QUESTION, '.', OP_QUESTION_DOT},
};

/* false: not a token at all. */
static bool lex_operator(struct lexer *l, struct token *token, char c)
{
    size_t at = (unsigned char)c;

    token->kind = TOKEN_OPERATOR;
    if (marks[at].op != OP_NONE)
        token->op = marks[at].next && accept(l, marks[at].next) ? marks[at].both : marks[at].op;
    else if (c && strchr("&!=*<>", c))
        lex_double(l, token, c);
    else
        return false;
    if (token->op == OP_QUESTION && accept(l, '?'))
        token->op = OP_COALESCE;
    l->after_hash |= c == '#';
    token->end = l->at;
    return true;
}

/* White space and comments. false: a comment that does not end. */
static bool skip_blanks(struct lexer *l)
{
    for (;;) {
        size_t width;
        uint32_t c = peek(l, &width);

        if (width == 0)
            return true;
        if (c == ' ' || (c < 0x80 ? c - '\t' < 5 : lib_point_is_space(c))) {
            l->at += (uint32_t)width;
        } else if (c == '/' && l->at + 1 < l->length && l->text[l->at + 1] == '/') {
            while (l->at < l->length && l->text[l->at] != '\n')
                l->at++;
        } else if (c == '/' && l->at + 1 < l->length && l->text[l->at + 1] == '*') {
            const char *end =
                l->at + 2 < l->length ? memmem(l->text + l->at + 2, l->length - l->at - 2, "*/", 2) : NULL;

            if (!end)
                return false;
            l->at = (uint32_t)(end + 2 - l->text);
        } else {
            return true;
        }
    }
}

void lexer_next(struct lexer *l, struct token *token)
{
    size_t width;
    uint32_t c, start = l->at;

    if (l->after_hash) {
        l->after_hash = false;
        if (at_word(l, &width)) {
            *token = (struct token){TOKEN_NAME, OP_NONE, start, start};
            skip_word(l);
            token->end = l->at;
            return;
        }
    }
    if (!skip_blanks(l)) {
        fail(l, token, l->at, "unclosed comment");
        return;
    }
    c = peek(l, &width);
    *token = (struct token){TOKEN_END, OP_NONE, l->at, l->at};
    if (width == 0)
        return;
    if (is_digit(c) || (c == '.' && l->at + 1 < l->length && is_digit((unsigned char)l->text[l->at + 1]))) {
        lex_number(l, token);
        return;
    }
    if ((c | 0x20) == 'b' && l->at + 1 < l->length && (l->text[l->at + 1] == '"' || l->text[l->at + 1] == '\'')) {
        l->at += 2;
        lex_string(l, token, l->text[l->at - 1], TOKEN_BYTES);
        return;
    }
    if (is_word_character(c)) {
        lex_word(l, token);
        return;
    }
    l->at += (uint32_t)width;
    if (c == '"' || c == '\'')
        lex_string(l, token, (char)c, TOKEN_STRING);
    else if (c == '`')
        lex_raw_string(l, token);
    else if (c >= 0x80 || !lex_operator(l, token, (char)c))
        fail(l, token, token->begin, "a character that means nothing here");
}

/* ---- the value of a literal ---- */

static uint32_t read_digits(const char **at, int count, int base)
{
    uint32_t value = 0;

    for (int i = 0; i < count; i++, (*at)++) {
        char c = **at;

        value = value * (uint32_t)base + (uint32_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return value;
}

static char simple_escape(char c)
{
    static const char from[] = "abfnrtv", to[] = "\a\b\f\n\r\t\v";
    const char *found = strchr(from, c);

    return found ? to[found - from] : c;
}

/* One escape of a string; *at is behind the backslash. */
static bool unescape(const char **at, bool bytes, char **out)
{
    char c = *(*at)++;
    uint32_t point;

    if (c >= '0' && c <= '7') {
        (*at)--;
        if (c > '3')
            return false;
        point = read_digits(at, 3, 8);
    } else if (c == 'x') {
        point = read_digits(at, 2, 16);
    } else if (c == 'u' || c == 'U') {
        if (bytes)
            return false;
        if (c == 'u' && **at == '{') {
            const char *end = strchr(++*at, '}');

            point = read_digits(at, (int)(end - *at), 16);
            (*at)++;
        } else {
            point = read_digits(at, c == 'u' ? 4 : 8, 16);
        }
        if (point > 0x10ffff)
            return false;
    } else {
        *(*out)++ = simple_escape(c);
        return true;
    }
    if (bytes)
        *(*out)++ = (char)point;
    else
        *out += lib_point_encode(point, *out);
    return true;
}

static struct span unquote_raw(const char *at, const char *end, char *out)
{
    char *start = out;

    for (; at < end; at++) {
        *out++ = *at;
        if (*at == '`')
            at++;
    }
    return (struct span){start, (size_t)(out - start)};
}

bool lexer_unquote(const char *text, const struct token *token, struct arena *arena, struct span *out)
{
    bool bytes = token->kind == TOKEN_BYTES;
    const char *at = text + token->begin + bytes, *end = text + token->end - 1;
    char quote = *at++, *buffer, *to;

    /* Three bytes for each of the source: a byte that is not UTF-8 becomes U+FFFD. */
    to = buffer = arena_alloc(arena, (size_t)(end - at) * 3 + 4);
    if (quote == '`') {
        *out = unquote_raw(at, end, buffer);
        return true;
    }
    while (at < end) {
        unsigned char c = (unsigned char)*at;
        size_t width;

        if (c == '\\') {
            at++;
            if (!unescape(&at, bytes, &to))
                return false;
        } else if (c == '\r') {
            *to++ = '\n';
            at += at[1] == '\n' ? 2 : 1;
        } else if (c < 0x80) {
            *to++ = *at++;
        } else {
            uint32_t point = lib_point_at((struct span){at, (size_t)(end - at)}, 0, &width);

            to += lib_point_encode(point, to);
            at += width;
        }
    }
    *out = (struct span){buffer, (size_t)(to - buffer)};
    return true;
}
