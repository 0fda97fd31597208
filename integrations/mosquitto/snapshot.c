#include "snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC "BMKSNAP1"
#define BASE_MAGIC "BMKBASE1"
#define MAGIC_SIZE 8
#define MAX_SNAPSHOT (64u << 20)
#define MAX_BASE (1u << 30)

/* Memory that lives as long as its snapshot. */
struct chunk {
	struct chunk *next;
	max_align_t octets[];
};

static void *allocate(struct snapshot *snapshot, size_t count, size_t size) {
	if (count > (SIZE_MAX - sizeof(struct chunk)) / size) return NULL;
	struct chunk *chunk = calloc(1, sizeof *chunk + count * size);
	if (chunk == NULL) return NULL;
	chunk->next = snapshot->memory;
	snapshot->memory = chunk;
	return chunk->octets;
}

/* Takes octets from the front; once too few are left it stays bad and gives zeros. */
struct reader {
	const uint8_t *at;
	size_t left;
	bool bad;
};

static const uint8_t *take(struct reader *reader, size_t size) {
	static const uint8_t nothing[HASH_SIZE];
	if (reader->bad || reader->left < size) {
		reader->bad = true;
		return nothing;
	}
	const uint8_t *octets = reader->at;
	reader->at += size;
	reader->left -= size;
	return octets;
}

static uint64_t take_number(struct reader *reader, size_t size) {
	uint64_t number = 0;
	const uint8_t *octets = take(reader, size);
	for (size_t at = 0; at < size; at += 1) number = number << 8 | octets[at];
	return number;
}

/* A length in `size` octets, then so many octets. */
static struct text take_text(struct reader *reader, size_t size) {
	size_t length = (size_t)take_number(reader, size);
	const uint8_t *octets = take(reader, length);
	return (struct text){(const char *)octets, reader->bad ? 0 : length};
}

/* A count that the octets left can hold, each item being `size` octets at least. */
static size_t take_count(struct reader *reader, size_t width, size_t size) {
	size_t count = (size_t)take_number(reader, width);
	if (count > reader->left / size) {
		reader->bad = true;
		return 0;
	}
	return count;
}

static struct digests take_digests(struct reader *reader) {
	struct digests digests = {.count = take_count(reader, 4, DIGEST_SIZE)};
	digests.at = take(reader, digests.count * DIGEST_SIZE);
	return digests;
}

static struct template take_template(struct snapshot *snapshot, struct reader *reader) {
	struct template template = {.count = take_count(reader, 1, 1)};
	template.pieces = allocate(snapshot, template.count, sizeof *template.pieces);
	if (template.pieces == NULL) reader->bad = true;
	for (size_t at = 0; at < template.count && !reader->bad; at += 1) {
		struct piece *piece = &template.pieces[at];
		uint64_t variable = take_number(reader, 1);
		if (variable >= VARIABLE_COUNT) reader->bad = true;
		piece->variable = (enum variable)variable;
		if (variable == VARIABLE_NONE) piece->literal = take_text(reader, 2);
	}
	return template;
}

static struct templates take_templates(struct snapshot *snapshot, struct reader *reader) {
	struct templates templates = {.count = take_count(reader, 2, 1)};
	templates.items = allocate(snapshot, templates.count, sizeof *templates.items);
	if (templates.items == NULL) reader->bad = true;
	for (size_t at = 0; at < templates.count && !reader->bad; at += 1)
		templates.items[at] = take_template(snapshot, reader);
	return templates;
}

static void take_role(struct snapshot *snapshot, struct reader *reader, struct role *role) {
	role->name = take_text(reader, 2);
	role->exclusive = take_number(reader, 1) != 0;
	uint64_t bind = take_number(reader, 1);
	if (bind > BIND_ANY) reader->bad = true;
	role->bind = (enum bind)bind;
	role->separator = take_text(reader, 1);
	role->client_ids = take_templates(snapshot, reader);
	role->policy_count = take_count(reader, 2, 1);
	role->policies = allocate(snapshot, role->policy_count, sizeof *role->policies);
	if (role->policies == NULL) reader->bad = true;
	for (size_t at = 0; at < role->policy_count && !reader->bad; at += 1) role->policies[at] = take_text(reader, 1);
	role->publish = take_templates(snapshot, reader);
	role->subscribe = take_templates(snapshot, reader);
	role->deny = take_templates(snapshot, reader);
}

/* NULL where the policy has no such role. */
static const struct role *take_role_number(struct policy *policy, struct reader *reader) {
	uint64_t role = take_number(reader, 2);
	if (role < policy->role_count) return &policy->roles[role];
	reader->bad = true;
	return NULL;
}

