/*
 * What the adapter knows, as a signed file: who is denied, who may issue, and the rules. Nothing of it is used before its
 * signature is verified. README.md has the form of the files.
 */
#ifndef BIRTHMARK_SNAPSHOT_H
#define BIRTHMARK_SNAPSHOT_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "text.h"

#define DIGEST_SIZE 16
#define KEY_ID_SIZE 20
#define HASH_SIZE 32
#define NO_END UINT64_MAX

/* What rules may name of a client: the numbers are in the snapshot, and in src/broker-auth/adapters/mosquitto. */
enum variable {
	VARIABLE_NONE,
	VARIABLE_ID,
	VARIABLE_NAMESPACE,
	VARIABLE_CLIENT_ID,
	VARIABLE_SERIAL_NUMBER,
	VARIABLE_COMMON_NAME,
	VARIABLE_ORGANIZATION,
	VARIABLE_ORGANIZATIONAL_UNIT,
	VARIABLE_COUNTRY,
	VARIABLE_STATE,
	VARIABLE_LOCALITY,
	VARIABLE_ISSUER_COMMON_NAME,
	VARIABLE_ISSUER_ORGANIZATION,
	VARIABLE_ISSUER_ORGANIZATIONAL_UNIT,
	VARIABLE_CERTIFICATE_SERIAL,
	VARIABLE_CERTIFICATE_KEY_HASH,
	VARIABLE_COUNT,
};

/* A literal where the variable is VARIABLE_NONE. */
struct piece {
	enum variable variable;
	struct text literal;
};

struct template {
	size_t count;
	struct piece *pieces;
};

struct templates {
	size_t count;
	struct template *items;
};

enum bind { BIND_EQUAL, BIND_PREFIX, BIND_ANY };
/* Kinds of keys, as bits. RSA has a least size instead. */
enum key_kind { KEY_P256 = 1, KEY_P384 = 2, KEY_P521 = 4, KEY_ED25519 = 8 };
enum without_usage { USAGE_REFUSED, USAGE_IDEVID, USAGE_ACCEPTED };

struct role {
	struct text name;
	bool exclusive;
	enum bind bind;
	struct text separator;
	struct templates client_ids;
	/* Contents of object identifiers; one of them must be there, where there are any. */
	size_t policy_count;
	struct text *policies;
	struct templates publish, subscribe, deny;
};

/* A role of a device that is a guest: of a namespace that is not its CA's. */
struct guest_role {
	struct text namespace;
	const struct role *role;
};

/* A CA that may issue clients: all of its path is good between `from` and `until`, in milliseconds since the epoch. */
struct issuer {
	X509_NAME *name;
	EVP_PKEY *key;
	const uint8_t *key_id;
	struct text namespace;
	uint64_t from, until;
	/* Roles that its clients may have, the first that fits being theirs. */
	size_t role_count;
	const struct role **roles;
	/* A client with a unit (OU) that is not one of these is of the namespace that it names, and has only what is for that. */
	bool has_guests;
	size_t unit_count;
	struct text *own_units;
	size_t guest_role_count;
	struct guest_role *guest_roles;
};

struct policy {
	enum variable identity;
	enum without_usage without_usage;
	/* What the key of a client may be; the adapter has held the CAs to it. */
	uint32_t key_kinds;
	int min_rsa_bits;
	/* 0: a session has no age at which it ends. */
	uint64_t max_session;
	/* Of 1000: the part of it that chance may take off. */
	uint32_t jitter;
	size_t issuer_count;
	struct issuer *issuers;
	size_t role_count;
	struct role *roles;
};

/* Sorted digests, DIGEST_SIZE octets each. */
struct digests {
	const uint8_t *at;
	size_t count;
};

/* The bulk of what is denied, in a file of its own that is named by its hash and read once. */
struct base {
	uint8_t hash[HASH_SIZE];
	uint8_t *octets;
	size_t size;
	struct digests certificates, keys;
};

/* Sessions on this certificate that began before are to end; it may come again. */
struct kick {
	const uint8_t *certificate;
	uint64_t before;
};

struct snapshot {
	uint8_t *octets;
	size_t size;
	struct text epoch;
	uint64_t sequence;
	uint64_t issued_at, valid_until;
	struct base *base;
	/* What has changed since the base was written. */
	struct digests added_certificates, removed_certificates, added_keys, removed_keys;
	size_t kick_count;
	struct kick *kicks;
	/* The octets of the policy, to see whether another has the same. */
	struct text policy_octets;
	struct policy policy;
	struct chunk *memory;
};

/*
 * Reads a snapshot that is signed with the key, is not over at `now`, and is not older than the one that is held. Where the
 * held one stands on the same base, that one is taken over and not read again: free the held one with snapshot_replace.
 * NULL with a reason, for people, where it is refused.
 */
struct snapshot *snapshot_load(const char *path, EVP_PKEY *key, const struct snapshot *held, uint64_t now, const char **why);
void snapshot_replace(struct snapshot *held, struct snapshot *next);
void snapshot_free(struct snapshot *snapshot);

bool snapshot_denies_certificate(const struct snapshot *snapshot, const uint8_t digest[DIGEST_SIZE]);
bool snapshot_denies_key(const struct snapshot *snapshot, const uint8_t digest[DIGEST_SIZE]);
bool snapshot_same_policy(const struct snapshot *one, const struct snapshot *other);

/* A file whole, at most `most` octets of it; NULL with errno set, EFBIG where it is larger. */
uint8_t *read_whole(const char *path, size_t most, size_t *size);

#endif
