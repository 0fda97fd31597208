/* Connections that were allowed, by the broker's own handle of each, and by the identity behind them. */
#ifndef BIRTHMARK_CLIENTS_H
#define BIRTHMARK_CLIENTS_H

#include "judge.h"

struct client {
	/* The broker's handle: only compared. */
	const void *handle;
	char *client_id;
	char *address;
	struct grant grant;
	/* Milliseconds since the epoch. */
	uint64_t since;
	/* Why it is being ended; NULL while it may stay. */
	const char *cause;
	struct client *next_by_handle, *next_by_identity;
};

struct clients {
	size_t count;
	/* Of both tables; a power of two. */
	size_t places;
	struct client **by_handle, **by_identity;
};

bool clients_open(struct clients *clients);
void clients_close(struct clients *clients);

struct client *clients_find(const struct clients *clients, const void *handle);
/* Whether the identity has a connection of another handle under another ClientId. */
bool clients_has_other(const struct clients *clients, const struct grant *grant, const void *handle, struct text client_id);
/* Takes what is given over, in place of what the handle had; false where there is no memory, with everything freed. */
bool clients_add(struct clients *clients, struct client *client);
/* Frees it. */
void clients_remove(struct clients *clients, const void *handle);

/* Calls for each; the client may not be removed meanwhile. */
void clients_each(struct clients *clients, void (*visit)(struct client *client, void *context), void *context);

void client_free(struct client *client);

#endif