static void take_guests(struct snapshot *snapshot, struct reader *reader, struct issuer *issuer) {
	issuer->has_guests = take_number(reader, 1) != 0;
	issuer->unit_count = take_count(reader, 2, 2);
	issuer->own_units = allocate(snapshot, issuer->unit_count, sizeof *issuer->own_units);
	if (issuer->own_units == NULL) reader->bad = true;
	for (size_t at = 0; at < issuer->unit_count && !reader->bad; at += 1) issuer->own_units[at] = take_text(reader, 2);
	issuer->guest_role_count = take_count(reader, 2, 4);
	issuer->guest_roles = allocate(snapshot, issuer->guest_role_count, sizeof *issuer->guest_roles);
	if (issuer->guest_roles == NULL) reader->bad = true;
	for (size_t at = 0; at < issuer->guest_role_count && !reader->bad; at += 1) {
		issuer->guest_roles[at].namespace = take_text(reader, 2);
		issuer->guest_roles[at].role = take_role_number(&snapshot->policy, reader);
	}
}

static void take_issuer(struct snapshot *snapshot, struct reader *reader, struct issuer *issuer) {
	struct text name = take_text(reader, 2);
	struct text key = take_text(reader, 2);
	issuer->key_id = take(reader, KEY_ID_SIZE);
	issuer->namespace = take_text(reader, 2);
	issuer->from = take_number(reader, 8);
	issuer->until = take_number(reader, 8);
	issuer->role_count = take_count(reader, 2, 2);
	issuer->roles = allocate(snapshot, issuer->role_count, sizeof *issuer->roles);
	if (issuer->roles == NULL) reader->bad = true;
	for (size_t at = 0; at < issuer->role_count && !reader->bad; at += 1)
		issuer->roles[at] = take_role_number(&snapshot->policy, reader);
	take_guests(snapshot, reader, issuer);
	if (reader->bad) return;
	const uint8_t *octets = (const uint8_t *)name.at;
	issuer->name = d2i_X509_NAME(NULL, &octets, (long)name.length);
	octets = (const uint8_t *)key.at;
	issuer->key = d2i_PUBKEY(NULL, &octets, (long)key.length);
	if (issuer->name == NULL || issuer->key == NULL) reader->bad = true;
}

static bool read_policy(struct snapshot *snapshot, struct text octets) {
	struct reader reader = {(const uint8_t *)octets.at, octets.length, false};
	struct policy *policy = &snapshot->policy;
	uint64_t identity = take_number(&reader, 1);
	if (identity == VARIABLE_NONE || identity >= VARIABLE_COUNT) return false;
	policy->identity = (enum variable)identity;
	uint64_t usage = take_number(&reader, 1);
	if (usage > USAGE_ACCEPTED) return false;
	policy->without_usage = (enum without_usage)usage;
	policy->key_kinds = (uint32_t)take_number(&reader, 1);
	policy->min_rsa_bits = (int)take_number(&reader, 2);
	policy->max_session = take_number(&reader, 8);
	policy->jitter = (uint32_t)take_number(&reader, 2);
	policy->role_count = take_count(&reader, 2, 1);
	policy->roles = allocate(snapshot, policy->role_count, sizeof *policy->roles);
	if (policy->roles == NULL || policy->jitter > 1000) return false;
	for (size_t at = 0; at < policy->role_count && !reader.bad; at += 1)
		take_role(snapshot, &reader, &policy->roles[at]);
	size_t issuers = take_count(&reader, 2, 1);
	policy->issuers = allocate(snapshot, issuers, sizeof *policy->issuers);
	if (policy->issuers == NULL) return false;
	/* Counted one by one, so that what was read is freed where the rest is not there. */
	while (policy->issuer_count < issuers && !reader.bad)
		take_issuer(snapshot, &reader, &policy->issuers[policy->issuer_count++]);
	return !reader.bad && reader.left == 0;
}

