#include "config-check.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "snapshot.h"

#define MAX_CONFIG (4u << 20)
#define SPACE " \t\r\n"

/* Where we are, and what is known of the listener so far. */
struct check {
	const char *file;
	unsigned int line;
	char *why;
	size_t room;
	unsigned int plugins;
	/* The listener's own line; 0 for the one that has none, which takes what stands above the first. */
	unsigned int listener_line;
	bool has_tls, requires_certificate;
};

static bool refuse(struct check *check, unsigned int line, const char *what) {
	snprintf(check->why, check->room, "%s:%u: %s", check->file, line, what);
	return false;
}

/* Whoever switches something on is refused, with the reason. */
static const struct {
	const char *option;
	/* Any value, or one that is not false. */
	bool always;
	const char *what;
} FORBIDDEN[] = {
	{"use_identity_as_username", false, "use_identity_as_username switches this plugin off: Mosquitto then asks no plugin; it sets the username itself"},
	{"use_subject_as_username", false, "use_subject_as_username switches this plugin off: Mosquitto then asks no plugin; it sets the username itself"},
	{"use_username_as_clientid", false, "use_username_as_clientid changes the ClientId behind this plugin: leave it out, the plugin binds the ClientId"},
	{"allow_anonymous", false, "allow_anonymous must be false"},
	{"per_listener_settings", false, "per_listener_settings would leave listeners without this plugin: leave it out"},
	{"password_file", true, "password_file lets clients in that this plugin did not see: leave it out"},
	{"acl_file", true, "acl_file may allow what this plugin denies: leave it out"},
	{"psk_file", true, "psk_file lets clients in without a certificate: leave it out"},
	{"psk_hint", true, "psk_hint lets clients in without a certificate: leave it out"},
	{"mount_point", true, "mount_point changes topics behind this plugin: leave it out"},
	{"auth_plugin", true, "auth_plugin may let clients in that this plugin denies: leave it out"},
};

static bool is_off(const char *value) {
	return value != NULL && (strcasecmp(value, "false") == 0 || strcmp(value, "0") == 0);
}

static bool end_listener(struct check *check) {
	bool good = !check->has_tls || check->requires_certificate;
	unsigned int line = check->listener_line == 0 ? check->line : check->listener_line;
	check->has_tls = check->requires_certificate = false;
	return good || refuse(check, line, "this listener has TLS without require_certificate true: its clients would show no certificate");
}

static bool read_folder(struct check *check, const char *path);

static bool read_line(struct check *check, char *line, bool may_include) {
	char *rest = NULL;
	const char *option = strtok_r(line, SPACE, &rest);
	if (option == NULL || option[0] == '#') return true;
	char *value = strtok_r(NULL, "\r\n", &rest);
	while (value != NULL && (*value == ' ' || *value == '\t')) value += 1;
	for (size_t at = value == NULL ? 0 : strlen(value); at > 0 && strchr(SPACE, value[at - 1]) != NULL; at -= 1)
		value[at - 1] = '\0';
	for (size_t at = 0; at < sizeof FORBIDDEN / sizeof *FORBIDDEN; at += 1) {
		if (strcmp(option, FORBIDDEN[at].option) != 0) continue;
		if (FORBIDDEN[at].always || !is_off(value)) return refuse(check, check->line, FORBIDDEN[at].what);
	}
	if (strcmp(option, "listener") == 0) {
		bool good = end_listener(check);
		check->listener_line = check->line;
		return good;
	}
	if (strcmp(option, "plugin") == 0 || strcmp(option, "global_plugin") == 0) {
		check->plugins += 1;
		return check->plugins == 1 ||
			refuse(check, check->line, "a second plugin may let clients in that this one denies: leave it out");
	}
	if (strcmp(option, "certfile") == 0 || strcmp(option, "keyfile") == 0 || strcmp(option, "cafile") == 0 ||
		strcmp(option, "capath") == 0)
		check->has_tls = true;
	if (strcmp(option, "require_certificate") == 0) check->requires_certificate = !is_off(value);
	if (strcmp(option, "include_dir") != 0) return true;
	if (!may_include || value == NULL) return refuse(check, check->line, "include_dir names no folder, or is in one");
	return read_folder(check, value);
}

static bool read_file(struct check *check, const char *path, bool may_include) {
	const char *outer_file = check->file;
	unsigned int outer_line = check->line;
	check->file = path;
	check->line = 0;
	size_t size = 0;
	char *text = (char *)read_whole(path, MAX_CONFIG, &size);
	if (text == NULL) {
		snprintf(check->why, check->room, "%s cannot be read: %s", path, strerror(errno));
		return false;
	}
	bool good = memchr(text, '\0', size) == NULL || refuse(check, 0, "it holds a NUL");
	for (char *line = text, *next; good && line != NULL; line = next) {
		next = strchr(line, '\n');
		if (next != NULL) *next++ = '\0';
		check->line += 1;
		good = read_line(check, line, may_include);
	}
	free(text);
	check->file = outer_file;
	if (check->file != NULL) check->line = outer_line;
	return good;
}

static int is_config(const struct dirent *entry) {
	size_t length = strlen(entry->d_name);
	return length > 5 && strcasecmp(entry->d_name + length - 5, ".conf") == 0;
}

static bool read_folder(struct check *check, const char *path) {
	struct dirent **entries = NULL;
	int count = scandir(path, &entries, is_config, alphasort);
	if (count < 0) {
		snprintf(check->why, check->room, "%s cannot be read: %s", path, strerror(errno));
		return false;
	}
	bool good = true;
	for (int at = 0; at < count; at += 1) {
		size_t room = strlen(path) + strlen(entries[at]->d_name) + 2;
		char *file = good ? malloc(room) : NULL;
		if (file == NULL) good = false;
		else {
			snprintf(file, room, "%s/%s", path, entries[at]->d_name);
			good = read_file(check, file, false);
		}
		free(file);
		free(entries[at]);
	}
	free(entries);
	return good;
}

/* Mosquitto's own `-c`, where this process has one: another file than that says nothing of this broker. */
static bool is_own_config(const char *path) {
	char words[8192];
	FILE *file = fopen("/proc/self/cmdline", "re");
	if (file == NULL) return true;
	size_t size = fread(words, 1, sizeof words - 1, file);
	fclose(file);
	words[size] = '\0';
	for (size_t at = 0; at < size; at += strlen(words + at) + 1) {
		if (strcmp(words + at, "-c") != 0 && strcmp(words + at, "--config-file") != 0) continue;
		at += strlen(words + at) + 1;
		struct stat ours, named;
		if (at >= size || stat(words + at, &named) != 0 || stat(path, &ours) != 0) return true;
		return ours.st_dev == named.st_dev && ours.st_ino == named.st_ino;
	}
	return true;
}

bool config_check(const char *path, char *why, size_t room) {
	struct check check = {.why = why, .room = room};
	snprintf(why, room, "%s: there is no memory to read it", path);
	if (!is_own_config(path)) {
		snprintf(why, room, "%s is not the file that this Mosquitto was started with (-c)", path);
		return false;
	}
	if (!read_file(&check, path, true)) return false;
	check.file = path;
	return end_listener(&check);
}
