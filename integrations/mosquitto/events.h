/*
 * Tells the adapter what happens, as lines of JSON over a Unix socket that it listens on. Never waits: where the adapter does
 * not read, the connection is closed, and a new one begins with all that is live. README.md has the lines.
 */
#ifndef BIRTHMARK_EVENTS_H
#define BIRTHMARK_EVENTS_H

#include "text.h"

struct events {
	/* NULL: nobody is told. */
	const char *path;
	int socket;
	/* Monotonic milliseconds: no attempt to connect before. */
	uint64_t next_try;
	/* What waits is from `head` to `used`. */
	size_t head, used, room;
	char *waiting;
	/* The line did not fit. */
	bool broken;
};

bool events_open(struct events *events, const char *path);
void events_close(struct events *events);

/* True where the adapter must be told all that is live: it has just come, or it asks. */
bool events_tick(struct events *events, uint64_t monotonic);

void line_begin(struct events *events, const char *what, uint64_t at);
void line_text(struct events *events, const char *name, struct text value);
void line_number(struct events *events, const char *name, uint64_t value);
void line_hex(struct events *events, const char *name, const uint8_t *octets, size_t size);
void line_end(struct events *events);

#endif