static const char *read_body(struct snapshot *snapshot, struct reader *reader, const uint8_t **base_hash) {
	snapshot->issued_at = take_number(reader, 8);
	snapshot->valid_until = take_number(reader, 8);
	snapshot->sequence = take_number(reader, 8);
	snapshot->epoch = take_text(reader, 1);
	*base_hash = take(reader, HASH_SIZE);
	snapshot->added_certificates = take_digests(reader);
	snapshot->removed_certificates = take_digests(reader);
	snapshot->added_keys = take_digests(reader);
	snapshot->removed_keys = take_digests(reader);
	snapshot->kick_count = take_count(reader, 4, DIGEST_SIZE + 8);
	snapshot->kicks = allocate(snapshot, snapshot->kick_count, sizeof *snapshot->kicks);
	if (snapshot->kicks == NULL) return "there is no memory for it";
	for (size_t at = 0; at < snapshot->kick_count; at += 1) {
		snapshot->kicks[at].certificate = take(reader, DIGEST_SIZE);
		snapshot->kicks[at].before = take_number(reader, 8);
	}
	snapshot->policy_octets = take_text(reader, 4);
	if (reader->bad || reader->left != 0) return "it ends too early or too late";
	return read_policy(snapshot, snapshot->policy_octets) ? NULL : "its policy cannot be read";
}

uint8_t *read_whole(const char *path, size_t most, size_t *size) {
	int file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (file < 0) return NULL;
	struct stat status;
	uint8_t *octets = NULL;
	int error = 0;
	if (fstat(file, &status) != 0) error = errno;
	else if (!S_ISREG(status.st_mode)) error = EINVAL;
	else if (status.st_size < 0 || (uint64_t)status.st_size > most) error = EFBIG;
	else if ((octets = malloc((size_t)status.st_size + 1)) == NULL) error = ENOMEM;
	*size = 0;
	while (error == 0 && *size < (size_t)status.st_size) {
		ssize_t got = read(file, octets + *size, (size_t)status.st_size - *size);
		if (got > 0) *size += (size_t)got;
		else if (got == 0) error = EIO;
		else if (errno != EINTR) error = errno;
	}
	close(file);
	if (error == 0) {
		octets[*size] = '\0';
		return octets;
	}
	free(octets);
	errno = error;
	return NULL;
}

static bool verify(EVP_PKEY *key, const uint8_t *octets, size_t size, const uint8_t *signature, size_t signature_size) {
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	/* Ed25519 hashes by itself. */
	const EVP_MD *digest = EVP_PKEY_get_id(key) == EVP_PKEY_ED25519 ? NULL : EVP_sha256();
	bool good = context != NULL && EVP_DigestVerifyInit(context, NULL, digest, NULL, key) == 1 &&
		EVP_DigestVerify(context, signature, signature_size, octets, size) == 1;
	EVP_MD_CTX_free(context);
	return good;
}

static bool is_sorted(struct digests digests) {
	for (size_t at = 1; at < digests.count; at += 1) {
		const uint8_t *before = digests.at + (at - 1) * DIGEST_SIZE;
		if (memcmp(before, before + DIGEST_SIZE, DIGEST_SIZE) >= 0) return false;
	}
	return true;
}

static void base_free(struct base *base) {
	if (base == NULL) return;
	free(base->octets);
	free(base);
}

/* The base beside the snapshot: denied-<hash>.bin. */
static struct base *load_base(const char *snapshot_path, const uint8_t hash[HASH_SIZE], const char **why) {
	const char *slash = strrchr(snapshot_path, '/');
	size_t folder = slash == NULL ? 0 : (size_t)(slash - snapshot_path) + 1;
	size_t room = folder + sizeof "denied-.bin" + 2 * HASH_SIZE;
	struct base *base = calloc(1, sizeof *base);
	char *path = malloc(room);
	if (base == NULL || path == NULL) {
		free(path);
		free(base);
		*why = "there is no memory for it";
		return NULL;
	}
	memcpy(path, snapshot_path, folder);
	size_t at = folder + (size_t)snprintf(path + folder, room - folder, "denied-");
	for (size_t octet = 0; octet < HASH_SIZE; octet += 1)
		at += (size_t)snprintf(path + at, room - at, "%02x", hash[octet]);
	snprintf(path + at, room - at, ".bin");
	base->octets = read_whole(path, MAX_BASE, &base->size);
	free(path);
	*why = "the file of denied credentials that it names cannot be read, or has other content than it says";
	if (base->octets == NULL) {
		base_free(base);
		return NULL;
	}
	unsigned int hash_size = 0;
	struct reader reader = {base->octets, base->size, false};
	bool good = EVP_Digest(base->octets, base->size, base->hash, &hash_size, EVP_sha256(), NULL) == 1 &&
		memcmp(base->hash, hash, HASH_SIZE) == 0 && memcmp(take(&reader, MAGIC_SIZE), BASE_MAGIC, MAGIC_SIZE) == 0;
	if (good) {
		base->certificates = take_digests(&reader);
		base->keys = take_digests(&reader);
		good = !reader.bad && reader.left == 0 && is_sorted(base->certificates) && is_sorted(base->keys);
	}
	if (good) return base;
	base_free(base);
	return NULL;
}

