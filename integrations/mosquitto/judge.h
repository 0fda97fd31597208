/* Judges a client's certificate and ClientId by a snapshot: the reasons are those of src/broker-auth/decide.ts. */
#ifndef BIRTHMARK_JUDGE_H
#define BIRTHMARK_JUDGE_H

#include "snapshot.h"

/* A certificate as what is denied is known by. */
struct credential {
	X509 *certificate;
	uint8_t certificate_digest[DIGEST_SIZE];
	uint8_t key_hash[HASH_SIZE];
	uint8_t key_id[KEY_ID_SIZE];
	/* Of the INTEGER's content, hexadecimal. */
	char serial[48];
};

/* Topic filters of one client, each a string of the heap. */
struct filters {
	size_t count;
	char **items;
};

/* What a client may. */
struct grant {
	struct credential credential;
	char *id, *namespace, *role;
	bool exclusive;
	struct filters publish, subscribe, deny;
	/* Milliseconds since the epoch: the end of the certificate's path, and of the session's age. */
	uint64_t not_after, aged_at;
};

struct attempt {
	/* NULL where the broker shows none. */
	X509 *certificate;
	struct text client_id;
	uint64_t now;
	/* When the session began. */
	uint64_t since;
};

/*
 * Fills in the grant and gives NULL, or gives the reason of a denial. What is known of the client by then is in the grant in
 * either case: free it with grant_clear. `detail` is for people.
 */
const char *judge(const struct snapshot *snapshot, const struct attempt *attempt, struct grant *grant, const char **detail);
void grant_clear(struct grant *grant);

/* Whether the credential is denied by now. */
bool is_denied(const struct snapshot *snapshot, const struct credential *credential);

bool may_publish(const struct grant *grant, struct text topic);
bool may_subscribe(const struct grant *grant, struct text subscription);
bool may_receive(const struct grant *grant, struct text topic);

#endif
