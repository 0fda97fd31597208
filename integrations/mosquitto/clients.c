#include "clients.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_PLACES 256

static size_t mix(size_t hash) {
	hash ^= hash >> 33;
	hash *= 0xff51afd7ed558ccdULL;
	return hash ^ hash >> 33;
}

static size_t handle_hash(const void *handle) {
	return mix((size_t)(uintptr_t)handle);
}

/* Identities are in signed certificates, so nobody chooses them to be slow here. */
static size_t identity_hash(const struct grant *grant) {
	size_t hash = 5381;
	for (const char *at = grant->namespace; *at != '\0'; at += 1) hash = hash * 33 + (uint8_t)*at;
	for (const char *at = grant->id; *at != '\0'; at += 1) hash = hash * 33 + (uint8_t)*at;
	return mix(hash);
}

static bool same_identity(const struct grant *one, const struct grant *other) {
	return strcmp(one->id, other->id) == 0 && strcmp(one->namespace, other->namespace) == 0;
}

bool clients_open(struct clients *clients) {
	*clients = (struct clients){.places = FIRST_PLACES};
	clients->by_handle = calloc(clients->places, sizeof *clients->by_handle);
	clients->by_identity = calloc(clients->places, sizeof *clients->by_identity);
	return clients->by_handle != NULL && clients->by_identity != NULL;
}

void client_free(struct client *client) {
	if (client == NULL) return;
	grant_clear(&client->grant);
	free(client->client_id);
	free(client->address);
	free(client);
}

void clients_close(struct clients *clients) {
	for (size_t place = 0; clients->by_handle != NULL && place < clients->places; place += 1) {
		while (clients->by_handle[place] != NULL) {
			struct client *client = clients->by_handle[place];
			clients->by_handle[place] = client->next_by_handle;
			client_free(client);
		}
	}
	free(clients->by_handle);
	free(clients->by_identity);
	*clients = (struct clients){0};
}

struct client *clients_find(const struct clients *clients, const void *handle) {
	struct client *client = clients->by_handle[handle_hash(handle) & (clients->places - 1)];
	while (client != NULL && client->handle != handle) client = client->next_by_handle;
	return client;
}

bool clients_has_other(const struct clients *clients, const struct grant *grant, const void *handle, struct text client_id) {
	const struct client *client = clients->by_identity[identity_hash(grant) & (clients->places - 1)];
	for (; client != NULL; client = client->next_by_identity) {
		if (client->handle == handle || client->cause != NULL || !same_identity(&client->grant, grant)) continue;
		if (!text_equal(text_of(client->client_id), client_id)) return true;
	}
	return false;
}

static void link_client(struct clients *clients, struct client *client) {
	struct client **first = &clients->by_handle[handle_hash(client->handle) & (clients->places - 1)];
	client->next_by_handle = *first;
	*first = client;
	first = &clients->by_identity[identity_hash(&client->grant) & (clients->places - 1)];
	client->next_by_identity = *first;
	*first = client;
}

static void grow(struct clients *clients) {
	struct clients larger = {.count = clients->count, .places = clients->places * 2};
	larger.by_handle = calloc(larger.places, sizeof *larger.by_handle);
	larger.by_identity = calloc(larger.places, sizeof *larger.by_identity);
	if (larger.by_handle == NULL || larger.by_identity == NULL) {
		/* Longer chains are slower and no worse. */
		free(larger.by_handle);
		free(larger.by_identity);
		return;
	}
	for (size_t place = 0; place < clients->places; place += 1) {
		for (struct client *client = clients->by_handle[place], *next; client != NULL; client = next) {
			next = client->next_by_handle;
			link_client(&larger, client);
		}
	}
	free(clients->by_handle);
	free(clients->by_identity);
	*clients = larger;
}

bool clients_add(struct clients *clients, struct client *client) {
	if (client->client_id == NULL || client->address == NULL) {
		client_free(client);
		return false;
	}
	clients_remove(clients, client->handle);
	if (clients->count >= clients->places) grow(clients);
	link_client(clients, client);
	clients->count += 1;
	return true;
}

void clients_remove(struct clients *clients, const void *handle) {
	struct client **link = &clients->by_handle[handle_hash(handle) & (clients->places - 1)];
	while (*link != NULL && (*link)->handle != handle) link = &(*link)->next_by_handle;
	struct client *client = *link;
	if (client == NULL) return;
	*link = client->next_by_handle;
	link = &clients->by_identity[identity_hash(&client->grant) & (clients->places - 1)];
	while (*link != client) link = &(*link)->next_by_identity;
	*link = client->next_by_identity;
	clients->count -= 1;
	client_free(client);
}

void clients_each(struct clients *clients, void (*visit)(struct client *client, void *context), void *context) {
	for (size_t place = 0; place < clients->places; place += 1) {
		for (struct client *client = clients->by_handle[place]; client != NULL; client = client->next_by_handle)
			visit(client, context);
	}
}
