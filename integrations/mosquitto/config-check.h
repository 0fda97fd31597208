/*
 * Reads Mosquitto's configuration for what would let clients in without asking the plugin. Mosquitto tells a plugin nothing of
 * its options.
 */
#ifndef BIRTHMARK_CONFIG_CHECK_H
#define BIRTHMARK_CONFIG_CHECK_H

#include <stdbool.h>
#include <stddef.h>

/* False with a text for people where the configuration must not be used. */
bool config_check(const char *path, char *why, size_t room);

#endif
