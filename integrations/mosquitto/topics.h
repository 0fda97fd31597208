/* Topic names and filters (MQTT 5 §4.7): the same answers as src/broker-auth/topic-filter.ts, case by case. */
#ifndef BIRTHMARK_TOPICS_H
#define BIRTHMARK_TOPICS_H

#include "text.h"

bool topic_is_name(struct text text);
bool topic_is_filter(struct text text);
/* The filter of a subscription, of a shared one too (MQTT 5 §4.8.2); false where it is none. */
bool topic_read_subscription(struct text text, struct text *filter);
/* Whether every topic that `inner` matches is matched by `outer` too. A topic's name is a filter of itself. */
bool topic_covers(struct text outer, struct text inner);
/* Whether there is a topic that both match. */
bool topic_overlaps(struct text one, struct text other);

#endif
