#include "judge.h"

#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "topics.h"

/* As src/broker-auth has them. */
#define MAX_VALUE_UNITS 256
#define MAX_CLIENT_ID_UNITS 512
#define MAX_SERIAL 21
/* Of a signature's hash, in bits of security: SHA-256. */
#define MIN_HASH_SECURITY 128
#define MIN_RSA_BITS 2048
/* Issuers of one name whose keys are tried. */
#define MAX_CANDIDATES 16

/* One value of the heap for each variable, or NULL. */
struct values {
	char *of[VARIABLE_COUNT];
};

static void to_hex(char *out, const uint8_t *octets, size_t size) {
	static const char digits[] = "0123456789abcdef";
	for (size_t at = 0; at < size; at += 1) {
		out[2 * at] = digits[octets[at] >> 4];
		out[2 * at + 1] = digits[octets[at] & 15];
	}
	out[2 * size] = '\0';
}

static char *copy_text(const char *at, size_t length) {
	char *copy = malloc(length + 1);
	if (copy == NULL) return NULL;
	memcpy(copy, at, length);
	copy[length] = '\0';
	return copy;
}

/* The value of an attribute that is there once, as UTF-8; NULL otherwise, and for what holds a NUL or is not its type. */
static char *only_attribute(const X509_NAME *name, int nid) {
	int at = X509_NAME_get_index_by_NID(name, nid, -1);
	if (at < 0 || X509_NAME_get_index_by_NID(name, nid, at) >= 0) return NULL;
	const ASN1_STRING *value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
	unsigned char *utf8 = NULL;
	int length = ASN1_STRING_to_UTF8(&utf8, value);
	char *copy = NULL;
	if (length >= 0 && memchr(utf8, '\0', (size_t)length) == NULL) copy = copy_text((char *)utf8, (size_t)length);
	OPENSSL_free(utf8);
	return copy;
}

static void clear_values(struct values *values) {
	for (size_t at = 0; at < VARIABLE_COUNT; at += 1) free(values->of[at]);
}

static void read_values(struct values *values, X509 *certificate) {
	static const int subject[][2] = {
		{VARIABLE_SERIAL_NUMBER, NID_serialNumber},
		{VARIABLE_COMMON_NAME, NID_commonName},
		{VARIABLE_ORGANIZATION, NID_organizationName},
		{VARIABLE_ORGANIZATIONAL_UNIT, NID_organizationalUnitName},
		{VARIABLE_COUNTRY, NID_countryName},
		{VARIABLE_STATE, NID_stateOrProvinceName},
		{VARIABLE_LOCALITY, NID_localityName},
	};
	static const int issuer[][2] = {
		{VARIABLE_ISSUER_COMMON_NAME, NID_commonName},
		{VARIABLE_ISSUER_ORGANIZATION, NID_organizationName},
		{VARIABLE_ISSUER_ORGANIZATIONAL_UNIT, NID_organizationalUnitName},
	};
	const X509_NAME *name = X509_get_subject_name(certificate);
	for (size_t at = 0; at < sizeof subject / sizeof *subject; at += 1)
		values->of[subject[at][0]] = only_attribute(name, subject[at][1]);
	name = X509_get_issuer_name(certificate);
	for (size_t at = 0; at < sizeof issuer / sizeof *issuer; at += 1)
		values->of[issuer[at][0]] = only_attribute(name, issuer[at][1]);
}

/* Nobody is to gain by a name that means something to a broker. */
static bool is_hostile(struct text value) {
	struct text_facts facts = text_look(value);
	return value.length == 0 || !facts.well_formed || facts.control || facts.separator || facts.units > MAX_VALUE_UNITS;
}

/* The text with its values in it, of the heap; NULL where one is absent, hostile, or has `without` in it (where that is not empty). */
static char *expand(const struct template *template, const struct values *values, struct text without) {
	size_t length = 0;
	for (size_t at = 0; at < template->count; at += 1) {
		const struct piece *piece = &template->pieces[at];
		if (piece->variable == VARIABLE_NONE) {
			length += piece->literal.length;
			continue;
		}
		const char *value = values->of[piece->variable];
		if (value == NULL || is_hostile(text_of(value))) return NULL;
		if (without.length > 0 && text_has(text_of(value), without)) return NULL;
		length += strlen(value);
	}
	char *text = malloc(length + 1);
	if (text == NULL) return NULL;
	char *end = text;
	for (size_t at = 0; at < template->count; at += 1) {
		const struct piece *piece = &template->pieces[at];
		struct text part = piece->variable == VARIABLE_NONE ? piece->literal : text_of(values->of[piece->variable]);
		memcpy(end, part.at, part.length);
		end += part.length;
	}
	*end = '\0';
	return text;
}

