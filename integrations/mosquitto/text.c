#include "text.h"

#include <string.h>

struct text text_of(const char *string) {
	return (struct text){string, strlen(string)};
}

bool text_equal(struct text one, struct text other) {
	return one.length == other.length && (one.length == 0 || memcmp(one.at, other.at, one.length) == 0);
}

bool text_starts(struct text whole, struct text begin) {
	return whole.length >= begin.length && text_equal((struct text){whole.at, begin.length}, begin);
}

bool text_has(struct text whole, struct text part) {
	for (size_t at = 0; at + part.length <= whole.length; at += 1) {
		if (text_equal((struct text){whole.at + at, part.length}, part)) return true;
	}
	return false;
}

/* One code point of UTF-8 (RFC 3629 §3): no overlong form, no surrogate, nothing above U+10FFFF. -1 for anything else. */
static int32_t next_point(const uint8_t **at, const uint8_t *end) {
	uint8_t first = *(*at)++;
	if (first < 0x80) return first;
	int more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
	if (first < 0xc2 || first > 0xf4 || end - *at < more) return -1;
	int32_t point = first & (0x3f >> more);
	for (int count = more; count > 0; count -= 1) {
		uint8_t octet = *(*at)++;
		if ((octet & 0xc0) != 0x80) return -1;
		point = (point << 6) | (octet & 0x3f);
	}
	if ((more == 2 && point < 0x800) || (more == 3 && point < 0x10000)) return -1;
	if ((point >= 0xd800 && point < 0xe000) || point > 0x10ffff) return -1;
	return point;
}

struct text_facts text_look(struct text text) {
	struct text_facts facts = {.well_formed = true};
	const uint8_t *at = (const uint8_t *)text.at;
	const uint8_t *end = at + text.length;
	while (at < end) {
		int32_t point = next_point(&at, end);
		if (point < 0) {
			facts.well_formed = false;
			return facts;
		}
		facts.units += point >= 0x10000 ? 2 : 1;
		if (point < 0x20 || (point >= 0x7f && point < 0xa0)) facts.control = true;
		if (point == '/' || point == '+' || point == '#' || point == '$') facts.separator = true;
	}
	return facts;
}
