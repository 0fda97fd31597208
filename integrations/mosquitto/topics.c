#include "topics.h"

#include <string.h>

/* MQTT 5 §1.5.4 and §4.7.3. */
#define MAX_OCTETS 65535

/* The levels of a filter, one after the other. */
struct levels {
	const char *at;
	const char *end;
	bool over;
};

static struct levels levels_of(struct text text) {
	return (struct levels){text.at, text.at + text.length, false};
}

/* False behind the last level; an empty text has one level, which is empty. */
static bool next_level(struct levels *levels, struct text *level) {
	if (levels->over) return false;
	const char *slash = memchr(levels->at, '/', (size_t)(levels->end - levels->at));
	const char *end = slash ? slash : levels->end;
	*level = (struct text){levels->at, (size_t)(end - levels->at)};
	if (slash) levels->at = slash + 1;
	else levels->over = true;
	return true;
}

static bool is(struct text level, char only) {
	return level.length == 1 && level.at[0] == only;
}

static bool has_wildcard(struct text text) {
	return memchr(text.at, '+', text.length) != NULL || memchr(text.at, '#', text.length) != NULL;
}

static bool is_topic_text(struct text text) {
	if (text.length == 0 || text.length > MAX_OCTETS || memchr(text.at, '\0', text.length) != NULL) return false;
	return text_look(text).well_formed;
}

bool topic_is_name(struct text text) {
	return is_topic_text(text) && !has_wildcard(text);
}

bool topic_is_filter(struct text text) {
	if (!is_topic_text(text)) return false;
	struct levels levels = levels_of(text);
	struct text level;
	while (next_level(&levels, &level)) {
		if (is(level, '#')) {
			if (!levels.over) return false;
		} else if (!is(level, '+') && has_wildcard(level)) {
			return false;
		}
	}
	return true;
}

bool topic_read_subscription(struct text text, struct text *filter) {
	*filter = text;
	struct text share = text_of("$share/");
	if (!text_starts(text, share)) return topic_is_filter(text);
	const char *group = text.at + share.length;
	size_t left = text.length - share.length;
	const char *slash = memchr(group, '/', left);
	if (slash == NULL || slash == group || has_wildcard((struct text){group, (size_t)(slash - group)})) return false;
	*filter = (struct text){slash + 1, left - (size_t)(slash + 1 - group)};
	return is_topic_text(text) && topic_is_filter(*filter);
}

/* MQTT 5 §4.7.2: a filter that begins with a wildcard matches no topic that begins with $. */
static bool is_hidden_from(struct text topic, struct text filter) {
	return topic.length > 0 && topic.at[0] == '$' && filter.length > 0 && (filter.at[0] == '+' || filter.at[0] == '#');
}

bool topic_covers(struct text outer, struct text inner) {
	if (is_hidden_from(inner, outer)) return false;
	struct levels allowed = levels_of(outer);
	struct levels asked = levels_of(inner);
	for (bool first = true;; first = false) {
		struct text may, wants;
		bool has_may = next_level(&allowed, &may);
		bool has_wants = next_level(&asked, &wants);
		/* "sport/#" matches "sport" too (MQTT 5 §4.7.1.2): the end of what is asked for is no bar. */
		if (has_may && is(may, '#')) return true;
		if (!has_may || !has_wants) return has_may == has_wants;
		/* Every topic has a first level, so "+/#" is another way to write "#". */
		if (is(wants, '#')) return first && is(may, '+') && next_level(&allowed, &may) && is(may, '#');
		if (!is(may, '+') && !text_equal(may, wants)) return false;
	}
}

bool topic_overlaps(struct text one, struct text other) {
	if (is_hidden_from(one, other) || is_hidden_from(other, one)) return false;
	struct levels first = levels_of(one);
	struct levels second = levels_of(other);
	for (;;) {
		struct text a, b;
		bool has_a = next_level(&first, &a);
		bool has_b = next_level(&second, &b);
		if ((has_a && is(a, '#')) || (has_b && is(b, '#'))) return true;
		if (!has_a || !has_b) return has_a == has_b;
		if (!is(a, '+') && !is(b, '+') && !text_equal(a, b)) return false;
	}
}