static bool fill_filters(const struct templates *templates, const struct values *values, struct filters *filters) {
	filters->items = calloc(templates->count + 1, sizeof *filters->items);
	if (filters->items == NULL) return false;
	for (size_t at = 0; at < templates->count; at += 1) {
		char *filter = expand(&templates->items[at], values, (struct text){0});
		if (filter == NULL) return false;
		filters->items[filters->count++] = filter;
		if (!topic_is_filter(text_of(filter))) return false;
	}
	return true;
}

static void clear_filters(struct filters *filters) {
	for (size_t at = 0; at < filters->count; at += 1) free(filters->items[at]);
	free(filters->items);
	*filters = (struct filters){0};
}

void grant_clear(struct grant *grant) {
	X509_free(grant->credential.certificate);
	free(grant->id);
	free(grant->namespace);
	free(grant->role);
	clear_filters(&grant->publish);
	clear_filters(&grant->subscribe);
	clear_filters(&grant->deny);
	*grant = (struct grant){0};
}

/* Milliseconds since the epoch; 0 for what is no time. */
static uint64_t time_of(const ASN1_TIME *time) {
	struct tm parts;
	if (ASN1_TIME_to_tm(time, &parts) != 1) return 0;
	time_t seconds = timegm(&parts);
	return seconds < 0 ? 0 : (uint64_t)seconds * 1000;
}

/* How the credential is known to those who deny it: src/broker-auth/denied-entry.ts. */
static bool identify(struct credential *credential, X509 *certificate, const struct issuer *issuer) {
	X509_up_ref(certificate);
	credential->certificate = certificate;
	memcpy(credential->key_id, issuer->key_id, KEY_ID_SIZE);
	const ASN1_INTEGER *serial = X509_get0_serialNumber(certificate);
	if (ASN1_STRING_type(serial) != V_ASN1_INTEGER) return false;
	const uint8_t *octets = ASN1_STRING_get0_data(serial);
	size_t size = (size_t)ASN1_STRING_length(serial);
	while (size > 1 && octets[0] == 0) {
		octets += 1;
		size -= 1;
	}
	if (size == 0 || size > MAX_SERIAL) return false;
	/* As the INTEGER's content is written. */
	bool padded = (octets[0] & 0x80) != 0;
	memcpy(credential->serial, "00", 2);
	to_hex(credential->serial + (padded ? 2 : 0), octets, size);
	uint8_t named[1 + KEY_ID_SIZE + MAX_SERIAL] = {KEY_ID_SIZE};
	memcpy(named + 1, issuer->key_id, KEY_ID_SIZE);
	memcpy(named + 1 + KEY_ID_SIZE, octets, size);
	uint8_t hash[HASH_SIZE];
	if (EVP_Digest(named, 1 + KEY_ID_SIZE + size, hash, NULL, EVP_sha256(), NULL) != 1) return false;
	memcpy(credential->certificate_digest, hash, DIGEST_SIZE);
	unsigned char *key = NULL;
	int key_size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &key);
	bool good = key_size > 0 && EVP_Digest(key, (size_t)key_size, credential->key_hash, NULL, EVP_sha256(), NULL) == 1;
	OPENSSL_free(key);
	return good;
}

bool is_denied(const struct snapshot *snapshot, const struct credential *credential) {
	return snapshot_denies_certificate(snapshot, credential->certificate_digest) ||
		snapshot_denies_key(snapshot, credential->key_hash);
}

static bool is_key_as_demanded(const EVP_PKEY *key, uint32_t kinds, int min_rsa_bits) {
	static const struct {
		const char *group;
		uint32_t kind;
	} curves[] = {{"prime256v1", KEY_P256}, {"secp384r1", KEY_P384}, {"secp521r1", KEY_P521}};
	char group[32];
	switch (EVP_PKEY_get_base_id(key)) {
	case EVP_PKEY_RSA:
		return EVP_PKEY_get_bits(key) >= min_rsa_bits;
	case EVP_PKEY_ED25519:
		return (kinds & KEY_ED25519) != 0;
	case EVP_PKEY_EC:
		if (EVP_PKEY_get_group_name(key, group, sizeof group, NULL) != 1) return false;
		for (size_t at = 0; at < sizeof curves / sizeof *curves; at += 1) {
			if (strcmp(group, curves[at].group) == 0) return (kinds & curves[at].kind) != 0;
		}
		return false;
	default:
		return false;
	}
}

