/*
 * Birthmark's gate inside Mosquitto: lets in whom a signed snapshot allows, ends who is taken back, and tells the adapter. It
 * decides nothing that is not in the snapshot, and denies when it has none or an old one.
 */
#include <errno.h>
#include <mosquitto.h>
#include <mosquitto_broker.h>
#include <mosquitto_plugin.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "clients.h"
#include "config-check.h"
#include "events.h"

#define EXPORTED __attribute__((visibility("default")))
#define POLL_MS 200
#define SWEEP_MS 1000
#define WHY_ROOM 512

struct gate {
	mosquitto_plugin_id_t *id;
	char *snapshot_path, *key_path, *config_path, *events_path;
	bool kick_when_stale, kick_with_will;
	EVP_PKEY *key;
	struct snapshot *snapshot;
	/* Of the clock that no one sets back: when the snapshot is over. */
	uint64_t over_at;
	/* The file as it was last looked at, good or not. */
	struct stat seen;
	/* The configuration was changed into one that must not be used. */
	bool config_refused;
	/* Until the next tick: Mosquitto asks again of every session, of those without a connection too. */
	bool reloading;
	uint64_t next_poll, next_sweep;
	struct clients clients;
	struct events events;
};

static uint64_t clock_ms(clockid_t clock) {
	struct timespec time;
	if (clock_gettime(clock, &time) != 0) return 0;
	return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

static uint64_t now_ms(void) {
	return clock_ms(CLOCK_REALTIME);
}

static bool is_stale(const struct gate *gate) {
	if (gate->snapshot == NULL || gate->config_refused) return true;
	if (gate->snapshot->valid_until == NO_END) return false;
	return now_ms() >= gate->snapshot->valid_until || clock_ms(CLOCK_BOOTTIME) >= gate->over_at;
}

/* --- What the adapter is told --- */

static void tell_credential(struct events *events, const struct grant *grant) {
	if (grant->credential.certificate == NULL) return;
	line_hex(events, "issuerKeyId", grant->credential.key_id, KEY_ID_SIZE);
	line_text(events, "serial", text_of(grant->credential.serial));
	line_hex(events, "keyHash", grant->credential.key_hash, HASH_SIZE);
	if (grant->id == NULL || grant->namespace == NULL) return;
	line_text(events, "namespace", text_of(grant->namespace));
	line_text(events, "id", text_of(grant->id));
}

static void tell_session(struct gate *gate, const char *what, const struct client *client) {
	struct events *events = &gate->events;
	const struct grant *grant = &client->grant;
	bool aged = grant->aged_at < grant->not_after;
	line_begin(events, what, now_ms());
	line_text(events, "clientId", text_of(client->client_id));
	line_text(events, "address", text_of(client->address));
	tell_credential(events, grant);
	line_text(events, "role", text_of(grant->role));
	line_number(events, "since", client->since);
	line_number(events, "until", aged ? grant->aged_at : grant->not_after);
	line_text(events, "untilBy", text_of(aged ? "sessionAge" : "credential"));
	line_end(events);
}

static void tell_live(struct client *client, void *context) {
	tell_session(context, "live", client);
}

static void tell_state(struct gate *gate, const char *what, const char *why) {
	line_begin(&gate->events, what, now_ms());
	if (gate->snapshot != NULL) {
		line_text(&gate->events, "epoch", gate->snapshot->epoch);
		line_number(&gate->events, "sequence", gate->snapshot->sequence);
		line_number(&gate->events, "issuedAt", gate->snapshot->issued_at);
	}
	if (why != NULL) line_text(&gate->events, "why", text_of(why));
	line_end(&gate->events);
}

static void tell_all(struct gate *gate) {
	tell_state(gate, "hello", is_stale(gate) ? "stale" : NULL);
	clients_each(&gate->clients, tell_live, gate);
	tell_state(gate, "listed", NULL);
}

/* --- Ending sessions --- */

/* Kicks those with a cause. One that ends leaves the table meanwhile, so their names are gathered first. */
struct endings {
	size_t count, room;
	struct ending {
		const void *handle;
		char *client_id;
	} *items;
};

static void gather(struct client *client, void *context) {
	struct endings *endings = context;
	if (client->cause == NULL) return;
	if (endings->count == endings->room) {
		size_t room = endings->room == 0 ? 64 : endings->room * 2;
		struct ending *items = realloc(endings->items, room * sizeof *items);
		/* The next tick goes on with the rest. */
		if (items == NULL) return;
		endings->items = items;
		endings->room = room;
	}
	char *client_id = strdup(client->client_id);
	if (client_id != NULL) endings->items[endings->count++] = (struct ending){client->handle, client_id};
}

/* The reason is 0 or -1 where the client said DISCONNECT. */
static void tell_end(struct gate *gate, const struct client *client, int reason) {
	line_begin(&gate->events, client->cause == NULL ? "disconnected" : "kicked", now_ms());
	line_text(&gate->events, "clientId", text_of(client->client_id));
	line_text(&gate->events, "address", text_of(client->address));
	tell_credential(&gate->events, &client->grant);
	line_number(&gate->events, "since", client->since);
	if (client->cause != NULL) line_text(&gate->events, "cause", text_of(client->cause));
	else line_text(&gate->events, "how", text_of(reason <= 0 ? "clean" : "abnormal"));
	line_end(&gate->events);
}

static void end_marked(struct gate *gate) {
	struct endings endings = {0};
	clients_each(&gate->clients, gather, &endings);
	for (size_t at = 0; at < endings.count; at += 1) {
		const struct ending *ending = &endings.items[at];
		const struct client *client = clients_find(&gate->clients, ending->handle);
		if (client != NULL && client->cause != NULL) {
			mosquitto_log_printf(MOSQ_LOG_NOTICE, "birthmark: ending the session of %s: %s", ending->client_id, client->cause);
			mosquitto_kick_client_by_clientid(ending->client_id, gate->kick_with_will);
			/* Mosquitto said that it is over, and it left the table; or it was over, and nobody had said so. */
			client = clients_find(&gate->clients, ending->handle);
			if (client != NULL && client->cause != NULL) {
				tell_end(gate, client, 0);
				clients_remove(&gate->clients, ending->handle);
			}
		}
		free(ending->client_id);
	}
	free(endings.items);
}

static bool is_asked_to_end(const struct snapshot *snapshot, const struct client *client) {
	for (size_t at = 0; at < snapshot->kick_count; at += 1) {
		const struct kick *kick = &snapshot->kicks[at];
		if (client->since <= kick->before &&
			memcmp(kick->certificate, client->grant.credential.certificate_digest, DIGEST_SIZE) == 0)
			return true;
	}
	return false;
}

/* What a new snapshot says of a client: whether it was taken back, is to end, or has other rules now. */
struct review {
	struct gate *gate;
	bool policy_changed;
};

static void review_client(struct client *client, void *context) {
	const struct review *review = context;
	const struct snapshot *snapshot = review->gate->snapshot;
	if (client->cause != NULL) return;
	if (is_denied(snapshot, &client->grant.credential)) client->cause = "revoked";
	else if (is_asked_to_end(snapshot, client)) client->cause = "asked";
	if (client->cause != NULL || !review->policy_changed) return;
	struct attempt attempt = {client->grant.credential.certificate, text_of(client->client_id), now_ms(), client->since};
	struct grant grant = {0};
	const char *detail = NULL;
	client->cause = judge(snapshot, &attempt, &grant, &detail);
	/* The table finds it by its identity, so that one must stay. */
	if (client->cause == NULL && (strcmp(grant.id, client->grant.id) != 0 || strcmp(grant.namespace, client->grant.namespace) != 0))
		client->cause = "identity";
	if (client->cause != NULL) {
		grant_clear(&grant);
		return;
	}
	grant_clear(&client->grant);
	client->grant = grant;
}

static void review_time(struct client *client, void *context) {
	const struct gate *gate = context;
	uint64_t now = now_ms();
	if (client->cause != NULL) return;
	if (now > client->grant.not_after) client->cause = "expired";
	else if (now >= client->grant.aged_at) client->cause = "sessionAge";
	else if (gate->kick_when_stale && is_stale(gate)) client->cause = "stale";
}

/* --- The snapshot --- */

static void take_snapshot(struct gate *gate, struct snapshot *next) {
	struct review review = {gate, gate->snapshot == NULL || !snapshot_same_policy(gate->snapshot, next)};
	snapshot_replace(gate->snapshot, next);
	gate->snapshot = next;
	uint64_t now = now_ms();
	gate->over_at = next->valid_until == NO_END ? NO_END : clock_ms(CLOCK_BOOTTIME) + (next->valid_until - now);
	clients_each(&gate->clients, review_client, &review);
	end_marked(gate);
	tell_state(gate, "snapshot", NULL);
}

static bool is_seen(const struct stat *one, const struct stat *other) {
	return one->st_dev == other->st_dev && one->st_ino == other->st_ino && one->st_size == other->st_size &&
		one->st_mtim.tv_sec == other->st_mtim.tv_sec && one->st_mtim.tv_nsec == other->st_mtim.tv_nsec;
}

static void poll_snapshot(struct gate *gate) {
	struct stat status;
	if (stat(gate->snapshot_path, &status) != 0 || is_seen(&status, &gate->seen)) return;
	gate->seen = status;
	const char *why = NULL;
	struct snapshot *next = snapshot_load(gate->snapshot_path, gate->key, gate->snapshot, now_ms(), &why);
	if (next != NULL) {
		take_snapshot(gate, next);
		return;
	}
	mosquitto_log_printf(MOSQ_LOG_ERR, "birthmark: the snapshot %s is refused: %s", gate->snapshot_path, why);
	tell_state(gate, "refused", why);
}

/* --- What Mosquitto calls --- */

static void tell_denial(struct gate *gate, struct mosquitto *client, const struct grant *grant, const char *reason, const char *detail) {
	const char *client_id = mosquitto_client_id(client);
	const char *address = mosquitto_client_address(client);
	mosquitto_log_printf(
		MOSQ_LOG_NOTICE, "birthmark: denied a client from %s: %s (%s)", address == NULL ? "?" : address, reason, detail
	);
	line_begin(&gate->events, "denied", now_ms());
	if (client_id != NULL) line_text(&gate->events, "clientId", text_of(client_id));
	if (address != NULL) line_text(&gate->events, "address", text_of(address));
	tell_credential(&gate->events, grant);
	line_text(&gate->events, "reason", text_of(reason));
	line_text(&gate->events, "detail", text_of(detail));
	line_end(&gate->events);
}

static const char *admit(struct gate *gate, struct mosquitto *handle, struct client *client, X509 *certificate, const char **detail) {
	*detail = "what is known of who was taken back is too old, or nothing is known";
	if (is_stale(gate)) return "statusUnknown";
	*detail = "it has no ClientId";
	if (client->client_id == NULL || client->address == NULL) return "clientId";
	struct attempt attempt = {certificate, text_of(client->client_id), client->since, client->since};
	const char *reason = judge(gate->snapshot, &attempt, &client->grant, detail);
	if (reason != NULL) return reason;
	*detail = "the device has a live session under another ClientId";
	if (client->grant.exclusive && clients_has_other(&gate->clients, &client->grant, handle, attempt.client_id))
		return "exclusive";
	*detail = "the broker does not take the id as the username";
	return mosquitto_set_username(handle, client->grant.id) == MOSQ_ERR_SUCCESS ? NULL : "identity";
}

static int on_basic_auth(int event, void *data, void *context) {
	(void)event;
	struct gate *gate = context;
	struct mosquitto_evt_basic_auth *auth = data;
	struct client *client = calloc(1, sizeof *client);
	if (client == NULL) return MOSQ_ERR_AUTH;
	const char *client_id = mosquitto_client_id(auth->client);
	const char *address = mosquitto_client_address(auth->client);
	X509 *certificate = mosquitto_client_certificate(auth->client);
	struct client *before = clients_find(&gate->clients, auth->client);
	/* Mosquitto asks again of who is connected when it reads its configuration again. The same session has the same object. */
	bool again = before != NULL && certificate != NULL && before->grant.credential.certificate == certificate;
	client->handle = auth->client;
	client->since = again ? before->since : now_ms();
	client->client_id = client_id == NULL ? NULL : strdup(client_id);
	client->address = strdup(address == NULL ? "" : address);
	if (certificate == NULL && gate->reloading) {
		/* A session whose client is away: its answer changes nothing, and it is no attempt of anybody. */
		client_free(client);
		return MOSQ_ERR_AUTH;
	}
	const char *detail = NULL;
	const char *reason = admit(gate, auth->client, client, certificate, &detail);
	X509_free(certificate);
	if (reason != NULL) {
		tell_denial(gate, auth->client, &client->grant, reason, detail);
		if (again) before->cause = reason;
		client_free(client);
		return MOSQ_ERR_AUTH;
	}
	if (again) client->grant.aged_at = before->grant.aged_at;
	if (!clients_add(&gate->clients, client)) return MOSQ_ERR_AUTH;
	if (!again) tell_session(gate, "connected", client);
	return MOSQ_ERR_SUCCESS;
}

/*
 * A session whose client has no connection, and so no certificate: a message may wait for it. When the client comes, it is
 * judged, and Mosquitto asks of each message that waits once more.
 */
static bool is_away(const struct mosquitto *client) {
	X509 *certificate = mosquitto_client_certificate(client);
	X509_free(certificate);
	return certificate == NULL;
}

static int on_acl_check(int event, void *data, void *context) {
	(void)event;
	struct gate *gate = context;
	const struct mosquitto_evt_acl_check *check = data;
	const struct client *client = clients_find(&gate->clients, check->client);
	if (client == NULL && check->access == MOSQ_ACL_READ) return is_away(check->client) ? MOSQ_ERR_SUCCESS : MOSQ_ERR_ACL_DENIED;
	if (client == NULL || client->cause != NULL || check->topic == NULL) return MOSQ_ERR_ACL_DENIED;
	struct text topic = text_of(check->topic);
	bool may = false;
	const char *act = "receive";
	switch (check->access) {
	case MOSQ_ACL_READ:
		may = may_receive(&client->grant, topic);
		break;
	case MOSQ_ACL_WRITE:
		act = "publish";
		may = may_publish(&client->grant, topic);
		break;
	case MOSQ_ACL_SUBSCRIBE:
		act = "subscribe";
		may = may_subscribe(&client->grant, topic);
		break;
	case MOSQ_ACL_UNSUBSCRIBE:
		may = true;
		break;
	default:
		break;
	}
	if (may) return MOSQ_ERR_SUCCESS;
	if (check->access != MOSQ_ACL_READ) {
		line_begin(&gate->events, "topicDenied", now_ms());
		line_text(&gate->events, "clientId", text_of(client->client_id));
		line_text(&gate->events, "address", text_of(client->address));
		tell_credential(&gate->events, &client->grant);
		line_text(&gate->events, "act", text_of(act));
		line_text(&gate->events, "topic", topic);
		line_end(&gate->events);
	}
	return MOSQ_ERR_ACL_DENIED;
}

static int on_disconnect(int event, void *data, void *context) {
	(void)event;
	struct gate *gate = context;
	const struct mosquitto_evt_disconnect *disconnect = data;
	const struct client *client = clients_find(&gate->clients, disconnect->client);
	if (client == NULL) return MOSQ_ERR_SUCCESS;
	tell_end(gate, client, disconnect->reason);
	clients_remove(&gate->clients, disconnect->client);
	return MOSQ_ERR_SUCCESS;
}

static int on_tick(int event, void *data, void *context) {
	(void)event;
	(void)data;
	struct gate *gate = context;
	uint64_t monotonic = clock_ms(CLOCK_MONOTONIC);
	gate->reloading = false;
	if (events_tick(&gate->events, monotonic)) tell_all(gate);
	if (monotonic >= gate->next_poll) {
		gate->next_poll = monotonic + POLL_MS;
		poll_snapshot(gate);
	}
	if (monotonic >= gate->next_sweep) {
		gate->next_sweep = monotonic + SWEEP_MS;
		clients_each(&gate->clients, review_time, gate);
		end_marked(gate);
	}
	return MOSQ_ERR_SUCCESS;
}

/* Mosquitto asks on_basic_auth of everybody right after this. */
static int on_reload(int event, void *data, void *context) {
	(void)event;
	(void)data;
	struct gate *gate = context;
	char why[WHY_ROOM];
	gate->reloading = true;
	gate->config_refused = !config_check(gate->config_path, why, sizeof why);
	if (gate->config_refused) {
		mosquitto_log_printf(MOSQ_LOG_ERR, "birthmark: everybody is denied until this is mended: %s", why);
		tell_state(gate, "refused", why);
	}
	poll_snapshot(gate);
	return MOSQ_ERR_SUCCESS;
}

static const struct {
	int event;
	MOSQ_FUNC_generic_callback callback;
} CALLBACKS[] = {
	{MOSQ_EVT_BASIC_AUTH, on_basic_auth},
	{MOSQ_EVT_ACL_CHECK, on_acl_check},
	{MOSQ_EVT_DISCONNECT, on_disconnect},
	{MOSQ_EVT_TICK, on_tick},
	{MOSQ_EVT_RELOAD, on_reload},
};

EXPORTED int mosquitto_plugin_version(int supported_version_count, const int *supported_versions) {
	for (int at = 0; at < supported_version_count; at += 1) {
		if (supported_versions[at] == MOSQ_PLUGIN_VERSION) return MOSQ_PLUGIN_VERSION;
	}
	return -1;
}

static void close_gate(struct gate *gate) {
	events_close(&gate->events);
	clients_close(&gate->clients);
	snapshot_free(gate->snapshot);
	EVP_PKEY_free(gate->key);
	free(gate->snapshot_path);
	free(gate->key_path);
	free(gate->config_path);
	free(gate->events_path);
	free(gate);
}

static bool read_switch(const char *name, const char *value, bool *out) {
	if (strcmp(value, "true") == 0 || strcmp(value, "false") == 0) {
		*out = strcmp(value, "true") == 0;
		return true;
	}
	mosquitto_log_printf(MOSQ_LOG_ERR, "birthmark: plugin_opt_%s must be true or false", name);
	return false;
}

static bool read_option(struct gate *gate, const struct mosquitto_opt *option) {
	const struct {
		const char *name;
		char **place;
	} paths[] = {
		{"snapshot", &gate->snapshot_path},
		{"key", &gate->key_path},
		{"config", &gate->config_path},
		{"events", &gate->events_path},
	};
	for (size_t at = 0; at < sizeof paths / sizeof *paths; at += 1) {
		if (strcmp(option->key, paths[at].name) != 0) continue;
		free(*paths[at].place);
		*paths[at].place = strdup(option->value);
		return *paths[at].place != NULL;
	}
	if (strcmp(option->key, "kick_when_stale") == 0) return read_switch(option->key, option->value, &gate->kick_when_stale);
	if (strcmp(option->key, "kick_with_will") == 0) return read_switch(option->key, option->value, &gate->kick_with_will);
	mosquitto_log_printf(MOSQ_LOG_ERR, "birthmark: there is no plugin_opt_%s", option->key);
	return false;
}

/* Ed25519, or ECDSA on P-256: what the adapter signs with. */
static EVP_PKEY *read_key(const char *path) {
	FILE *file = fopen(path, "re");
	if (file == NULL) {
		mosquitto_log_printf(MOSQ_LOG_ERR, "birthmark: %s cannot be read: %s", path, strerror(errno));
		return NULL;
	}
	EVP_PKEY *key = PEM_read_PUBKEY(file, NULL, NULL, NULL);
	fclose(file);
	char group[32] = "";
	size_t length = 0;
	if (key != NULL) EVP_PKEY_get_group_name(key, group, sizeof group, &length);
	if (key != NULL && (EVP_PKEY_get_id(key) == EVP_PKEY_ED25519 || strcmp(group, "prime256v1") == 0)) return key;
	mosquitto_log_printf(MOSQ_LOG_ERR, "birthmark: %s must hold an Ed25519 or P-256 public key, PEM", path);
	EVP_PKEY_free(key);
	return NULL;
}

static bool open_gate(struct gate *gate, const struct mosquitto_opt *options, int count) {
	for (int at = 0; at < count; at += 1) {
		if (!read_option(gate, &options[at])) return false;
	}
	if (gate->snapshot_path == NULL || gate->key_path == NULL || gate->config_path == NULL) {
		mosquitto_log_printf(MOSQ_LOG_ERR, "birthmark: plugin_opt_snapshot, plugin_opt_key and plugin_opt_config must be given");
		return false;
	}
	char why[WHY_ROOM];
	if (!config_check(gate->config_path, why, sizeof why)) {
		mosquitto_log_printf(MOSQ_LOG_ERR, "birthmark: %s", why);
		return false;
	}
	gate->key = read_key(gate->key_path);
	if (gate->key == NULL || !clients_open(&gate->clients)) return false;
	if (events_open(&gate->events, gate->events_path)) return true;
	mosquitto_log_printf(MOSQ_LOG_ERR, "birthmark: the path of plugin_opt_events is too long for a socket");
	return false;
}

EXPORTED int mosquitto_plugin_init(mosquitto_plugin_id_t *identifier, void **userdata, struct mosquitto_opt *options, int option_count) {
	struct gate *gate = calloc(1, sizeof *gate);
	if (gate == NULL) return MOSQ_ERR_NOMEM;
	gate->id = identifier;
	gate->events.socket = -1;
	if (!open_gate(gate, options, option_count)) {
		close_gate(gate);
		return MOSQ_ERR_INVAL;
	}
	for (size_t at = 0; at < sizeof CALLBACKS / sizeof *CALLBACKS; at += 1) {
		int rc = mosquitto_callback_register(identifier, CALLBACKS[at].event, CALLBACKS[at].callback, NULL, gate);
		if (rc == MOSQ_ERR_SUCCESS) continue;
		while (at-- > 0) mosquitto_callback_unregister(identifier, CALLBACKS[at].event, CALLBACKS[at].callback, NULL);
		close_gate(gate);
		return rc;
	}
	*userdata = gate;
	poll_snapshot(gate);
	if (is_stale(gate))
		mosquitto_log_printf(MOSQ_LOG_WARNING, "birthmark: there is no snapshot yet: everybody is denied until there is");
	return MOSQ_ERR_SUCCESS;
}

EXPORTED int mosquitto_plugin_cleanup(void *userdata, struct mosquitto_opt *options, int option_count) {
	(void)options;
	(void)option_count;
	struct gate *gate = userdata;
	if (gate == NULL) return MOSQ_ERR_SUCCESS;
	for (size_t at = 0; at < sizeof CALLBACKS / sizeof *CALLBACKS; at += 1)
		mosquitto_callback_unregister(gate->id, CALLBACKS[at].event, CALLBACKS[at].callback, NULL);
	close_gate(gate);
	return MOSQ_ERR_SUCCESS;
}