static const char *age_fault(const struct snapshot *snapshot, const struct snapshot *held, uint64_t now) {
	if (snapshot->valid_until <= now) return "it has run out";
	if (held == NULL) return NULL;
	if (snapshot->issued_at < held->issued_at) return "it is older than the one that is held";
	if (text_equal(snapshot->epoch, held->epoch) && snapshot->sequence < held->sequence)
		return "its sequence is older than that of the one that is held";
	return NULL;
}

/* Magic, the length of the body, the body, the length of the signature, and the signature over all before its length. */
static const char *read_snapshot(struct snapshot *snapshot, EVP_PKEY *key, const uint8_t **base_hash) {
	struct reader reader = {snapshot->octets, snapshot->size, false};
	if (memcmp(take(&reader, MAGIC_SIZE), MAGIC, MAGIC_SIZE) != 0) return "it is no snapshot";
	struct text body = take_text(&reader, 4);
	size_t signed_size = snapshot->size - reader.left;
	struct text signature = take_text(&reader, 2);
	if (reader.bad || reader.left != 0) return "it is cut off or has something behind its end";
	if (!verify(key, snapshot->octets, signed_size, (const uint8_t *)signature.at, signature.length))
		return "its signature is not one of the key";
	struct reader body_reader = {(const uint8_t *)body.at, body.length, false};
	const char *fault = read_body(snapshot, &body_reader, base_hash);
	if (fault != NULL) return fault;
	bool sorted = is_sorted(snapshot->added_certificates) && is_sorted(snapshot->removed_certificates) &&
		is_sorted(snapshot->added_keys) && is_sorted(snapshot->removed_keys);
	return sorted ? NULL : "its entries are not sorted";
}

struct snapshot *snapshot_load(const char *path, EVP_PKEY *key, const struct snapshot *held, uint64_t now, const char **why) {
	struct snapshot *snapshot = calloc(1, sizeof *snapshot);
	*why = "there is no memory for it";
	if (snapshot == NULL) return NULL;
	const uint8_t *base_hash = NULL;
	snapshot->octets = read_whole(path, MAX_SNAPSHOT, &snapshot->size);
	*why = snapshot->octets == NULL ? strerror(errno) : read_snapshot(snapshot, key, &base_hash);
	if (*why == NULL) *why = age_fault(snapshot, held, now);
	if (*why == NULL) {
		bool same = held != NULL && memcmp(held->base->hash, base_hash, HASH_SIZE) == 0;
		snapshot->base = same ? held->base : load_base(path, base_hash, why);
	}
	if (snapshot->base != NULL) return snapshot;
	snapshot_free(snapshot);
	return NULL;
}

void snapshot_replace(struct snapshot *held, struct snapshot *next) {
	if (held == NULL) return;
	if (held->base == next->base) held->base = NULL;
	snapshot_free(held);
}

void snapshot_free(struct snapshot *snapshot) {
	if (snapshot == NULL) return;
	for (size_t at = 0; at < snapshot->policy.issuer_count; at += 1) {
		X509_NAME_free(snapshot->policy.issuers[at].name);
		EVP_PKEY_free(snapshot->policy.issuers[at].key);
	}
	while (snapshot->memory != NULL) {
		struct chunk *chunk = snapshot->memory;
		snapshot->memory = chunk->next;
		free(chunk);
	}
	base_free(snapshot->base);
	free(snapshot->octets);
	free(snapshot);
}

static bool has(struct digests digests, const uint8_t digest[DIGEST_SIZE]) {
	size_t low = 0;
	size_t high = digests.count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = memcmp(digests.at + middle * DIGEST_SIZE, digest, DIGEST_SIZE);
		if (order == 0) return true;
		if (order < 0) low = middle + 1;
		else high = middle;
	}
	return false;
}

bool snapshot_denies_certificate(const struct snapshot *snapshot, const uint8_t digest[DIGEST_SIZE]) {
	if (has(snapshot->added_certificates, digest)) return true;
	return has(snapshot->base->certificates, digest) && !has(snapshot->removed_certificates, digest);
}

bool snapshot_denies_key(const struct snapshot *snapshot, const uint8_t digest[DIGEST_SIZE]) {
	if (has(snapshot->added_keys, digest)) return true;
	return has(snapshot->base->keys, digest) && !has(snapshot->removed_keys, digest);
}

bool snapshot_same_policy(const struct snapshot *one, const struct snapshot *other) {
	return text_equal(one->policy_octets, other->policy_octets);
}