static bool is_weak(X509 *certificate) {
	int security = 0;
	EVP_PKEY *key = X509_get0_pubkey(certificate);
	return key == NULL || X509_get_signature_info(certificate, NULL, NULL, &security, NULL) != 1 ||
		security < MIN_HASH_SECURITY ||
		!is_key_as_demanded(key, KEY_P256 | KEY_P384 | KEY_P521 | KEY_ED25519, MIN_RSA_BITS);
}

/*
 * The issuer whose name the certificate gives and whose key signed it. The broker has verified the path; this says which of
 * the CAs that it believes it was, and that it is one of ours.
 */
static const struct issuer *find_issuer(const struct policy *policy, X509 *certificate, const char **reason) {
	const X509_NAME *name = X509_get_issuer_name(certificate);
	size_t tried = 0;
	*reason = "untrusted";
	for (size_t at = 0; at < policy->issuer_count && tried < MAX_CANDIDATES; at += 1) {
		const struct issuer *issuer = &policy->issuers[at];
		if (X509_NAME_cmp(issuer->name, name) != 0) continue;
		tried += 1;
		if (X509_verify(certificate, issuer->key) == 1) return issuer;
		*reason = "badSignature";
	}
	return NULL;
}

static const char *usage_fault(X509 *certificate, enum without_usage without_usage) {
	uint32_t flags = X509_get_extension_flags(certificate);
	if ((flags & EXFLAG_INVALID) != 0 || X509_get_version(certificate) != X509_VERSION_3) return "malformed";
	if ((flags & EXFLAG_CA) != 0) return "wrongUsage";
	if ((flags & EXFLAG_KUSAGE) != 0 && (X509_get_key_usage(certificate) & KU_DIGITAL_SIGNATURE) == 0) return "wrongUsage";
	if ((flags & EXFLAG_XKUSAGE) == 0) {
		if (without_usage == USAGE_ACCEPTED) return NULL;
		/* An IDevID needs no extKeyUsage (IEEE 802.1AR-2018 §8.10): it names its device and never ends. */
		struct tm end;
		bool is_idevid = X509_NAME_get_index_by_NID(X509_get_subject_name(certificate), NID_serialNumber, -1) >= 0 &&
			ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) == 1 && end.tm_year == 9999 - 1900;
		return without_usage == USAGE_IDEVID && is_idevid ? NULL : "wrongUsage";
	}
	uint32_t purposes = X509_get_extended_key_usage(certificate);
	bool foreign = (purposes & (XKU_CODE_SIGN | XKU_TIMESTAMP | XKU_OCSP_SIGN)) != 0;
	return (purposes & XKU_SSL_CLIENT) != 0 && !foreign ? NULL : "wrongUsage";
}

static bool has_policy(const struct role *role, CERTIFICATEPOLICIES *held) {
	for (int at = 0; at < sk_POLICYINFO_num(held); at += 1) {
		const ASN1_OBJECT *oid = sk_POLICYINFO_value(held, at)->policyid;
		struct text octets = {(const char *)OBJ_get0_data(oid), OBJ_length(oid)};
		for (size_t wanted = 0; wanted < role->policy_count; wanted += 1) {
			if (text_equal(role->policies[wanted], octets)) return true;
		}
	}
	return false;
}

static bool fits_role(const struct role *role, X509 *certificate) {
	if (role->policy_count == 0) return true;
	CERTIFICATEPOLICIES *held = X509_get_ext_d2i(certificate, NID_certificate_policies, NULL, NULL);
	bool fits = held != NULL && has_policy(role, held);
	CERTIFICATEPOLICIES_free(held);
	return fits;
}

static bool is_own_unit(const struct issuer *issuer, struct text unit) {
	for (size_t at = 0; at < issuer->unit_count; at += 1) {
		if (text_equal(issuer->own_units[at], unit)) return true;
	}
	return false;
}

/*
 * Whose serial numbers the device's are: its CA's, or those of its units that are not the house's. Two of them give a name that
 * no namespace has. Of the heap; NULL for a unit that cannot be read.
 */
