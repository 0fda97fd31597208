/* Text as the rules see it: UTF-8 that may hold anything, with a length and without a NUL. */
#ifndef BIRTHMARK_TEXT_H
#define BIRTHMARK_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
	const char *at;
	size_t length;
};

struct text text_of(const char *string);
bool text_equal(struct text one, struct text other);
bool text_starts(struct text whole, struct text begin);
bool text_has(struct text whole, struct text part);

/* Facts of a text that the rules ask for, gathered in one pass. */
struct text_facts {
	bool well_formed;
	/* UTF-16 units, the measure of src/broker-auth. */
	size_t units;
	/* A character of category Cc. */
	bool control;
	/* One of / + # $. */
	bool separator;
};

struct text_facts text_look(struct text text);

#endif
