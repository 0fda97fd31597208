/*
 * The plugin's parts without a broker. Reads lines from standard input and answers each with one:
 *
 *   check topics               covers|overlaps|name|filter|subscription, a tab, one or two texts in hexadecimal
 *   check judge SNAPSHOT KEY   file of a certificate (PEM), a tab, ClientId in hexadecimal, then for each act a tab and
 *                              publish|subscribe|receive:topic in hexadecimal
 *   check config               path of a configuration
 *   check fuzz SNAPSHOT KEY CERTIFICATE TIMES PRIVATE-KEY
 *                              no input: mutates the snapshot's file and the certificate (PEM) so many times; every other
 *                              snapshot is signed again, so that what is behind the signature is reached too
 *   check events SOCKET COUNT  no input: tells of so many live sessions at once, as soon as somebody listens there
 *   check time SNAPSHOT KEY    how long looking somebody up takes
 */
#include <errno.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clients.h"
#include "config-check.h"
#include "events.h"
#include "topics.h"

static uint64_t clock_ns(clockid_t clock) {
	struct timespec time;
	clock_gettime(clock, &time);
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static uint64_t now_ms(void) {
	return clock_ns(CLOCK_REALTIME) / 1000000;
}

static int digit(char letter) {
	return letter <= '9' ? letter - '0' : letter - 'a' + 10;
}

/* In place. */
static struct text from_hex(char *word) {
	size_t length = strlen(word) / 2;
	for (size_t at = 0; at < length; at += 1) word[at] = (char)(digit(word[2 * at]) << 4 | digit(word[2 * at + 1]));
	return (struct text){word, length};
}

static char *next_word(char **rest) {
	char *word = strsep(rest, "\t");
	return word == NULL ? "" : word;
}

static bool answer_topics(char *line) {
	const char *act = next_word(&line);
	struct text one = from_hex(next_word(&line));
	struct text other = from_hex(next_word(&line));
	struct text filter;
	if (strcmp(act, "covers") == 0) return topic_covers(one, other);
	if (strcmp(act, "overlaps") == 0) return topic_overlaps(one, other);
	if (strcmp(act, "name") == 0) return topic_is_name(one);
	if (strcmp(act, "filter") == 0) return topic_is_filter(one);
	return topic_read_subscription(one, &filter);
}

static X509 *read_certificate(const char *path) {
	FILE *file = fopen(path, "re");
	if (file == NULL) return NULL;
	X509 *certificate = PEM_read_X509(file, NULL, NULL, NULL);
	fclose(file);
	return certificate;
}

static EVP_PKEY *read_key(const char *path) {
	FILE *file = fopen(path, "re");
	if (file == NULL) return NULL;
	EVP_PKEY *key = PEM_read_PUBKEY(file, NULL, NULL, NULL);
	fclose(file);
	return key;
}

static EVP_PKEY *read_private_key(const char *path) {
	FILE *file = fopen(path, "re");
	if (file == NULL) return NULL;
	EVP_PKEY *key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
	fclose(file);
	return key;
}

static void answer_judge(const struct snapshot *snapshot, char *line) {
	X509 *certificate = read_certificate(next_word(&line));
	struct text client_id = from_hex(next_word(&line));
	uint64_t now = now_ms();
	struct attempt attempt = {certificate, client_id, now, now};
	struct grant grant = {0};
	const char *detail = NULL;
	const char *reason = judge(snapshot, &attempt, &grant, &detail);
	if (reason != NULL) printf("deny\t%s", reason);
	else printf("allow\t%s\t%s\t%s", grant.namespace, grant.id, grant.role);
	while (reason == NULL && line != NULL) {
		char *word = next_word(&line);
		char *topic = strchr(word, ':');
		if (topic == NULL) break;
		*topic++ = '\0';
		struct text text = from_hex(topic);
		bool may = strcmp(word, "publish") == 0 ? may_publish(&grant, text)
			: strcmp(word, "subscribe") == 0	? may_subscribe(&grant, text)
												: may_receive(&grant, text);
		printf("\t%s", may ? "yes" : "no");
	}
	printf("\n");
	grant_clear(&grant);
	X509_free(certificate);
}

static bool write_file(const char *path, const uint8_t *octets, size_t size) {
	FILE *file = fopen(path, "we");
	if (file == NULL) return false;
	bool good = fwrite(octets, 1, size, file) == size;
	return fclose(file) == 0 && good;
}

static uint32_t chance(void) {
	static uint32_t state = 2463534242u;
	state ^= state << 13;
	state ^= state >> 17;
	return state ^= state << 5;
}

static void mutate(uint8_t *octets, size_t *size) {
	for (uint32_t times = chance() % 4 + 1; times > 0 && *size > 0; times -= 1) {
		size_t at = chance() % *size;
		switch (chance() % 4) {
		case 0:
			octets[at] = (uint8_t)chance();
			break;
		case 1:
			octets[at] ^= (uint8_t)(1u << chance() % 8);
			break;
		case 2:
			memset(octets + at, chance() % 2 ? 0xff : 0, *size - at < 4 ? *size - at : 4);
			break;
		default:
			*size = at;
			break;
		}
	}
}

/* Signs what is left of a snapshot as its adapter would. */
static void sign_again(uint8_t *file, size_t size, EVP_PKEY *key) {
	enum { HEADER = 12, SIGNATURE = 64 };
	if (size < HEADER + SIGNATURE + 2) return;
	size_t body = size - HEADER - SIGNATURE - 2;
	memcpy(file, "BMKSNAP1", 8);
	for (size_t at = 0; at < 4; at += 1) file[8 + at] = (uint8_t)(body >> (24 - 8 * at));
	file[HEADER + body] = 0;
	file[HEADER + body + 1] = SIGNATURE;
	size_t length = SIGNATURE;
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	if (context != NULL && EVP_DigestSignInit(context, NULL, NULL, NULL, key) == 1)
		EVP_DigestSign(context, file + HEADER + body + 2, &length, file, HEADER + body);
	EVP_MD_CTX_free(context);
}

static void judge_any(const struct snapshot *snapshot, X509 *certificate) {
	uint64_t now = now_ms();
	struct attempt attempt = {certificate, text_of("device"), now, now};
	struct grant grant = {0};
	const char *detail = NULL;
	if (judge(snapshot, &attempt, &grant, &detail) == NULL) may_subscribe(&grant, text_of("devices/+/#"));
	grant_clear(&grant);
}

/* A snapshot with a bit changed is never taken; a certificate with one changed is never let in, and nothing falls over. */
static int fuzz(const char *snapshot_path, EVP_PKEY *key, const char *certificate_path, unsigned int times, EVP_PKEY *private_key) {
	size_t size = 0;
	uint8_t *good = read_whole(snapshot_path, 1u << 26, &size);
	const char *why = NULL;
	struct snapshot *snapshot = snapshot_load(snapshot_path, key, NULL, now_ms(), &why);
	X509 *certificate = read_certificate(certificate_path);
	uint8_t *der = NULL;
	int der_size = certificate == NULL ? 0 : i2d_X509(certificate, &der);
	size_t room = strlen(snapshot_path) + 8;
	char *path = malloc(room);
	if (good == NULL || snapshot == NULL || der_size <= 0 || path == NULL) return 2;
	snprintf(path, room, "%s.fuzz", snapshot_path);
	int taken = 0;
	int reached = 0;
	for (unsigned int run = 0; run < times; run += 1) {
		size_t mutated_size = size;
		uint8_t *mutated = malloc(size + 1);
		if (mutated == NULL) return 2;
		memcpy(mutated, good, size);
		mutate(mutated, &mutated_size);
		bool same = mutated_size == size && memcmp(mutated, good, size) == 0;
		bool signed_again = run % 2 == 1;
		if (signed_again) sign_again(mutated, mutated_size, private_key);
		struct snapshot *odd = write_file(path, mutated, mutated_size) ? snapshot_load(path, key, NULL, now_ms(), &why) : NULL;
		if (odd != NULL && !same && !signed_again) taken += 1;
		if (odd != NULL && signed_again) reached += 1;
		if (odd != NULL) judge_any(odd, certificate);
		snapshot_free(odd);
		free(mutated);

		mutated_size = (size_t)der_size;
		mutated = malloc(mutated_size);
		if (mutated == NULL) return 2;
		memcpy(mutated, der, mutated_size);
		mutate(mutated, &mutated_size);
		const uint8_t *octets = mutated;
		X509 *odd_certificate = d2i_X509(NULL, &octets, (long)mutated_size);
		uint64_t now = now_ms();
		struct attempt attempt = {odd_certificate, text_of("device"), now, now};
		struct grant grant = {0};
		same = mutated_size == (size_t)der_size && memcmp(mutated, der, mutated_size) == 0;
		if (odd_certificate != NULL && judge(snapshot, &attempt, &grant, &why) == NULL && !same) taken += 1;
		grant_clear(&grant);
		X509_free(odd_certificate);
		free(mutated);
	}
	unlink(path);
	free(path);
	free(good);
	OPENSSL_free(der);
	snapshot_free(snapshot);
	X509_free(certificate);
	printf("%d taken; of those signed again %d could be read\n", taken, reached);
	return taken == 0 ? 0 : 1;
}

static int measure(const char *path, EVP_PKEY *key) {
	const char *why = NULL;
	uint64_t begun = clock_ns(CLOCK_MONOTONIC);
	struct snapshot *snapshot = snapshot_load(path, key, NULL, now_ms(), &why);
	if (snapshot == NULL) {
		printf("refused: %s\n", why);
		return 1;
	}
	uint64_t loaded = clock_ns(CLOCK_MONOTONIC);
	size_t found = 0;
	enum { LOOKUPS = 200000 };
	for (size_t run = 0; run < LOOKUPS; run += 1) {
		uint32_t digest[DIGEST_SIZE / 4] = {chance(), chance(), chance(), chance()};
		struct credential credential = {0};
		memcpy(credential.certificate_digest, digest, DIGEST_SIZE);
		memcpy(credential.key_hash, digest, DIGEST_SIZE);
		found += is_denied(snapshot, &credential);
	}
	uint64_t done = clock_ns(CLOCK_MONOTONIC);
	printf(
		"%zu denied, loaded in %.1f ms, asked in %.3f us (%zu found)\n", snapshot->base->certificates.count + snapshot->base->keys.count,
		(double)(loaded - begun) / 1e6, (double)(done - loaded) / 1e3 / LOOKUPS, found
	);
	snapshot_free(snapshot);
	return 0;
}

static int tell_many(const char *path, long sessions) {
	static const uint8_t octets[HASH_SIZE] = {1};
	struct events events;
	if (!events_open(&events, path)) return 1;
	unsigned int told = 0;
	for (int turn = 0; turn < 1000 && (told == 0 || events.head < events.used); turn += 1) {
		usleep(10000);
		if (!events_tick(&events, clock_ns(CLOCK_MONOTONIC) / 1000000)) continue;
		told += 1;
		line_begin(&events, "hello", now_ms());
		line_end(&events);
		for (long at = 0; at < sessions; at += 1) {
			char name[32];
			snprintf(name, sizeof name, "device-%ld", at);
			line_begin(&events, "live", now_ms());
			line_text(&events, "clientId", text_of(name));
			line_text(&events, "address", text_of("192.0.2.1"));
			line_hex(&events, "issuerKeyId", octets, KEY_ID_SIZE);
			line_hex(&events, "serial", octets, DIGEST_SIZE);
			line_hex(&events, "keyHash", octets, HASH_SIZE);
			line_text(&events, "namespace", text_of("own"));
			line_text(&events, "id", text_of(name));
			line_text(&events, "role", text_of("device"));
			line_number(&events, "since", 1);
			line_number(&events, "until", 2);
			line_text(&events, "untilBy", text_of("credential"));
			line_end(&events);
		}
		line_begin(&events, "listed", now_ms());
		line_end(&events);
	}
	printf("told %u times, the room is %zu\n", told, events.room);
	events_close(&events);
	return 0;
}

static int answer_lines(const char *mode, const struct snapshot *snapshot) {
	char *line = NULL;
	size_t room = 0;
	ssize_t length;
	while ((length = getline(&line, &room, stdin)) > 0) {
		line[length - 1] = '\0';
		char why[512];
		if (strcmp(mode, "topics") == 0) printf("%s\n", answer_topics(line) ? "yes" : "no");
		else if (strcmp(mode, "config") == 0) printf("%s\n", config_check(line, why, sizeof why) ? "good" : why);
		else answer_judge(snapshot, line);
		fflush(stdout);
	}
	free(line);
	return 0;
}

int main(int count, char **words) {
	const char *mode = count > 1 ? words[1] : "";
	if (strcmp(mode, "topics") == 0 || strcmp(mode, "config") == 0) return answer_lines(mode, NULL);
	if (strcmp(mode, "events") == 0 && count > 3) return tell_many(words[2], atol(words[3]));
	EVP_PKEY *key = count > 3 ? read_key(words[3]) : NULL;
	if (key == NULL) {
		fprintf(stderr, "usage: check topics|config, check events SOCKET COUNT, check judge|time SNAPSHOT KEY, check fuzz SNAPSHOT KEY CERTIFICATE TIMES PRIVATE-KEY\n");
		return 2;
	}
	int status = 2;
	if (strcmp(mode, "fuzz") == 0 && count > 6) {
		EVP_PKEY *private_key = read_private_key(words[6]);
		if (private_key != NULL) status = fuzz(words[2], key, words[4], (unsigned int)atoi(words[5]), private_key);
		EVP_PKEY_free(private_key);
	}
	if (strcmp(mode, "time") == 0) status = measure(words[2], key);
	if (strcmp(mode, "judge") == 0) {
		const char *why = NULL;
		struct snapshot *snapshot = snapshot_load(words[2], key, NULL, now_ms(), &why);
		if (snapshot == NULL) printf("refused\t%s\n", why);
		else status = answer_lines(mode, snapshot);
		snapshot_free(snapshot);
	}
	EVP_PKEY_free(key);
	return status;
}
