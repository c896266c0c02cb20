/*
 * form: a value as an HTML form sends it ("a b/c" is "a+b%2Fc"), as metric names that are made of foreign names have it.
 */
#ifndef WEIR_TRIGGER_FORM_H
#define WEIR_TRIGGER_FORM_H

struct text;

void form_add(struct text *out, const char *value);
/* The characters of `also` stay as they are, too. */
void form_add_but(struct text *out, const char *value, const char *also);

#endif