static char *namespace_of(const struct issuer *issuer, X509 *certificate) {
	const X509_NAME *name = X509_get_subject_name(certificate);
	char *found = NULL;
	for (int at = -1; issuer->has_guests;) {
		at = X509_NAME_get_index_by_NID(name, NID_organizationalUnitName, at);
		if (at < 0) break;
		unsigned char *utf8 = NULL;
		int length = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
		struct text unit = {(const char *)utf8, length < 0 ? 0 : (size_t)length};
		bool readable = length >= 0 && (length == 0 || memchr(utf8, '\0', unit.length) == NULL);
		if (readable && is_own_unit(issuer, unit)) {
			OPENSSL_free(utf8);
			continue;
		}
		size_t before = found == NULL ? 0 : strlen(found) + 1;
		char *longer = readable ? malloc(before + unit.length + 1) : NULL;
		if (longer != NULL) {
			if (found != NULL) memcpy(longer, found, before);
			if (found != NULL) longer[before - 1] = '+';
			if (unit.length > 0) memcpy(longer + before, unit.at, unit.length);
			longer[before + unit.length] = '\0';
		}
		OPENSSL_free(utf8);
		free(found);
		found = longer;
		if (longer == NULL) return NULL;
	}
	return found != NULL ? found : copy_text(issuer->namespace.at, issuer->namespace.length);
}

static const struct role *find_role(const struct issuer *issuer, struct text namespace, X509 *certificate) {
	if (text_equal(namespace, issuer->namespace)) {
		for (size_t at = 0; at < issuer->role_count; at += 1) {
			if (fits_role(issuer->roles[at], certificate)) return issuer->roles[at];
		}
		return NULL;
	}
	for (size_t at = 0; at < issuer->guest_role_count; at += 1) {
		const struct guest_role *guest = &issuer->guest_roles[at];
		if (text_equal(guest->namespace, namespace) && fits_role(guest->role, certificate)) return guest->role;
	}
	return NULL;
}

/* The separator keeps dev1 from being taken for the beginning of dev10. */
static bool follows(struct text client_id, struct text prefix, struct text separator) {
	if (text_equal(client_id, prefix)) return true;
	if (!text_starts(client_id, prefix)) return false;
	struct text rest = {client_id.at + prefix.length, client_id.length - prefix.length};
	if (!text_starts(rest, separator)) return false;
	rest = (struct text){rest.at + separator.length, rest.length - separator.length};
	return !text_has(rest, separator);
}

static bool fits_client_id(struct text client_id, const struct role *role, const struct values *values) {
	struct text_facts facts = text_look(client_id);
	if (!facts.well_formed || facts.control || facts.units > MAX_CLIENT_ID_UNITS) return false;
	if (role->bind == BIND_ANY) return true;
	/* No value has the separator in it, or dev1 could take the ClientId of dev1-a. */
	struct text without = role->bind == BIND_PREFIX ? role->separator : (struct text){0};
	bool fits = false;
	for (size_t at = 0; at < role->client_ids.count && !fits; at += 1) {
		char *wanted = expand(&role->client_ids.items[at], values, without);
		if (wanted == NULL) continue;
		fits = role->bind == BIND_EQUAL ? text_equal(client_id, text_of(wanted))
										: follows(client_id, text_of(wanted), role->separator);
		free(wanted);
	}
	return fits;
}

static uint64_t end_of_session(const struct policy *policy, uint64_t since) {
	if (policy->max_session == 0) return NO_END;
	/* Chance only spreads a fleet: without it everybody stays for the whole time. */
	uint8_t chance = 0;
	if (RAND_bytes(&chance, 1) != 1) chance = 0;
	return since + policy->max_session - policy->max_session / 1000 * policy->jitter * chance / 255;
}

