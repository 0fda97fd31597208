#include "events.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* What may wait for an adapter that is slow, to begin with and at most: some thousands of lines, and 100,000 sessions. */
#define FIRST_WAITING (1u << 20)
#define MAX_WAITING (64u << 20)
/* A longer value of a stranger is left out. */
#define MAX_VALUE 1024
#define RETRY_MS 250

bool events_open(struct events *events, const char *path) {
	*events = (struct events){.path = path, .socket = -1};
	if (path == NULL) return true;
	events->waiting = malloc(FIRST_WAITING);
	events->room = FIRST_WAITING;
	return events->waiting != NULL && strlen(path) < sizeof((struct sockaddr_un *)NULL)->sun_path;
}

/* Nothing waits: the room of a long list is given back. */
static void empty(struct events *events) {
	events->head = events->used = 0;
	if (events->room == FIRST_WAITING) return;
	char *smaller = realloc(events->waiting, FIRST_WAITING);
	if (smaller == NULL) return;
	events->waiting = smaller;
	events->room = FIRST_WAITING;
}

static void disconnect(struct events *events) {
	if (events->socket >= 0) close(events->socket);
	events->socket = -1;
	if (events->waiting != NULL) empty(events);
}

void events_close(struct events *events) {
	disconnect(events);
	free(events->waiting);
	events->waiting = NULL;
}

static bool connect_now(struct events *events) {
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	memcpy(address.sun_path, events->path, strlen(events->path) + 1);
	events->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (events->socket < 0) return false;
	/* A Unix socket is connected at once, or its queue is full. */
	if (connect(events->socket, (struct sockaddr *)&address, sizeof address) == 0) return true;
	disconnect(events);
	return false;
}

static void flush(struct events *events) {
	while (events->socket >= 0 && events->head < events->used) {
		ssize_t count =
			send(events->socket, events->waiting + events->head, events->used - events->head, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (count > 0) {
			events->head += (size_t)count;
			continue;
		}
		if (errno == EINTR) continue;
		if (errno != EAGAIN && errno != EWOULDBLOCK) disconnect(events);
		return;
	}
	if (events->socket >= 0) empty(events);
}

bool events_tick(struct events *events, uint64_t monotonic) {
	if (events->path == NULL) return false;
	if (events->socket < 0) {
		if (monotonic < events->next_try) return false;
		events->next_try = monotonic + RETRY_MS;
		return connect_now(events);
	}
	flush(events);
	char asked[64];
	ssize_t count = events->socket < 0 ? 0 : recv(events->socket, asked, sizeof asked, MSG_DONTWAIT);
	if (count > 0) return true;
	if (count == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) disconnect(events);
	return false;
}

/* Moves what waits to the front where that makes half of the room free, which costs little, or makes more room. */
static bool make_room(struct events *events, size_t size) {
	if (size <= events->room - events->used) return true;
	if (events->head > events->room / 2) {
		memmove(events->waiting, events->waiting + events->head, events->used - events->head);
		events->used -= events->head;
		events->head = 0;
	} else if (events->room < MAX_WAITING) {
		char *larger = realloc(events->waiting, events->room * 2);
		if (larger == NULL) return false;
		events->waiting = larger;
		events->room *= 2;
	}
	return size <= events->room - events->used;
}

static void add(struct events *events, const char *octets, size_t size) {
	if (events->broken || !make_room(events, size)) {
		events->broken = true;
		return;
	}
	memcpy(events->waiting + events->used, octets, size);
	events->used += size;
}

static void add_string(struct events *events, const char *string) {
	add(events, string, strlen(string));
}

static bool is_open(const struct events *events) {
	return events->path != NULL && events->socket >= 0;
}

void line_begin(struct events *events, const char *what, uint64_t at) {
	if (!is_open(events)) return;
	events->broken = false;
	add_string(events, "{\"v\":1,\"event\":\"");
	add_string(events, what);
	add_string(events, "\"");
	line_number(events, "at", at);
}

static void add_name(struct events *events, const char *name) {
	add_string(events, ",\"");
	add_string(events, name);
	add_string(events, "\":");
}

void line_text(struct events *events, const char *name, struct text value) {
	if (!is_open(events) || value.length > MAX_VALUE || !text_look(value).well_formed) return;
	add_name(events, name);
	add_string(events, "\"");
	for (size_t at = 0; at < value.length; at += 1) {
		uint8_t octet = (uint8_t)value.at[at];
		char escaped[8];
		if (octet < 0x20 || octet == '"' || octet == '\\' || octet == 0x7f) {
			snprintf(escaped, sizeof escaped, "\\u%04x", octet);
			add_string(events, escaped);
		} else {
			add(events, value.at + at, 1);
		}
	}
	add_string(events, "\"");
}

void line_number(struct events *events, const char *name, uint64_t value) {
	if (!is_open(events)) return;
	char digits[24];
	snprintf(digits, sizeof digits, "%" PRIu64, value);
	add_name(events, name);
	add_string(events, digits);
}

void line_hex(struct events *events, const char *name, const uint8_t *octets, size_t size) {
	if (!is_open(events)) return;
	add_name(events, name);
	add_string(events, "\"");
	for (size_t at = 0; at < size; at += 1) {
		char digits[4];
		snprintf(digits, sizeof digits, "%02x", octets[at]);
		add_string(events, digits);
	}
	add_string(events, "\"");
}

void line_end(struct events *events) {
	if (!is_open(events)) return;
	add_string(events, "}\n");
	/* Too much waits: the adapter is told everything anew when it reads again. */
	if (events->broken) disconnect(events);
	else flush(events);
}