static const char *judge_identity(
	const struct policy *policy,
	const struct issuer *issuer,
	const struct attempt *attempt,
	struct values *values,
	struct grant *grant,
	const char **detail
) {
	char key_hash[2 * HASH_SIZE + 1];
	to_hex(key_hash, grant->credential.key_hash, HASH_SIZE);
	read_values(values, attempt->certificate);
	grant->namespace = namespace_of(issuer, attempt->certificate);
	*detail = "its organizational units cannot be read";
	if (grant->namespace == NULL) return "malformed";
	values->of[VARIABLE_NAMESPACE] = copy_text(grant->namespace, strlen(grant->namespace));
	values->of[VARIABLE_CERTIFICATE_SERIAL] = copy_text(grant->credential.serial, strlen(grant->credential.serial));
	values->of[VARIABLE_CERTIFICATE_KEY_HASH] = copy_text(key_hash, 2 * HASH_SIZE);
	const char *id = values->of[policy->identity];
	*detail = "the certificate does not give exactly one value where the id of a device is";
	if (id == NULL || id[0] == '\0') return "identity";
	values->of[VARIABLE_ID] = copy_text(id, strlen(id));
	grant->id = copy_text(id, strlen(id));
	if (values->of[VARIABLE_ID] == NULL || grant->id == NULL || values->of[VARIABLE_NAMESPACE] == NULL) return "identity";
	const struct role *role = find_role(issuer, text_of(grant->namespace), attempt->certificate);
	*detail = "no role fits this client";
	if (role == NULL) return "role";
	*detail = "the ClientId is not this device's";
	if (!fits_client_id(attempt->client_id, role, values)) return "clientId";
	values->of[VARIABLE_CLIENT_ID] = copy_text(attempt->client_id.at, attempt->client_id.length);
	grant->role = copy_text(role->name.at, role->name.length);
	grant->exclusive = role->exclusive;
	*detail = "a topic rule of its role cannot be filled";
	bool filled = grant->role != NULL && fill_filters(&role->publish, values, &grant->publish) &&
		fill_filters(&role->subscribe, values, &grant->subscribe) && fill_filters(&role->deny, values, &grant->deny);
	return filled ? NULL : "topicRules";
}

const char *judge(const struct snapshot *snapshot, const struct attempt *attempt, struct grant *grant, const char **detail) {
	X509 *certificate = attempt->certificate;
	const struct policy *policy = &snapshot->policy;
	const char *reason = NULL;
	*detail = "the broker shows no certificate of the client";
	if (certificate == NULL) return "evidence";
	*detail = "its signature or key is too weak, or cannot be read";
	if (is_weak(certificate)) return "weak";
	*detail = "none of the CAs that are believed has issued it";
	const struct issuer *issuer = find_issuer(policy, certificate, &reason);
	if (issuer == NULL) return reason;
	*detail = "its serial number or key cannot be read";
	if (!identify(&grant->credential, certificate, issuer)) return "malformed";
	uint64_t not_before = time_of(X509_get0_notBefore(certificate));
	grant->not_after = time_of(X509_get0_notAfter(certificate));
	if (issuer->until < grant->not_after) grant->not_after = issuer->until;
	*detail = "the certificate or a CA above it is not valid now";
	if (attempt->now < not_before || attempt->now < issuer->from) return "notYetValid";
	if (attempt->now > grant->not_after) return "expired";
	*detail = "the certificate is not one for clients";
	if ((reason = usage_fault(certificate, policy->without_usage)) != NULL) return reason;
	*detail = "the policy takes no such key";
	if (!is_key_as_demanded(X509_get0_pubkey(certificate), policy->key_kinds, policy->min_rsa_bits)) return "weak";
	*detail = "the certificate or its key was taken back";
	if (is_denied(snapshot, &grant->credential)) return "revoked";
	grant->aged_at = end_of_session(policy, attempt->since);
	struct values values = {0};
	reason = judge_identity(policy, issuer, attempt, &values, grant, detail);
	clear_values(&values);
	return reason;
}

static bool any_covers(const struct filters *filters, struct text asked) {
	for (size_t at = 0; at < filters->count; at += 1) {
		if (topic_covers(text_of(filters->items[at]), asked)) return true;
	}
	return false;
}

bool may_publish(const struct grant *grant, struct text topic) {
	return topic_is_name(topic) && any_covers(&grant->publish, topic) && !any_covers(&grant->deny, topic);
}

bool may_subscribe(const struct grant *grant, struct text subscription) {
	struct text asked;
	if (!topic_read_subscription(subscription, &asked) || !any_covers(&grant->subscribe, asked)) return false;
	for (size_t at = 0; at < grant->deny.count; at += 1) {
		if (topic_overlaps(text_of(grant->deny.items[at]), asked)) return false;
	}
	return true;
}

bool may_receive(const struct grant *grant, struct text topic) {
	return any_covers(&grant->subscribe, topic) && !any_covers(&grant->deny, topic);
}
